package delivery_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// attemptsByMinute counts the attempts in each minute since start.
func attemptsByMinute(w *local.World) map[int]int {
	counts := make(map[int]int)
	for _, e := range w.Journal.Entries() {
		if e.Event == delivery.EventAttempted {
			counts[int(e.At.Sub(start)/time.Minute)]++
		}
	}
	return counts
}

func count(w *local.World, kind delivery.Event) (n int) {
	for _, e := range w.Journal.Entries() {
		if e.Event == kind {
			n++
		}
	}
	return n
}

// TestHeldBack has far more logs wait for a dead destination than it may be tried with: it gets ten attempts a minute, the rest wait without a
// write, and still each log has its seven or eight retries in the end.
func TestHeldBack(t *testing.T) {
	const logs = 400
	w, r := newWorld(nil, downFor(9*day))
	sendLogs(w, logs)
	advance(t, w, 8*day)
	for minute, n := range attemptsByMinute(w) {
		if minute > 0 && n > 10 {
			t.Errorf("%d attempts in minute %d; a failing destination gets 10", n, minute)
		}
	}
	for _, e := range w.Cache.FailedEvents() {
		if retries := e.Attempts - 1; retries < 7 || retries > 8 {
			t.Errorf("%s was given up after %d retries, want 7 or 8", e.LogID, retries)
		}
	}
	if got := count(w, delivery.EventFailing); got != 1 || len(r.held) != 0 {
		t.Errorf("%d transitions to failing, %d logs delivered; want 1 and 0", got, len(r.held))
	}
	if diff := cmp.Diff(memory.Ledger{Accepted: logs, Failed: logs}, w.Journal.Ledger()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// TestNewLogsWhileFailing sends logs through an outage of a day: those over the budget are cached unattempted, and the oldest goes first.
func TestNewLogsWhileFailing(t *testing.T) {
	w, r := newWorld(nil, downFor(day))
	sent := 0
	for range 24 * 6 { // each ten minutes
		for range 20 {
			w.Send(message(fmt.Sprintf("log-%05d", sent)))
			sent++
		}
		advance(t, w, 10*time.Minute)
	}
	if held := count(w, delivery.EventHeld); held < sent/2 {
		t.Errorf("%d of %d logs were held, want most", held, sent)
	}
	if attempts := count(w, delivery.EventAttempted); attempts > 10*24*60+20 {
		t.Errorf("%d attempts in a day; a failing destination gets %d", attempts, 10*24*60)
	}
	// The destination is up again from here on. The next probe finds it, and the drain does not wait for anybody's time.
	advance(t, w, 12*time.Minute)
	if l := w.Journal.Ledger(); l.Delivered != sent || len(r.held) != sent {
		t.Errorf("12 minutes after the recovery: ledger %+v, %d logs arrived of %d", l, len(r.held), sent)
	}
	for id, n := range r.held {
		if n != 1 {
			t.Errorf("%s was delivered %d times", id, n)
		}
	}
	advance(t, w, time.Hour)
	if n := count(w, delivery.EventDrained); n != 1 {
		t.Errorf("the drain ended %d times, want once", n)
	}
}

// TestFreshLogsOfAFailingDestinationAreHandedOver has the attempts at a failing destination made by way of the retry queue, so that one that hangs does not hold up a
// batch of fresh logs of others. Each is counted once in the budget.
func TestFreshLogsOfAFailingDestinationAreHandedOver(t *testing.T) {
	var reservations atomic.Int32
	w, r := newWorld(func(call string) memory.Fault {
		if call == memory.CallReserve {
			reservations.Add(1)
		}
		return memory.OK
	}, downFor(time.Minute/2))
	sendLogs(w, 3) // failing from here on
	advance(t, w, time.Second)
	w.Send(message("fresh"))
	advance(t, w, 0)
	if n := count(w, delivery.EventAttempted); n != 3 || reservations.Load() != 1 {
		t.Errorf("%d attempts and %d reservations when the log was accepted, want 3 and 1", n, reservations.Load())
	}
	cached := w.Cache.List("siem", delivery.Key{}, 10)
	if fresh := cached[len(cached)-1]; fresh.LogID != "fresh" || !fresh.Riding || fresh.Attempts != 0 || !fresh.NextAt.Equal(start.Add(2*time.Second)) {
		t.Errorf("the cache holds %+v, want the fresh log, due in a second", fresh)
	}
	advance(t, w, 2*time.Second)
	if n := count(w, delivery.EventAttempted); n != 4 || reservations.Load() != 1 || count(w, delivery.EventHeld) != 0 {
		t.Errorf("%d attempts, %d reservations, %d held two seconds later; want 4, 1, 0", n, reservations.Load(), count(w, delivery.EventHeld))
	}
	advance(t, w, time.Hour)
	if r.held["fresh"] != 1 || len(r.held) != 4 {
		t.Errorf("%v arrived, want 4 logs", r.held)
	}
}

// TestAHangIsNoChance has one log run into a time-out: the destination counts as failing at once.
func TestAHangIsNoChance(t *testing.T) {
	for _, test := range []struct {
		code    failure.Code
		failing int
	}{{failure.NetTimeout, 1}, {failure.HTTPServerError, 0}, {failure.NetRefused, 0}} {
		w, _ := newWorld(nil, func(time.Time, string) error { return &failure.Error{Code: test.code} })
		w.Send(message("log"))
		advance(t, w, time.Second)
		if n := count(w, delivery.EventFailing); n != test.failing {
			t.Errorf("%s: %d transitions to failing after one attempt, want %d", test.code, n, test.failing)
		}
	}
}

// TestOneInFiveFails has every fifth attempt fail: all logs arrive, and holding back does not multiply the requests.
func TestOneInFiveFails(t *testing.T) {
	n := 0
	w, r := newWorld(nil, func(time.Time, string) error {
		if n++; n%5 == 0 {
			return errUnavailable
		}
		return nil
	})
	sendLogs(w, 500)
	advance(t, w, day)
	if len(r.held) != 500 {
		t.Errorf("%d of 500 logs arrived", len(r.held))
	}
	if perLog := float64(n) / 500; perLog > 1.3 {
		t.Errorf("%.2f attempts a log, want at most 1.3", perLog)
	}
}
