package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// counted is a backlog that counts its reads, each of which takes its time, and may fail.
type counted struct {
	delivery.Backlog
	takes       func()
	fails       func(read int) error
	reads, rows int
}

func (c *counted) Waiting(ctx context.Context, id string, after delivery.Key, limit int) ([]delivery.Waiting, error) {
	c.reads++
	if c.takes != nil {
		c.takes()
	}
	if c.fails != nil {
		if err := c.fails(c.reads); err != nil {
			return nil, err
		}
	}
	page, err := c.Backlog.Waiting(ctx, id, after, limit)
	c.rows += len(page)
	return page, err
}

// refusedSince are logs that a recovered destination was sent again and refuses: they wait for their own time.
func refusedSince(n int) []delivery.Delivery {
	waiting := make([]delivery.Delivery, n)
	for i := range waiting {
		k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: fmt.Sprintf("log-%06d", i), AcceptedAt: noon.Add(time.Duration(i-300_000) * time.Second)}
		waiting[i] = delivery.Delivery{Key: k, Attempts: 6, Tried: noon.Add(time.Minute), Code: errLogRefused.Code, NextAt: noon.Add(17 * time.Hour)}
	}
	return waiting
}

// TestAPageReadsABoundedPart has so many logs wait for their own time that no page can go through all of them: each reads its part, and the drain ends. It does
// so too when a destination's rate makes its pages small, and when each read takes so long that a page has time for few.
func TestAPageReadsABoundedPart(t *testing.T) {
	const logs = 70_000
	waiting := refusedSince(logs)
	for name, tt := range map[string]struct {
		rate  int
		takes time.Duration // a read
		// most are the reads of a page, pages how many there may be.
		most, pages int
	}{
		"in one go":                     {most: 62, pages: 4},
		"a rate of one a second":        {rate: 1, most: 62, pages: 4},
		"reads that take a second":      {takes: time.Second, most: 40, pages: 6},
		"reads that take three seconds": {takes: 3 * time.Second, most: 14, pages: 16},
	} {
		t.Run(name, func(t *testing.T) {
			now := noon
			d, rides, cache := drainOf(t, func() time.Time { return now }, waiting)
			if tt.rate > 0 {
				dest, err := d.Destinations.CurrentDestination(t.Context(), "siem")
				if err != nil {
					t.Fatal(err)
				}
				dest.Settings = fmt.Appendf(nil, `{"rate":%d}`, tt.rate)
				if _, err := d.Destinations.PutDestination(t.Context(), dest); err != nil {
					t.Fatal(err)
				}
			}
			c := &counted{Backlog: cache, takes: func() { now = now.Add(tt.takes) }}
			d.Backlog = c
			pages := 0
			for dest, _ := d.Destinations.CurrentDestination(t.Context(), "siem"); dest.NeedsAttention() && pages < 30; pages++ {
				began := now
				if c.reads, c.rows = 0, 0; d.Page(t.Context(), "siem") != nil {
					t.Fatal("the page failed")
				}
				if took := now.Sub(began); c.reads > tt.most || c.rows > 61_000 || took > 43*time.Second {
					t.Errorf("page %d made %d reads of %d deliveries in %v", pages, c.reads, c.rows, took)
				}
				now = began.Add(time.Minute)
				dest, _ = d.Destinations.CurrentDestination(t.Context(), "siem")
			}
			if pages > tt.pages || len(*rides) > 0 {
				t.Errorf("the drain took %d pages, want at most %d, and sent %d hints", pages, tt.pages, len(*rides))
			}
		})
	}
}

// TestAPageGoesOnWhereItDied has pages fail after some of their reads, each time: what was sent is not sent again, and all is sent in the end.
func TestAPageGoesOnWhereItDied(t *testing.T) {
	const logs = 9000
	waiting := make([]delivery.Delivery, logs)
	for i := range waiting {
		k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: fmt.Sprintf("log-%06d", i), AcceptedAt: noon.Add(time.Duration(i-300_000) * time.Second)}
		waiting[i] = delivery.Delivery{Key: k, NextAt: k.ExpiresAt(), Parked: true}
	}
	now := noon
	d, rides, cache := drainOf(t, func() time.Time { return now }, waiting)
	c := &counted{Backlog: cache, fails: func(read int) error {
		if read%3 == 0 {
			return errors.New("the function was killed")
		}
		return nil
	}}
	d.Backlog = c
	for range 20 {
		_ = d.Page(t.Context(), "siem")
		now = now.Add(time.Minute)
		if len(*rides) >= logs {
			break
		}
	}
	got := make(map[string]int)
	for _, r := range *rides {
		got[r.LogID]++
	}
	if len(got) != logs || len(*rides) != logs {
		t.Errorf("%d hints for %d of %d logs in %v", len(*rides), len(got), logs, now.Sub(noon))
	}
}

// TestEachRecoveryHasItsOwnDrain has the state of an earlier drain stand in the store, in the middle of its backlog: the next recovery begins with the oldest.
func TestEachRecoveryHasItsOwnDrain(t *testing.T) {
	now := noon
	var waiting []delivery.Delivery
	for i := range 5 {
		k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: fmt.Sprint("log-", i), AcceptedAt: noon.Add(time.Duration(i-100) * time.Minute)}
		waiting = append(waiting, delivery.Delivery{Key: k, Attempts: 3, Tried: noon.Add(-10 * time.Minute), NextAt: noon.Add(9 * time.Hour)})
	}
	d, rides, _ := drainOf(t, func() time.Time { return now }, waiting)
	earlier := delivery.DrainState{OpenedAt: noon.Add(-20 * time.Minute), Pass: 2, Page: 7, After: waiting[3].Key, At: noon.Add(-2 * time.Minute)}
	if err := d.Progress.SaveDrainState(t.Context(), "siem", earlier); err != nil {
		t.Fatal(err)
	}
	dest, err := d.Destinations.CurrentDestination(t.Context(), "siem")
	if err != nil {
		t.Fatal(err)
	}
	dest = dest.Drain(noon.Add(-time.Minute))
	if _, err := d.Destinations.PutDestination(t.Context(), dest); err != nil {
		t.Fatal(err)
	}
	if err := d.Page(t.Context(), "siem"); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range *rides {
		ids = append(ids, r.LogID)
	}
	if diff := cmp.Diff([]string{"log-0", "log-1", "log-2", "log-3", "log-4"}, ids); diff != "" {
		t.Errorf("the first page (-want +got):\n%s", diff)
	}
}
