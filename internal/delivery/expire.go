package delivery

import (
	"context"
	"fmt"
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
	Journal   Journal
	Now       func() time.Time
}

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
	for j, err := range x.Bus.PublishAll(ctx, told) {
		if err != nil {
			e := changes[places[j]].Failed
			errs[places[j]] = about(e.Key, fmt.Errorf("announce the failed event of log %s: %w", e.LogID, err))
		}
	}
	return entries
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
