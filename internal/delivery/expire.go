package delivery

import (
	"context"
	"fmt"
	"time"
)

// FailedRecorder records failed events of deliveries that are no longer in the cache.
type FailedRecorder interface {
	// Record stores a failed event; one that was recorded before stays as it is.
	Record(ctx context.Context, e FailedEvent) error
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

// Handle takes changes in their order. It answers the ID of the first change that could not be dealt with, which the stream must hand out
// again with all after it, or "" when none is left.
func (x *Expire) Handle(ctx context.Context, changes []Change) (unsettled string) {
	for _, c := range changes {
		if c.Expired != nil {
			d := c.Expired
			e := FailedEvent{Key: d.Key, Owner: d.Owner, Type: d.Document.Type, FailedAt: x.Now(), Attempts: d.Attempts, Code: d.Code}
			if err := x.Failed.Record(ctx, e); err != nil {
				x.fault(about(d.Key, fmt.Errorf("record the failed event of log %s: %w", d.LogID, err)))
				return c.ID
			}
		}
		if c.Failed != nil {
			if err := x.announce(ctx, *c.Failed); err != nil {
				x.fault(about(c.Failed.Key, fmt.Errorf("announce the failed event of log %s: %w", c.Failed.LogID, err)))
				return c.ID
			}
		}
	}
	return ""
}

// announce tells the bus, then the journal, so that a change that the stream hands out again because the bus failed has no line yet.
func (x *Expire) announce(ctx context.Context, e FailedEvent) error {
	entry := Entry{Event: EventFailed, At: x.Now(), Key: e.Key, Type: e.Type, Attempt: e.Attempts, Code: e.Code, FailedAt: e.FailedAt}
	if dest, err := x.Directory.Destination(ctx, e.DestinationID); err == nil && (Delivery{Key: e.Key, Owner: e.Owner}).For(dest) {
		entry.Kind = dest.Kind
	}
	if err := x.Bus.Publish(ctx, failedAnnouncement(e, entry.Kind, entry.At)); err != nil {
		return err
	}
	x.Journal.Record(entry)
	return nil
}

func (x *Expire) fault(err error) {
	for _, e := range Faults(err, x.Now()) {
		x.Journal.Record(e)
	}
}
