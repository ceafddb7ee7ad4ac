package delivery

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Attention lists the destinations that need it.
type Attention interface {
	// Attention gives every destination that fails, is disconnected and not yet disabled, or drains. It may miss the last seconds' changes.
	Attention(ctx context.Context) iter.Seq2[directory.Destination, error]
}

const (
	// backstop is how long after the end of a disconnect's grace the watch does what the timer should have done.
	backstop = 2 * time.Minute
	// parkedRead is how much of a failing destination's backlog is looked through in a minute for logs to try.
	parkedRead = 500
	// warning is how long before the oldest log's end admins are warned.
	warning = 24 * time.Hour
	// measuring is how often the age of the oldest waiting log is written down.
	measuring = 15 * time.Minute
)

// Watch looks every minute at the destinations that need attention. It works from their records alone, so whatever was lost, a timer, a notice
// or a page of a drain, is made up for in the next minute.
type Watch struct {
	Attention Attention
	Backlog   Backlog
	Retries   RetryQueue
	Notices   Notices
	Drains    DrainQueue
	// Disable disables a destination whose eight hours are over, if it is still disconnected in that generation.
	Disable func(ctx context.Context, destinationID string, generation int) error
	Now     func() time.Time
	// Journal, if set, is told the oldest log that waits for each destination, every quarter of an hour.
	Journal Journal

	// cursors are where the search for parked logs goes on, for each failing destination. They are lost with the process, which does no harm.
	cursors map[string]Key
}

// Run does one round. One destination's trouble does not keep the others from being looked at.
func (w *Watch) Run(ctx context.Context) error {
	var errs []error
	for d, err := range w.Attention.Attention(ctx) {
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		now := w.Now()
		if err := errors.Join(w.look(ctx, d, now), w.measure(ctx, d, now)); err != nil {
			errs = append(errs, fmt.Errorf("destination %s: %w", d.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (w *Watch) look(ctx context.Context, d directory.Destination, now time.Time) error {
	switch {
	case d.State == directory.Disconnected && !now.Before(d.StateSince.Add(directory.Grace+backstop)):
		return w.Disable(ctx, d.ID, d.Generation)
	case d.State != directory.Connected:
		return nil
	case d.Health.State == directory.Failing:
		return errors.Join(w.tell(ctx, d, now), w.probe(ctx, d, now))
	case d.Draining:
		return w.Drains.Start(ctx, d.ID)
	}
	return nil
}

// measure writes down the oldest log that waits for the destination, if there is one.
func (w *Watch) measure(ctx context.Context, d directory.Destination, now time.Time) error {
	if w.Journal == nil || now.Truncate(time.Minute) != now.Truncate(measuring) {
		return nil
	}
	oldest, err := w.Backlog.Waiting(ctx, d.ID, Key{}, 1)
	if err != nil || len(oldest) == 0 {
		return err
	}
	w.Journal.Record(Entry{Event: EventWaiting, At: now, Key: oldest[0].Key, Kind: d.Kind})
	return nil
}

// tell sends the notices that are due, as long as logs wait: without any, nothing fails any more. They are sent once an hour, not every minute;
// notify's own limit decides whether one is mailed.
func (w *Watch) tell(ctx context.Context, d directory.Destination, now time.Time) error {
	if now.Sub(d.Health.Since)%time.Hour >= time.Minute {
		return nil
	}
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

// probe has the oldest parked logs of a failing destination tried, as many as its budget allows in a minute. Logs that wait for their time in
// the table are left alone, so a destination with few logs sees exactly the table.
func (w *Watch) probe(ctx context.Context, d directory.Destination, now time.Time) error {
	if now.Before(d.Health.Until) {
		return nil
	}
	waiting, err := w.Backlog.Waiting(ctx, d.ID, w.cursors[d.ID], parkedRead)
	if err != nil {
		return err
	}
	if w.cursors == nil {
		w.cursors = make(map[string]Key)
	}
	delete(w.cursors, d.ID) // from the oldest again, unless the search is cut short
	var rides []Ride
	for _, l := range waiting {
		if !l.Parked {
			continue
		}
		rides = append(rides, Ride{Hint: Hint{Key: l.Key, At: l.At, Drain: true}})
		if len(rides) == attemptsAMinute {
			break
		}
	}
	if len(rides) == 0 && len(waiting) == parkedRead {
		w.cursors[d.ID] = waiting[parkedRead-1].Key
	}
	return errors.Join(w.Retries.Send(ctx, rides)...)
}
