package unkind

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// function is a Lambda function: its time limit and its execution environments.
type function struct {
	name    string
	timeout time.Duration
	// calls is about how many calls an invocation makes. One that is to die dies at any of them.
	calls int
	wire  func(*environment) functions

	mu          sync.Mutex
	idle        []*environment
	born        int
	invocations int
}

// environment gives an idle environment or a new one.
func (w *World) environment(f *function, draw chance) *environment {
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := 0.02
	if w.unkind(Memories) {
		fresh = 0.15
	}
	if len(f.idle) > 0 && !draw.sub("fresh", 0).hits(fresh) {
		i := len(f.idle) - 1 // the one that was used last, as Lambda does
		if w.unkind(Memories) {
			i = draw.sub("which", 0).below(len(f.idle))
		}
		e := f.idle[i]
		f.idle = append(f.idle[:i], f.idle[i+1:]...)
		return e
	}
	f.born++
	e := &environment{world: w, id: fmt.Sprintf("%s/%d", f.name, f.born), born: time.Now()}
	if w.kinds.Has(Skew) {
		e.skew = w.chance.sub("skew "+e.id, 0).between(-skewMost, skewMost)
	}
	e.functions = f.wire(e)
	return e
}

// invoke runs a function once, and says whether it ended: it may die on the way, or at its time limit. An error of the function is one that Lambda sees.
func (w *World) invoke(f *function, run func(context.Context, *environment) error) (ended bool) {
	f.mu.Lock()
	f.invocations++
	id := fmt.Sprintf("%s#%d", f.name, f.invocations)
	f.mu.Unlock()
	draw := w.chance.sub(id, 0)
	e := w.environment(f, draw)
	at := &invocation{chance: draw, id: id, began: time.Now(), died: make(chan struct{})}
	if w.unkind(Kill) && draw.sub("kill", 0).hits(killShare) {
		at.doomed = 1 / float64(f.calls)
	}
	e.mu.Lock()
	e.at = at
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), environmentKey{}, e), f.timeout)
	defer cancel()
	done := make(chan error, 1)
	w.running.Go(func() { done <- run(ctx, e) })
	limit := time.NewTimer(f.timeout)
	defer limit.Stop()
	select {
	case err := <-done:
		e.mu.Lock()
		e.at = nil
		e.mu.Unlock()
		f.mu.Lock()
		f.idle = append(f.idle, e)
		f.mu.Unlock()
		if err != nil {
			w.fault(e, err)
		}
		return err == nil
	case <-at.died:
		w.note("%s dies", id)
	case <-limit.C:
		w.note("%s is ended at its time limit", id)
		e.die()
	case <-w.over:
	}
	return false
}

// pass lets time pass; false says that the world is over.
func (w *World) pass(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.over:
		return false
	}
}
