package delivery_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// crowd is the ports of the watch and the drain, in which each call takes its time, and the queue of calls for pages.
type crowd struct {
	directory *memory.Directory
	cache     *memory.Cache
	drains    memory.Drains

	mu      sync.Mutex
	calls   []string
	longest int
	pages   int
}

const call = 8 * time.Millisecond // what a call to a service takes

func (c *crowd) Attention(ctx context.Context) iter.Seq2[directory.Destination, error] {
	return c.directory.Attention(ctx)
}

func (c *crowd) CurrentDestination(ctx context.Context, id string) (directory.Destination, error) {
	time.Sleep(call)
	return c.directory.CurrentDestination(ctx, id)
}

func (c *crowd) PutDestination(ctx context.Context, d directory.Destination, tell ...directory.Outgoing) (directory.Destination, error) {
	time.Sleep(call)
	return c.directory.PutDestination(ctx, d, tell...)
}

func (c *crowd) Waiting(ctx context.Context, id string, after delivery.Key, limit int) ([]delivery.Waiting, error) {
	time.Sleep(2 * call)
	return c.cache.Waiting(ctx, id, after, limit)
}

func (c *crowd) DrainState(ctx context.Context, id string) (delivery.DrainState, error) {
	return c.drains.DrainState(ctx, id) // its time is CurrentDestination's
}

func (c *crowd) SaveDrainState(ctx context.Context, id string, s delivery.DrainState) error {
	time.Sleep(call)
	return c.drains.SaveDrainState(ctx, id, s)
}

// Send has the logs delivered.
func (c *crowd) Send(ctx context.Context, rides []delivery.Ride) []error {
	for _, r := range rides {
		_ = c.cache.Remove(ctx, []delivery.Key{r.Key})
	}
	return make([]error, len(rides))
}

func (c *crowd) Start(_ context.Context, id string) error {
	time.Sleep(call)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, id)
	c.longest = max(c.longest, len(c.calls))
	return nil
}

func (c *crowd) next() (id string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) == 0 {
		return "", false
	}
	id, c.calls = c.calls[0], c.calls[1:]
	c.pages++
	return id, true
}

// TestFiftyThousandRecoverTogether has that many destinations recover in one minute. A run of the watch and the pages of drains, ten at the same time, take their
// time; runs come late, and some not at all. Each drain ends, and nothing needs attention any more.
func TestFiftyThousandRecoverTogether(t *testing.T) {
	destinations := 50_000
	if testing.Short() {
		destinations = 2000
	}
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{directory: &memory.Directory{}, cache: memory.NewCache(time.Now)}
		began := time.Now()
		for i := range destinations {
			id := fmt.Sprintf("dest-%05d", i)
			d := directory.Destination{ID: id, WorkspaceID: id, Kind: directory.HTTP, State: directory.Connected}
			if _, err := c.directory.PutDestination(t.Context(), d.Drain(began)); err != nil {
				t.Fatal(err)
			}
			k := delivery.Key{DestinationID: id, WorkspaceID: id, LogID: "log", AcceptedAt: began.Add(-time.Hour)}
			if err := c.cache.Save(t.Context(), []delivery.Delivery{{Key: k, NextAt: k.ExpiresAt(), Parked: true}})[0]; err != nil {
				t.Fatal(err)
			}
		}
		w := &delivery.Watch{Attention: c, Destinations: c, Backlog: c, Retries: c, Drains: c, Sweep: nothingLeft, Now: time.Now, AtOnce: 8, Budget: 45 * time.Second}
		d := &delivery.Drain{Destinations: c, Backlog: c, Progress: c, Retries: c, Journal: &memory.Journal{}, Now: time.Now}
		ctx, over := context.WithCancel(t.Context())
		var pages sync.WaitGroup
		for range 10 {
			pages.Go(func() {
				for ctx.Err() == nil {
					if id, ok := c.next(); !ok {
						time.Sleep(time.Second)
					} else if err := d.Page(ctx, id); err != nil {
						t.Error(err)
					}
				}
			})
		}
		chance := rand.New(rand.NewPCG(1, 2))
		minutes := 0
		for left := destinations; left > 0 && minutes < 60; minutes++ {
			if time.Sleep(time.Duration(chance.IntN(8000)) * time.Millisecond); chance.IntN(8) > 0 {
				_ = w.Run(ctx) // it does not reach all
			}
			time.Sleep(time.Until(began.Add(time.Duration(minutes+1) * time.Minute)))
			left = 0
			for range c.directory.Attention(ctx) {
				left++
			}
		}
		over()
		pages.Wait()
		t.Logf("%d drains took %d minutes and %d pages; at most %d calls waited", destinations, minutes, c.pages, c.longest)
		if n := c.cache.Len(); n > 0 || minutes > 30 {
			t.Errorf("after %d minutes %d logs wait", minutes, n)
		}
	})
}
