package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

const (
	// parkedRead is how much of a failing destination's backlog is looked through in a minute for logs to try, and firstRead how much of it at first:
	// as a rule the oldest are parked, and each of the backlog's partitions is asked for that many.
	parkedRead = 500
	firstRead  = 2 * attemptsAMinute
	// calm is for how long a failing destination is not searched again when nothing of it was parked: logs are parked only beside ten that are tried,
	// so it still has an attempt in five minutes. It is less than four minutes because the watch does not come to the second.
	calm = 4*time.Minute - 30*time.Second
)

// search is how far the search for parked logs of a failing destination has come.
type search struct {
	// since tells one failure from the next.
	since time.Time
	// after is where the search goes on, not before rest is over.
	after Key
	rest  time.Time
}

// probe has the oldest parked logs of a failing destination tried, as many as its budget allows in a minute. Logs that wait for their time in
// the table are left alone, so a destination with few logs sees exactly the table, and so are those that had their last attempt.
func (w *Watch) probe(ctx context.Context, d directory.Destination, now time.Time) error {
	w.mu.Lock()
	s := w.searches[d.Identity()]
	w.mu.Unlock()
	if !s.since.Equal(d.Health.Since) {
		s = search{since: d.Health.Since}
	}
	if now.Before(s.rest) {
		return nil
	}
	rides, next, err := w.parked(ctx, d.ID, s, now)
	if err != nil {
		return err
	}
	w.mu.Lock()
	if w.searches == nil {
		w.searches = make(map[string]search)
	}
	w.searches[d.Identity()] = next
	w.mu.Unlock()
	if len(rides) == 0 {
		return nil
	}
	return unsent(w.Retries.Send(ctx, rides))
}

// probePause has one log tried at a destination that has asked for a pause of more than an hour, in each hour of it: of the oldest logs the one whose last
// attempt is the longest ago, for it may have asked because of another.
func (w *Watch) probePause(ctx context.Context, d directory.Destination, _ time.Time) error {
	waiting, err := w.Backlog.Waiting(ctx, d.ID, Key{}, firstRead)
	if err != nil || len(waiting) == 0 {
		return err
	}
	l := slices.MinFunc(waiting, func(a, b Waiting) int { return a.Tried.Compare(b.Tried) })
	return unsent(w.Retries.Send(ctx, []Ride{{Hint: Hint{Key: l.Key, At: l.At, Drain: true, Why: WhyProbe}}}))
}

// parked looks through a part of the backlog. The next search begins with the oldest log again, unless this one was cut short before it found any, and
// rests if nothing was parked in all of the backlog.
func (w *Watch) parked(ctx context.Context, destinationID string, s search, now time.Time) (rides []Ride, next search, err error) {
	after, begun := s.after, s.after == (Key{})
	for seen, size := 0, firstRead; seen < parkedRead; size *= 5 {
		size = min(size, parkedRead-seen)
		waiting, err := w.Backlog.Waiting(ctx, destinationID, after, size)
		if err != nil {
			return nil, s, err
		}
		for _, l := range waiting {
			if l.Parked && !l.hadLast() && len(rides) < attemptsAMinute {
				rides = append(rides, Ride{Hint: Hint{Key: l.Key, At: l.At, Drain: true, Why: WhyProbe}})
			}
		}
		switch {
		case len(rides) == attemptsAMinute || len(waiting) < size && len(rides) > 0:
			return rides, search{since: s.since}, nil
		case len(waiting) < size && begun:
			return nil, search{since: s.since, rest: now.Add(calm)}, nil
		case len(waiting) < size:
			return nil, search{since: s.since}, nil
		}
		after = waiting[len(waiting)-1].Key
		seen += len(waiting)
	}
	if len(rides) > 0 {
		after = Key{}
	}
	return rides, search{since: s.since, after: after}, nil
}
