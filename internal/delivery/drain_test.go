package delivery_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// TestDrainRamp lets 3,000 logs wait for a destination and holds the pages of its drain to their ramp, the oldest first.
func TestDrainRamp(t *testing.T) {
	const logs = 3000
	w, r := newWorld(nil, downFor(time.Hour))
	for i := range logs {
		w.Send(message(fmt.Sprintf("log-%05d", i)))
	}
	advance(t, w, 80*time.Minute)
	if len(r.held) != logs {
		t.Fatalf("%d of %d logs arrived", len(r.held), logs)
	}
	var recovered time.Time
	arrived := make(map[int]int) // by minute since the recovery
	for _, e := range w.Journal.Entries() {
		switch {
		case e.Event == delivery.EventRecovered:
			recovered = e.At.Truncate(time.Minute)
		case e.Event == delivery.EventAttempted && e.Outcome == delivery.Delivered && !recovered.IsZero():
			arrived[int(e.At.Sub(recovered)/time.Minute)]++
		}
	}
	for minute, most := range []int{100 + 2*10, 100 + 400, 400 + 1600, 1600 + 6400} {
		if arrived[minute] > most {
			t.Errorf("%d logs in minute %d of the drain, want at most %d", arrived[minute], minute, most)
		}
	}
	for id, n := range r.held {
		if n != 1 {
			t.Errorf("%s was delivered %d times", id, n)
		}
	}
}

// TestDrainOutlivesFailures breaks a drain: the destination fails again in the middle. What is left waits, and the next recovery drains it.
func TestDrainOutlivesFailures(t *testing.T) {
	const logs = 2000
	up := func(now time.Time, _ string) error {
		since := now.Sub(start)
		if since < time.Hour || (since > 62*time.Minute && since < 3*time.Hour) {
			return errUnavailable
		}
		return nil
	}
	w, r := newWorld(nil, up)
	for i := range logs {
		w.Send(message(fmt.Sprintf("log-%05d", i)))
	}
	advance(t, w, 2*time.Hour)
	if n := len(r.held); n == 0 || n == logs {
		t.Fatalf("%d logs arrived before the second failure, want some and not all", n)
	}
	advance(t, w, 80*time.Minute)
	if len(r.held) != logs || w.Cache.Len() != 0 {
		t.Errorf("%d of %d logs arrived, %d are cached", len(r.held), logs, w.Cache.Len())
	}
	if n := count(w, delivery.EventRecovered); n != 2 {
		t.Errorf("%d recoveries, want 2", n)
	}
}
