package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Attention lists the destinations that need it.
type Attention interface {
	// Attention gives every destination that needs it, see directory.Destination.NeedsAttention. It may miss the last seconds' changes.
	Attention(ctx context.Context) iter.Seq2[directory.Destination, error]
}

const (
	// backstop is how long after the end of a disconnect's grace the watch does what the timer should have done.
	backstop = 2 * time.Minute
	// parkedRead is how much of a failing destination's backlog is looked through in a minute for logs to try, and firstRead how much of it at first:
	// as a rule the oldest are parked, and each of the backlog's partitions is asked for that many.
	parkedRead = 500
	firstRead  = 2 * attemptsAMinute
	// calm is for how long a failing destination is not searched again when nothing of it was parked: logs are parked only beside ten that are tried,
	// so it still has an attempt in five minutes. It is less than four minutes because the watch does not come to the second.
	calm = 4*time.Minute - 30*time.Second
	// warning is how long before the oldest log's end admins are warned.
	warning = 24 * time.Hour
	// measuring is how often the age of the oldest waiting log is written down.
	measuring = 15 * time.Minute
)

// Watch looks every minute at the destinations that need attention. It works from their records alone, so whatever was lost, a timer, a notice
// or a page of a drain, is made up for in the next minute. It is safe for concurrent use.
type Watch struct {
	Attention Attention
	// Destinations stores that admins were warned.
	Destinations DestinationStore
	Backlog      Backlog
	Retries      RetryQueue
	Notices      Notices
	Drains       DrainQueue
	// Sweep tells of changes whose teller failed or died.
	Sweep func(ctx context.Context) error
	// Disable disables a destination whose eight hours are over, if it is still disconnected in that generation.
	Disable func(ctx context.Context, destinationID string, generation int) error
	Now     func() time.Time
	// Journal, if set, is told the oldest log that waits for each destination, every quarter of an hour.
	Journal Journal
	// AtOnce is how many destinations are looked at beside each other, at least one. Budget is how long a run may begin with further ones. Those that
	// it did not reach come first in the next run.
	AtOnce int
	Budget time.Duration

	// What follows is lost with the process, which does no harm.
	mu       sync.Mutex
	searches map[string]search // by failing destination
	behind   map[string]int    // the destinations that the last run did not reach, by their places in its list
}

// search is how far the search for parked logs of a failing destination has come.
type search struct {
	// since tells one failure from the next.
	since time.Time
	// after is where the search goes on, not before rest is over.
	after Key
	rest  time.Time
}

// Run does one round. One destination's trouble does not keep the others from being looked at.
func (w *Watch) Run(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, w.Budget)
	defer cancel()
	swept := w.Sweep(ctx)
	list, err := w.list(ctx)
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(1, w.AtOnce))
	reached := 0
	for ; reached < len(list) && take(bounded, slots); reached++ {
		i := reached
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = w.visit(ctx, list[i])
		})
	}
	wg.Wait()
	w.remember(list, reached, err == nil)
	if reached < len(list) {
		err = errors.Join(err, fmt.Errorf("%d of %d destinations that need attention were looked at in %v; the others come first in the next run",
			reached, len(list), w.Budget))
	}
	return errors.Join(append(errs, swept, err)...)
}

// take waits for a slot, and says whether it got one before ctx ended.
func take(ctx context.Context, slots chan<- struct{}) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// list gives the destinations that need attention, those first that the last run did not reach. Their settings are left out, which nobody needs here:
// there may be tens of thousands.
func (w *Watch) list(ctx context.Context) ([]directory.Destination, error) {
	w.mu.Lock()
	behind := w.behind
	w.mu.Unlock()
	var first, rest []directory.Destination
	var failed error
	for d, err := range w.Attention.Attention(ctx) {
		if err != nil {
			failed = err
			break
		}
		d.Settings = nil
		if _, ok := behind[d.ID]; ok {
			first = append(first, d)
		} else {
			rest = append(rest, d)
		}
	}
	slices.SortFunc(first, func(a, b directory.Destination) int { return cmp.Compare(behind[a.ID], behind[b.ID]) })
	return append(first, rest...), failed
}

// remember notes whom a run did not reach, and forgets what was known of destinations that are not on its list, if it is the whole.
func (w *Watch) remember(list []directory.Destination, reached int, whole bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.behind = make(map[string]int, len(list)-reached)
	for place, d := range list[reached:] {
		w.behind[d.ID] = place
	}
	if !whole {
		return
	}
	searches := make(map[string]search)
	for _, d := range list {
		if s, ok := w.searches[d.ID]; ok {
			searches[d.ID] = s
		}
	}
	w.searches = searches
}

// visit looks at one destination. A bug that panics here costs this destination its turn, not its neighbours.
func (w *Watch) visit(ctx context.Context, d directory.Destination) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("destination %s: panic: %v", d.ID, p)
		}
	}()
	now := w.Now()
	if err := errors.Join(w.look(ctx, d, now), w.measure(ctx, d, now)); err != nil {
		return fmt.Errorf("destination %s: %w", d.ID, err)
	}
	return nil
}

func (w *Watch) look(ctx context.Context, d directory.Destination, now time.Time) error {
	switch {
	case d.State == directory.Disconnected && !now.Before(d.StateSince.Add(directory.Grace+backstop)):
		return w.Disable(ctx, d.ID, d.Generation)
	case d.State == directory.Disabled:
		return w.warn(ctx, d, now)
	case d.State != directory.Connected:
		return nil
	case d.Health.State == directory.Failing:
		return errors.Join(w.tell(ctx, d, now), w.probe(ctx, d, now))
	case d.Draining:
		return w.Drains.Start(ctx, d.ID)
	}
	return nil
}

// warn tells admins, once, that logs begin to expire which wait for a destination that they have had disabled. It looks once an hour. The notice goes
// first: if we die before the record says so, it is sent again and mailed once.
func (w *Watch) warn(ctx context.Context, d directory.Destination, now time.Time) error {
	if now.Sub(d.StateSince)%time.Hour >= time.Minute {
		return nil
	}
	oldest, err := w.Backlog.Waiting(ctx, d.ID, Key{}, 1)
	if err != nil || len(oldest) == 0 || oldest[0].ExpiresAt().Sub(now) >= warning {
		return err
	}
	n := directory.Notice{Kind: directory.ExpiryWarning, DestinationID: d.ID, Since: d.StateSince, At: now}
	if err := w.Notices.Notify(ctx, n); err != nil {
		return err
	}
	current, err := w.Destinations.CurrentDestination(ctx, d.ID)
	if err == nil && current.State == directory.Disabled && current.Generation == d.Generation {
		current.Warned = true
		_, err = w.Destinations.PutDestination(ctx, current)
	}
	if errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrChanged) {
		return nil // the next hour looks again
	}
	return err
}

// measure writes down the oldest log that waits for the destination, if there is one. What is disabled is left out: its age is nobody's fault.
func (w *Watch) measure(ctx context.Context, d directory.Destination, now time.Time) error {
	if w.Journal == nil || d.State == directory.Disabled || now.Truncate(time.Minute) != now.Truncate(measuring) {
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
	w.mu.Lock()
	s := w.searches[d.ID]
	w.mu.Unlock()
	if !s.since.Equal(d.Health.Since) {
		s = search{since: d.Health.Since}
	}
	if now.Before(d.Health.Until) || now.Before(s.rest) {
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
	w.searches[d.ID] = next
	w.mu.Unlock()
	if len(rides) == 0 {
		return nil
	}
	return errors.Join(w.Retries.Send(ctx, rides)...)
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
			if l.Parked && len(rides) < attemptsAMinute {
				rides = append(rides, Ride{Hint: Hint{Key: l.Key, At: l.At, Drain: true}})
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
