package delivery

import (
	"context"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

const (
	// telling is how often what may have to be told is looked at: notify's own limit decides whether a notice is mailed.
	telling = time.Hour
	// measuring is how often the age of the oldest waiting log is written down.
	measuring = 15 * time.Minute
)

// toMeasure says whether a destination's oldest log is to be written down: once in each quarter of an hour. What is disabled or deleted is left out, and a
// log that a destination refuses while it takes others: their age is nobody's fault here.
func (w *Watch) toMeasure(d *directory.Destination, now time.Time) bool {
	if w.Journal == nil || d.State == directory.Disabled || d.State == directory.Deleted || d.Takes() && !d.Draining && !d.LastLook {
		return false
	}
	return w.another("measure", d.Identity(), now.Truncate(24*time.Hour), measuring, now)
}

// measure writes down the oldest log that waits for the destination, if there is one.
func (w *Watch) measure(ctx context.Context, d directory.Destination, now time.Time) error {
	oldest, err := w.Backlog.Waiting(ctx, d.ID, Key{}, 1)
	if err != nil || len(oldest) == 0 {
		return err
	}
	w.Journal.Record(Entry{Event: EventWaiting, At: now, Key: oldest[0].Key, Kind: d.Kind})
	return nil
}

// tell has admins told of a destination that fails, as long as logs wait: without any, nothing fails any more.
func (w *Watch) tell(ctx context.Context, d directory.Destination, now time.Time) error {
	n, ok := failureNotice(d, now)
	if !ok {
		return nil
	}
	oldest, err := w.Backlog.Waiting(ctx, d.ID, Key{}, 1)
	if err != nil || len(oldest) == 0 {
		return err
	}
	return w.Notices.Notify(ctx, n)
}
