package directory

import (
	"time"

	"github.com/auditrelay/auditrelay/events"
)

// ActivityPrefix begins the id of every entry of the activity audit.
const ActivityPrefix = "activity-"

// Outgoing is what is to be told of a change. Stores keep it in one write with the change, both or neither, until it is told: so nobody who dies
// between the two takes it along.
type Outgoing struct {
	// ID is made of what was changed. Told twice, it is the same.
	ID string
	// At is when the change was made, in whole milliseconds.
	At time.Time
	// Log, if set, goes on the ingest queue: the entry of the activity audit.
	Log *events.Log
	// Event, if set, goes on the event bus.
	Event *events.Announcement
	// Notice, if set, goes on the notices queue.
	Notice *Notice
}

// End says whether it tells of the end of a log, a failed event, and not of a change of the directory. There may be a great many of those.
func (o Outgoing) End() bool { return o.Event != nil && o.Event.DetailType == events.LogDeliveryFailed }
