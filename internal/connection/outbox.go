package connection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Logs is the ingest queue, from a producer's side.
type Logs interface {
	// Send puts a log on the queue. When it returns nil the log is safe there.
	Send(ctx context.Context, l events.Log) error
}

// Bus is the event bus.
type Bus interface {
	// Publish puts an event on the bus. When it returns nil the bus has it; after an error it may have.
	Publish(ctx context.Context, a events.Announcement) error
}

// OutboxStore keeps what is to be told. A change is stored together with it, see Store.
type OutboxStore interface {
	// Keep stores what is to be told of an action that is about to be taken and changes no record.
	Keep(ctx context.Context, o directory.Outgoing) error
	// Outgoing gives all that is still to be told, the ends of logs last. It may miss the last seconds'
	// changes, and show what was told a moment ago.
	Outgoing(ctx context.Context) iter.Seq2[directory.Outgoing, error]
	// Told removes what was told. What is not there is no error.
	Told(ctx context.Context, id string) error
}

// Outbox tells of changes, the activity audit's entry first, then the event and the notice, and of failed events
// that the bus did not take when they were recorded. It is safe for concurrent use.
type Outbox struct {
	Store OutboxStore
	Logs  Logs // may be nil for whoever makes changes that are no activities
	Bus   Bus
	// Notices may be nil for a part whose changes have no notices; a notice is then left to the next Sweep.
	Notices Notices
	Now     func() time.Time
	// Fault is told of errors; what they kept from being told is told later.
	Fault func(error)
}

// patience is how long what is to be told is left to whoever made the change.
const patience = time.Minute

// Keep implements OutboxStore's.
func (o *Outbox) Keep(ctx context.Context, out directory.Outgoing) error {
	return o.Store.Keep(ctx, out)
}

// Tell tells of a change that was stored just now. What fails is left to the next Sweep, so the change itself stands and is told of in any case.
func (o *Outbox) Tell(ctx context.Context, out directory.Outgoing) {
	if err := o.tell(ctx, out); err != nil {
		o.Fault(fmt.Errorf("%w; it is told again in a minute", err))
	}
}

const (
	// toldAtOnce is how many changes a sweep tells beside each other, and tellLimit how long each may take:
	// what cannot be told, because a queue or the bus does not answer, holds up neither the others nor the
	// sweep's caller.
	toldAtOnce = 8
	tellLimit  = 5 * time.Second
	// endsAtOnce is how many ends of logs are told beside each other, apart from the changes. At 20 ms each
	// 10,000, which is how many a sweep looks at, take 10 s.
	endsAtOnce = 24
	endsAtMost = 10_000
	// sweptEachMinute is by how many entries a sweep begins further on than that of the minute before, so
	// that those at the end have their turn when the first ones use up its time.
	sweptEachMinute = 8 * toldAtOnce
)

// Sweep tells what was left over: its teller failed or died. It goes every minute. Changes and the ends of
// logs go beside each other, so that an outage of the bus at a time in which very many logs end keeps no
// change from the activity audit.
func (o *Outbox) Sweep(ctx context.Context) error {
	changes, ends, err := o.leftOver(ctx)
	var ofEnds error
	var wg sync.WaitGroup
	wg.Go(func() { ofEnds = o.tellEnds(ctx, ends) })
	ofChanges := o.tellChanges(ctx, changes)
	wg.Wait()
	return errors.Join(ofChanges, ofEnds, err)
}

// tellChanges tells changes of the directory.
func (o *Outbox) tellChanges(ctx context.Context, left []directory.Outgoing) error {
	errs := make([]error, len(left), len(left)+1)
	told := o.each(ctx, left, toldAtOnce, func(i int, err error) bool {
		errs[i] = err
		return true
	})
	if told < len(left) {
		errs = append(errs, fmt.Errorf("%d of %d changes were told in the time there was; the next sweep goes on", told, len(left)))
	}
	return errors.Join(errs...)
}

// tellEnds tells failed events, until the bus has shown that it takes none. There may be a great many, so
// their errors are one.
func (o *Outbox) tellEnds(ctx context.Context, left []directory.Outgoing) error {
	var mu sync.Mutex
	var last error
	told, failed := 0, 0
	o.each(ctx, left, endsAtOnce, func(_ int, err error) bool {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			told++
		} else {
			failed++
			last = err
		}
		return told > 0 || failed < 2*endsAtOnce
	})
	switch {
	case last != nil:
		return fmt.Errorf("%d failed events of logs are still to be announced: %w", len(left)-told, last)
	case told < len(left):
		return fmt.Errorf("%d of %d failed events of logs were announced in the time there was; the next sweep goes on", told, len(left))
	}
	return nil
}

// each tells entries beside each other and hands each answer on, until there is no more time or more says
// that it is enough. It answers how many were begun.
func (o *Outbox) each(ctx context.Context, left []directory.Outgoing, atOnce int, more func(i int, err error) bool) (begun int) {
	var wg sync.WaitGroup
	var enough atomic.Bool
	slots := make(chan struct{}, atOnce)
	for ; begun < len(left) && take(ctx, slots) && !enough.Load(); begun++ {
		i := begun
		wg.Go(func() {
			defer func() { <-slots }()
			limited, cancel := context.WithTimeout(ctx, tellLimit)
			defer cancel()
			if !more(i, o.tell(limited, left[i])) {
				enough.Store(true)
			}
		})
	}
	wg.Wait()
	return begun
}

// leftOver are the entries whose teller has had its time: the changes, and the ends of logs. They come the
// oldest first, but for where the sweep of this minute begins.
func (o *Outbox) leftOver(ctx context.Context) (changes, ends []directory.Outgoing, err error) {
	now := o.Now()
	for out, failed := range o.Store.Outgoing(ctx) {
		if failed != nil {
			err = fmt.Errorf("list what is to be told: %w", failed)
			break
		}
		switch {
		case now.Sub(out.At) < patience:
		case !out.End():
			changes = append(changes, out)
		default:
			ends = append(ends, out)
		}
		if len(ends) == endsAtMost {
			break
		}
	}
	return inTurn(changes, now), inTurn(ends, now), err
}

func inTurn(left []directory.Outgoing, now time.Time) []directory.Outgoing {
	slices.SortStableFunc(left, func(a, b directory.Outgoing) int { return a.At.Compare(b.At) })
	if len(left) <= sweptEachMinute {
		return left
	}
	first := int(now.Unix()/60*sweptEachMinute) % len(left)
	return slices.Concat(left[first:], left[:first])
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

// tell removes an entry only after everybody has taken it. If we die in between, it is told again: the log is the same by its id, and the bus
// promises its events at least once anyway.
func (o *Outbox) tell(ctx context.Context, out directory.Outgoing) error {
	return failure.About(concern(out), o.tellAll(ctx, out))
}

func (o *Outbox) tellAll(ctx context.Context, out directory.Outgoing) error {
	if out.Log != nil {
		if err := o.Logs.Send(ctx, *out.Log); err != nil {
			return fmt.Errorf("record %s in the activity audit: %w", out.ID, err)
		}
	}
	if out.Event != nil {
		if err := o.Bus.Publish(ctx, *out.Event); err != nil {
			return fmt.Errorf("announce %s: %w", out.ID, err)
		}
	}
	if out.Notice != nil {
		if o.Notices == nil {
			return fmt.Errorf("have %s mailed: this part has no notices queue", out.ID)
		}
		if err := o.Notices.Notify(ctx, *out.Notice); err != nil {
			return fmt.Errorf("have %s mailed: %w", out.ID, err)
		}
	}
	if err := o.Store.Told(ctx, out.ID); err != nil {
		return fmt.Errorf("note that %s was told: %w", out.ID, err)
	}
	return nil
}

// concern is what is told of: the destination of the event, and the entry of the activity audit.
func concern(out directory.Outgoing) failure.Concern {
	var name events.DestinationName
	if out.Event != nil { // its detail is a struct of package events, or the same as JSON when it comes from a store
		if text, err := json.Marshal(out.Event.Detail); err == nil {
			_ = json.Unmarshal(text, &name) // a detail of another kind names no destination
		}
	}
	c := failure.Concern{DestinationID: name.DestinationID, WorkspaceID: name.WorkspaceID}
	if out.Log != nil {
		c.LogID, c.WorkspaceID = out.Log.ID, out.Log.WorkspaceID
	}
	return c
}
