package porttest

import (
	"cmp"
	"errors"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// FailedStore is a store whose failed events can be read back.
type FailedStore struct {
	Store
	// Recorded gives every failed event, in any order.
	Recorded func(t *testing.T) []delivery.FailedEvent
}

// FailedEvents is the suite of delivery.FailedEvents and delivery.FailedRecorder.
func FailedEvents(t *testing.T, open func(t *testing.T) FailedStore) {
	for name, test := range map[string]func(*testing.T, FailedStore){
		"both or neither":                  giveUp,
		"given up twice":                   giveUpTwice,
		"given up when removed":            giveUpRemoved,
		"given up when changed":            giveUpChanged,
		"given up again after it was back": giveUpBack,
		"recorded once":                    recordOnce,
		"the neighbours stay":              giveUpNeighbours,
		"two logs under one id":            giveUpNamesakes,
		"many at once give up one":         giveUpRace,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func event(log string) delivery.FailedEvent {
	d := entering(key("dest-1", log))
	return delivery.FailedEvent{Key: d.Key, Type: d.Document.Type, FailedAt: d.ExpiresAt().Add(time.Second), Attempts: 8, Code: d.Code}
}

func (s FailedStore) recorded(t *testing.T, want ...delivery.FailedEvent) {
	t.Helper()
	got := s.Recorded(t)
	order := func(a, b delivery.FailedEvent) int {
		return cmp.Or(cmp.Compare(a.LogID, b.LogID), cmp.Compare(a.Hash, b.Hash))
	}
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("the failed events differ (-want +got):\n%s", diff)
	}
}

// giveUp gives up a delivery that was saved once.
func (s FailedStore) giveUp(t *testing.T, e delivery.FailedEvent, want error) {
	t.Helper()
	if err := s.GiveUp(t.Context(), []delivery.End{{FailedEvent: e, Revision: 1}})[0]; !errors.Is(err, want) {
		t.Errorf("give up answered %v, want %v", err, want)
	}
}

func giveUp(t *testing.T, s FailedStore) {
	d, e := entering(key("dest-1", "a")), event("a")
	save(t, s, d)
	s.giveUp(t, e, nil)
	holds(t, s, []delivery.Key{d.Key})
	s.recorded(t, e)
}

func giveUpNamesakes(t *testing.T, s FailedStore) {
	one, two := event("a"), event("a")
	two.Hash = "fedcba9876543210"
	save(t, s, entering(one.Key), entering(two.Key))
	s.giveUp(t, one, nil)
	holds(t, s, []delivery.Key{one.Key, two.Key}, stored(entering(two.Key)))
	s.recorded(t, one)
	s.giveUp(t, two, nil)
	s.recorded(t, one, two)
}

func giveUpTwice(t *testing.T, s FailedStore) {
	e := event("a")
	save(t, s, entering(e.Key))
	s.giveUp(t, e, nil)
	later := e
	later.FailedAt = e.FailedAt.Add(time.Hour)
	s.giveUp(t, later, nil)
	s.recorded(t, e)
}

func giveUpRemoved(t *testing.T, s FailedStore) {
	s.giveUp(t, event("a"), delivery.ErrChanged)
	s.recorded(t)
}

func giveUpChanged(t *testing.T, s FailedStore) {
	d := entering(key("dest-1", "a"))
	save(t, s, d)
	save(t, s, stored(d))
	s.giveUp(t, event("a"), delivery.ErrChanged)
	holds(t, s, []delivery.Key{d.Key}, stored(stored(d)))
	s.recorded(t)
}

func giveUpBack(t *testing.T, s FailedStore) {
	d, e := entering(key("dest-1", "a")), event("a")
	save(t, s, d)
	s.giveUp(t, e, nil)
	save(t, s, d)
	s.giveUp(t, e, nil)
	holds(t, s, []delivery.Key{d.Key})
	s.recorded(t, e)
}

func recordOnce(t *testing.T, s FailedStore) {
	e, other := event("a"), event("b")
	later := e
	later.Attempts = 1
	for _, x := range []delivery.FailedEvent{e, later, other} {
		if err := errors.Join(s.Record(t.Context(), []delivery.FailedEvent{x})...); err != nil {
			t.Fatal(err)
		}
	}
	s.recorded(t, e, other)
}

func giveUpNeighbours(t *testing.T, s FailedStore) {
	stay := entering(key("dest-1", "b"))
	save(t, s, entering(key("dest-1", "a")), stay)
	s.giveUp(t, event("a"), nil)
	holds(t, s, []delivery.Key{key("dest-1", "a"), stay.Key}, stored(stay))
}

func giveUpRace(t *testing.T, s FailedStore) {
	e := event("a")
	save(t, s, entering(e.Key))
	const writers = 6
	done := make(chan struct{}, writers)
	for range writers {
		go func() {
			_ = s.GiveUp(t.Context(), []delivery.End{{FailedEvent: e, Revision: 1}}) // a store may answer some of them that it was busy
			done <- struct{}{}
		}()
	}
	for range writers {
		<-done
	}
	s.giveUp(t, e, nil)
	holds(t, s, []delivery.Key{e.Key})
	s.recorded(t, e)
}
