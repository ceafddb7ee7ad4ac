package delivery_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// saboteur makes one chosen call fail, or takes the whole system down at it.
type saboteur struct {
	call  string
	nth   int
	fault memory.Fault
	// dies takes everything down from that call on, for as long as the clock stands: no later call of any function has an effect.
	dies bool
	now  func() time.Time // nil until the system is set up: nothing fails before

	mu     sync.Mutex
	seen   int
	diedAt time.Time
}

func (s *saboteur) hook(call string) memory.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return memory.OK
	}
	if !s.diedAt.IsZero() && s.diedAt.Equal(s.now()) {
		return memory.FailBefore
	}
	if call != s.call {
		return memory.OK
	}
	if s.seen++; s.seen != s.nth {
		return memory.OK
	}
	if s.dies {
		s.diedAt = s.now()
	}
	return s.fault
}

func (s *saboteur) dead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.diedAt.IsZero() && s.diedAt.Equal(s.now())
}

// TestCrash breaks every call of every step once: it fails, it fails after it took effect, or everything dies at it. No log may be lost, and a
// destination that names its objects by the log holds each once.
func TestCrash(t *testing.T) {
	modes := []struct {
		name  string
		fault memory.Fault
		dies  bool
	}{
		{"fails before", memory.FailBefore, false},
		{"fails after", memory.FailAfter, false},
		{"dies before", memory.FailBefore, true},
		{"dies after", memory.FailAfter, true},
	}
	outages := []struct {
		name string
		down time.Duration
		want memory.Ledger
	}{
		{"up", 0, memory.Ledger{Accepted: 4, Delivered: 3, Rejected: 1}},
		{"down 3 h", 3 * time.Hour, memory.Ledger{Accepted: 4, Delivered: 3, Rejected: 1}},
		{"down 9 days", 9 * day, memory.Ledger{Accepted: 4, Failed: 3, Rejected: 1}},
	}
	for _, o := range outages {
		made := make(map[string]int) // how often the story makes each call when nothing is broken
		var mu sync.Mutex
		w, _ := newWorld(func(call string) memory.Fault {
			mu.Lock()
			defer mu.Unlock()
			made[call]++
			return memory.OK
		}, downFor(o.down))
		sendLogs(w, 3)
		w.Send([]byte("no log"))
		advance(t, w, 9*day)
		for _, m := range modes {
			for _, call := range slices.Sorted(maps.Keys(made)) {
				for nth := 1; nth <= min(made[call], 3); nth++ {
					t.Run(fmt.Sprintf("%s/%s/%s %d", o.name, m.name, call, nth), func(t *testing.T) {
						t.Parallel()
						s := &saboteur{call: call, nth: nth, fault: m.fault, dies: m.dies}
						var r *receiver
						var w *local.World
						w, r = newWorld(s.hook, func(now time.Time, id string) error {
							if s.dead() {
								return &failure.Error{Code: failure.NetInterrupted}
							}
							return downFor(o.down)(now, id)
						})
						s.now = w.Clock.Now
						sendLogs(w, 3)
						w.Send([]byte("no log"))
						advance(t, w, 9*day)
						if diff := cmp.Diff(o.want, w.Journal.Ledger()); diff != "" {
							t.Errorf("ledger (-want +got):\n%s", diff)
						}
						if len(r.held) != o.want.Delivered || len(w.Cache.FailedEvents()) != o.want.Failed || w.Cache.Len() != 0 {
							t.Errorf("%d objects, %d failed events, %d cached; want %d, %d, 0",
								len(r.held), len(w.Cache.FailedEvents()), w.Cache.Len(), o.want.Delivered, o.want.Failed)
						}
						if w.Ingest.Queue.Len() != 0 || len(w.Rejected.All()) == 0 {
							t.Errorf("%d messages left on ingest, %d rejected", w.Ingest.Queue.Len(), len(w.Rejected.All()))
						}
					})
				}
			}
		}
	}
}

// TestNothingIsLost draws faults, duplicates, outages and arrivals at random. At every moment at which the ingest queue is empty, each log is
// delivered, cached or a failed event; in the end none is pending, and the ledger balances against what the destination really holds.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		faults := rapid.SliceOfN(rapid.SampledFrom([]memory.Fault{0, 0, 0, 0, 0, 0, 1, 2}), 1, 200).Draw(t, "faults")
		copies := rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2}), 1, 50).Draw(t, "copies")
		var mu sync.Mutex
		calm, drawn, duplicated := true, 0, 0
		hook := func(string) memory.Fault {
			mu.Lock()
			defer mu.Unlock()
			if calm {
				return memory.OK
			}
			drawn++
			return faults[drawn%len(faults)]
		}
		duplicate := func() int {
			mu.Lock()
			defer mu.Unlock()
			if calm {
				return 0
			}
			duplicated++
			return copies[duplicated%len(copies)]
		}
		down := false
		w, r := newWorld(hook, func(time.Time, string) error {
			if down {
				return &failure.Error{Code: failure.HTTPServerError}
			}
			return nil
		})
		calm = false
		if rapid.Bool().Draw(t, "dedupe") {
			w.Dedupe()
		}
		w.Ingest.Queue.Copies, w.Retry.Queue.Copies = duplicate, duplicate
		sent := 0
		steps := rapid.IntRange(1, 12).Draw(t, "steps")
		for range steps {
			down = rapid.Bool().Draw(t, "down")
			for range rapid.IntRange(0, 5).Draw(t, "logs") {
				w.Send(message(fmt.Sprintf("log-%03d", sent)))
				sent++
			}
			if err := w.Advance(t.Context(), time.Duration(rapid.IntRange(0, 40).Draw(t, "hours"))*time.Hour); err != nil {
				t.Fatal(err)
			}
			if w.Ingest.Queue.Len() == 0 {
				checkPlaces(t, w, r, sent)
			}
		}
		calm = true
		if err := w.Advance(t.Context(), 10*day); err != nil {
			t.Fatal(err)
		}
		checkPlaces(t, w, r, sent)
		ledger := w.Journal.Ledger()
		if ledger.Pending != 0 || w.Cache.Len() != 0 || w.Retry.Queue.Len() != 0 {
			t.Errorf("after all time: ledger %+v, %d cached, %d hints", ledger, w.Cache.Len(), w.Retry.Queue.Len())
		}
	})
}

// checkPlaces looks for each log where it must be.
func checkPlaces(t *rapid.T, w *local.World, r *receiver, sent int) {
	t.Helper()
	places := make(map[string]string)
	for _, e := range w.Cache.FailedEvents() {
		places[e.LogID] = "failed"
	}
	for _, d := range w.Cache.All() {
		places[d.LogID] = "cached"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.held {
		places[id] = "delivered"
	}
	for i := range sent {
		if id := fmt.Sprintf("log-%03d", i); places[id] == "" {
			t.Errorf("%s is lost", id)
		}
	}
	if l := w.Journal.Ledger(); l.Accepted < sent || l.Accepted != l.Delivered+l.Pending+l.Failed {
		t.Errorf("%d logs sent; the ledger does not balance: %+v", sent, l)
	}
}
