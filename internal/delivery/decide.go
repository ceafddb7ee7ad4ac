package delivery

import (
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Decide says when a delivery that has just failed is tried again. d.Attempts includes the attempt that failed. The answer is d.ExpiresAt()
// when there is no further attempt: that is when the delivery is given up.
//
// The time is the table's, which begins anew with the first attempt after the destination has recovered; or what the destination asked for with
// Retry-After, if that is longer and ends before the expiry; or, once the table has ended or would run past it, one last attempt an hour before the expiry.
func Decide(d Delivery, f *failure.Error, now time.Time) time.Time {
	end := d.ExpiresAt()
	delay, ok := retryDelay(d.Key, d.Attempts-d.Forgiven)
	if asked := askedPause(f); now.Add(asked).Before(end) && asked > delay {
		return now.Add(asked)
	}
	last := end.Add(-lastAttempt)
	next := now.Add(delay)
	switch {
	case ok && next.Before(last):
		return next
	case now.Before(last):
		return last
	case ok && next.Before(end): // late in its life, but early in its table: a log that was long held
		return next
	default:
		return end
	}
}

// askedPause is how long a failure asks to be left alone; zero if it does not.
func askedPause(f *failure.Error) time.Duration { return min(f.RetryAfter, longestPause) }

// verdict is what is to be done with a delivery now.
type verdict int

const (
	try    verdict = iota // hand it to its destination
	hold                  // leave it in the cache, unattempted, until the destination takes logs again
	giveUp                // its seven days are over
	wait                  // its time has not come: another hint must follow
	drop                  // the hint is outdated; the delivery has another of its own
)

// admit judges a log that has just been accepted, by whether its destination accepts it as it is. One that comes from the queue when its seven days are over, after an outage of our own, gets its
// first attempt all the same.
func admit(accepts bool) verdict {
	if !accepts {
		return hold
	}
	return try
}

// readmit judges a delivery from the cache to which a hint has led. One rule ends it: at its end it is given up, attempted or not, unless its first
// attempt was due by a time of its own and comes late, see late.
func readmit(d Delivery, hint Hint, dest directory.Destination, known bool, now time.Time) verdict {
	ended, takes := !now.Before(d.ExpiresAt()), known && dest.Accepts(d.WorkspaceID, d.LogID)
	switch {
	case hint.Drain && !takes, hint.turn() && !d.Parked:
		return drop
	case hint.Drain && !ended:
		return try
	case !hint.At.Equal(d.NextAt):
		return drop
	case now.Before(d.NextAt):
		return wait
	case ended && (!takes || !d.late()):
		return giveUp
	case !known:
		return hold
	}
	return admit(takes)
}

// late says of a delivery whose end has come that it had a time for its first attempt: it is an outage of our own that it was not made. What was parked
// has none, since its destination took no logs or fewer than came.
func (d Delivery) late() bool { return d.Attempts == 0 && !d.NextAt.Equal(d.ExpiresAt()) }
