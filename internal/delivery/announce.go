package delivery

import (
	"context"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// Bus is the event bus.
type Bus interface {
	// Publish puts an event on the bus. When it returns nil the bus has it; after an error it may have.
	Publish(ctx context.Context, a events.Announcement) error
}

// failedAnnouncement tells the bus of a failed event. The kind is empty if the destination was deleted.
func failedAnnouncement(e FailedEvent, kind directory.Kind, now time.Time) events.Announcement {
	return events.Announcement{DetailType: events.LogDeliveryFailed, At: now, Detail: events.LogDeliveryFailedDetail{
		LogID: e.LogID, WorkspaceID: e.WorkspaceID, DestinationID: e.DestinationID, Kind: string(kind), Type: e.Type,
		AcceptedAt: e.AcceptedAt, FailedAt: e.FailedAt, Attempts: e.Attempts, Code: string(e.Code),
	}}
}

// healthAnnouncement tells the bus of a change of health, or answers false if the change is none for it.
func healthAnnouncement(from, to directory.Destination, now time.Time) (events.Announcement, bool) {
	name := events.DestinationName{DestinationID: to.ID, DestinationName: to.Name, WorkspaceID: to.WorkspaceID, Kind: string(to.Kind)}
	switch {
	case from.Health.State == directory.Failing && to.Health.State == directory.Healthy:
		return events.Announcement{DetailType: events.DestinationRecovered, At: now, Detail: events.DestinationRecoveredDetail{
			DestinationName: name, FailingSince: from.Health.Since, RecoveredAt: now, Code: string(from.Health.Code),
		}}, true
	case from.Health.State != directory.Failing && to.Health.State == directory.Failing:
		return events.Announcement{DetailType: events.DestinationFailing, At: now, Detail: events.DestinationFailingDetail{
			DestinationName: name, Since: to.Health.Since, Code: string(to.Health.Code),
		}}, true
	}
	return events.Announcement{}, false
}
