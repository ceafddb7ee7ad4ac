// Package connection connects, disconnects, disables, reconnects, deletes and restores destinations. What is allowed stands in directory.Transition; here are the
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
	// DeleteDestination removes that revision of that record, else directory.ErrChanged, and stores what is to be told of it as PutDestination does.
	DeleteDestination(ctx context.Context, d directory.Destination, tell ...directory.Outgoing) error
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

// Timer is the end of the eight hours of one disconnect or deletion.
type Timer struct {
	DestinationID string
	// Incarnation is the record's. The timer does nothing to another one.
	Incarnation string
	// Generation is the destination's after the disconnect or the deletion.
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
	_, d, err := s.change(ctx, id, change{action: directory.Disconnect, by: by, prepare: s.setTimer(ctx)})
	return d, err
}

// Reconnect starts delivery again, with what waits first. A *directory.Conflict says that the destination is not disconnected.
//
// The timer is removed after the state is written: a death in between leaves a timer behind that finds another generation.
func (s *Service) Reconnect(ctx context.Context, id string, by Caller) (directory.Destination, error) {
	before, d, err := s.change(ctx, id, change{action: directory.Reconnect, by: by})
	s.cancelTimer(ctx, before, err)
	return d, err
}

// Delete ends a destination's stream: it is sent the entry about that and nothing else, its admins are mailed, and eight hours later it is removed.
// If may is set, it judges the record before each write, and its error ends the deletion. A *directory.Conflict says that it was deleted already.
func (s *Service) Delete(ctx context.Context, id string, by Caller, may func(directory.Destination) error) (directory.Destination, error) {
	before, d, err := s.change(ctx, id, change{action: directory.Delete, by: by, may: may, prepare: s.setTimer(ctx)})
	s.cancelTimer(ctx, before, err)
	return d, err
}

// Restore takes a deletion back: the same record is connected, with what waits first. A *directory.Conflict says that the destination is not deleted,
// directory.ErrNotFound that its eight hours are over.
func (s *Service) Restore(ctx context.Context, id string, by Caller) (directory.Destination, error) {
	before, d, err := s.change(ctx, id, change{action: directory.Restore, by: by})
	s.cancelTimer(ctx, before, err)
	return d, err
}

// Purge removes a deleted destination before its eight hours are over. If may is set, it judges the record as in Delete.
func (s *Service) Purge(ctx context.Context, id string, by Caller, may func(directory.Destination) error) error {
	before, _, err := s.change(ctx, id, change{action: directory.Purge, by: by, may: may})
	s.cancelTimer(ctx, before, err)
	return err
}

// setTimer has a change set the timer of the grace that it begins.
func (s *Service) setTimer(ctx context.Context) func(_, next directory.Destination) error {
	return func(_, next directory.Destination) error { return s.Timers.Set(ctx, TimerOf(next)) }
}

// cancelTimer removes the timer of a grace that a change has ended. If it stays, it finds another generation.
func (s *Service) cancelTimer(ctx context.Context, before directory.Destination, failed error) {
	if failed == nil && before.InGrace() {
		_ = s.Timers.Cancel(ctx, TimerOf(before)) // it would do nothing
	}
}

// Fire ends the eight hours that the timer was set for: a disconnected destination is disabled, a deleted one removed with its credentials. A timer of
// another record or generation, and one that is early, late or repeated, does nothing more. It may be called again after
// any error.
//
// The notice of a disabled destination is sent before the state is written, so that a death in between loses no mail: whoever takes it waits for the
// state, see package notice.
func (s *Service) Fire(ctx context.Context, t Timer) error {
	before, err := s.fire(ctx, t)
	if err != nil {
		return failure.About(failure.Concern{DestinationID: t.DestinationID, WorkspaceID: before.WorkspaceID}, s.unfired(before, t, err))
	}
	return nil
}

func (s *Service) fire(ctx context.Context, t Timer) (before directory.Destination, err error) {
	before, err = s.Store.CurrentDestination(ctx, t.DestinationID)
	if err != nil {
		return before, fmt.Errorf("look up destination %s: %w", t.DestinationID, err)
	}
	end := change{action: directory.Disable, by: System(), may: func(d directory.Destination) error {
		if !t.of(d) {
			return errStale
		}
		return nil
	}}
	if before.State == directory.Deleted {
		end.action = directory.Remove
	} else {
		end.prepare = func(before, next directory.Destination) error {
			return s.Notices.Notify(ctx, directory.Notice{
				Kind: directory.Voluntary, DestinationID: t.DestinationID, Incarnation: t.Incarnation, Generation: t.Generation,
				Since: before.StateSince, At: next.StateSince,
			})
		}
	}
	before, _, err = s.change(ctx, t.DestinationID, end)
	return before, err
}

// EndGrace does what the timer of a destination's disconnect or deletion should have done.
func (s *Service) EndGrace(ctx context.Context, d directory.Destination) error {
	return s.Fire(ctx, TimerOf(d))
}

// errStale ends a timer of an earlier disconnect, or of a record that was removed.
var errStale = errors.New("the timer is of another record or generation")

// of says whether the timer is that of the disconnect or the deletion that the destination is in.
func (t Timer) of(d directory.Destination) bool {
	return d.ID == t.DestinationID && d.Incarnation == t.Incarnation && d.Generation == t.Generation
}

// skew is how far the clocks of the timers and of this function may be apart.
const skew = time.Minute

// unfired says whether a timer that ended nothing must come again: only if it went off a moment too early.
func (s *Service) unfired(d directory.Destination, t Timer, err error) error {
	if errors.Is(err, errStale) || errors.Is(err, directory.ErrNotFound) {
		return nil
	}
	refused, ok := errors.AsType[*directory.Conflict](err)
	if !ok || d.InGrace() && t.of(d) && refused.Until.Sub(s.Now()) <= skew {
		return err
	}
	return nil
}

// change is a transition, and what goes with it.
type change struct {
	action directory.Action
	by     Caller
	// may, if set, judges the record before each write; prepare, if set, runs before each write.
	may     func(before directory.Destination) error
	prepare func(before, next directory.Destination) error
}

// change takes a destination through a transition, over whatever others write into its record meanwhile, and tells of it. Before is the destination as
// it was read last, whether or not there is an error.
func (s *Service) change(ctx context.Context, id string, c change) (before, after directory.Destination, err error) {
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
			return before, after, fmt.Errorf("%s destination %s: it was deleted, and another one has its id: %w", c.action, id, directory.ErrNotFound)
		}
		next, tell, err := s.next(ctx, before, c, now)
		if err != nil {
			return before, after, err
		}
		after, err = s.write(ctx, before, next, c.action, tell)
		if errors.Is(err, directory.ErrChanged) {
			continue
		}
		if err != nil {
			return before, after, fmt.Errorf("%s destination %s: %w", c.action, id, err)
		}
		s.Outbox.Tell(ctx, tell)
		return before, after, nil
	}
	return before, after, fmt.Errorf("%s destination %s: %w", c.action, id, directory.ErrChanged)
}

// next is the destination after a transition and what is to be told of it, with everything done that comes before the write.
func (s *Service) next(ctx context.Context, before directory.Destination, c change, now time.Time) (next directory.Destination, tell directory.Outgoing, err error) {
	if c.may != nil {
		if err := c.may(before); err != nil {
			return next, tell, err
		}
	}
	if next, err = directory.Transition(before, c.action, now); err != nil {
		return next, tell, err
	}
	if tell, err = s.activity(ctx, c.action, c.by, before, next); err != nil {
		return next, tell, err
	}
	if c.action == directory.Delete {
		next.Farewell = tell.Log.ID
		tell.Notice = &directory.Notice{
			Kind: directory.Deletion, DestinationID: next.ID, Incarnation: next.Incarnation, Generation: next.Generation, Subject: next.Subject(), At: next.StateSince,
		}
	}
	if c.prepare != nil {
		if err := c.prepare(before, next); err != nil {
			return next, tell, fmt.Errorf("%s destination %s: %w", c.action, next.ID, err)
		}
	}
	return next, tell, nil
}

// write stores the record after a transition, or removes it if the transition ends it. A write whose answer was lost, and which has happened, is none
// that failed.
func (s *Service) write(ctx context.Context, before, next directory.Destination, action directory.Action, tell directory.Outgoing) (directory.Destination, error) {
	if action.Ends() {
		err := s.Store.DeleteDestination(ctx, before, tell)
		if err == nil || errors.Is(err, directory.ErrChanged) {
			return next, err
		}
		if d, lost := s.Store.CurrentDestination(ctx, before.ID); errors.Is(lost, directory.ErrNotFound) || lost == nil && !d.SameRecord(before) {
			return next, nil
		}
		return next, err
	}
	after, err := s.Store.PutDestination(ctx, next, tell)
	if err == nil || errors.Is(err, directory.ErrChanged) {
		return after, err
	}
	if found, ok := s.landed(ctx, next); ok {
		return found, nil
	}
	return after, err
}

// landed says whether a write whose answer was lost has happened.
func (s *Service) landed(ctx context.Context, written directory.Destination) (directory.Destination, bool) {
	d, err := s.Store.CurrentDestination(ctx, written.ID)
	return d, err == nil && d.SameRecord(written) && d.State == written.State && d.Generation == written.Generation && d.StateSince.Equal(written.StateSince)
}

// TimerOf is the timer of the disconnect or the deletion that a destination is in.
func TimerOf(d directory.Destination) Timer {
	return Timer{DestinationID: d.ID, Incarnation: d.Incarnation, Generation: d.Generation, At: d.GraceEnds()}
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
		directory.Delete: DestinationDeleted, directory.Restore: DestinationRestored, directory.Remove: DestinationRemoved, directory.Purge: DestinationRemoved,
	}[action]
	return Activity{Event: event, At: next.StateSince, By: by, Workspace: w, Destination: next, Since: before.StateSince}.Outgoing()
}
