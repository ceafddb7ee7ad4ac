package notice

import (
	"slices"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Verdict is what becomes of a notice.
type Verdict int

// The verdicts.
const (
	// Drop: it is no longer true.
	Drop Verdict = iota
	// Send: it is true now.
	Send
	// Later: it is about to become true or to become void; the message must come again.
	Later
)

// Due holds a notice against its destination as it is now.
//
// Voluntary and recovered notices are sent before the record is written that makes them true, so that a death between the two loses no mail: they
// wait for that, a while. If it never comes, whoever writes it later sends another. Who has reconnected by then gets no voluntary mail. Who has restored a
// destination by then gets none about its deletion. The others are about one outage, which began at the notice's Since: the next has notices of its own.
func Due(n directory.Notice, d directory.Destination, now time.Time) Verdict {
	switch n.Kind {
	case directory.Voluntary:
		switch {
		case d.State == directory.Disabled && d.Generation == n.Generation+1:
			return Send
		case d.State == directory.Disconnected && d.Generation == n.Generation:
			return laterUntil(n.At.Add(settling), now)
		}
	case directory.Deletion:
		if d.State == directory.Deleted && d.Generation == n.Generation {
			return Send
		}
	case directory.CutOffNotice:
		if d.State != directory.Deleted && n.Child != nil {
			return Send
		}
	case directory.UnroutedNotice:
		if d.State == directory.Connected && n.Unrouted != nil && slices.ContainsFunc(n.Unrouted.LogTypes, func(t string) bool { return !d.Wants(t) }) {
			return Send
		}
	case directory.Involuntary:
		if d.State == directory.Connected && d.Health.State == directory.Failing && sameOutage(n, d) {
			return Send
		}
	case directory.Recovered:
		switch {
		case d.State == directory.Connected && d.Health.State != directory.Failing:
			return Send
		case d.State == directory.Connected && sameOutage(n, d):
			return laterUntil(n.At.Add(settling), now)
		}
	case directory.ExpiryWarning:
		if d.State == directory.Deleted {
			return Drop
		}
		if d.State != directory.Connected || d.Health.State == directory.Failing || d.Draining || d.Health.Refuses() {
			return Send
		}
	}
	return Drop
}

// outlives says whether a notice is mailed though its destination's record is gone: one about its deletion, which may have been purged since.
func outlives(n directory.Notice) bool { return n.Kind == directory.Deletion && n.Subject != nil }

// settling is how long after its notice a record may be written at most.
const settling = 15 * time.Minute

func laterUntil(end, now time.Time) Verdict {
	if now.Before(end) {
		return Later
	}
	return Drop
}

func sameOutage(n directory.Notice, d directory.Destination) bool {
	return n.Since.IsZero() || n.Since.UnixMilli() == d.Health.Since.UnixMilli()
}
