package sink

import (
	"context"
	"slices"
	"sync"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Room is the memory that requests under way may take in one process, all destinations' together: bodies that are made for them, and answers. What one
// owner's destinations hold is bounded besides, so that others' requests always find some. A nil Room has no bound. It is safe for concurrent use.
type Room struct {
	each int64

	mu      sync.Mutex
	free    int64
	held    map[string]int64 // by owner
	waiting []*guest         // in the order of their coming
}

// guest waits for n bytes.
type guest struct {
	owner string
	n     int64
	in    chan struct{} // closed when it has them
}

// LeastRoom is the least that a Room should have: one owner's share of it holds the largest message, and as much again for what is made of it.
const LeastRoom = 128 << 20

// NewRoom makes a room of so many bytes. One owner may hold three quarters of it.
func NewRoom(bytes int64) *Room {
	return &Room{each: bytes / 4 * 3, free: bytes, held: make(map[string]int64)}
}

// take waits until there is room for n bytes of the owner's. A request for more than an owner may hold gets all of that. The error is
// delivery.ErrNotTried: ctx ended first. Small requests pass larger ones that wait.
func (r *Room) take(ctx context.Context, owner string, n int) (leave func(), err error) {
	if r == nil {
		return func() {}, nil
	}
	g := &guest{owner: owner, n: min(int64(n), r.each), in: make(chan struct{})}
	r.mu.Lock()
	if r.admit(g) {
		r.mu.Unlock()
		return func() { r.leave(g) }, nil
	}
	r.waiting = append(r.waiting, g)
	r.mu.Unlock()
	select {
	case <-g.in:
		return func() { r.leave(g) }, nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	at := slices.Index(r.waiting, g)
	if at >= 0 {
		r.waiting = slices.Delete(r.waiting, at, at+1)
	}
	r.mu.Unlock()
	if at < 0 { // it was let in just now
		r.leave(g)
	}
	return nil, delivery.ErrNotTried
}

// admit lets a guest in if there is room for it.
func (r *Room) admit(g *guest) bool {
	if g.n > r.free || r.held[g.owner]+g.n > r.each {
		return false
	}
	r.free -= g.n
	r.held[g.owner] += g.n
	return true
}

func (r *Room) leave(g *guest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free += g.n
	if r.held[g.owner] -= g.n; r.held[g.owner] == 0 {
		delete(r.held, g.owner)
	}
	r.next()
}

// next lets in whoever has room now.
func (r *Room) next() {
	r.waiting = slices.DeleteFunc(r.waiting, func(g *guest) bool {
		if !r.admit(g) {
			return false
		}
		close(g.in)
		return true
	})
}
