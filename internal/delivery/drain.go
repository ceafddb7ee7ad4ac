package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Backlog lists what waits for a destination.
type Backlog interface {
	// Waiting gives up to limit deliveries of a destination, the oldest first, that come after the key, which is zero for the first page.
	Waiting(ctx context.Context, destinationID string, after Key, limit int) ([]Waiting, error)
}

// Waiting is a delivery in the cache, without its document. At is the time of its next attempt.
type Waiting struct {
	Hint
	// Owner is the delivery's.
	Owner  string
	Parked bool
	// Attempts and Tried are the delivery's.
	Attempts int
	Tried    time.Time
	// Code is the delivery's.
	Code failure.Code
}

// DrainQueue carries the call for a page of a destination's backlog.
type DrainQueue interface {
	// Start asks for one page. Asked twice, it is sent once.
	Start(ctx context.Context, destinationID string) error
}

// DrainProgress keeps how far the drain of each destination has come.
type DrainProgress interface {
	// DrainState gives the state that was saved; the zero value if there is none. Identity is
	// directory.Destination.Identity.
	DrainState(ctx context.Context, identity string) (DrainState, error)
	// SaveDrainState replaces a state by the next one. Over another revision than the one before it answers ErrChanged.
	SaveDrainState(ctx context.Context, identity string, s DrainState) error
}

// DrainState is how far a drain has come. Each pass goes through the backlog from its oldest log to its youngest.
type DrainState struct {
	// OpenedAt is the destination's: with another one, this is the state of an earlier drain.
	OpenedAt time.Time
	// Last says that this is the last look.
	Last bool
	Pass int
	// After is where the pass goes on, and Open whether it has found a log that the drain has to see to.
	After Key
	Open  bool
	// Page counts the pages, and At is when the last one began.
	Page int
	At   time.Time
	// Revision counts the writes; 0 means that nothing is saved.
	Revision int
}

// drainPages is the ramp: how many logs are sent in each minute of a drain; the last holds for all that follow.
var drainPages = [...]int{100, 400, 1600, 6400, 25_600, 60_000}

const (
	// drainEvery is the pause from page to page, over which a page's logs are spread, but for its first and its last seconds. In drainLead every
	// instance of deliver learns that the destination takes logs again; one that still holds it for failing would hold the page back. And what was sent
	// before, a probe or in drainTail the page before, has arrived by then and left the cache, and is not sent twice.
	drainEvery = time.Minute
	drainLead  = 10 * time.Second
	drainTail  = 5 * time.Second
	// drainSpread is what remains.
	drainSpread = drainEvery - drainLead - drainTail
	// drainRead is how many deliveries are listed at once, and leastRead how many at least; pageReads is how many a page looks at, sent or not.
	drainRead = 1000
	pageReads = 60_000
	leastRead = 100
	// pageTime is how long a page may begin with further reads. Its function has a minute.
	pageTime = 40 * time.Second
	// ownWay is how soon a delivery's own time must be, or how long ago, for the drain to leave it alone: its hint is under way, and would reach deliver at
	// the moment at which the drain's does, so that the log is sent twice. The drain looks at it again.
	ownWay = drainEvery + 30*time.Second
	// clockSkew is by how much the clocks of two instances may differ.
	clockSkew = 5 * time.Second
)

// Drain sends the backlog of a destination that takes logs again, page by page, without waiting for the deliveries' own times. It ends when a whole pass
// has found nothing that waits for it, and a last look, as of now, has not either.
type Drain struct {
	Destinations DestinationStore
	Backlog      Backlog
	// Latest, if set, lists the backlog as of now, never older; Backlog may be a moment behind.
	Latest   Backlog
	Progress DrainProgress
	Retries  RetryQueue
	Journal  Journal
	Now      func() time.Time
}

// Page sends the next page of a destination's backlog, unless another run has sent it within the minute or the destination fails again. The
// progress is saved before the hints go, a part of the page after the other: if we die between, the logs of that part wait as they did, and the next
// pass finds them.
func (d *Drain) Page(ctx context.Context, destinationID string) error {
	return about(Key{DestinationID: destinationID}, d.next(ctx, destinationID))
}

func (d *Drain) next(ctx context.Context, destinationID string) error {
	dest, err := d.Destinations.CurrentDestination(ctx, destinationID)
	if errors.Is(err, directory.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up destination %s: %w", destinationID, err)
	}
	if !dest.Takes() || !dest.Draining && !dest.LastLook {
		return nil
	}
	now := d.Now()
	if dest.OpenedAt.IsZero() { // a record of an earlier version
		dest.OpenedAt = now.UTC().Truncate(time.Millisecond)
		if dest, err = d.Destinations.PutDestination(ctx, dest); err != nil {
			return overtaken(err, "note since when %s takes logs", destinationID)
		}
	}
	state, err := d.Progress.DrainState(ctx, dest.Identity())
	if err != nil {
		return fmt.Errorf("read the drain of %s: %w", destinationID, err)
	}
	if last := !dest.Draining; !state.OpenedAt.Equal(dest.OpenedAt) || state.Last != last {
		state = DrainState{OpenedAt: dest.OpenedAt, Last: last, At: state.At, Revision: state.Revision}
	}
	if now.Sub(state.At) < drainEvery-time.Second {
		return nil
	}
	state.At = now
	if state.Last {
		return d.look(ctx, dest, state)
	}
	return d.page(ctx, dest, state)
}

// overtaken makes ErrChanged nil: another run was first.
func overtaken(err error, format string, args ...any) error {
	if errors.Is(err, directory.ErrChanged) || errors.Is(err, ErrChanged) {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// callDrain has a destination that takes logs drained, if it is not being drained already.
func (d *Deliver) callDrain(ctx context.Context, destinationID string) (current directory.Destination, err error) {
	for range transitionTries {
		current, err = d.Destinations.CurrentDestination(ctx, destinationID)
		if errors.Is(err, directory.ErrNotFound) {
			return directory.Destination{}, nil // what waits for it has only its end
		}
		if err != nil {
			return current, fmt.Errorf("look whether %s is being drained: %w", destinationID, err)
		}
		if current.Draining || !current.Takes() {
			return current, nil // a recovery or a reconnect begins one
		}
		if _, err := d.Destinations.PutDestination(ctx, current.Drain(current.OpenedAt)); errors.Is(err, directory.ErrChanged) {
			continue
		} else if err != nil {
			return current, fmt.Errorf("have %s drained: %w", destinationID, err)
		}
		if err := d.Drains.Start(ctx, destinationID); err != nil {
			d.fault(nil, aboutDestination(current, fmt.Errorf("call for the first page of %s, which the watch must do now: %w", destinationID, err)))
		}
		return current, nil
	}
	return current, fmt.Errorf("have %s drained: %w", destinationID, directory.ErrChanged)
}

// pageSize is how many logs a page of a destination has: as the ramp says, and no more than its rate allows in the time over which they are spread.
func pageSize(page, rate int) int {
	size := drainPages[min(page, len(drainPages)-1)]
	if rate > 0 {
		size = min(size, rate*int(drainSpread/time.Second))
	}
	return size
}

// page sends one page, or what can be found of it in the reads and the time that a page has.
func (d *Drain) page(ctx context.Context, dest directory.Destination, s DrainState) error {
	size := pageSize(s.Page, dest.Rate())
	s.Page++
	sent, limit := 0, min(drainRead, max(leastRead, size))
	for read := 0; read < pageReads && d.Now().Sub(s.At) < pageTime; {
		waiting, err := d.Backlog.Waiting(ctx, dest.ID, s.After, limit)
		if err != nil {
			return fmt.Errorf("list the backlog of %s: %w", dest.ID, err)
		}
		part := choose(waiting, dest, size-sent, s.At)
		read += part.read
		s.Open = s.Open || part.open
		passed := part.read == len(waiting) && len(waiting) < limit
		if passed && !s.Open {
			return d.sent(ctx, dest)
		}
		if part.read > 0 {
			s.After = waiting[part.read-1].Key
		}
		if passed {
			s.After, s.Open, s.Pass = Key{}, false, s.Pass+1
		}
		if err := d.Progress.SaveDrainState(ctx, dest.Identity(), s); err != nil {
			return overtaken(err, "save the drain of %s", dest.ID)
		}
		s.Revision++
		rides := spread(part.hints, sent, size, dest.Rate() > 0, d.Now().Sub(s.At))
		if err := unsent(d.Retries.Send(ctx, rides)); err != nil {
			return fmt.Errorf("send a page of %s: %w", dest.ID, err)
		}
		if sent += len(rides); passed || sent == size {
			return nil
		}
		if limit = min(drainRead, max(leastRead, size-sent)); 2*len(rides) < part.read {
			limit = drainRead // little of what is read is to be sent
		}
	}
	return nil
}

// part is what a drain does about some of the deliveries that wait.
type part struct {
	hints []Hint
	read  int  // how many were looked at
	open  bool // whether it has to see to any of them, now or later
}

// choose goes through deliveries until it has found so many to send.
func choose(waiting []Waiting, dest directory.Destination, room int, now time.Time) part {
	var p part
	for _, w := range waiting {
		if len(p.hints) == room {
			break
		}
		p.read++
		if !w.awaitsDrain(dest) {
			continue
		}
		p.open = true
		if w.Parked || w.At.Sub(now).Abs() > ownWay {
			p.hints = append(p.hints, Hint{Key: w.Key, At: w.At, Drain: true, Why: WhyDrain})
		}
	}
	return p
}

// awaitsDrain says whether a drain has to see to a delivery: it waits for this destination, and not for one of another
// workspace that had its id before, and it is parked, or older than the destination's opening and not tried since.
func (w Waiting) awaitsDrain(dest directory.Destination) bool {
	opened := dest.OpenedAt
	if !(Delivery{Key: w.Key, Owner: w.Owner}).For(dest) {
		return false
	}
	return w.Parked || w.AcceptedAt.Before(opened) && w.Tried.Before(opened.Add(clockSkew))
}

// sent leaves a drain, whose last pass found nothing, to the last look. Before it the record no longer says that the destination is being drained, so
// that who parks a log from now on starts another one; the look sees what was parked before.
func (d *Drain) sent(ctx context.Context, dest directory.Destination) error {
	dest.Draining, dest.LastLook = false, true
	if _, err := d.Destinations.PutDestination(ctx, dest); err != nil {
		return overtaken(err, "end the drain of %s", dest.ID)
	}
	return nil
}

// look is the last look at a backlog, or a part of it.
func (d *Drain) look(ctx context.Context, dest directory.Destination, s DrainState) error {
	backlog := d.Latest
	if backlog == nil {
		backlog = d.Backlog
	}
	limit := leastRead
	for read := 0; read < pageReads && d.Now().Sub(s.At) < pageTime; read += limit {
		waiting, err := backlog.Waiting(ctx, dest.ID, s.After, limit)
		if err != nil {
			return fmt.Errorf("take a last look at the backlog of %s: %w", dest.ID, err)
		}
		if choose(waiting, dest, 1, s.At).open {
			return d.again(ctx, dest)
		}
		if len(waiting) < limit {
			if len(waiting) == 0 && s.After == (Key{}) {
				dest.Health.Refused = directory.Refusals{} // not a log waits
			}
			return d.finish(ctx, dest, s.At)
		}
		s.After = waiting[len(waiting)-1].Key
		limit = drainRead
	}
	if err := d.Progress.SaveDrainState(ctx, dest.Identity(), s); err != nil {
		return overtaken(err, "save the drain of %s", dest.ID)
	}
	return nil
}

// again goes on with a drain whose last look has found something.
func (d *Drain) again(ctx context.Context, dest directory.Destination) error {
	if _, err := d.Destinations.PutDestination(ctx, dest.Drain(dest.OpenedAt)); err != nil {
		return overtaken(err, "go on with the drain of %s", dest.ID)
	}
	return nil // the watch calls for the page
}

// finish ends a drain whose last look found nothing.
func (d *Drain) finish(ctx context.Context, dest directory.Destination, now time.Time) error {
	dest.LastLook = false
	if _, err := d.Destinations.PutDestination(ctx, dest); err != nil {
		return overtaken(err, "note that the drain of %s is over", dest.ID)
	}
	d.Journal.Record(Entry{Event: EventDrained, At: now, Key: Key{DestinationID: dest.ID, WorkspaceID: dest.WorkspaceID}, Kind: dest.Kind})
	return nil
}

// spread gives hints delays that fill most of the time until the next page. They come after others of the same page, which has room for size, and so long
// after it began. A small page goes together, unless the destination has a rate.
func spread(hints []Hint, others, size int, always bool, since time.Duration) []Ride {
	rides := make([]Ride, len(hints))
	for i, h := range hints {
		at := drainLead
		if always || size > drainPages[0] {
			at += (drainSpread * time.Duration(others+i) / time.Duration(size)).Truncate(time.Second)
		}
		rides[i] = Ride{Hint: h, Delay: wholeSeconds(at - since)}
	}
	return rides
}
