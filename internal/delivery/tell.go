package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

const (
	// warning is how long before the oldest log's end admins are warned.
	warning = 24 * time.Hour
	// telling is how often what may have to be told is looked at: notify's own limit decides whether a notice is mailed.
	telling = time.Hour
	// measuring is how often the age of the oldest waiting log is written down.
	measuring = 15 * time.Minute
)

// warn tells admins, once, that logs begin to expire which wait for a destination that they have had disabled. The notice goes first: if we die before
// the record says so, it is sent again and mailed once.
func (w *Watch) warn(ctx context.Context, d directory.Destination, now time.Time) error {
	oldest, err := w.Backlog.Waiting(ctx, d.ID, Key{}, 1)
	if err != nil || len(oldest) == 0 || oldest[0].ExpiresAt().Sub(now) >= warning {
		return err
	}
	n := directory.Notice{Kind: directory.ExpiryWarning, DestinationID: d.ID, Incarnation: d.Incarnation, Since: d.StateSince, At: now}
	if err := w.Notices.Notify(ctx, n); err != nil {
		return err
	}
	current, err := w.Destinations.CurrentDestination(ctx, d.ID)
	if err == nil && current.SameRecord(d) && current.State == directory.Disabled && current.Generation == d.Generation {
		current.Warned = true
		_, err = w.Destinations.PutDestination(ctx, current)
	}
	if errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrChanged) {
		return nil // the next hour looks again
	}
	return err
}

// toMeasure says whether a destination's oldest log is to be written down: once in each quarter of an hour. What is disabled is left out: its age is
// nobody's fault.
func (w *Watch) toMeasure(d *directory.Destination, now time.Time) bool {
	if w.Journal == nil || d.State == directory.Disabled {
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

// tell sends the notices that are due, as long as logs wait: without any, nothing fails any more.
func (w *Watch) tell(ctx context.Context, d directory.Destination, now time.Time) error {
	n, ok := failureNotice(d, now)
	if !ok {
		return nil
	}
	oldest, err := w.Backlog.Waiting(ctx, d.ID, Key{}, 1)
	if err != nil || len(oldest) == 0 {
		return err
	}
	if err := w.Notices.Notify(ctx, n); err != nil || oldest[0].ExpiresAt().Sub(now) > warning {
		return err
	}
	n.Kind = directory.ExpiryWarning
	return w.Notices.Notify(ctx, n)
}
