package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// Bus is the event bus.
type Bus interface {
	// PublishAll puts events on the bus, in no certain order, and answers for each: nil when the bus has it; after an error it
	// may have.
	PublishAll(ctx context.Context, as []events.Announcement) []error
}

// Outbox tells of changes of the directory that were stored together with what is to be told of them.
type Outbox interface {
	// Tell tells of a change that was stored just now. What it cannot tell is told later by others.
	Tell(ctx context.Context, o directory.Outgoing)
}

// Keeper keeps what the bus has not taken until it is told.
type Keeper interface {
	// Keep stores what is to be told. When it returns nil it is told sooner or later, if need be more than
	// once.
	Keep(ctx context.Context, o directory.Outgoing) error
}

// failedOutgoing is what is still to be told of a failed event, the same each time.
func failedOutgoing(k Key, a events.Announcement) directory.Outgoing {
	name := fmt.Sprintf("%q %q %q %q %d", k.DestinationID, k.WorkspaceID, k.LogID, k.Hash, k.AcceptedAt.UnixMilli())
	sum := sha256.Sum256([]byte(name)) // of bounded length, and spread evenly
	return directory.Outgoing{ID: "end-" + hex.EncodeToString(sum[:16]), At: a.At.UTC().Truncate(time.Millisecond), Event: &a}
}

// failedAnnouncement tells the bus of a failed event. The kind is empty if the destination was deleted.
func failedAnnouncement(e FailedEvent, kind directory.Kind, now time.Time) events.Announcement {
	return events.Announcement{DetailType: events.LogDeliveryFailed, At: now, Detail: events.LogDeliveryFailedDetail{
		LogID: e.LogID, Hash: e.Hash, WorkspaceID: e.WorkspaceID, DestinationID: e.DestinationID, Kind: string(kind), Type: e.Type,
		AcceptedAt: e.AcceptedAt, FailedAt: e.FailedAt, Attempts: e.Attempts, Code: string(e.Code),
	}}
}

// healthOutgoing is what is to be told of a change of health: one event, or none if the change is of no interest outside.
func healthOutgoing(from, to directory.Destination, now time.Time) []directory.Outgoing {
	name := events.DestinationName{DestinationID: to.ID, DestinationName: to.Name, WorkspaceID: to.WorkspaceID, Kind: string(to.Kind)}
	now = now.UTC().Truncate(time.Millisecond)
	e := events.Announcement{At: now}
	switch {
	case from.Health.State == directory.Failing && to.Health.State == directory.Healthy:
		e.DetailType = events.DestinationRecovered
		e.Detail = events.DestinationRecoveredDetail{DestinationName: name, FailingSince: from.Health.Since, RecoveredAt: now, Code: string(from.Health.Code)}
	case from.Health.State != directory.Failing && to.Health.State == directory.Failing:
		e.DetailType = events.DestinationFailing
		e.Detail = events.DestinationFailingDetail{DestinationName: name, Since: to.Health.Since, Code: string(to.Health.Code)}
	default:
		return nil
	}
	id := fmt.Sprintf("%s-%s-%d", e.DetailType, to.ID, now.UnixMilli())
	return []directory.Outgoing{{ID: id, At: now, Event: &e}}
}
