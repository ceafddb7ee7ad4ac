// Package connection connects, disconnects, disables and reconnects destinations. What is allowed stands in directory.Transition; here are the
// writes around it, in an order in which a death after any of them loses nothing and repeats nothing.
package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Store is the directory as whoever changes connections needs it.
type Store interface {
	// CurrentDestination gives a destination as of now, never older, or directory.ErrNotFound.
	CurrentDestination(ctx context.Context, id string) (directory.Destination, error)
	// PutDestination stores a destination in place of the revision that it was read at, else directory.ErrChanged, and gives it as stored. After
	// any other error the write may or may not have happened.
	PutDestination(ctx context.Context, d directory.Destination) (directory.Destination, error)
	// Workspace gives a workspace with its destinations, or directory.ErrNotFound.
	Workspace(ctx context.Context, id string) (directory.Workspace, []directory.Destination, error)
}

// Timers call Fire later.
type Timers interface {
	// Set has Fire called for the timer at its time or shortly after, never before, at least once. Setting the same timer again changes nothing.
	Set(ctx context.Context, t Timer) error
	// Cancel removes a timer. One that is not there is no error. A timer that goes off all the same does no harm.
	Cancel(ctx context.Context, t Timer) error
}

// Timer is the end of the eight hours of one disconnect.
type Timer struct {
	DestinationID string
	// Generation is the destination's after the disconnect.
	Generation int
	At         time.Time
}

// Notices is the notices queue.
type Notices interface {
	// Notify puts a notice on the queue. When it returns nil the notice is safe there.
	Notify(ctx context.Context, n directory.Notice) error
}

// Service changes connections. It is safe for concurrent use.
type Service struct {
	Store   Store
	Timers  Timers
	Notices Notices
	Audit   Audit
	Now     func() time.Time
}

// writesAtMost bounds how often a change is tried anew because the record was written meanwhile, with its health for example.
const writesAtMost = 10

// Disconnect stops attempts at a destination's logs, which wait from now on, and has it disabled eight hours later. A *directory.Conflict says
// that the destination is in no state to be disconnected, because another admin was first for example.
//
// The timer is set before the state is written: a death in between leaves a timer behind that finds another generation, or comes before the eight
// hours of a later disconnect, and does nothing. The other order would leave a destination that no timer disables.
func (s *Service) Disconnect(ctx context.Context, id string, by Caller) (directory.Destination, error) {
	_, d, err := s.change(ctx, id, directory.Disconnect, func(next directory.Destination) error {
		return s.Timers.Set(ctx, timerOf(next))
	})
	if err != nil {
		return directory.Destination{}, err
	}
	return d, s.record(ctx, Activity{Event: DestinationDisconnected, By: by, Destination: d})
}

// Reconnect starts delivery again, with what waits first. A *directory.Conflict says that the destination is not disconnected.
//
// The timer is removed after the state is written: a death in between leaves a timer behind that finds another generation.
func (s *Service) Reconnect(ctx context.Context, id string, by Caller) (directory.Destination, error) {
	before, d, err := s.change(ctx, id, directory.Reconnect, nil)
	if err != nil {
		return directory.Destination{}, err
	}
	if before.State == directory.Disconnected {
		_ = s.Timers.Cancel(ctx, timerOf(before)) // it would do nothing
	}
	return d, s.record(ctx, Activity{Event: DestinationReconnected, By: by, Destination: d, Since: before.StateSince})
}

// Fire disables a destination at the end of the eight hours of the disconnect that made this generation. A timer that is stale, early, late or
// repeated does nothing more. It may be called again after any error.
//
// The notice is sent before the state is written, so that a death in between loses no mail: whoever takes it waits for the state, see package
// notice. The audit entry follows the state; a repeated Fire records it again, which is the same entry.
func (s *Service) Fire(ctx context.Context, id string, generation int) error {
	before, d, err := s.change(ctx, id, directory.Disable, func(next directory.Destination) error {
		if next.Generation != generation+1 {
			return errStale
		}
		return s.Notices.Notify(ctx, directory.Notice{Kind: directory.Voluntary, DestinationID: id, Generation: generation, At: next.StateSince})
	})
	if err != nil {
		return s.unfired(ctx, before, generation, err)
	}
	return s.record(ctx, Activity{Event: DestinationDisabled, By: System(), Destination: d, Since: before.StateSince})
}

// errStale ends a timer of an earlier disconnect.
var errStale = errors.New("the timer is of another generation")

// skew is how far the clocks of the timers and of this function may be apart.
const skew = time.Minute

// unfired says what remains to do for a timer that disabled nothing.
func (s *Service) unfired(ctx context.Context, d directory.Destination, generation int, err error) error {
	if errors.Is(err, errStale) || errors.Is(err, directory.ErrNotFound) {
		return nil
	}
	refused, ok := errors.AsType[*directory.Conflict](err)
	if !ok {
		return err
	}
	switch {
	case d.State == directory.Disabled && d.Generation == generation+1:
		// It was disabled before, by a Fire that may have died then. That one knew when the disconnect was; the latest that it can have been is known.
		return s.record(ctx, Activity{Event: DestinationDisabled, By: System(), Destination: d, Since: d.StateSince.Add(-directory.Grace)})
	case d.State == directory.Disconnected && d.Generation == generation && refused.Until.Sub(s.Now()) <= skew:
		return err // try again in a moment
	}
	return nil
}

// change takes a destination through a transition, over whatever others write into its record meanwhile. Prepare, if set, runs before each write
// with what is about to be written. Before is the destination as it was read last, whether or not there is an error.
func (s *Service) change(ctx context.Context, id string, action directory.Action, prepare func(next directory.Destination) error) (before, after directory.Destination, err error) {
	now := s.Now()
	for range writesAtMost {
		if before, err = s.Store.CurrentDestination(ctx, id); err != nil {
			return before, after, fmt.Errorf("look up destination %s: %w", id, err)
		}
		next, err := directory.Transition(before, action, now)
		if err != nil {
			return before, after, err
		}
		if prepare != nil {
			if err := prepare(next); err != nil {
				return before, after, fmt.Errorf("%s destination %s: %w", action, id, err)
			}
		}
		if after, err = s.Store.PutDestination(ctx, next); err == nil {
			return before, after, nil
		}
		if errors.Is(err, directory.ErrChanged) {
			continue
		}
		if after, ok := s.landed(ctx, next); ok {
			return before, after, nil
		}
		return before, after, fmt.Errorf("%s destination %s: %w", action, id, err)
	}
	return before, after, fmt.Errorf("%s destination %s: %w", action, id, directory.ErrChanged)
}

// landed says whether a write whose answer was lost has happened.
func (s *Service) landed(ctx context.Context, written directory.Destination) (directory.Destination, bool) {
	d, err := s.Store.CurrentDestination(ctx, written.ID)
	return d, err == nil && d.State == written.State && d.Generation == written.Generation && d.StateSince.Equal(written.StateSince)
}

func timerOf(d directory.Destination) Timer {
	return Timer{DestinationID: d.ID, Generation: d.Generation, At: d.DisablesAt()}
}

// record completes an activity by the owner's name and the time of the change.
func (s *Service) record(ctx context.Context, a Activity) error {
	w, _, err := s.Store.Workspace(ctx, a.Destination.WorkspaceID)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return fmt.Errorf("look up workspace %s for the activity audit: %w", a.Destination.WorkspaceID, err)
	}
	w.ID = a.Destination.WorkspaceID
	a.Workspace, a.At = w, a.Destination.StateSince
	if err := s.Audit.Record(ctx, a); err != nil {
		return fmt.Errorf("record %s of destination %s in the activity audit: %w", a.Event, a.Destination.ID, err)
	}
	return nil
}
