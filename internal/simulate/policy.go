package simulate

import (
	"errors"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Policy is a way to try again.
type Policy string

// The policies. The first two are what others do; the last is what the stack does.
const (
	// Hop puts a log that failed back on a queue with the longest delay there is, and tries it at each return.
	Hop Policy = "hop"
	// Schedule stores the log and makes a one-time schedule for each retry, at the table's times.
	Schedule Policy = "schedule"
	// Index keeps logs in the cache and finds those that are due through its index, without looking at their destination's health.
	Index Policy = "index"
	// Health is the index, and destinations that fail are held back, probed and drained.
	Health Policy = "health"
)

// Policies lists every policy.
func Policies() []Policy { return []Policy{Hop, Schedule, Index, Health} }

// Title is a policy in words.
func (p Policy) Title() string {
	switch p {
	case Hop:
		return "a hop every 15 minutes"
	case Schedule:
		return "a schedule per retry"
	case Index:
		return "due index"
	case Health:
		return "due index with health"
	}
	return string(p)
}

// Of the policies that are not ours.
const (
	hopDelay = 15 * time.Minute
	// accountConcurrency bounds the functions that schedules invoke: the account's default limit.
	accountConcurrency = 1000
)

// naive is the policies Hop and Schedule. A first attempt is made like ours; what follows differs.
type naive struct{ *world }

func (n naive) accept(_ *instance, group []work) {
	again := n.try(group)
	n.beside(func() {
		for i, g := range group {
			if !again[i] {
				continue
			}
			if n.policy == Schedule {
				n.meter.add(Caching, Count{Dynamo: 1, Writes: times(n.logs.itemBytes(logID(g.log)), writeUnit), Items: 1})
			}
			n.later(g)
		}
	})
}

// hop is the return of one log.
func (n naive) hop(_ *instance, group []work) {
	if n.try(group)[0] {
		n.later(group[0])
	}
}

// fired is a schedule that has gone off: one log.
func (n naive) fired(_ *instance, group []work) {
	units := times(n.logs.itemBytes(logID(group[0].log)), writeUnit)
	n.meter.add(Loading, Count{Dynamo: 1, HalfReads: 2, Items: 1})
	if !n.try(group)[0] {
		n.meter.add(Removing, Count{Dynamo: 1, Writes: units, Items: 1})
		return
	}
	n.meter.add(Retrying, Count{Dynamo: 1, Writes: units, Items: 1})
	n.later(group[0])
}

// try posts the logs of one destination and says which must be tried again.
func (n naive) try(group []work) []bool {
	numbers := make([]int, len(group))
	for i, g := range group {
		numbers[i] = g.log
	}
	began := n.now
	again := make([]bool, len(group))
	for i, r := range n.post(group[0].destination, numbers) {
		if !errors.Is(r.Err, delivery.ErrNotTried) {
			group[i].attempts++
		}
		if again[i] = r.Err != nil; !again[i] {
			n.tally.delivered(group[i].log, group[i].destination, group[i].accepted, began.Add(r.Took))
		}
	}
	return again
}

// later sees to a log's next attempt, or gives it up.
func (n naive) later(w work) {
	key := delivery.Key{DestinationID: destinationID(w.destination), WorkspaceID: workspaceID(w.destination), LogID: logID(w.log), AcceptedAt: w.accepted}
	next := n.now.Add(hopDelay)
	if n.policy == Schedule {
		next = delivery.Decide(delivery.Delivery{Key: key, Attempts: w.attempts}, &failure.Error{Code: failure.NetTimeout}, n.now)
	}
	if !next.Before(key.ExpiresAt()) {
		n.tally.gaveUp(w.log)
		return
	}
	if n.policy == Schedule {
		n.meter.add(Schedules, Count{Scheduler: 1, Items: 1})
	} else {
		n.meter.add(Hints, Count{SQS: 1, Items: 1})
	}
	w.since = next
	n.delayed.add(w)
}
