package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// failingDestinations are the destinations that a watch looks at, all failing, and their backlogs: logs a second apart, of which the first few wait
// for their time and the others are parked.
type failingDestinations struct {
	count int
	// logs is how many wait for each destination, timed how many of them, the oldest, have a time of their own.
	logs, timed int
	// takes is how long it takes to read a backlog.
	takes time.Duration
	// breaks, if set, says how reading a destination's backlog goes wrong.
	breaks func(destinationID string) error

	mu      sync.Mutex
	running int
	most    int                 // at the same time
	looked  []string            // destinations, in the order of their looks
	limits  map[string][]int    // of the reads of each
	hinted  map[string][]string // logs of each, in order
}

func failingID(i int) string { return fmt.Sprintf("dest-%04d", i) }

func (f *failingDestinations) watch(now func() time.Time) *delivery.Watch {
	f.limits, f.hinted = make(map[string][]int), make(map[string][]string)
	return &delivery.Watch{Attention: f, Backlog: f, Retries: f, Now: now, AtOnce: 8, Budget: 45 * time.Second, Sweep: nothingLeft}
}

// Attention implements delivery.Attention.
func (f *failingDestinations) Attention(context.Context) iter.Seq2[directory.Destination, error] {
	return func(yield func(directory.Destination, error) bool) {
		for i := range f.count {
			d := directory.Destination{ID: failingID(i), Kind: directory.HTTP, State: directory.Connected,
				Health: directory.Health{State: directory.Failing, Since: noon.Add(-10 * time.Minute), Code: failure.NetTimeout}}
			if !yield(d, nil) {
				return
			}
		}
	}
}

// Waiting implements delivery.Backlog.
func (f *failingDestinations) Waiting(_ context.Context, id string, after delivery.Key, limit int) ([]delivery.Waiting, error) {
	f.mu.Lock()
	f.running++
	f.most = max(f.most, f.running)
	f.looked = append(f.looked, id)
	f.limits[id] = append(f.limits[id], limit)
	f.mu.Unlock()
	if f.takes > 0 {
		<-time.After(f.takes)
	}
	f.mu.Lock()
	f.running--
	f.mu.Unlock()
	if f.breaks != nil {
		if err := f.breaks(id); err != nil {
			return nil, err
		}
	}
	first := 0
	if after != (delivery.Key{}) {
		first = int(after.AcceptedAt.Sub(noon)/time.Second) + 1
	}
	var page []delivery.Waiting
	for i := first; i < f.logs && len(page) < limit; i++ {
		k := delivery.Key{DestinationID: id, LogID: fmt.Sprintf("log-%04d", i), AcceptedAt: noon.Add(time.Duration(i) * time.Second)}
		page = append(page, delivery.Waiting{Hint: delivery.Hint{Key: k}, Parked: i >= f.timed})
	}
	return page, nil
}

// Send implements delivery.RetryQueue.
func (f *failingDestinations) Send(_ context.Context, rides []delivery.Ride) []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rides {
		f.hinted[r.DestinationID] = append(f.hinted[r.DestinationID], r.LogID)
	}
	return make([]error, len(rides))
}

// oldest names count logs from the first on.
func oldest(first, count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("log-%04d", first+i)
	}
	return names
}

// TestTheWatchLooksAtManyBesideEachOther holds the bound, the time for 5,000 destinations, and that two of them in trouble cost the others nothing.
func TestTheWatchLooksAtManyBesideEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unreadable := errors.New("throttled")
		f := &failingDestinations{count: 5000, logs: 30, takes: 20 * time.Millisecond, breaks: func(id string) error {
			switch id {
			case failingID(7):
				return unreadable
			case failingID(8):
				panic("a bug")
			}
			return nil
		}}
		began := time.Now()
		err := f.watch(time.Now).Run(t.Context())
		if took := time.Since(began); took > 15*time.Second || f.most != 8 {
			t.Errorf("%d destinations took %v, %d at once; want less than 15s and 8", f.count, took, f.most)
		}
		want := make(map[string][]string)
		for i := range f.count {
			if i != 7 && i != 8 {
				want[failingID(i)] = oldest(0, 10)
			}
		}
		if diff := cmp.Diff(want, f.hinted); diff != "" {
			t.Errorf("logs that are tried (-want +got):\n%s", diff)
		}
		if !errors.Is(err, unreadable) || err.Error() != "destination dest-0007: throttled\ndestination dest-0008: panic: a bug" {
			t.Errorf("error: %v", err)
		}
	})
}

// TestARunEndsBeforeTheNext has looks that take so long that a run cannot reach all: it ends, and the next one begins with those that are left.
func TestARunEndsBeforeTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failingDestinations{count: 1000, logs: 30, takes: 1100 * time.Millisecond}
		w := f.watch(time.Now)
		began := time.Now()
		if err := w.Run(t.Context()); err == nil || err.Error() != "328 of 1000 destinations that need attention were looked at in 45s; the others come first in the next run" {
			t.Errorf("error: %v", err)
		}
		if took := time.Since(began); took > 46*time.Second {
			t.Errorf("the run took %v", took)
		}
		for range 3 {
			_ = w.Run(t.Context()) // it does not reach all either
		}
		var want []string // in four runs: all of them once, then the first ones again
		for i := range 4 * 328 {
			want = append(want, failingID(i%f.count))
		}
		for round := range slices.Chunk(f.looked, w.AtOnce) { // they come in any order
			slices.Sort(round)
		}
		if diff := cmp.Diff(want, f.looked); diff != "" {
			t.Errorf("the order of looks (-want +got):\n%s", diff)
		}
	})
}

// TestSearchesAreKeptApart has backlogs whose first 1,200 logs are not parked: the search goes on from minute to minute, for each destination where its
// own came to.
func TestSearchesAreKeptApart(t *testing.T) {
	f := &failingDestinations{count: 40, logs: 1300, timed: 1200}
	now := noon
	w := f.watch(func() time.Time { return now })
	want := make(map[string][]string)
	for range 3 {
		if len(f.hinted) > 0 {
			t.Errorf("logs are tried too early: %v", f.hinted)
		}
		if err := w.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
	}
	for i := range f.count {
		want[failingID(i)] = oldest(1200, 10)
	}
	if diff := cmp.Diff(want, f.hinted); diff != "" {
		t.Errorf("logs that are tried (-want +got):\n%s", diff)
	}
}

// TestALookCostsLittleWhenThereIsNothingToDo counts reads over eight minutes.
func TestALookCostsLittleWhenThereIsNothingToDo(t *testing.T) {
	for _, tt := range []struct {
		name        string
		logs, timed int
		want        []int // how many logs each read asks for
	}{
		{"no backlog", 0, 0, []int{20, 20}},
		{"nothing parked", 15, 15, []int{20, 20}},
		{"the oldest parked", 900, 0, []int{20, 20, 20, 20, 20, 20, 20, 20}},
		{"few parked", 30, 28, []int{20, 100, 20, 100, 20, 100, 20, 100, 20, 100, 20, 100, 20, 100, 20, 100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &failingDestinations{count: 1, logs: tt.logs, timed: tt.timed}
			now := noon
			w := f.watch(func() time.Time { return now })
			for minute := range 8 {
				now = noon.Add(time.Duration(minute)*time.Minute + time.Duration(minute%3)*time.Second) // the rule does not come to the second
				if err := w.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tt.want, f.limits[failingID(0)]); diff != "" {
				t.Errorf("reads (-want +got):\n%s", diff)
			}
		})
	}
}
