package unkind

import (
	"fmt"
	"strings"
	"time"
)

// Kinds are kinds of unkindness. Each is something that the services say they do, or do not say they never do; docs/services.md names the sources.
type Kinds uint32

// The kinds.
const (
	// LateIndex: indexes show writes up to minutes late, for a while. Without it they are at most 300 ms behind.
	LateIndex Kinds = 1 << iota
	// LateRead: eventually consistent reads of a table are up to two seconds old. Without it they are up to date.
	LateRead
	// LostAnswer: a call takes effect and its answer is lost; the SDK repeats it.
	LostAnswer
	// DeafService: all answers of a call are lost, so that the caller hears of a failure, whether or not it took effect.
	DeafService
	// Throttling: partitions of the tables take nothing for some seconds.
	Throttling
	// Conflict: another transaction has the item under way.
	Conflict
	// Outage: a service takes no calls for up to two minutes.
	Outage
	// Hanging: the event bus accepts calls and does not answer.
	Hanging
	// Duplicate: a message is handed out more than once, though it was settled.
	Duplicate
	// Reorder: messages become visible some seconds late, each by itself.
	Reorder
	// Redrive: messages are moved to the dead-letter queue and back by a person: a new id, a new time of sending.
	Redrive
	// Kill: an invocation ends at any call, before or after its effect.
	Kill
	// Skew: the clocks of execution environments are up to two seconds apart.
	Skew
	// Memories: many execution environments, some fresh and some old.
	Memories
	// LateMinute: the rule of every minute comes up to 50 seconds late, not at all, or twice.
	LateMinute
	// LateTimer: a one-time schedule goes off up to a minute late, twice or not at all.
	LateTimer
	// SlowCall: calls take up to seconds.
	SlowCall
	// Refused: the mail service has no room, or its answer is lost.
	Refused

	kindsEnd
)

// All are all kinds.
const All = kindsEnd - 1

func names() map[Kinds]string {
	return map[Kinds]string{
		LateIndex: "late-index", LateRead: "late-read", LostAnswer: "lost-answer", DeafService: "deaf-service", Throttling: "throttling",
		Conflict: "conflict", Outage: "outage", Hanging: "hanging", Duplicate: "duplicate", Reorder: "reorder", Redrive: "redrive", Kill: "kill",
		Skew: "skew", Memories: "memories", LateMinute: "late-minute", LateTimer: "late-timer", SlowCall: "slow-call", Refused: "refused",
	}
}

// Has says whether any of the given kinds is among them.
func (k Kinds) Has(any Kinds) bool { return k&any != 0 }

// String names the kinds, "none" if there are none.
func (k Kinds) String() string {
	var list []string
	for one := Kinds(1); one < kindsEnd; one <<= 1 {
		if k.Has(one) {
			list = append(list, names()[one])
		}
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ",")
}

// ParseKinds reads what String writes, and "all".
func ParseKinds(text string) (Kinds, error) {
	var k Kinds
next:
	for _, name := range strings.Split(text, ",") {
		switch name {
		case "all":
			k |= All
			continue
		case "none", "":
			continue
		}
		for one, called := range names() {
			if called == name {
				k |= one
				continue next
			}
		}
		return 0, fmt.Errorf("no kind is called %q", name)
	}
	return k, nil
}

// How unkind each kind is.
const (
	lostShare      = 0.02 // or ten times as much, for the whole of a run
	deafShare      = 0.004
	conflictShare  = 0.01
	killShare      = 0.1
	copyShare      = 0.05
	redriveShare   = 0.03
	lateIndexMost  = 3 * time.Minute
	indexLag       = 300 * time.Millisecond
	lateReadMost   = 2 * time.Second
	skewMost       = 2 * time.Second
	reorderMost    = 5 * time.Second
	outageMost     = 2 * time.Minute
	throttledMost  = 8 * time.Second
	minuteLateMost = 50 * time.Second
	timerLateMost  = time.Minute
)
