package simulate

import (
	"container/heap"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// agenda is what will happen, by time; of one time, in the order of entering.
type agenda struct {
	entries  []entry
	sequence int
}

type entry struct {
	at       time.Time
	sequence int
	do       func()
}

func (a *agenda) Len() int { return len(a.entries) }
func (a *agenda) Less(i, j int) bool {
	if c := a.entries[i].at.Compare(a.entries[j].at); c != 0 {
		return c < 0
	}
	return a.entries[i].sequence < a.entries[j].sequence
}
func (a *agenda) Swap(i, j int) { a.entries[i], a.entries[j] = a.entries[j], a.entries[i] }
func (a *agenda) Push(x any)    { a.entries = append(a.entries, x.(entry)) } //nolint:errcheck // only add pushes
func (a *agenda) Pop() any {
	last := a.entries[len(a.entries)-1]
	a.entries = a.entries[:len(a.entries)-1]
	return last
}

func (a *agenda) add(at time.Time, do func()) {
	a.sequence++
	heap.Push(a, entry{at, a.sequence, do})
}

// next is the time of the first entry.
func (a *agenda) next() (time.Time, bool) {
	if len(a.entries) == 0 {
		return time.Time{}, false
	}
	return a.entries[0].at, true
}

func (a *agenda) take() func() { return heap.Pop(a).(entry).do } //nolint:errcheck // only add pushes

// work is a message on its way to deliver: a log, or a hint to one.
type work struct {
	log         int // its number
	destination int
	accepted    time.Time
	hint        delivery.Hint
	attempts    int       // of the policies that have no cache
	since       time.Time // when it became visible
}

// delayed holds messages until they become visible. Those of one time come out by what they are, not by when they were sent, so that requeue's
// goroutines cannot change a run.
type delayed struct{ works []work }

func (d *delayed) Len() int { return len(d.works) }
func (d *delayed) Less(i, j int) bool {
	a, b := &d.works[i], &d.works[j]
	if c := a.since.Compare(b.since); c != 0 {
		return c < 0
	}
	if a.log != b.log {
		return a.log < b.log
	}
	return a.hint.At.Before(b.hint.At)
}
func (d *delayed) Swap(i, j int) { d.works[i], d.works[j] = d.works[j], d.works[i] }
func (d *delayed) Push(x any)    { d.works = append(d.works, x.(work)) } //nolint:errcheck // only add pushes
func (d *delayed) Pop() any {
	last := d.works[len(d.works)-1]
	d.works = d.works[:len(d.works)-1]
	return last
}

func (d *delayed) add(w work) { heap.Push(d, w) }
func (d *delayed) take() work { return heap.Pop(d).(work) } //nolint:errcheck // only add pushes

func (d *delayed) next() (time.Time, bool) {
	if len(d.works) == 0 {
		return time.Time{}, false
	}
	return d.works[0].since, true
}
