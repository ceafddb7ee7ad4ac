package delivery_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
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

// TestAnAttemptBeforeItsTimeDoesNotPutALogOff has a person try a log again and again while its destination is down: each attempt counts, and the log
// keeps the time of its own next attempt, at which it is tried once.
func TestAnAttemptBeforeItsTimeDoesNotPutALogOff(t *testing.T) {
	w, r := newWorld(nil, downFor(30*time.Minute))
	w.Send(message("log"))
	advance(t, w, 10*time.Minute) // tried at 0, 1 and 5 minutes
	before := w.Cache.All()[0]
	for range 5 {
		hint := delivery.Hint{Key: before.Key, At: w.Cache.All()[0].NextAt, Drain: true}
		if err := w.Retry.Send(t.Context(), []delivery.Ride{{Hint: hint}})[0]; err != nil {
			t.Fatal(err)
		}
		advance(t, w, time.Minute)
	}
	after := w.Cache.All()[0]
	if after.Attempts != before.Attempts+5 || !after.NextAt.Equal(before.NextAt) || before.Attempts != 3 {
		t.Errorf("%d attempts, next at %v; want %d and %v", after.Attempts, after.NextAt, before.Attempts+5, before.NextAt)
	}
	advance(t, w, before.NextAt.Add(2*time.Second).Sub(w.Clock.Now()))
	if n := count(w, delivery.EventAttempted); n != after.Attempts+1 || len(r.held) != 0 {
		t.Errorf("%d attempts after its own time, want %d", n, after.Attempts+1)
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

// sentRides is a retry queue that only notes what is put on it.
type sentRides []delivery.Ride

func (s *sentRides) Send(_ context.Context, rides []delivery.Ride) []error {
	*s = append(*s, rides...)
	return make([]error, len(rides))
}

// drainOf makes the drain of a destination that has recovered, over a cache that holds deliveries.
func drainOf(t *testing.T, now func() time.Time, deliveries []delivery.Delivery) (*delivery.Drain, *sentRides, *memory.Cache) {
	t.Helper()
	store := &memory.Directory{}
	dest := directory.Destination{ID: "siem", WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Connected, Draining: true}
	if _, err := store.PutDestination(t.Context(), dest); err != nil {
		t.Fatal(err)
	}
	cache := memory.NewCache(now)
	for _, err := range cache.Save(t.Context(), deliveries) {
		if err != nil {
			t.Fatal(err)
		}
	}
	rides := &sentRides{}
	return &delivery.Drain{
		Destinations: store, Backlog: cache, Progress: &memory.Drains{}, Retries: rides, Journal: &memory.Journal{}, Now: now,
	}, rides, cache
}

// TestADrainMeetsNoOtherHint holds that a log is not sent twice because two hints lead to it at one moment: its own that is about to come, a probe's
// before, or the next pass's.
func TestADrainMeetsNoOtherHint(t *testing.T) {
	now := noon
	var waiting []delivery.Delivery
	for i, l := range []struct {
		id     string
		next   time.Duration
		parked bool
	}{
		{"overdue", -time.Minute, false}, {"due within the page", 30 * time.Second, false}, {"due right after it", 90 * time.Second, false},
		{"due later", 91 * time.Second, false}, {"parked", delivery.Lifetime, true},
	} {
		k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: l.id, AcceptedAt: noon.Add(time.Duration(i-100) * time.Minute)}
		waiting = append(waiting, delivery.Delivery{Key: k, NextAt: noon.Add(l.next), Parked: l.parked})
	}
	d, rides, _ := drainOf(t, func() time.Time { return now }, waiting)
	if err := d.Page(t.Context(), "siem"); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]time.Duration)
	for _, r := range *rides {
		got[r.LogID] = r.Delay
	}
	if diff := cmp.Diff(map[string]time.Duration{"due later": 10 * time.Second, "parked": 10 * time.Second}, got); diff != "" {
		t.Errorf("delays of the logs that are sent (-want +got):\n%s", diff)
	}
}

// TestADrainsPageIsSpread holds the delays of the second page, of 400 logs, and of the third, whose 1,600 are read and sent in two parts.
func TestADrainsPageIsSpread(t *testing.T) {
	now := noon
	waiting := make([]delivery.Delivery, 2100)
	for i := range waiting {
		k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: fmt.Sprintf("log-%03d", i), AcceptedAt: noon.Add(time.Duration(i-1000) * time.Second)}
		waiting[i] = delivery.Delivery{Key: k, NextAt: k.ExpiresAt(), Parked: true}
	}
	d, rides, _ := drainOf(t, func() time.Time { return now }, waiting)
	for range 3 {
		if err := d.Page(t.Context(), "siem"); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
	}
	for first, page := range map[int]struct{ size, most int }{100: {400, 9}, 500: {1600, 36}} {
		perSecond := make(map[time.Duration]int)
		for i, r := range (*rides)[first : first+page.size] {
			perSecond[r.Delay]++
			if want := fmt.Sprintf("log-%03d", first+i); r.LogID != want {
				t.Fatalf("place %d of the page of %d is %s, want %s", i, page.size, r.LogID, want)
			}
		}
		for second := range 60 * time.Second / time.Second {
			n := perSecond[second*time.Second]
			if within := second >= 10 && second < 55; within != (n > 0) || n > page.most {
				t.Errorf("%d logs come in second %d of the page of %d", n, second, page.size)
			}
		}
	}
}
