package console

import (
	"sort"
	"sync"
	"time"

	"github.com/google/btree"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// stage is where a delivery stands.
type stage int

const (
	waiting stage = iota
	arrived
	givenUp
)

// life is what happened to one delivery: the places of its entries in the journal, and where it stands now.
type life struct {
	key   delivery.Key
	kind  string
	stage stage
	// nextAt is zero when no attempt has a time of its own.
	nextAt   time.Time
	attempts int
	code     failure.Code
	steps    []int
}

// flow is what happened at one destination, added up.
type flow struct {
	arrived, waiting, givenUp int
	buckets                   []bucket
	spells                    []spell
	next                      *btree.BTreeG[due]
	latest                    []int // attempts' places in the journal, the newest last
	lost                      []delivery.Key
}

// grain is the resolution of the charts' memory.
const grain = 5 * time.Second

// bucket counts what happened within one grain. Empty ones are not kept.
type bucket struct {
	at        time.Time
	delivered int
	held      int
	failed    map[failure.Code]int
	// backlog is how many deliveries were waiting at its end.
	backlog int
}

// spell is a time in which a destination failed; until is zero while it lasts.
type spell struct{ since, until time.Time }

type due struct {
	at  time.Time
	key delivery.Key
}

func sooner(a, b due) bool {
	if c := a.at.Compare(b.at); c != 0 {
		return c < 0
	}
	if c := a.key.AcceptedAt.Compare(b.key.AcceptedAt); c != 0 {
		return c < 0
	}
	if a.key.WorkspaceID != b.key.WorkspaceID {
		return a.key.WorkspaceID < b.key.WorkspaceID
	}
	if a.key.LogID != b.key.LogID {
		return a.key.LogID < b.key.LogID
	}
	return a.key.Hash < b.key.Hash
}

// tally adds up the journal, each entry once, so that a page costs the same however long the journal is.
type tally struct {
	journal *memory.Journal

	mu       sync.Mutex
	read     int // entries of the journal that are in
	flows    map[string]*flow
	lives    map[delivery.Key]*life
	byLog    map[string][]delivery.Key
	accepted []delivery.Key // the newest last
}

const (
	// keepLatest bounds the lists of what was last.
	keepLatest = 25
)

// catchUp enters what the journal has gained. The caller holds mu.
func (t *tally) catchUp() {
	if t.flows == nil {
		t.flows, t.lives, t.byLog = make(map[string]*flow), make(map[delivery.Key]*life), make(map[string][]delivery.Key)
	}
	for _, e := range t.journal.Since(t.read) {
		t.enter(t.read, e)
		t.read++
	}
}

func (t *tally) flow(destinationID string) *flow {
	f := t.flows[destinationID]
	if f == nil {
		f = &flow{next: btree.NewG(16, sooner)}
		t.flows[destinationID] = f
	}
	return f
}

func (t *tally) enter(place int, e delivery.Entry) {
	switch e.Event {
	case delivery.EventAccepted, delivery.EventAttempted, delivery.EventHeld, delivery.EventFailed:
		t.enterDelivery(place, e)
	case delivery.EventFailing:
		f := t.flow(e.DestinationID)
		if n := len(f.spells); n == 0 || !f.spells[n-1].until.IsZero() {
			f.spells = append(f.spells, spell{since: e.At})
		}
	case delivery.EventRecovered:
		f := t.flow(e.DestinationID)
		if n := len(f.spells); n > 0 && f.spells[n-1].until.IsZero() {
			f.spells[n-1].until = e.At
		}
	}
}

func (t *tally) enterDelivery(place int, e delivery.Entry) {
	f := t.flow(e.DestinationID)
	l := t.lives[e.Key]
	if l == nil {
		l = &life{key: e.Key, kind: e.Type}
		t.lives[e.Key] = l
		t.byLog[e.LogID] = append(t.byLog[e.LogID], e.Key)
		t.accepted = append(t.accepted, e.Key)
		f.waiting++
	}
	l.steps = append(l.steps, place)
	if !l.nextAt.IsZero() {
		f.next.Delete(due{l.nextAt, l.key})
		l.nextAt = time.Time{}
	}
	b := f.bucket(e.At)
	switch e.Event {
	case delivery.EventAttempted:
		l.attempts = e.Attempt
		f.latest = last(append(f.latest, place))
		if e.Outcome == delivery.Delivered {
			b.delivered++
			f.move(l, arrived)
			break
		}
		l.code = e.Code
		if b.failed == nil {
			b.failed = make(map[failure.Code]int)
		}
		b.failed[e.Code]++
	case delivery.EventHeld:
		b.held++
	case delivery.EventFailed:
		f.lost = last(append(f.lost, e.Key))
		f.move(l, givenUp)
	}
	if l.stage == waiting && !e.NextAt.IsZero() && e.NextAt.Before(e.ExpiresAt()) {
		l.nextAt = e.NextAt
		f.next.ReplaceOrInsert(due{l.nextAt, l.key})
	}
	f.buckets[len(f.buckets)-1].backlog = f.waiting
}

// last keeps the end of a list, and copies it only now and then.
func last[T any](list []T) []T {
	if len(list) < 4*keepLatest {
		return list
	}
	return append([]T(nil), list[len(list)-keepLatest:]...)
}

// newest gives the end of a list backwards.
func newest[T any](list []T) []T {
	n := min(len(list), keepLatest)
	out := make([]T, n)
	for i := range n {
		out[i] = list[len(list)-1-i]
	}
	return out
}

// move takes a delivery to another stage. What arrived stays so.
func (f *flow) move(l *life, to stage) {
	if l.stage == arrived || l.stage == to {
		return
	}
	*f.count(l.stage)--
	*f.count(to)++
	l.stage = to
}

func (f *flow) count(s stage) *int {
	switch s {
	case arrived:
		return &f.arrived
	case givenUp:
		return &f.givenUp
	}
	return &f.waiting
}

// bucket finds or makes the bucket of a time, which is the last one but for attempts that took long.
func (f *flow) bucket(at time.Time) *bucket {
	at = at.Truncate(grain)
	n := len(f.buckets)
	if n == 0 || f.buckets[n-1].at.Before(at) {
		f.buckets = append(f.buckets, bucket{at: at})
		return &f.buckets[n]
	}
	i := sort.Search(n, func(i int) bool { return !f.buckets[i].at.Before(at) })
	if f.buckets[i].at.Equal(at) {
		return &f.buckets[i]
	}
	backlog := 0
	if i > 0 {
		backlog = f.buckets[i-1].backlog
	}
	f.buckets = append(f.buckets, bucket{})
	copy(f.buckets[i+1:], f.buckets[i:])
	f.buckets[i] = bucket{at: at, backlog: backlog}
	return &f.buckets[i]
}
