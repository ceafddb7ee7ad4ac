package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

const (
	// refusalPatience is how long a destination may refuse one log after the other, each for the log's own sake, and
	// take none, before it counts as failing. It is less than what a log's first five attempts take, so that a burst
	// that is refused whole is enough.
	refusalPatience = time.Hour
	// refusedAtLeast is how many logs it must have refused in that time: fewer may be poisoned, and nothing else came.
	refusedAtLeast = chanceAtMost + 1
	// takenEvery is how often it is written down that a destination which refuses logs takes others.
	takenEvery = time.Hour
)

// finding is what the results of one group say of their destination.
type finding struct {
	evidence
	// failure stands for the logs that were not taken; nil if nothing about them is to be remembered.
	failure *failure.Error
	// fresh is how many logs were not taken at their first attempt.
	fresh int
}

// refusesAll says whether a destination that has just refused a group of logs has taken none for so long, and refused
// so many, that it refuses whatever comes.
func refusesAll(h directory.Health, f finding, now time.Time) bool {
	return f.evidence == refusing && h.Refuses() && h.Refused.Logs+f.fresh >= refusedAtLeast && now.Sub(nothingTakenSince(h)) >= refusalPatience
}

// nothingTakenSince is the time after which a destination that refuses logs is known to have taken none. That it takes
// some is written down once in takenEvery, so the last may have come so much later than what the record says; only the
// first one after a refusal is written down at once.
func nothingTakenSince(h directory.Health) time.Time {
	if h.TakenAt.After(h.Refused.Since) {
		return h.TakenAt.Add(takenEvery)
	}
	return h.Refused.Since
}

// withRefusals is the health with what is to be remembered of a group that did not change its state, and whether it
// differs. Where nothing is refused nothing is written.
func withRefusals(h directory.Health, f finding, now time.Time) (directory.Health, bool) {
	before := h
	if f.failure != nil && !h.Refuses() {
		h.Refused = directory.Refusals{Since: now, Code: f.failure.Code, Answer: f.failure.Answer()}
	}
	settled := h.TakenAt.After(h.Refused.Since) && now.Sub(h.TakenAt) < takenEvery // it is known to take others
	switch {
	case settled:
	case f.evidence == refusing:
		h.Refused.Logs = min(refusedAtLeast, h.Refused.Logs+f.fresh)
	case f.evidence == up && h.Refuses():
		h.TakenAt, h.Refused.Logs = now, 0
	}
	return h, h != before
}

// takings are when destinations took a log of this process, by their identity, so that a record that is written for
// another reason says when. What is lost with the process is missing there, and no decision hangs on it.
type takings struct {
	mu sync.Mutex
	at map[string]time.Time
}

// takingsAtMost bounds the destinations that are remembered.
const takingsAtMost = 10_000

func (t *takings) note(identity string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at == nil || len(t.at) >= takingsAtMost {
		t.at = make(map[string]time.Time)
	}
	t.at[identity] = now.UTC().Truncate(time.Millisecond)
}

// last is when the destination last took a log, at the least.
func (t *takings) last(d directory.Destination) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := t.at[d.Identity()]; at.After(d.Health.TakenAt) {
		return at
	}
	return d.Health.TakenAt
}

// keep stores what is to be remembered of a destination whose state stays. Nobody is told of it.
func (d *Deliver) keep(ctx context.Context, to directory.Destination) error {
	_, err := d.Destinations.PutDestination(ctx, to)
	return err
}
