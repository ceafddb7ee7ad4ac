package delivery

import (
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Journal writes down what happened, as it happens. Record must not block on the network and cannot fail; it is called from many goroutines.
type Journal interface {
	Record(Entry)
}

// Event is what an entry of the journal tells of.
type Event string

// The events. Each name is also the message of the structured log line.
const (
	// EventAccepted: a log was routed to a destination; the delivery exists from here on.
	EventAccepted Event = "delivery.accepted"
	// EventAttempted: a try was made; Outcome is Delivered or Failed.
	EventAttempted Event = "delivery.attempted"
	// EventHeld: no try was made; the log waits in the cache.
	EventHeld Event = "delivery.held"
	// EventFailed: the delivery was given up after seven days.
	EventFailed Event = "delivery.failed"
	// EventUnrouted: no destination wants the log; it is done.
	EventUnrouted Event = "log.unrouted"
	// EventRepeated: the message brought what another message had brought; it is settled with that one's delivery.
	// Reason names the other.
	EventRepeated Event = "delivery.repeated"
	// EventRejected: the message is no valid log; it is on the rejected queue.
	EventRejected Event = "log.rejected"
	// EventFailing: deliveries to the destination no longer get through.
	EventFailing Event = "destination.failing"
	// EventRecovered: they do again; the backlog is sent.
	EventRecovered Event = "destination.recovered"
	// EventDrained: the backlog has been sent.
	EventDrained Event = "destination.drained"
	// EventWaiting: the oldest log that waits for a destination that needs attention was accepted at AcceptedAt.
	EventWaiting Event = "destination.waiting"
	// EventStuck: a message was handed out for hours and never settled.
	EventStuck Event = "message.stuck"
	// EventFault: something of our own failed; Reason says what. The work is done again.
	EventFault Event = "relay.fault"
)

// Entry is one fact. Fields that do not apply are zero. It never holds a payload or a credential.
type Entry struct {
	Event Event
	At    time.Time
	Key
	Type string
	Kind directory.Kind
	// MessageID is the ingest message that the log came in, for accepted, repeated, unrouted and rejected; and the one, of either
	// queue, that led to an attempt or to a fault. Receives is how often it had been handed out by then.
	MessageID string
	Receives  int
	// Redelivered marks facts of an ingest message that was handed out before; they may have been recorded then.
	Redelivered bool
	// Why is why an attempt was made, or would have been.
	Why Why
	// Attempt counts from 1, the first try. Of a held log it is the try that was not made.
	Attempt  int
	Outcome  Outcome
	Code     failure.Code
	Detail   string
	Took     time.Duration
	NextAt   time.Time
	FailedAt time.Time
	Reason   string
}
