package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

const (
	// warning is how long before the first end admins are warned, and the time until the next mail, of whose logs it says
	// how many and why.
	warning = 24 * time.Hour
	// refusedLook is how often a destination that refuses logs is looked at in the first hour, so that it needs no more
	// attention once its logs were taken by their retries.
	refusedLook = 5 * time.Minute
	// drainPatience is how long a drain may last before it counts as too slow for what waits.
	drainPatience = 2 * time.Hour
	// countedAtOnce is how many logs one read counts, and countedAtMost how many are counted, in countTime at most.
	countedAtOnce = 1000
	countedAtMost = 10_000
	countTime     = 5 * time.Second
)

// toWarn says whether a destination is to be looked at for logs that are lost soon. Whatever may have logs wait is:
// a destination that is disconnected, disabled, failing, drained for long, or that has refused logs one by one.
func (w *Watch) toWarn(d *directory.Destination, now time.Time) bool {
	since, ok := mayLose(*d, now)
	if !ok {
		return false
	}
	if age := now.Sub(since); d.Takes() && !d.Draining && age < telling {
		return w.since("warn", d.Identity(), now) >= refusedLook-clockSkew
	}
	return w.another("warn", d.Identity(), since, telling, now)
}

// mayLose says whether logs may wait for a destination for long, and since when that may be. One that began to fail
// within the hour is left to the next look, unless logs waited before. What waits for a deleted one was told with the deletion.
func mayLose(d directory.Destination, now time.Time) (since time.Time, ok bool) {
	switch {
	case d.State == directory.Deleted:
		return time.Time{}, false
	case d.State != directory.Connected:
		return d.StateSince, true
	case d.Health.State == directory.Failing && now.Sub(d.Health.Since) < telling:
		return d.Health.Refused.Since, d.Health.Refuses()
	case d.Health.State == directory.Failing:
		return d.Health.Since, true
	case d.Draining || d.LastLook:
		return d.OpenedAt, !d.OpenedAt.IsZero() && now.Sub(d.OpenedAt) >= drainPatience
	}
	return d.Health.Refused.Since, d.Health.Refuses()
}

// NextWarningLook is when the watch next looks at a destination that takes logs and has refused some, at the latest.
func NextWarningLook(d directory.Destination, now time.Time) time.Time {
	since, every := d.Health.Refused.Since, telling
	if now.Sub(since) < telling {
		every = refusedLook
	}
	return since.Add(now.Sub(since).Truncate(every) + every)
}

// warn has admins told of the logs that are lost within the day, with how many and why. Notify decides whether they
// are mailed. What has refused logs and has none wait any more needs no further attention.
func (w *Watch) warn(ctx context.Context, d directory.Destination, now time.Time) error {
	oldest, err := w.Backlog.Waiting(ctx, d.ID, Key{}, 1)
	if err != nil {
		return err
	}
	if len(oldest) == 0 {
		return w.forgetRefusals(ctx, d)
	}
	if oldest[0].ExpiresAt().Sub(now) >= warning {
		return nil
	}
	l, err := w.losses(ctx, d, now)
	if err != nil || l.Logs == 0 {
		return err
	}
	since, _ := mayLose(d, now)
	n := directory.Notice{Kind: directory.ExpiryWarning, DestinationID: d.ID, Incarnation: d.Incarnation, Since: since, At: now, Losses: &l}
	n.Code, n.Answer = blamed(d, l)
	return w.Notices.Notify(ctx, n)
}

// blamed is the code that a warning explains: why the destination fails, or why most of the logs were refused; none if
// they wait for an admin to reconnect it.
func blamed(d directory.Destination, l directory.Losses) (failure.Code, string) {
	switch {
	case d.State != directory.Connected:
		return "", ""
	case d.Health.State == directory.Failing:
		return d.Health.Code, d.Health.Answer
	}
	for _, c := range l.Codes {
		if c.Code == d.Health.Refused.Code {
			return c.Code, d.Health.Refused.Answer
		}
		if c.Code != "" {
			return c.Code, ""
		}
	}
	return "", ""
}

// losses counts the logs that are lost within a day, and all that wait. For those whose end has come it is too late.
func (w *Watch) losses(ctx context.Context, d directory.Destination, now time.Time) (directory.Losses, error) {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	l := directory.Losses{Until: now.Add(warning)}
	codes := make(map[failure.Code]int)
	for after := (Key{}); l.Waiting < countedAtMost; {
		page, err := w.Backlog.Waiting(ctx, d.ID, after, countedAtOnce)
		if errors.Is(err, context.DeadlineExceeded) && l.Logs > 0 {
			break
		}
		if err != nil {
			return l, err
		}
		for _, log := range page {
			after = log.Key
			// Others' logs wait for a destination of theirs, which had the id before.
			if !log.ExpiresAt().After(now) || !(Delivery{Key: log.Key, Owner: log.Owner}).For(d) {
				continue
			}
			if l.Waiting++; log.ExpiresAt().After(l.Until) {
				continue
			}
			if l.Logs++; l.First.IsZero() {
				l.First = log.ExpiresAt()
			}
			codes[log.Code]++
		}
		if len(page) < countedAtOnce {
			l.Codes = directory.ByCode(codes)
			return l, nil
		}
	}
	l.More, l.Codes = true, directory.ByCode(codes)
	return l, nil
}

// forgetRefusals notes that nothing waits any more of what a destination has refused. A log that is refused in the
// same moment is noted at its next attempt.
func (w *Watch) forgetRefusals(ctx context.Context, d directory.Destination) error {
	if !d.Takes() || d.Draining || d.LastLook || !d.Health.Refuses() {
		return nil
	}
	current, err := w.Destinations.CurrentDestination(ctx, d.ID)
	if err == nil && sameConnection(d, current) && current.Takes() && current.Health.Refused == d.Health.Refused {
		current.Health.Refused = directory.Refusals{}
		_, err = w.Destinations.PutDestination(ctx, current)
	}
	if errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrChanged) {
		return nil // the next look sees to it
	}
	return err
}
