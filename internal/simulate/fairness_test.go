package simulate

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// hanging is the sinks of destinations of which the first few accept connections and never answer.
type hanging struct {
	dead int

	mu        sync.Mutex
	bystander []time.Duration // from the acceptance of each of their logs to its arrival
	accepted  map[string]time.Time
}

// Sink implements delivery.Sinks.
func (h *hanging) Sink(_ context.Context, d directory.Destination) (delivery.Sink, error) {
	return answering{h, destinationOf(d.ID)}, nil
}

type answering struct {
	*hanging
	destination int
}

// Send implements delivery.Sink.
func (a answering) Send(ctx context.Context, logs []auditlog.Document) []delivery.Result {
	wait, err := healthyLatency(1, numberOf(logs[0].ID), 0), error(nil)
	if a.destination < a.dead {
		wait, err = 10*time.Second, &failure.Error{Code: failure.NetTimeout}
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		err = &failure.Error{Code: failure.NetTimeout}
	}
	results := make([]delivery.Result, len(logs))
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, l := range logs {
		results[i].Err = err
		if a.destination >= a.dead {
			a.bystander = append(a.bystander, time.Since(a.accepted[l.ID]))
		}
	}
	return results
}

// bystanders gives their p99. It runs the real deliver, with its own goroutines and limits, on logs that come for a minute, a batch of one for each destination a second. No
// more than a few invocations run at once, so one that is held up would delay the batches after it.
func bystanders(t *testing.T, destinations, dead int) (p99 time.Duration) {
	const invocations, seconds = 12, 60
	logs, err := newSamples(1)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		store := &memory.Directory{Now: time.Now}
		for i := range destinations {
			d := directory.Destination{ID: destinationID(i), WorkspaceID: workspaceID(i), Kind: directory.HTTP, State: directory.Connected}
			if err := store.PutWorkspace(t.Context(), directory.Workspace{ID: d.WorkspaceID, Kind: directory.Standalone}); err != nil {
				t.Fatal(err)
			}
			if _, err := store.PutDestination(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		sinks := &hanging{dead: dead, accepted: make(map[string]time.Time)}
		cache := memory.NewCache(time.Now)
		remembered := &delivery.CachedDirectory{Source: store, TTL: directoryTTL, Now: time.Now, Fault: func(err error) { t.Error(err) }}
		deliver := &delivery.Deliver{
			Outbox:    outbox{new(Meter)},
			Directory: remembered, Destinations: remembered, Sinks: sinks, Cache: cache, Failed: cache, Budget: &memory.Budget{}, Now: time.Now,
			Retries:   &memory.RetryQueue{Queue: memory.Queue[delivery.Hint]{Now: time.Now, Visibility: time.Minute}},
			Notices:   &memory.NoticeQueue{Queue: memory.Queue[directory.Notice]{Now: time.Now, Visibility: time.Minute}},
			Drains:    &memory.DrainQueue{Queue: memory.Queue[string]{Now: time.Now, Visibility: time.Minute}},
			Journal:   &memory.Journal{},
			TimeLimit: attemptLimit,
		}
		slots := make(chan struct{}, invocations)
		var running sync.WaitGroup
		number := 0
		for range seconds {
			<-time.After(time.Second)
			var messages []delivery.Message
			sinks.mu.Lock()
			for i := range destinations {
				id := logID(number)
				number++
				sinks.accepted[id] = time.Now()
				messages = append(messages, delivery.Message{ID: id, Body: logs.message(id, workspaceID(i)), SentAt: time.Now(), Receives: 1})
			}
			sinks.mu.Unlock()
			running.Go(func() { // the queue: a batch waits for a free invocation
				slots <- struct{}{}
				defer func() { <-slots }()
				if open := deliver.Accept(t.Context(), messages); len(open) > 0 {
					t.Errorf("%d messages were left open", len(open))
				}
			})
		}
		running.Wait()
		if want := seconds * (destinations - dead); len(sinks.bystander) != want {
			t.Errorf("%d logs of bystanders arrived, want %d", len(sinks.bystander), want)
		}
		slices.Sort(sinks.bystander)
		p99 = sinks.bystander[len(sinks.bystander)*99/100]
	})
	return p99
}

func TestHangingDestinationsHurtNobodyInTheRealDeliver(t *testing.T) {
	quiet, hanging := bystanders(t, 60, 0), bystanders(t, 60, 3)
	if hanging > quiet*12/10 {
		t.Errorf("bystanders' p99 is %v while three of sixty destinations hang, %v in the quiet run: more than 20 %% above", hanging, quiet)
	}
}
