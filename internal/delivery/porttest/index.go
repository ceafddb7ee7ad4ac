package porttest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Index is the suite of delivery.Index.
func Index(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"the bounds":                       dueBounds,
		"in order":                         dueOrder,
		"riding hints are left out":        dueRiding,
		"each shard by itself":             dueShards,
		"it follows every write":           dueFollows,
		"an empty range":                   dueEmpty,
		"more than a page":                 duePages,
		"a caller that has seen enough":    dueStopped,
		"no progress at first":             noProgress,
		"progress comes back":              progressBack,
		"failed events are not due":        failedNotDue,
		"progress of shards that are zero": zeroProgress,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// due collects the hints of one shard.
func due(t *testing.T, s delivery.Index, shard int, after, until time.Time, riding bool) []delivery.Hint {
	t.Helper()
	var all []delivery.Hint
	for hints, err := range s.Due(t.Context(), shard, after, until, riding) {
		if err != nil {
			t.Fatalf("due: %v", err)
		}
		all = append(all, hints...)
	}
	return all
}

// dueAll collects the hints of every shard with after < At ≤ until.
func dueAll(t *testing.T, s delivery.Index, after, until time.Time, riding bool) []delivery.Hint {
	t.Helper()
	var all []delivery.Hint
	for shard := range delivery.DueShards {
		all = append(all, due(t, s, shard, after, until, riding)...)
	}
	slices.SortFunc(all, func(a, b delivery.Hint) int { return a.At.Compare(b.At) })
	return all
}

func hintOf(d delivery.Delivery) delivery.Hint { return delivery.Hint{Key: d.Key, At: d.NextAt} }

// at makes a delivery whose next attempt is ms milliseconds after a fixed time.
func at(log string, ms int) delivery.Delivery {
	d := entering(key("dest-1", log))
	d.NextAt = base.Add(time.Duration(ms) * time.Millisecond)
	return d
}

var base = accepted.Add(time.Hour)

func wantHints(t *testing.T, got []delivery.Hint, want ...delivery.Delivery) {
	t.Helper()
	var hints []delivery.Hint
	for _, d := range want {
		hints = append(hints, hintOf(d))
	}
	if diff := cmp.Diff(hints, got); diff != "" {
		t.Errorf("the due hints differ (-want +got):\n%s", diff)
	}
}

func dueBounds(t *testing.T, s Store) {
	before, first, last, behind := at("a", 0), at("b", 1), at("c", 1000), at("d", 1001)
	save(t, s, before, first, last, behind)
	wantHints(t, dueAll(t, s, base, base.Add(time.Second), false), first, last)
	wantHints(t, dueAll(t, s, time.Time{}, base.Add(2*time.Second), false), before, first, last, behind)
}

func dueOrder(t *testing.T, s Store) {
	shard := at("a", 0).DueShard()
	var same []delivery.Delivery
	for i := 0; len(same) < 5; i++ {
		if d := at(fmt.Sprint("log-", i), 100*(7-len(same))); d.DueShard() == shard {
			same = append(same, d)
		}
	}
	save(t, s, same...)
	slices.Reverse(same)
	wantHints(t, due(t, s, shard, base, base.Add(time.Hour), false), same...)
}

func dueRiding(t *testing.T, s Store) {
	waiting, riding := at("a", 1), at("b", 2)
	riding.Riding = true
	save(t, s, waiting, riding)
	wantHints(t, dueAll(t, s, base, base.Add(time.Minute), false), waiting)
	wantHints(t, dueAll(t, s, base, base.Add(time.Minute), true), waiting, riding)
}

func dueShards(t *testing.T, s Store) {
	ds, _ := many(100)
	save(t, s, ds...)
	used := make(map[int]bool)
	for shard := range delivery.DueShards {
		for _, h := range due(t, s, shard, time.Time{}, base, false) {
			if h.DueShard() != shard {
				t.Errorf("log %s of shard %d stands in shard %d", h.LogID, h.DueShard(), shard)
			}
			used[shard] = true
		}
	}
	if got := len(dueAll(t, s, time.Time{}, base, false)); got != len(ds) {
		t.Errorf("%d hints in all shards, want %d", got, len(ds))
	}
	if len(used) < delivery.DueShards/2 {
		t.Errorf("only %d shards are used", len(used))
	}
}

func dueFollows(t *testing.T, s Store) {
	d := at("a", 1)
	save(t, s, d)
	d = stored(d)
	d.NextAt = d.NextAt.Add(time.Hour)
	save(t, s, d)
	wantHints(t, dueAll(t, s, time.Time{}, base.Add(48*time.Hour), true), d)
	expect(t, s.Remove(t.Context(), []delivery.Key{d.Key}), nil)
	wantHints(t, dueAll(t, s, time.Time{}, base.Add(48*time.Hour), true))
}

func dueEmpty(t *testing.T, s Store) {
	save(t, s, at("a", 0))
	wantHints(t, dueAll(t, s, base, base, false))
	wantHints(t, dueAll(t, s, base.Add(time.Hour), base, false))
}

func duePages(t *testing.T, s Store) {
	const n = 2300
	shard := at("first", 0).DueShard()
	var ds []delivery.Delivery
	for i := 0; len(ds) < n; i++ {
		d := at(fmt.Sprint("log-", i), len(ds)+1)
		if d.DueShard() == shard {
			d.Document = document(d.Key, 100)
			d.Riding = len(ds)%2 == 0
			ds = append(ds, d)
		}
	}
	save(t, s, ds...)
	wantHints(t, due(t, s, shard, base, base.Add(time.Hour), true), ds...)
	waiting := slices.DeleteFunc(ds, func(d delivery.Delivery) bool { return d.Riding })
	wantHints(t, due(t, s, shard, base, base.Add(time.Hour), false), waiting...)
}

func dueStopped(t *testing.T, s Store) {
	d := at("a", 1)
	save(t, s, d)
	for hints, err := range s.Due(t.Context(), d.DueShard(), base, base.Add(time.Minute), true) {
		if err != nil || len(hints) != 1 {
			t.Errorf("%d hints, error %v", len(hints), err)
		}
		break
	}
}

func failedNotDue(t *testing.T, s Store) {
	e := event("a")
	if err := errors.Join(s.Record(t.Context(), []delivery.FailedEvent{e})...); err != nil {
		t.Fatal(err)
	}
	wantHints(t, dueAll(t, s, time.Time{}, base.Add(100*24*time.Hour), true))
}

func progressOf(t *testing.T, s delivery.Index) delivery.Progress {
	t.Helper()
	p, err := s.Progress(t.Context())
	if err != nil {
		t.Fatalf("progress: %v", err)
	}
	return p
}

func noProgress(t *testing.T, s Store) {
	if diff := cmp.Diff(delivery.Progress{}, progressOf(t, s)); diff != "" {
		t.Errorf("an empty store has progress (-want +got):\n%s", diff)
	}
}

func progressBack(t *testing.T, s Store) {
	want := delivery.Progress{Swept: base}
	for i := range want.Through {
		want.Through[i] = base.Add(time.Duration(i) * time.Millisecond)
		want.SweptThrough[i] = base.Add(-time.Duration(i) * time.Second)
	}
	for range 2 {
		if err := s.SaveProgress(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, progressOf(t, s)); diff != "" {
			t.Errorf("the progress differs (-want +got):\n%s", diff)
		}
		want.Through[3], want.SweptThrough[4] = base.Add(time.Hour), time.Time{}
	}
}

func zeroProgress(t *testing.T, s Store) {
	var want delivery.Progress
	want.Through[5] = base
	if err := s.SaveProgress(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, progressOf(t, s)); diff != "" {
		t.Errorf("the progress differs (-want +got):\n%s", diff)
	}
}
