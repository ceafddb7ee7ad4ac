package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Backlog lists what waits for a destination.
type Backlog interface {
	// Waiting gives up to limit deliveries of a destination, the oldest first, that come after the key, which is zero for the first page.
	Waiting(ctx context.Context, destinationID string, after Key, limit int) ([]Waiting, error)
}

// Waiting is a delivery in the cache, without its document. At is the time of its next attempt.
type Waiting struct {
	Hint
	Parked bool
}

// DrainQueue carries the call for a page of a destination's backlog.
type DrainQueue interface {
	// Start asks for one page. Asked twice, it is sent once.
	Start(ctx context.Context, destinationID string) error
}

// DrainProgress keeps how far the drain of each destination has come.
type DrainProgress interface {
	// Progress gives the state that was saved; the zero value if there is none.
	DrainState(ctx context.Context, destinationID string) (DrainState, error)
	// SaveDrainState replaces a state by the next one. Over another revision than the one before it answers ErrChanged.
	SaveDrainState(ctx context.Context, destinationID string, s DrainState) error
}

// DrainState is how far a drain has come. The first pass takes the whole backlog, but for what is about to be tried anyway; later
// ones only what is still parked: logs whose hint was lost.
type DrainState struct {
	After Key
	Page  int
	Pass  int
	At    time.Time
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
	// drainRead is how many deliveries are listed at once.
	drainRead = 1000
	// ownWay is how soon a delivery's own time must be for the drain to leave it alone: its hint is under way, and would reach deliver at the moment at
	// which the drain's does, so that the log is sent twice. If that hint is lost, requeue's sweep finds the delivery.
	ownWay = drainEvery + 30*time.Second
)

// Drain sends the backlog of a destination that takes logs again, page by page, without waiting for the deliveries' own times.
type Drain struct {
	Destinations DestinationStore
	Backlog      Backlog
	Progress     DrainProgress
	Retries      RetryQueue
	Journal      Journal
	Now          func() time.Time
}

// Page sends the next page of a destination's backlog, unless another run has sent it within the minute or the destination fails again. The
// progress is saved before the hints go: if we die between, the logs of that page stay parked, and a later pass finds them.
func (d *Drain) Page(ctx context.Context, destinationID string) error {
	dest, err := d.Destinations.CurrentDestination(ctx, destinationID)
	if errors.Is(err, directory.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up destination %s: %w", destinationID, err)
	}
	if !dest.Draining || dest.State != directory.Connected || dest.Health.State == directory.Failing {
		return nil
	}
	state, err := d.Progress.DrainState(ctx, destinationID)
	if err != nil {
		return fmt.Errorf("read the drain of %s: %w", destinationID, err)
	}
	now := d.Now()
	if now.Sub(state.At) < drainEvery-time.Second && state.Revision > 0 {
		return nil
	}
	hints, next, err := d.collect(ctx, dest, resume(state, now), now)
	if err != nil {
		return err
	}
	if len(hints) == 0 && next.Pass > 1 {
		return d.finish(ctx, dest, now)
	}
	next.At = now
	if err := d.Progress.SaveDrainState(ctx, destinationID, next); errors.Is(err, ErrChanged) {
		return nil
	} else if err != nil {
		return fmt.Errorf("save the drain of %s: %w", destinationID, err)
	}
	return errors.Join(d.Retries.Send(ctx, spread(hints, dest.Rate() > 0))...)
}

// callDrain has a destination that takes logs drained, if it is not being drained already.
func (d *Deliver) callDrain(ctx context.Context, destinationID string) error {
	for range transitionTries {
		current, err := d.Destinations.CurrentDestination(ctx, destinationID)
		if err != nil {
			return fmt.Errorf("look whether %s is being drained: %w", destinationID, err)
		}
		if current.Draining || current.State != directory.Connected || current.Health.State == directory.Failing {
			return nil // a recovery or a reconnect begins one
		}
		current.Draining = true
		if _, err := d.Destinations.PutDestination(ctx, current); errors.Is(err, directory.ErrChanged) {
			continue
		} else if err != nil {
			return fmt.Errorf("have %s drained: %w", destinationID, err)
		}
		return d.Drains.Start(ctx, destinationID)
	}
	return fmt.Errorf("have %s drained: %w", destinationID, directory.ErrChanged)
}

// resume starts anew after a break: the destination may have failed in the meantime, and what it then refused must come again.
func resume(s DrainState, now time.Time) DrainState {
	if now.Sub(s.At) > 3*drainEvery {
		return DrainState{Revision: s.Revision}
	}
	return s
}

// pageSize is how many logs a page of a destination has: as the ramp says, and no more than its rate allows in the time over which they are spread.
func pageSize(page, rate int) int {
	size := drainPages[min(page, len(drainPages)-1)]
	if rate > 0 {
		size = min(size, rate*int(drainSpread/time.Second))
	}
	return size
}

// collect reads one page of the backlog. At the end of the backlog the next pass begins.
func (d *Drain) collect(ctx context.Context, dest directory.Destination, s DrainState, now time.Time) ([]Hint, DrainState, error) {
	size := pageSize(s.Page, dest.Rate())
	var hints []Hint
	for len(hints) < size {
		read, err := d.Backlog.Waiting(ctx, dest.ID, s.After, min(drainRead, size-len(hints)))
		if err != nil {
			return nil, s, fmt.Errorf("list the backlog of %s: %w", dest.ID, err)
		}
		if len(read) == 0 {
			s.After = Key{}
			s.Pass++
			break
		}
		for _, w := range read {
			if w.Parked || s.Pass == 0 && w.At.After(now.Add(ownWay)) {
				hints = append(hints, Hint{Key: w.Key, At: w.At, Drain: true})
			}
		}
		s.After = read[len(read)-1].Key
	}
	s.Page++
	return hints, s, nil
}

// finish ends a drain whose last pass found nothing.
func (d *Drain) finish(ctx context.Context, dest directory.Destination, now time.Time) error {
	dest.Draining = false
	if _, err := d.Destinations.PutDestination(ctx, dest); errors.Is(err, directory.ErrChanged) {
		return nil // the next run looks again
	} else if err != nil {
		return fmt.Errorf("end the drain of %s: %w", dest.ID, err)
	}
	state, err := d.Progress.DrainState(ctx, dest.ID)
	if err == nil {
		err = d.Progress.SaveDrainState(ctx, dest.ID, DrainState{Revision: state.Revision})
	}
	if err != nil && !errors.Is(err, ErrChanged) {
		return fmt.Errorf("clear the drain of %s: %w", dest.ID, err)
	}
	d.Journal.Record(Entry{Event: EventDrained, At: now, Key: Key{DestinationID: dest.ID, WorkspaceID: dest.WorkspaceID}, Kind: dest.Kind})
	return nil
}

// spread gives the hints of a page delays that fill most of the time until the next one. A small page goes together, unless the destination has a rate.
func spread(hints []Hint, always bool) []Ride {
	rides := make([]Ride, len(hints))
	for i, h := range hints {
		rides[i] = Ride{Hint: h, Delay: drainLead}
		if always || len(hints) > drainPages[0] {
			rides[i].Delay += (drainSpread * time.Duration(i) / time.Duration(len(hints))).Truncate(time.Second)
		}
	}
	return rides
}
