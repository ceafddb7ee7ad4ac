package sink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Requests come in a given order and each stays for a second: when each is let in.
func TestRoom(t *testing.T) {
	type request struct {
		owner string
		n     int
		wait  time.Duration // how long it waits at most; 0 for as long as it takes
	}
	const never = -1
	for name, c := range map[string]struct {
		requests []request
		in       []int // the second at which each is let in, or never
	}{
		"all fit":                           {[]request{{"a", 50, 0}, {"b", 50, 0}}, []int{0, 0}},
		"the third waits":                   {[]request{{"a", 50, 0}, {"b", 40, 0}, {"c", 20, 0}}, []int{0, 0, 1}},
		"a small one passes":                {[]request{{"a", 60, 0}, {"b", 60, 0}, {"c", 20, 0}}, []int{0, 1, 0}},
		"one owner's share":                 {[]request{{"a", 50, 0}, {"a", 50, 0}, {"b", 25, 0}}, []int{0, 1, 0}},
		"more than a share gets the share":  {[]request{{"a", 1000, 0}, {"b", 25, 0}, {"a", 1, 0}}, []int{0, 0, 1}},
		"a flood of one leaves others room": {[]request{{"a", 25, 0}, {"a", 25, 0}, {"a", 25, 0}, {"a", 25, 0}, {"a", 25, 0}, {"b", 25, 0}}, []int{0, 0, 0, 1, 1, 0}},
		"no time to wait":                   {[]request{{"a", 75, 0}, {"a", 1, 500 * time.Millisecond}, {"b", 25, 0}}, []int{0, never, 0}},
		"what gives up leaves nothing":      {[]request{{"a", 75, 0}, {"a", 75, time.Millisecond}, {"a", 75, 0}, {"a", 75, 0}}, []int{0, never, 1, 2}},
		"nothing":                           {[]request{{"a", 75, 0}, {"a", 0, 0}}, []int{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				room, begun := NewRoom(100), time.Now()
				got := make([]int, len(c.requests))
				var wg sync.WaitGroup
				for i, r := range c.requests {
					wg.Go(func() {
						ctx := t.Context()
						if r.wait > 0 {
							var cancel context.CancelFunc
							ctx, cancel = context.WithTimeout(ctx, r.wait)
							defer cancel()
						}
						leave, err := room.take(ctx, r.owner, r.n)
						if errors.Is(err, delivery.ErrNotTried) {
							got[i] = never
							return
						}
						got[i] = int(time.Since(begun) / time.Second)
						time.Sleep(time.Second)
						leave()
					})
					synctest.Wait() // so that they come in their order
				}
				wg.Wait()
				if diff := cmp.Diff(c.in, got); diff != "" {
					t.Errorf("let in (-want +got):\n%s", diff)
				}
				if room.free != 100 || len(room.held) != 0 || len(room.waiting) != 0 {
					t.Errorf("in the end %d are free, %v are held, %d wait", room.free, room.held, len(room.waiting))
				}
			})
		})
	}
}

// However requests come and give up, no more is held than there is, by nobody more than a share, and everyone's turn comes.
func TestRoomIsNeverExceeded(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			room := NewRoom(1000)
			var mu sync.Mutex
			held := make(map[string]int)
			var wg sync.WaitGroup
			for range 200 {
				owner, n := fmt.Sprint("owner-", random.IntN(4)), random.IntN(400)
				patience, stay := time.Duration(random.IntN(5000))*time.Millisecond, time.Duration(random.IntN(100))*time.Millisecond
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					leave, err := room.take(ctx, owner, n)
					if err != nil {
						return
					}
					mu.Lock()
					held[owner] += n
					sum := 0
					for _, h := range held {
						sum += h
					}
					if sum > 1000 || held[owner] > 750 {
						t.Errorf("%d are held, %d by %s", sum, held[owner], owner)
					}
					mu.Unlock()
					time.Sleep(stay)
					mu.Lock()
					held[owner] -= n
					mu.Unlock()
					leave()
				})
			}
			wg.Wait()
			if room.free != 1000 || len(room.waiting) != 0 {
				t.Errorf("in the end %d are free, %d wait", room.free, len(room.waiting))
			}
		})
	}
}
