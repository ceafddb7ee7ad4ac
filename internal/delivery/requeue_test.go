package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/memory"
)

var errRefused = errors.New("the queue refused the message")

// balky is a retry queue that takes its time for each call and refuses some hints.
type balky struct {
	takes   time.Duration // a hint
	refuses func(h delivery.Hint, call int) bool

	mu    sync.Mutex
	calls int
	sent  map[string]int // by log, refused ones included
	taken map[string]int
	// cache, if set, loses each delivery whose hint was taken: deliver has seen to it.
	cache *memory.Cache
}

func (b *balky) Send(ctx context.Context, rides []delivery.Ride) []error {
	errs := make([]error, len(rides))
	for i, r := range rides {
		if b.takes > 0 {
			select {
			case <-time.After(b.takes):
			case <-ctx.Done():
			}
		}
		b.mu.Lock()
		b.calls++
		if err := ctx.Err(); err != nil {
			errs[i] = err
		} else if b.sent[r.LogID]++; b.refuses != nil && b.refuses(r.Hint, b.calls) {
			errs[i] = errRefused
		} else {
			b.taken[r.LogID]++
			if b.cache != nil {
				_ = b.cache.Remove(ctx, []delivery.Key{r.Key})
			}
		}
		b.mu.Unlock()
	}
	return errs
}

// share says of a log whether it belongs to one part of so many.
func share(id string, part, of uint32) bool {
	h := fnv.New32a()
	h.Write([]byte(id))
	return h.Sum32()%of == part
}

// TestASweepGoesOnWhereItStood has thousands of hints lost and a queue that is in trouble in some way: within two sweeps each delivery that the queue takes
// a hint for has one, and hardly any is sent more often than that needs.
func TestASweepGoesOnWhereItStood(t *testing.T) {
	const lost = 3000
	for name, tt := range map[string]struct {
		queue *balky
		// after this many minutes the queue is well
		minutes int
		// most is how many hints may be sent, refused ones included.
		most int
	}{
		"well":                         {queue: &balky{}, most: lost},
		"one call in a thousand fails": {queue: &balky{refuses: func(_ delivery.Hint, call int) bool { return call%1000 == 0 }}, most: lost + 50},
		"one call in twenty fails":     {queue: &balky{refuses: func(_ delivery.Hint, call int) bool { return call%20 == 0 }}, most: 2 * lost},
		"nothing is taken for five minutes": {queue: &balky{refuses: func(delivery.Hint, int) bool { return true }}, minutes: 5,
			most: lost + 5*lost},
		"some are refused for ever": {queue: &balky{refuses: func(h delivery.Hint, _ int) bool { return share(h.LogID, 0, 100) }}, most: lost + lost/100*2*29},
		"one due shard is refused for a while": {queue: &balky{refuses: func(h delivery.Hint, _ int) bool { return h.DueShard() == 7 }}, minutes: 8,
			most: lost + 8*2*lost/delivery.DueShards},
		"the time does not suffice for all": {queue: &balky{takes: 400 * time.Millisecond}, most: lost + lost/10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				cache := memory.NewCache(time.Now)
				for i := range lost {
					k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: fmt.Sprint("log-", i), AcceptedAt: began.Add(-time.Hour)}
					d := delivery.Delivery{Key: k, Attempts: 1, NextAt: began.Add(time.Duration(i-lost)*time.Second - 16*time.Minute), Riding: true}
					if err := cache.Save(t.Context(), []delivery.Delivery{d})[0]; err != nil {
						t.Fatal(err)
					}
				}
				queue := tt.queue
				queue.sent, queue.taken, queue.cache = make(map[string]int), make(map[string]int), cache
				refuses := queue.refuses
				r := &delivery.Requeue{Index: cache, Retries: queue, Now: time.Now, Budget: 45 * time.Second}
				for minute := range 29 {
					if tt.minutes > 0 && minute >= tt.minutes {
						queue.refuses = nil
					}
					_ = r.Run(t.Context())
					time.Sleep(time.Until(began.Add(time.Duration(minute+1) * time.Minute)))
				}
				sent := 0
				for i := range lost {
					id := fmt.Sprint("log-", i)
					sent += queue.sent[id]
					if never := tt.minutes == 0 && refuses != nil && refuses(delivery.Hint{Key: delivery.Key{LogID: id}}, 1); queue.taken[id] == 0 && !never {
						t.Fatalf("%s has had no hint in two sweeps", id)
					}
				}
				if sent > tt.most {
					t.Errorf("%d hints were sent for %d lost ones, want at most %d", sent, lost, tt.most)
				}
			})
		})
	}
}

// TestMuchThatIsDueLeavesTimeForTheSweep has more come due each minute than a run can hand over: lost hints are found all the same.
func TestMuchThatIsDueLeavesTimeForTheSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		cache := memory.NewCache(time.Now)
		save := func(d delivery.Delivery) {
			if err := cache.Save(t.Context(), []delivery.Delivery{d})[0]; err != nil {
				t.Fatal(err)
			}
		}
		for i := range 20_000 {
			k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: fmt.Sprint("due-", i), AcceptedAt: began}
			save(delivery.Delivery{Key: k, Attempts: 4, NextAt: began.Add(time.Duration(i) * time.Millisecond)})
		}
		k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: "lost", AcceptedAt: began}
		save(delivery.Delivery{Key: k, Attempts: 1, NextAt: began.Add(-20 * time.Minute), Riding: true})
		queue := &balky{takes: 100 * time.Millisecond, sent: make(map[string]int), taken: make(map[string]int)}
		r := &delivery.Requeue{Index: cache, Retries: queue, Now: time.Now, Budget: 45 * time.Second}
		_ = r.Run(t.Context())
		if took := time.Since(began); took > 50*time.Second || queue.taken["lost"] != 1 || len(queue.taken) < 1000 {
			t.Errorf("a run of %v sent %d hints, %d to the lost one", took, len(queue.taken), queue.taken["lost"])
		}
	})
}
