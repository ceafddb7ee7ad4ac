// Package connection connects, disconnects, disables and reconnects destinations. What is allowed stands in directory.Transition; here are the
// writes around it, in an order in which a death after any of them loses nothing and repeats nothing.
package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Store is the directory as whoever changes connections needs it.
type Store interface {
	// CurrentDestination gives a destination as of now, never older, or directory.ErrNotFound.
	CurrentDestination(ctx context.Context, id string) (directory.Destination, error)
	// PutDestination stores a destination in place of the revision that it was read at, else directory.ErrChanged, and gives it as stored. What is to
	// be told of it is stored with it, both or neither. After any other error the write may or may not have happened.
	PutDestination(ctx context.Context, d directory.Destination, tell ...directory.Outgoing) (directory.Destination, error)
	// Workspace gives a workspace with its destinations, or directory.ErrNotFound.
	Workspace(ctx context.Context, id string) (directory.Workspace, []directory.Destination, error)
}

// Timers call Fire later.
type Timers interface {
	// Set has Fire called for the timer at its time or shortly after, never before, at least once. Setting the same timer again changes nothing.
	// The error is ErrTimersUnsettled if the same call may succeed in some seconds.
	Set(ctx context.Context, t Timer) error
	// Cancel removes a timer. One that is not there is no error. A timer that goes off all the same does no harm.
	Cancel(ctx context.Context, t Timer) error
}

// ErrTimersUnsettled says that no timer can be set while something that timers stand in is being made or deleted.
var ErrTimersUnsettled = errors.New("timers cannot be set at the moment")

// Timer is the end of the eight hours of one disconnect.
type Timer struct {
	DestinationID string
	// Incarnation is the record's that was disconnected. The timer does nothing to another one.
	Incarnation string
	// Generation is the destination's after the disconnect.
	Generation int
	At         time.Time
}

// Notices is the notices queue.
type Notices interface {
	// Notify puts a notice on the queue. When it returns nil the notice is safe there.
	Notify(ctx context.Context, n directory.Notice) error
}

// Teller tells of changes; Outbox does it.
type Teller interface {
	// Tell tells of a change that was stored just now. What it cannot tell is told later by others.
	Tell(ctx context.Context, o directory.Outgoing)
}

// Service changes connections. It is safe for concurrent use.
type Service struct {
	Store   Store
	Timers  Timers
	Notices Notices
	Outbox  Teller
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
	_, d, err := s.change(ctx, id, directory.Disconnect, by, func(_, next directory.Destination) error {
		return s.Timers.Set(ctx, TimerOf(next))
	})
	return d, err
}

// Reconnect starts delivery again, with what waits first. A *directory.Conflict says that the destination is not disconnected.
//
// The timer is removed after the state is written: a death in between leaves a timer behind that finds another generation.
func (s *Service) Reconnect(ctx context.Context, id string, by Caller) (directory.Destination, error) {
	before, d, err := s.change(ctx, id, directory.Reconnect, by, nil)
	if err == nil && before.State == directory.Disconnected {
		_ = s.Timers.Cancel(ctx, TimerOf(before)) // it would do nothing
	}
	return d, err
}

// Fire disables a destination at the end of the eight hours of the disconnect that set the timer. A timer of another
// record or generation, and one that is early, late or repeated, does nothing more. It may be called again after any
// error.
//
// The notice is sent before the state is written, so that a death in between loses no mail: whoever takes it waits for the state, see package
// notice.
func (s *Service) Fire(ctx context.Context, t Timer) error {
	before, _, err := s.change(ctx, t.DestinationID, directory.Disable, System(), func(before, next directory.Destination) error {
		if !t.of(before) {
			return errStale
		}
		return s.Notices.Notify(ctx, directory.Notice{
			Kind: directory.Voluntary, DestinationID: t.DestinationID, Incarnation: t.Incarnation, Generation: t.Generation,
			Since: before.StateSince, At: next.StateSince,
		})
	})
	if err != nil {
		return failure.About(failure.Concern{DestinationID: t.DestinationID, WorkspaceID: before.WorkspaceID}, s.unfired(before, t, err))
	}
	return nil
}

// Disable does what the timer of a destination's disconnect should have done.
func (s *Service) Disable(ctx context.Context, d directory.Destination) error {
	return s.Fire(ctx, TimerOf(d))
}

// errStale ends a timer of an earlier disconnect, or of a record that was deleted.
var errStale = errors.New("the timer is of another record or generation")

// of says whether the timer is that of the disconnect that the destination is in.
func (t Timer) of(d directory.Destination) bool {
	return d.ID == t.DestinationID && d.Incarnation == t.Incarnation && d.Generation == t.Generation
}

// skew is how far the clocks of the timers and of this function may be apart.
const skew = time.Minute

// unfired says whether a timer that disabled nothing must come again: only if it went off a moment too early.
func (s *Service) unfired(d directory.Destination, t Timer, err error) error {
	if errors.Is(err, errStale) || errors.Is(err, directory.ErrNotFound) {
		return nil
	}
	refused, ok := errors.AsType[*directory.Conflict](err)
	if !ok || d.State == directory.Disconnected && t.of(d) && refused.Until.Sub(s.Now()) <= skew {
		return err
	}
	return nil
}

// change takes a destination through a transition, over whatever others write into its record meanwhile, and tells of it. Prepare, if set, runs
// before each write. Before is the destination as it was read last, whether or not there is an error.
func (s *Service) change(ctx context.Context, id string, action directory.Action, by Caller, prepare func(before, next directory.Destination) error) (before, after directory.Destination, err error) {
	now := s.Now()
	meant := "" // the incarnation
	for try := range writesAtMost {
		if before, err = s.Store.CurrentDestination(ctx, id); err != nil {
			return before, after, fmt.Errorf("look up destination %s: %w", id, err)
		}
		if try == 0 {
			meant = before.Incarnation
		}
		if before.Incarnation != meant {
			return before, after, fmt.Errorf("%s destination %s: it was deleted, and another one has its id: %w", action, id, directory.ErrNotFound)
		}
		next, err := directory.Transition(before, action, now)
		if err != nil {
			return before, after, err
		}
		tell, err := s.activity(ctx, action, by, before, next)
		if err != nil {
			return before, after, err
		}
		if prepare != nil {
			if err := prepare(before, next); err != nil {
				return before, after, fmt.Errorf("%s destination %s: %w", action, id, err)
			}
		}
		after, err = s.Store.PutDestination(ctx, next, tell)
		if errors.Is(err, directory.ErrChanged) {
			continue
		}
		if err != nil {
			found, ok := s.landed(ctx, next)
			if !ok {
				return before, after, fmt.Errorf("%s destination %s: %w", action, id, err)
			}
			after = found
		}
		s.Outbox.Tell(ctx, tell)
		return before, after, nil
	}
	return before, after, fmt.Errorf("%s destination %s: %w", action, id, directory.ErrChanged)
}

// landed says whether a write whose answer was lost has happened.
func (s *Service) landed(ctx context.Context, written directory.Destination) (directory.Destination, bool) {
	d, err := s.Store.CurrentDestination(ctx, written.ID)
	return d, err == nil && d.SameRecord(written) && d.State == written.State && d.Generation == written.Generation && d.StateSince.Equal(written.StateSince)
}

// TimerOf is the timer of the disconnect that a destination is in.
func TimerOf(d directory.Destination) Timer {
	return Timer{DestinationID: d.ID, Incarnation: d.Incarnation, Generation: d.Generation, At: d.DisablesAt()}
}

// activity is what is told of a transition.
func (s *Service) activity(ctx context.Context, action directory.Action, by Caller, before, next directory.Destination) (directory.Outgoing, error) {
	w, _, err := s.Store.Workspace(ctx, next.WorkspaceID)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return directory.Outgoing{}, fmt.Errorf("look up workspace %s for the activity audit: %w", next.WorkspaceID, err)
	}
	w.ID = next.WorkspaceID
	event := map[directory.Action]Event{
		directory.Disconnect: DestinationDisconnected, directory.Disable: DestinationDisabled, directory.Reconnect: DestinationReconnected,
	}[action]
	return Activity{Event: event, At: next.StateSince, By: by, Workspace: w, Destination: next, Since: before.StateSince}.Outgoing()
}
