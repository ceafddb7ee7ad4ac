package delivery_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
)

func disconnect(t *testing.T, w *local.World) {
	t.Helper()
	if _, err := w.Connections.Disconnect(t.Context(), "siem", connection.System()); err != nil {
		t.Fatal(err)
	}
}

// TestEveryLogEndsAtSevenDays has far more logs wait for a destination than it may be tried with, so that most were never tried: a minute after their
// seven days each is a failed event, and no hint follows.
func TestEveryLogEndsAtSevenDays(t *testing.T) {
	const logs = 500
	for name, outage := range map[string]struct {
		before, after func(t *testing.T, w *local.World)
	}{
		"dead all the time": {},
		"disconnected":      {before: disconnect},
		"reconnected to a dead one two hours before": {before: disconnect, after: func(t *testing.T, w *local.World) {
			advance(t, w, 7*day-2*time.Hour)
			if _, err := w.Connections.Reconnect(t.Context(), "siem", connection.System()); err != nil {
				t.Fatal(err)
			}
		}},
		"disconnected on the way": {after: func(t *testing.T, w *local.World) {
			advance(t, w, 3*day)
			disconnect(t, w)
		}},
		"the destination is deleted": {after: func(t *testing.T, w *local.World) {
			if err := w.Directory.DeleteDestination(t.Context(), current(t, w)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var hints atomic.Int32
			w, _ := newWorld(func(call string) memory.Fault {
				if call == memory.CallSendHint {
					hints.Add(1)
				}
				return memory.OK
			}, downFor(30*day))
			if outage.before != nil {
				outage.before(t, w)
			}
			for i := range logs {
				w.Send(message(fmt.Sprintf("log-%04d", i)))
			}
			if advance(t, w, 0); outage.after != nil {
				outage.after(t, w)
			}
			advance(t, w, start.Add(7*day-time.Second).Sub(w.Clock.Now()))
			if n := ours(w); n != (places{Cached: logs}) {
				t.Errorf("a second before the end: %+v", n)
			}
			advance(t, w, time.Minute)
			if n := ours(w); n != (places{Failed: logs}) {
				t.Errorf("a minute after the end: %+v", n)
			}
			before := hints.Load()
			if advance(t, w, 2*time.Hour); hints.Load()-before > 20 { // the activity audit's entries have theirs
				t.Errorf("%d hints in the two hours after the end", hints.Load()-before)
			}
		})
	}
}

// places counts a test's logs by where they are.
type places struct{ Cached, Failed int }

// ours leaves out the entries of the activity audit.
func ours(w *local.World) (n places) {
	for _, d := range w.Cache.All() {
		if strings.HasPrefix(d.LogID, "log-") {
			n.Cached++
		}
	}
	for _, e := range w.Cache.FailedEvents() {
		if strings.HasPrefix(e.LogID, "log-") {
			n.Failed++
		}
	}
	return n
}

func current(t *testing.T, w *local.World) directory.Destination {
	t.Helper()
	d, err := w.Directory.CurrentDestination(t.Context(), "siem")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestALateFirstAttemptIsMade has logs come from the queue after their seven days, because of an outage of our own: each gets its one attempt, and what
// that attempt does not deliver, or the destination's state does not allow, is given up.
func TestALateFirstAttemptIsMade(t *testing.T) {
	type result struct{ Attempts, Delivered, Failed int }
	failing := func(t *testing.T, s *stage) { s.fail(t) }
	for name, tt := range map[string]struct {
		down   bool
		before func(t *testing.T, s *stage)
		logs   int
		want   result
	}{
		"a healthy destination takes them":            {logs: 30, want: result{30, 30, 0}},
		"a dead one that was not known to be":         {down: true, logs: 30, want: result{30, 0, 30}},
		"a failing one is tried on the retry queue":   {before: failing, logs: 1, want: result{1, 1, 0}},
		"a failing one that refuses":                  {down: true, before: failing, logs: 1, want: result{1, 0, 1}},
		"a failing one, more than it may be tried":    {down: true, before: failing, logs: 30, want: result{5, 0, 30}},
		"a failing one that has asked for a pause":    {before: pausing, logs: 1, want: result{0, 0, 1}},
		"a disconnected one":                          {before: disconnected, logs: 1, want: result{0, 0, 1}},
		"the function had no time, then a minute's":   {before: busy(1), logs: 1, want: result{1, 1, 0}},
		"the function had no time five times in turn": {before: busy(5), logs: 1, want: result{1, 1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(now time.Time, id string) error {
				if tt.down {
					return errUnavailable
				}
				return nil
			})
			if tt.before != nil {
				tt.before(t, s)
			}
			var ids []string
			for i := range tt.logs {
				ids = append(ids, fmt.Sprint("log-", i))
			}
			s.acceptAt(t, start.Add(-8*day), ids...)
			s.play(t, 30*time.Minute)
			got := result{Delivered: len(s.receiver.held), Failed: len(s.cache.FailedEvents())}
			for _, n := range s.attempts() {
				got.Attempts += n
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || s.cache.Len() != 0 {
				t.Errorf("%d are cached (-want +got):\n%s", s.cache.Len(), diff)
			}
		})
	}
}

func pausing(t *testing.T, s *stage) {
	s.fail(t)
	s.put(t, func(d *directory.Destination) { d.Health.Until = s.now().Add(40 * time.Minute) })
}

func disconnected(t *testing.T, s *stage) {
	s.put(t, func(d *directory.Destination) { d.State = directory.Disconnected })
}

// busy has the sink find no time for a log, so many times.
func busy(times int) func(t *testing.T, s *stage) {
	return func(_ *testing.T, s *stage) { s.deliver.Sinks = &outOfTime{receiver: s.receiver, times: times} }
}

type outOfTime struct {
	*receiver
	times int
}

func (o *outOfTime) Sink(context.Context, directory.Destination) (delivery.Sink, error) {
	return o, nil
}

func (o *outOfTime) Send(ctx context.Context, logs []auditlog.Document) []delivery.Result {
	if o.times--; o.times < 0 {
		return o.receiver.Send(ctx, logs)
	}
	results := make([]delivery.Result, len(logs))
	for i := range results {
		results[i].Err = delivery.ErrNotTried
	}
	return results
}

// TestAnOutageOfOurOwnAtTheEnd has our functions stand still from before the logs' next time until after their seven days. What was to have its first
// attempt gets it; what had attempts, or was parked, is given up.
func TestAnOutageOfOurOwnAtTheEnd(t *testing.T) {
	s := newStage(t, func(time.Time, string) error { return nil })
	accepted := start.Add(-7 * day)
	entries := map[string]delivery.Delivery{
		"first attempt": {NextAt: start.Add(-time.Minute), Riding: true},
		"had some":      {NextAt: start.Add(-time.Minute), Riding: true, Attempts: 3},
		"last attempt":  {NextAt: start.Add(-time.Hour), Attempts: 8},
		"parked":        {NextAt: start, Parked: true},
	}
	for id, d := range entries {
		d.Key = delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: id, AcceptedAt: accepted}
		d.Document = auditlog.Document{ID: id, WorkspaceID: "acme", Type: "user_activity", JSON: []byte(`{}`)}
		if err := s.cache.Save(t.Context(), []delivery.Delivery{d})[0]; err != nil {
			t.Fatal(err)
		}
	}
	s.to(start.Add(time.Hour))
	s.play(t, 30*time.Minute)
	failed := make(map[string]int)
	for _, e := range s.cache.FailedEvents() {
		failed[e.LogID] = e.Attempts
	}
	if diff := cmp.Diff(map[string]int{"had some": 3, "last attempt": 8, "parked": 0}, failed); diff != "" {
		t.Errorf("attempts of the failed events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"first attempt": 1}, s.receiver.held); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
}

// slowTable has its writes take so long that time goes on meanwhile.
type slowTable struct {
	delivery.Cache
	meanwhile func()
}

func (c *slowTable) Save(ctx context.Context, ds []delivery.Delivery) []error {
	c.meanwhile()
	return c.Cache.Save(ctx, ds)
}

// TestAHintThatOvertookItsWriteFollowsIt has a throttled table take its time for writes whose hints are read before they are durable: the attempt is made
// right after the write, not when the sweep comes.
func TestAHintThatOvertookItsWriteFollowsIt(t *testing.T) {
	for name, tt := range map[string]struct {
		takes time.Duration
		begin func(t *testing.T, s *stage) // brings a log into the cache while writes are slow
		want  int                          // attempts
	}{
		"a fresh log of a failing destination": {takes: 2 * time.Second, want: 1, begin: func(t *testing.T, s *stage) {
			s.fail(t)
			s.accept(t, "one")
		}},
		"a write of a minute and a half, a retry in a minute": {takes: 90 * time.Second, want: 2, begin: func(t *testing.T, s *stage) { s.accept(t, "one") }},
		"a log whose end has come":                            {takes: 3 * time.Second, want: 1, begin: func(t *testing.T, s *stage) { s.acceptAt(t, start.Add(-7*day), "one") }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(time.Time, string) error { return errUnavailable })
			s.deliver.Cache = &slowTable{Cache: s.cache, meanwhile: func() {
				s.to(s.now().Add(tt.takes))
				s.hints(t)
			}}
			tt.begin(t, s)
			s.deliver.Cache = s.cache
			s.play(t, 5*time.Second)
			if n := s.attempts()["one"]; n != tt.want {
				t.Errorf("%d attempts five seconds after the write, want %d", n, tt.want)
			}
		})
	}
}
