package porttest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// TwoWriters is the test of Cache that a server does not pass whose conditional writes are not atomic.
const TwoWriters = "two writers of the same revision"

// Cache is the suite of delivery.Cache, less the tests that the server is known not to pass.
func Cache(t *testing.T, open func(t *testing.T) Store, deviations ...string) {
	for name, test := range map[string]func(*testing.T, delivery.Cache){
		"every field comes back":              everyField,
		"a key of all characters":             allCharacters,
		"new over old":                        newOverOld,
		"the same key twice in one call":      sameKeyTwice,
		"an update":                           update,
		"an update of what is gone":           updateGone,
		"an update of what has changed":       updateChanged,
		"each answer stands at its place":     mixedAnswers,
		"removal":                             removal,
		"nothing to do":                       nothing,
		"more than one call can carry":        moreThanACall,
		"documents of all sizes":              sizes,
		"one log to several destinations":     severalDestinations,
		"one log accepted again much later":   acceptedAgain,
		"two logs under one id":               namesakes,
		"a context that has ended":            ended,
		TwoWriters:                            race,
		"load gives what is there, once":      loadTwice,
		"save does not touch what it got":     untouched,
		"held log, never tried":               held,
		"riding comes and goes with updates":  ridingToggles,
		"large documents are loaded by parts": byParts,
	} {
		if !slices.Contains(deviations, name) {
			t.Run(name, func(t *testing.T) { test(t, open(t)) })
		}
	}
}

// byParts has more documents than there is room for at once, and one that alone is too large.
func byParts(t *testing.T, c delivery.Cache) {
	want := make(map[delivery.Key]delivery.Delivery)
	var keys []delivery.Key
	for i, mb := range []int{10, 1, 36, 14, 9} {
		d := entering(key("dest-1", fmt.Sprint("log-", i)))
		d.Document = document(d.Key, mb<<20)
		save(t, c, d)
		want[d.Key], keys = stored(d), append(keys, d.Key)
	}
	got := make(map[delivery.Key]delivery.Delivery)
	keys = append(keys, key("dest-1", "none"))
	for rest := keys; len(rest) > 0; {
		found, further, err := c.Load(t.Context(), rest)
		if err != nil || len(found) == 0 {
			t.Fatalf("load of %d: %d found, error %v", len(rest), len(found), err)
		}
		size := 0
		for k, d := range found {
			size += len(d.Document.JSON)
			got[k] = d
		}
		if size > delivery.LoadRoom && len(found) > 1 {
			t.Errorf("%d documents of %d bytes were loaded at once", len(found), size)
		}
		rest = further
	}
	if diff := cmp.Diff(want, got, wholeBytes()); diff != "" {
		t.Errorf("loaded by parts (-want +got, up to 4,000 bytes):\n%.4000s", diff)
	}
}

func everyField(t *testing.T, c delivery.Cache) {
	d := entering(key("dest-1", "log-1"))
	d.Riding, d.Forgiven = true, 1
	save(t, c, d)
	holds(t, c, []delivery.Key{d.Key}, stored(d))
}

func allCharacters(t *testing.T, c delivery.Cache) {
	k := key(strings.Repeat("d.-_9Z", 21)+"dd", strings.Repeat("L.-_0a", 21)+"ll")
	k.WorkspaceID = strings.Repeat("W.-_5b", 21) + "ww"
	d := entering(k)
	save(t, c, d)
	holds(t, c, []delivery.Key{k}, stored(d))
}

func newOverOld(t *testing.T, c delivery.Cache) {
	d := entering(key("dest-1", "log-1"))
	save(t, c, d)
	save(t, c, stored(d)) // revision 2
	again := d
	again.Attempts, again.NextAt = 2, d.NextAt.Add(time.Minute)
	save(t, c, again)
	holds(t, c, []delivery.Key{d.Key}, stored(again))
}

// namesakes are two logs of one moment that differ by their contents alone, and one that was stored when keys had no hash.
func namesakes(t *testing.T, c delivery.Cache) {
	var ds []delivery.Delivery
	for i, hash := range []string{"", "0123456789abcdef", "fedcba9876543210"} {
		d := entering(key("dest-1", "log-1"))
		d.Hash, d.Attempts = hash, i+1
		ds = append(ds, d)
	}
	keys := []delivery.Key{ds[0].Key, ds[1].Key, ds[2].Key}
	save(t, c, ds...)
	holds(t, c, keys, stored(ds[0]), stored(ds[1]), stored(ds[2]))
	later := stored(ds[1])
	later.Attempts = 7
	save(t, c, later)
	expect(t, c.Remove(t.Context(), keys[2:]), nil)
	holds(t, c, keys, stored(ds[0]), stored(later))
}

func sameKeyTwice(t *testing.T, c delivery.Cache) {
	first := entering(key("dest-1", "log-1"))
	second := first
	second.Attempts, second.Code = 2, "net.timeout"
	save(t, c, first, second)
	holds(t, c, []delivery.Key{first.Key}, stored(second))
	expect(t, c.Remove(t.Context(), []delivery.Key{first.Key, first.Key}), nil, nil)
	holds(t, c, []delivery.Key{first.Key})
}

func update(t *testing.T, c delivery.Cache) {
	d := entering(key("dest-1", "log-1"))
	save(t, c, d)
	d = stored(d)
	d.Attempts, d.Tried, d.Forgiven = 2, d.Tried.Add(time.Minute), 2
	d.NextAt, d.Code = d.NextAt.Add(4*time.Minute), "net.refused"
	save(t, c, d)
	holds(t, c, []delivery.Key{d.Key}, stored(d))
}

func updateGone(t *testing.T, c delivery.Cache) {
	d := entering(key("dest-1", "log-1"))
	expect(t, c.Save(t.Context(), []delivery.Delivery{stored(d)}), delivery.ErrChanged)
	holds(t, c, []delivery.Key{d.Key})
}

func updateChanged(t *testing.T, c delivery.Cache) {
	d := entering(key("dest-1", "log-1"))
	save(t, c, d)
	save(t, c, stored(d))
	late := stored(d)
	late.Attempts = 9
	expect(t, c.Save(t.Context(), []delivery.Delivery{late}), delivery.ErrChanged)
	early := stored(stored(stored(d)))
	expect(t, c.Save(t.Context(), []delivery.Delivery{early}), delivery.ErrChanged)
	holds(t, c, []delivery.Key{d.Key}, stored(stored(d)))
}

func mixedAnswers(t *testing.T, c delivery.Cache) {
	known, gone, fresh := entering(key("dest-1", "known")), entering(key("dest-1", "gone")), entering(key("dest-2", "fresh"))
	save(t, c, known)
	expect(t, c.Save(t.Context(), []delivery.Delivery{stored(gone), fresh, stored(known), stored(stored(stored(known)))}),
		delivery.ErrChanged, nil, nil, delivery.ErrChanged)
	holds(t, c, []delivery.Key{known.Key, gone.Key, fresh.Key}, stored(stored(known)), stored(fresh))
}

func removal(t *testing.T, c delivery.Cache) {
	stay, leave := entering(key("dest-1", "stay")), entering(key("dest-1", "leave"))
	save(t, c, stay, leave)
	expect(t, c.Remove(t.Context(), []delivery.Key{leave.Key, key("dest-1", "never there")}), nil, nil)
	holds(t, c, []delivery.Key{stay.Key, leave.Key}, stored(stay))
	expect(t, c.Remove(t.Context(), []delivery.Key{leave.Key}), nil)
}

func nothing(t *testing.T, c delivery.Cache) {
	expect(t, c.Save(t.Context(), nil))
	expect(t, c.Remove(t.Context(), nil))
	holds(t, c, nil)
}

func moreThanACall(t *testing.T, c delivery.Cache) {
	ds, keys := many(130)
	save(t, c, ds...)
	want := make([]delivery.Delivery, len(ds))
	for i := range ds {
		want[i] = stored(ds[i])
	}
	holds(t, c, keys, want...)
	save(t, c, want...)
	expect(t, c.Remove(t.Context(), keys), make([]error, len(keys))...)
	holds(t, c, keys)
}

func sizes(t *testing.T, c delivery.Cache) {
	var ds, want []delivery.Delivery
	var keys []delivery.Key
	for name, size := range map[string]int{"1k": 1 << 10, "30k": 30 << 10, "64k": 64 << 10, "399k": 399 << 10, "1m": 1 << 20, "5m": 5 << 20} {
		d := entering(key("dest-1", name))
		d.Document = document(d.Key, size)
		ds, want, keys = append(ds, d), append(want, stored(stored(d))), append(keys, d.Key)
	}
	save(t, c, ds...)
	for i := range ds {
		ds[i].Revision++
	}
	save(t, c, ds...)
	holds(t, c, keys, want...)
	expect(t, c.Remove(t.Context(), keys), make([]error, len(keys))...)
	holds(t, c, keys)
}

func severalDestinations(t *testing.T, c delivery.Cache) {
	a, b := entering(key("dest-1", "log-1")), entering(key("dest-2", "log-1"))
	save(t, c, a, b)
	expect(t, c.Remove(t.Context(), []delivery.Key{a.Key}), nil)
	holds(t, c, []delivery.Key{a.Key, b.Key}, stored(b))
}

func acceptedAgain(t *testing.T, c delivery.Cache) {
	a := entering(key("dest-1", "log-1"))
	k := a.Key
	k.AcceptedAt = k.AcceptedAt.Add(time.Millisecond)
	b := entering(k)
	b.Attempts = 3
	save(t, c, a, b)
	holds(t, c, []delivery.Key{a.Key, b.Key}, stored(a), stored(b))
}

func ended(t *testing.T, c delivery.Cache) {
	d := entering(key("dest-1", "log-1"))
	if _, isMemory := c.(interface{ Len() int }); isMemory {
		return // memory has nothing to wait for
	}
	if err := c.Save(cancelled(t), []delivery.Delivery{d})[0]; err == nil {
		t.Error("save answered nil though its context had ended")
	}
	if _, _, err := c.Load(cancelled(t), []delivery.Key{d.Key}); err == nil {
		t.Error("load answered nil though its context had ended")
	}
	if err := c.Remove(cancelled(t), []delivery.Key{d.Key})[0]; err == nil {
		t.Error("remove answered nil though its context had ended")
	}
}

func race(t *testing.T, c delivery.Cache) {
	d := entering(key("dest-1", "log-1"))
	save(t, c, d)
	const writers = 8
	answers := make(chan error, writers)
	for i := range writers {
		go func() {
			mine := stored(d)
			mine.Attempts = 10 + i
			answers <- c.Save(t.Context(), []delivery.Delivery{mine})[0]
		}()
	}
	won := 0
	for range writers {
		if err := <-answers; err == nil {
			won++
		} else if !errors.Is(err, delivery.ErrChanged) {
			t.Errorf("a writer that lost got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d writers of one revision succeeded, want 1", won)
	}
	if got := load(t, c, d.Key)[d.Key].Revision; got != 2 {
		t.Errorf("revision %d, want 2", got)
	}
}

func loadTwice(t *testing.T, c delivery.Cache) {
	d := entering(key("dest-1", "log-1"))
	save(t, c, d)
	holds(t, c, []delivery.Key{d.Key, d.Key, key("dest-1", "unknown"), d.Key}, stored(d))
}

func untouched(t *testing.T, c delivery.Cache) {
	d := entering(key("dest-1", "log-1"))
	ds := []delivery.Delivery{d}
	save(t, c, ds...)
	if ds[0].Revision != 0 {
		t.Errorf("save changed the caller's revision to %d", ds[0].Revision)
	}
}

func held(t *testing.T, c delivery.Cache) {
	d := entering(key("dest-1", "log-1"))
	d.Attempts, d.Tried, d.Code, d.NextAt = 0, time.Time{}, "", d.ExpiresAt()
	save(t, c, d)
	save(t, c, stored(d))
	holds(t, c, []delivery.Key{d.Key}, stored(stored(d)))
}

func ridingToggles(t *testing.T, c delivery.Cache) {
	d := entering(key("dest-1", "log-1"))
	for _, riding := range []bool{false, true, true, false} {
		d.Riding = riding
		save(t, c, d)
		d = stored(d)
		holds(t, c, []delivery.Key{d.Key}, d)
	}
}
