package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// newRatedWorld has one destination that takes five logs a second, and counts what comes in each window of ten seconds.
func newRatedWorld(hook memory.Hook) (*local.World, *receiver, map[time.Time]int) {
	windows := make(map[time.Time]int)
	w := local.NewWorld(start, hook)
	r := &receiver{now: w.Clock.Now, held: make(map[string]int)}
	r.answer = func(now time.Time, _ string) error {
		windows[now.Truncate(10*time.Second)]++
		return nil
	}
	w.SetSinks(r)
	if err := w.Apply(context.Background(), local.Directory{
		Workspaces: []directory.Workspace{{ID: "acme", Kind: directory.Standalone}},
		Destinations: []directory.Destination{{
			ID: "siem", WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Connected, Settings: json.RawMessage(`{"rate":5}`),
		}},
	}); err != nil {
		panic(err)
	}
	return w, r, windows
}

// TestRateIsHeld sends more logs at once than a destination takes in minutes, and others meanwhile: no ten seconds have more than its rate allows, and all
// arrive, once.
func TestRateIsHeld(t *testing.T) {
	w, r, windows := newRatedWorld(nil)
	for i := range 600 {
		w.Send(message(fmt.Sprint("first-", i)))
	}
	for i := range 60 {
		advance(t, w, time.Second)
		w.Send(message(fmt.Sprint("later-", i)))
	}
	advance(t, w, 20*time.Minute)
	for at, n := range windows {
		if n > 50 {
			t.Errorf("%d logs came in the ten seconds from %v, want at most 50", n, at)
		}
	}
	want := memory.Ledger{Accepted: 660, Delivered: 660}
	if diff := cmp.Diff(want, w.Journal.Ledger()); diff != "" || len(r.held) != 660 {
		t.Errorf("%d logs arrived; ledger (-want +got):\n%s", len(r.held), diff)
	}
	for id, n := range r.held {
		if n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}
	if dest, err := w.Directory.Destination(t.Context(), "siem"); err != nil || dest.Draining || dest.Health.State == directory.Failing {
		t.Errorf("in the end the destination is %+v, error %v; want neither draining nor failing", dest, err)
	}
	if count(w, delivery.EventHeld) == 0 || count(w, delivery.EventFailing) != 0 {
		t.Errorf("%d held, %d failing; want some held and none failing", count(w, delivery.EventHeld), count(w, delivery.EventFailing))
	}
}

// TestRateWithoutADrain has the call for the drain fail in each way: the logs over the rate are not parked where nobody would look for them, but come again.
func TestRateWithoutADrain(t *testing.T) {
	for _, fault := range []memory.Fault{memory.FailBefore, memory.FailAfter} {
		for _, call := range []string{memory.CallPutDestination, memory.CallStartDrain, memory.CallDestination, memory.CallReserve} {
			t.Run(fmt.Sprint(call, fault), func(t *testing.T) {
				var armed atomic.Bool
				var broken atomic.Int32
				w, r, _ := newRatedWorld(func(c string) memory.Fault {
					if armed.Load() && c == call && broken.Add(1) <= 3 {
						return fault
					}
					return memory.OK
				})
				armed.Store(true)
				for i := range 200 {
					w.Send(message(fmt.Sprint("log-", i)))
				}
				advance(t, w, time.Hour)
				if broken.Load() == 0 || len(r.held) != 200 {
					t.Errorf("%d such calls, %d of 200 logs arrived within an hour", broken.Load(), len(r.held))
				}
			})
		}
	}
}
