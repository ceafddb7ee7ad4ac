package porttest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Drains is the suite of delivery.DrainProgress.
func Drains(t *testing.T, open func(t *testing.T) delivery.DrainProgress) {
	for name, test := range map[string]func(*testing.T, delivery.DrainProgress){
		"every field comes back":           drainFields,
		"only over the revision before it": drainRevisions,
		"one destination's alone":          drainsApart,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func saveDrain(t *testing.T, p delivery.DrainProgress, id string, s delivery.DrainState, want error) {
	t.Helper()
	if err := p.SaveDrainState(t.Context(), id, s); !errors.Is(err, want) {
		t.Fatalf("saving the drain of %s over revision %d: %v, want %v", id, s.Revision, err, want)
	}
}

func drainIs(t *testing.T, p delivery.DrainProgress, id string, want delivery.DrainState) {
	t.Helper()
	got, err := p.DrainState(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the drain of %s (-want +got):\n%s", id, diff)
	}
}

func drainFields(t *testing.T, p delivery.DrainProgress) {
	drainIs(t, p, "dest-1", delivery.DrainState{})
	states := []delivery.DrainState{
		{OpenedAt: accepted, Last: true, Pass: 3, After: key("dest-1", "log-1"), Open: true, Page: 4, At: accepted.Add(time.Minute)},
		{OpenedAt: accepted.Add(time.Hour), Page: 1, At: accepted.Add(time.Hour)},
		{},
	}
	for i, s := range states {
		s.Revision = i
		saveDrain(t, p, "dest-1", s, nil)
		s.Revision++
		drainIs(t, p, "dest-1", s)
	}
}

func drainRevisions(t *testing.T, p delivery.DrainProgress) {
	saveDrain(t, p, "dest-1", delivery.DrainState{Page: 1, Revision: 1}, delivery.ErrChanged)
	saveDrain(t, p, "dest-1", delivery.DrainState{Page: 1}, nil)
	saveDrain(t, p, "dest-1", delivery.DrainState{Page: 2}, delivery.ErrChanged)
	saveDrain(t, p, "dest-1", delivery.DrainState{Page: 2, Revision: 1}, nil)
	saveDrain(t, p, "dest-1", delivery.DrainState{Page: 3, Revision: 1}, delivery.ErrChanged)
	drainIs(t, p, "dest-1", delivery.DrainState{Page: 2, Revision: 2})
}

func drainsApart(t *testing.T, p delivery.DrainProgress) {
	saveDrain(t, p, "dest-1", delivery.DrainState{Page: 1}, nil)
	saveDrain(t, p, "dest-10", delivery.DrainState{Page: 5}, nil)
	drainIs(t, p, "dest-1", delivery.DrainState{Page: 1, Revision: 1})
}
