package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// receiver is a destination whose answers the test decides. It holds each log once, as a bucket does.
type receiver struct {
	now    func() time.Time
	answer func(now time.Time, logID string) error

	mu   sync.Mutex
	held map[string]int // log id → how often it was delivered
}

func (r *receiver) Sink(context.Context, directory.Destination) (delivery.Sink, error) { return r, nil }

func (r *receiver) Send(_ context.Context, logs []auditlog.Document) []delivery.Result {
	results := make([]delivery.Result, len(logs))
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, log := range logs {
		if results[i].Err = r.answer(r.now(), log.ID); results[i].Err == nil {
			r.held[log.ID]++
		}
	}
	return results
}

// newWorld has one workspace with one destination.
func newWorld(hook memory.Hook, answer func(now time.Time, logID string) error) (*local.World, *receiver) {
	w := local.NewWorld(start, hook)
	r := &receiver{now: w.Clock.Now, answer: answer, held: make(map[string]int)}
	w.SetSinks(r)
	if err := w.Apply(context.Background(), local.Directory{
		Workspaces:   []directory.Workspace{{ID: "acme", Kind: directory.Standalone}},
		Destinations: []directory.Destination{{ID: "siem", WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Connected}},
	}); err != nil {
		panic(err)
	}
	return w, r
}

func message(id string) []byte {
	body, err := json.Marshal(map[string]any{
		"id": id, "workspace_id": "acme", "type": "user_activity", "occurred_at": "2026-11-02T08:59:58Z", "payload": map[string]string{"event": "login"},
	})
	if err != nil {
		panic(err)
	}
	return body
}

func sendLogs(w *local.World, n int) {
	for i := range n {
		w.Send(message(fmt.Sprintf("log-%03d", i)))
	}
}

func advance(t *testing.T, w *local.World, d time.Duration) {
	t.Helper()
	if err := w.Advance(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

const day = 24 * time.Hour

var errUnavailable = &failure.Error{Code: failure.HTTPServerError, Detail: "HTTP 503"}

// errLogRefused is an answer that says nothing of the destination.
var errLogRefused = &failure.Error{Code: failure.HTTPLogRefused, Detail: "HTTP 422"}

// downFor answers 503 until the destination is up again.
func downFor(d time.Duration) func(time.Time, string) error {
	return func(now time.Time, _ string) error {
		if now.Before(start.Add(d)) {
			return errUnavailable
		}
		return nil
	}
}

// TestDownSixDays lives through a week in which the destination is down for the first six days: everything arrives, once.
func TestDownSixDays(t *testing.T) {
	const logs = 8 // few enough for the budget of a failing destination: they see exactly the table
	w, r := newWorld(nil, downFor(6*day))
	sendLogs(w, logs)
	advance(t, w, 8*day)

	want := memory.Ledger{Accepted: logs, Delivered: logs}
	if diff := cmp.Diff(want, w.Journal.Ledger()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	for id, n := range r.held {
		if n != 1 {
			t.Errorf("%s was delivered %d times", id, n)
		}
	}
	if len(r.held) != logs || w.Cache.Len() != 0 || w.Retry.Queue.Len() != 0 {
		t.Errorf("%d logs arrived, %d are cached, %d hints are left; want %d, 0, 0", len(r.held), w.Cache.Len(), w.Retry.Queue.Len(), logs)
	}
	checkTimes(t, w)
}

// TestDownEightDays lives through a week in which the destination never answers: every log becomes a failed event at seven days to the second,
// after eight retries.
func TestDownEightDays(t *testing.T) {
	const logs = 8
	w, _ := newWorld(nil, downFor(9*day))
	sendLogs(w, logs)
	advance(t, w, 7*day-time.Second)
	if diff := cmp.Diff(memory.Ledger{Accepted: logs, Pending: logs}, w.Journal.Ledger()); diff != "" {
		t.Fatalf("ledger a second before the end (-want +got):\n%s", diff)
	}
	advance(t, w, 2*time.Second)
	if diff := cmp.Diff(memory.Ledger{Accepted: logs, Failed: logs}, w.Journal.Ledger()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	announced := 0
	for _, e := range w.Journal.Entries() {
		if e.Event == delivery.EventFailed {
			announced++
		}
	}
	failed := w.Cache.FailedEvents()
	told := make(map[string]int) // on the bus, by detail-type
	for _, a := range w.Bus.All() {
		told[a.DetailType]++
	}
	if diff := cmp.Diff(map[string]int{events.LogDeliveryFailed: logs, events.DestinationFailing: 1}, told); diff != "" {
		t.Errorf("events on the bus (-want +got):\n%s", diff)
	}
	if announced != logs || len(failed) != logs {
		t.Fatalf("%d failed events recorded, %d announced; want %d of each", len(failed), announced, logs)
	}
	for _, e := range failed {
		if retries := e.Attempts - 1; retries < 7 || retries > 8 {
			t.Errorf("%s was given up after %d retries, want 7 or 8", e.LogID, retries)
		}
		if at := e.FailedAt.Sub(start); at < 7*day || at > 7*day+time.Second {
			t.Errorf("%s was given up after %v, want 7 days", e.LogID, at)
		}
	}
	checkTimes(t, w)
}

// TestRetryTimesOfManyLogs has a destination refuse 10,000 logs of an hour, each by itself, for six hours in which it takes others: no retry comes early,
// and none is two seconds late.
func TestRetryTimesOfManyLogs(t *testing.T) {
	t.Parallel()
	const logs, minutes = 10_000, 50
	w, r := newWorld(nil, func(now time.Time, id string) error {
		if now.Before(start.Add(6*time.Hour)) && strings.HasPrefix(id, "log-") {
			return &failure.Error{Code: failure.HTTPLogRefused, Detail: "HTTP 422"}
		}
		return nil
	})
	for i := range logs {
		w.Send(message(fmt.Sprintf("log-%05d", i)))
		if (i+1)%(logs/minutes) == 0 {
			advance(t, w, time.Minute)
		}
	}
	others := 0
	for ; w.Clock.Now().Before(start.Add(6 * time.Hour)); others++ {
		w.Send(message(fmt.Sprintf("other-%d", others)))
		advance(t, w, 20*time.Minute)
	}
	advance(t, w, 20*time.Hour)
	checkTimes(t, w)
	retries, latest := 0, time.Duration(0)
	next := make(map[delivery.Key]time.Time)
	for _, e := range w.Journal.Entries() {
		if e.Event != delivery.EventAttempted {
			continue
		}
		if due, ok := next[e.Key]; ok {
			retries++
			latest = max(latest, e.At.Sub(due))
		}
		next[e.Key] = e.NextAt
	}
	t.Logf("%d logs, %d retries, the latest %v after its time, %d arrived", logs, retries, latest, len(r.held))
	if len(r.held) != logs+others || retries < 5*logs {
		t.Errorf("%d of %d logs arrived after %d retries", len(r.held), logs, retries)
	}
}

// checkTimes holds every attempt to the time that was announced for it: never before it, at most a second after; and each pause to the table.
func checkTimes(t *testing.T, w *local.World) {
	t.Helper()
	table := []time.Duration{1, 4, 16, 64, 256, 1024, 4096}
	next := make(map[delivery.Key]time.Time)
	for _, e := range w.Journal.Entries() {
		if e.Event != delivery.EventAttempted {
			continue
		}
		if due, ok := next[e.Key]; ok {
			if late := e.At.Sub(due.Truncate(time.Millisecond)); late < 0 || late > time.Second { // the cache keeps whole milliseconds
				t.Errorf("attempt %d of %s came %v after its time", e.Attempt, e.LogID, late)
			}
		}
		next[e.Key] = e.NextAt
		if e.Outcome == delivery.Delivered || e.Attempt > len(table) {
			continue
		}
		pause, want := e.NextAt.Sub(e.At), table[e.Attempt-1]*time.Minute
		if d := (pause - want).Abs(); float64(d) > 0.1*float64(want)+float64(time.Millisecond) {
			t.Errorf("pause after attempt %d of %s is %v, want %v ±10 %%", e.Attempt, e.LogID, pause, want)
		}
	}
}
