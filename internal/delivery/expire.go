package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// lookupsAtOnce bounds the destinations that are looked up beside each other.
const lookupsAtOnce = 16

// FailedRecorder records failed events of deliveries that are no longer in the cache.
type FailedRecorder interface {
	// Record stores failed events and answers for each. One that was recorded before stays as it is, and of two of one
	// delivery the first stands.
	Record(ctx context.Context, es []FailedEvent) []error
}

// Change is what expire needs of one change in the cache's stream: exactly one of its two pointers is set.
type Change struct {
	// ID is the change's sequence number in the stream.
	ID string
	// Expired is a delivery that the store's own expiry (TTL) removed before requeue led to its end.
	Expired *Delivery
	// Failed is a failed event that was recorded.
	Failed *FailedEvent
}

// Expire follows the cache's stream. Every failed event passes here once recorded, by whichever way, so this is the one place that announces
// it; and a delivery that TTL removed first gets its failed event here.
type Expire struct {
	Directory Directory
	Failed    FailedRecorder
	Bus       Bus
	// Outbox keeps what the bus does not take. Without it the stream hands the change out again, for a day at
	// most.
	Outbox  Keeper
	Journal Journal
	Now     func() time.Time

	// away is until when the bus is not asked, because it took nothing. It is lost with the process, which
	// does no harm.
	mu   sync.Mutex
	away time.Time
}

const (
	// announceLimit is how long the bus may take for the events of one batch: a quarter of an invocation, so
	// that time is left to keep them.
	announceLimit = 15 * time.Second
	// busRest is how long a bus that has taken nothing is left alone. The outbox asks it every minute.
	busRest = time.Minute
	// keptAtOnce bounds the events that are kept beside each other.
	keptAtOnce = 16
)

// Handle takes changes, each of a delivery's in their order, those of different deliveries beside each other: the week's end of a
// destination that was dead brings thousands a second. It answers the ID of the first change that could not be dealt with, which
// the stream must hand out again with all after it, or "" when none is left. What is handed out again although it was dealt with
// is recorded as before, and is on the bus twice.
func (x *Expire) Handle(ctx context.Context, changes []Change) (unsettled string) {
	errs := make([]error, len(changes))
	x.record(ctx, changes, errs)
	entries := x.announce(ctx, changes, errs)
	for i, c := range changes {
		if errs[i] != nil {
			x.fault(errs[i])
			return c.ID
		}
		if entries[i].Event != "" {
			x.Journal.Record(entries[i])
		}
	}
	return ""
}

// record stores the failed events of deliveries that TTL removed.
func (x *Expire) record(ctx context.Context, changes []Change, errs []error) {
	var places []int
	var ended []FailedEvent
	for i, c := range changes {
		if d := c.Expired; d != nil {
			places = append(places, i)
			ended = append(ended, FailedEvent{
				Key: d.Key, Owner: d.Owner, Type: d.Document.Type, FailedAt: x.Now(), Attempts: d.Attempts, Code: d.Code,
			})
		}
	}
	if len(ended) == 0 {
		return
	}
	for j, err := range x.Failed.Record(ctx, ended) {
		if err != nil {
			errs[places[j]] = about(ended[j].Key, fmt.Errorf("record the failed event of log %s: %w", ended[j].LogID, err))
		}
	}
}

// announce tells the bus of failed events and gives the journal's lines of them. A line is written down only when no change before
// it must be handed out again, so that it stands there once.
func (x *Expire) announce(ctx context.Context, changes []Change, errs []error) []Entry {
	entries := make([]Entry, len(changes))
	var places []int
	var told []events.Announcement
	known := x.destinations(ctx, changes)
	for i, c := range changes {
		e := c.Failed
		if e == nil {
			continue
		}
		entries[i] = Entry{Event: EventFailed, At: x.Now(), Key: e.Key, Type: e.Type, Attempt: e.Attempts, Code: e.Code, FailedAt: e.FailedAt}
		if dest := known[e.DestinationID]; (Delivery{Key: e.Key, Owner: e.Owner}).For(dest) {
			entries[i].Kind = dest.Kind
		}
		places = append(places, i)
		told = append(told, failedAnnouncement(*e, entries[i].Kind, entries[i].At))
	}
	if len(told) == 0 {
		return entries
	}
	for j, err := range x.publish(ctx, changes, places, told) {
		if err != nil {
			e := changes[places[j]].Failed
			errs[places[j]] = about(e.Key, fmt.Errorf("announce the failed event of log %s: %w", e.LogID, err))
		}
	}
	return entries
}

// publish puts events on the bus, and those that it does not take into the outbox, and answers for each
// whether it is in neither. The stream forgets a change after a day, and the outbox nothing.
func (x *Expire) publish(ctx context.Context, changes []Change, places []int, told []events.Announcement) []error {
	errs := x.offer(ctx, told)
	if x.Outbox == nil {
		return errs
	}
	var refused error
	var kept atomic.Int64
	var group errgroup.Group
	group.SetLimit(keptAtOnce)
	for j, err := range errs {
		if err == nil {
			continue
		}
		refused = err
		group.Go(func() error {
			if keep := x.Outbox.Keep(ctx, failedOutgoing(changes[places[j]].Failed.Key, told[j])); keep != nil {
				errs[j] = fmt.Errorf("%w; keep it for later: %w", err, keep)
				return nil
			}
			errs[j] = nil
			kept.Add(1)
			return nil
		})
	}
	_ = group.Wait() // each event has its own error
	if n := kept.Load(); n > 0 {
		x.fault(fmt.Errorf("%d of %d failed events are announced later, from the outbox: %w", n, len(told), refused))
	}
	return errs
}

var errBusAway = errors.New("the event bus took nothing a moment ago")

// offer puts events on the bus, unless it has just shown that it takes none.
func (x *Expire) offer(ctx context.Context, told []events.Announcement) []error {
	x.mu.Lock()
	rest := x.Outbox != nil && x.Now().Before(x.away)
	x.mu.Unlock()
	if rest {
		return slices.Repeat([]error{errBusAway}, len(told))
	}
	limited, cancel := context.WithTimeout(ctx, announceLimit)
	defer cancel()
	errs := x.Bus.PublishAll(limited, told)
	if !slices.Contains(errs, nil) {
		x.mu.Lock()
		x.away = x.Now().Add(busRest)
		x.mu.Unlock()
	}
	return errs
}

// destinations looks up the destinations of failed events, each once. One that was deleted, or that cannot be read, is left out.
func (x *Expire) destinations(ctx context.Context, changes []Change) map[string]directory.Destination {
	var ids []string
	place := make(map[string]int)
	for _, c := range changes {
		if e := c.Failed; e != nil && place[e.DestinationID] == 0 {
			ids = append(ids, e.DestinationID)
			place[e.DestinationID] = len(ids)
		}
	}
	found := make([]directory.Destination, len(ids))
	var group errgroup.Group
	group.SetLimit(lookupsAtOnce)
	for i, id := range ids {
		group.Go(func() error {
			if dest, err := x.Directory.Destination(ctx, id); err == nil {
				found[i] = dest
			}
			return nil
		})
	}
	_ = group.Wait() // no lookup fails the group
	known := make(map[string]directory.Destination, len(ids))
	for i, id := range ids {
		known[id] = found[i]
	}
	return known
}

func (x *Expire) fault(err error) {
	for _, e := range Faults(err, x.Now()) {
		x.Journal.Record(e)
	}
}
