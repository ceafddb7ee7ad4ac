package connection

import (
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Caller is who asked for something, and from where.
type Caller struct {
	// Identity is the caller's, an IAM ARN for example.
	Identity  string
	IPAddress string
	UserAgent string
}

// System is the caller of what happens by itself, such as the end of the eight hours.
func System() Caller { return Caller{Identity: "auditrelay"} }

// Event is what was done, as the user_activity log names it.
type Event string

// The activities.
const (
	DestinationCreated      Event = "destination_created"
	DestinationUpdated      Event = "destination_updated"
	DestinationDeleted      Event = "destination_deleted"
	DestinationRestored     Event = "destination_restored"
	DestinationRemoved      Event = "destination_removed"
	DestinationCutOff       Event = "destination_cut_off"
	DestinationDisconnected Event = "destination_disconnected"
	DestinationDisabled     Event = "destination_disabled"
	DestinationReconnected  Event = "destination_reconnected"
	DestinationTested       Event = "destination_tested"
	DeliveriesRedriven      Event = "deliveries_redriven"
	WorkspaceCreated        Event = "workspace_created"
	WorkspaceUpdated        Event = "workspace_updated"
	WorkspaceDeleted        Event = "workspace_deleted"
)

// Activity is one thing that was done, by whom, to what, when, and from where. It becomes a user_activity log of the owner workspace and, where
// events/bus.go has a type for it, an event on the bus.
type Activity struct {
	Event Event
	// At is the moment of the change that was made, the same however often the activity is recorded.
	At time.Time
	By Caller
	// Workspace is the owner workspace, whose log this becomes. Its ID is required; if only that is known, the rest is empty.
	Workspace directory.Workspace
	// Destination is what was acted on, as it is afterwards, without a state if it was removed; zero if the workspace itself was.
	Destination directory.Destination
	// Fields are the names of what an update changed, such as "settings.url" or "credentials"; never their values.
	Fields []string
	// Test is the id of the test log that was sent, and Hosts are the hosts that a test of the destination may send to,
	// with its credentials.
	Test  string
	Hosts []string
	// Child is, of a destination that was cut off, the workspace whose own destination takes its logs, and LogTypes are those logs'.
	Child    string
	LogTypes []string
	// Since is when the state began that this ended: of a disabled destination, when it was disconnected.
	Since time.Time
}
