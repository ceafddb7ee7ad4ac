package delivery

import (
	"context"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// Directory answers where logs go. Its answers may be some seconds old. What it does not know gives directory.ErrNotFound.
type Directory interface {
	// Workspace gives a workspace with the destinations that it owns.
	Workspace(ctx context.Context, id string) (directory.Workspace, []directory.Destination, error)
	// WorkspaceSince gives it as it was at that time or later. A log is unrouted, or goes another workspace's way, only by such an answer.
	WorkspaceSince(ctx context.Context, id string, at time.Time) (directory.Workspace, []directory.Destination, error)
	// Destination gives one destination.
	Destination(ctx context.Context, id string) (directory.Destination, error)
}

// Sinks gives the sink of a destination, ready to send. An error that is a *failure.Error is every log's failure; any
// other is our own, says nothing of the destination, and counts as no attempt.
type Sinks interface {
	Sink(ctx context.Context, d directory.Destination) (Sink, error)
}

// Sink hands logs to one destination. It answers for each log, in the order of logs: a nil error when the destination has taken it for good,
// a *failure.Error when not, ErrNotTried when ctx ended before the log's turn. A log may be sent again later; a sink names objects by the log
// so that the destination holds it once.
type Sink interface {
	Send(ctx context.Context, logs []auditlog.Document) []Result
}

// Result is a sink's answer for one log.
type Result struct {
	Err error
	// Took is how long the request took that the log was part of.
	Took time.Duration
}

// Cache is the persistent store of deliveries. An error means that the write may or may not have happened; doing it again is safe.
type Cache interface {
	// Load gives those deliveries of keys that are in the cache, as of now, never older. Beyond LoadRoom of documents it only names those that are
	// there in rest, for another call. It gives at least one.
	Load(ctx context.Context, keys []Key) (found map[Key]Delivery, rest []Key, err error)
	// Save stores deliveries and answers for each: nil when it is durable. Revision 0 is stored whether or not the cache holds the key;
	// any other only over the same revision, else ErrChanged. The stored revision is one higher.
	Save(ctx context.Context, ds []Delivery) []error
	// Remove deletes deliveries and answers for each. A key that is not there is no error.
	Remove(ctx context.Context, keys []Key) []error
}

// LoadRoom is how many bytes of documents Cache.Load gives at once, so that memory holds a batch of large logs.
const LoadRoom = 32 << 20

// FailedEvents is the record of deliveries given up, kept for 30 days.
type FailedEvents interface {
	// GiveUp replaces deliveries by their failed events, each both or neither, and answers for each: ErrChanged when the
	// delivery is gone or changed, nil also when the event was recorded before.
	GiveUp(ctx context.Context, ends []End) []error
}

// End is the end of a delivery: its failed event, and which revision of it has ended.
type End struct {
	FailedEvent
	Revision int
}

// RetryQueue carries hints to the next attempt.
type RetryQueue interface {
	// Send puts hints on the queue and answers for each. A delay is whole seconds, 0 to 900; any other is an error.
	Send(ctx context.Context, rides []Ride) []error
}

// Ride is a hint and how long the queue holds it back.
type Ride struct {
	Hint
	Delay time.Duration
}

// RejectedQueue takes messages that are no valid logs, for a person to look at.
type RejectedQueue interface {
	// Reject puts messages on the queue and answers for each. What is kept is the body as it is given, which
	// holds nothing that may not be kept.
	Reject(ctx context.Context, rs []Rejection) []error
}

// Rejection is a message that is no valid log. Its body is what may be kept of the message, see
// auditlog.Keepable.
type Rejection struct {
	Message
	Reason string
	At     time.Time
}
