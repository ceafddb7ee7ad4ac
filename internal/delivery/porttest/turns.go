package porttest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Turns is the suite of delivery.TurnProgress.
func Turns(t *testing.T, open func(t *testing.T) delivery.TurnProgress) {
	p := open(t)
	holds := func(id string, want delivery.Turns) {
		t.Helper()
		got, err := p.Turns(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the turns of %s (-want +got):\n%s", id, diff)
		}
	}
	holds("dest-1", delivery.Turns{})
	want := delivery.Turns{Since: accepted, At: accepted.Add(time.Hour)}
	want.After[0] = key("dest-1", "log-1")
	want.After[3] = delivery.Key{DestinationID: "dest-1", AcceptedAt: accepted.Add(time.Minute)} // a time, and no log
	for range 2 {
		if err := p.SaveTurns(t.Context(), "dest-1", want); err != nil {
			t.Fatal(err)
		}
		holds("dest-1", want)
		holds("dest-10", delivery.Turns{})
		want.After[0], want.At = key("dest-1", "log-2"), accepted.Add(2*time.Hour)
	}
}

// Budget is the suite of delivery.Budget.
func Budget(t *testing.T, open func(t *testing.T) delivery.Budget) {
	b := open(t)
	minute := delivery.Window{Start: accepted.Truncate(time.Minute), Length: time.Minute, Limit: 10, FreshLimit: 4, WaitingLimit: 8}
	fresh := minute
	fresh.Fresh = true
	next := minute
	next.Start = next.Start.Add(time.Minute)
	short := delivery.Window{Start: minute.Start, Length: 10 * time.Second, Limit: 3}
	for i, ask := range []struct {
		destination string
		window      delivery.Window
		n, want     int
	}{
		{"dest-1", minute, 3, 3}, {"dest-1", fresh, 3, 3}, {"dest-1", fresh, 3, 1}, {"dest-1", fresh, 3, 0}, {"dest-1", minute, 2, 2}, {"dest-1", minute, 2, 1},
		{"dest-1", minute, 2, 0}, {"dest-2", minute, 20, 8}, {"dest-2", fresh, 3, 2}, {"dest-1", next, 11, 8}, {"dest-1", short, 2, 2}, {"dest-1", short, 2, 1},
	} {
		got, err := b.Reserve(t.Context(), ask.destination, ask.window, ask.n)
		if err != nil {
			t.Fatal(err)
		}
		if got != ask.want {
			t.Errorf("ask %d, for %d at %s: granted %d, want %d", i, ask.n, ask.destination, got, ask.want)
		}
	}
}
