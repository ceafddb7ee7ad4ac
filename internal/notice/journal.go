package notice

import (
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Journal writes down what became of notices. Record must not block on the network and cannot fail.
type Journal interface {
	Record(Entry)
}

// Event is what an entry of the journal tells of.
type Event string

// The events. Each name is also the message of the structured log line.
const (
	// EventSent: the mail service has taken a mail.
	EventSent Event = "mail.sent"
	// EventRefused: it has refused one, which is tried again.
	EventRefused Event = "mail.refused"
	// EventUncertain: whether it has taken one is not known. It counts as sent.
	EventUncertain Event = "mail.uncertain"
	// EventAddressRefused: Recipients addresses were refused or are none; the others got the mail.
	EventAddressRefused Event = "mail.address_refused"
	// EventNoRecipient: the owner of the destination has nobody to tell.
	EventNoRecipient Event = "mail.no_recipient"
	// EventDropped: a notice was no longer true, or its kind is switched off.
	EventDropped Event = "notice.dropped"
	// EventFault: something of our own failed; the message comes again.
	EventFault Event = "relay.fault"
)

// Entry is one fact. Fields that do not apply are zero. It holds no address.
type Entry struct {
	Event         Event
	At            time.Time
	Kind          directory.NoticeKind
	DestinationID string
	// WorkspaceID is the owner of the destination.
	WorkspaceID string
	Code        failure.Code
	Recipients  int
	Reason      string
}
