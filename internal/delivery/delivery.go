package delivery

import (
	"cmp"
	"errors"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Key names a delivery: one accepted log on its way to one destination. AcceptedAt is part of it because the seven days count from there, and
// because the cache keeps each destination's deliveries in that order. It is a whole millisecond in UTC.
type Key struct {
	DestinationID string
	WorkspaceID   string
	LogID         string
	AcceptedAt    time.Time
	// Hash is the document's, see auditlog.Document: a producer may have sent two logs under one id. It is empty
	// for a delivery that was stored when keys had none.
	Hash string
}

// ExpiresAt is when the delivery is given up.
func (k Key) ExpiresAt() time.Time { return k.AcceptedAt.Add(Lifetime) }

// Delivery is one log on its way to one destination, as the cache holds it.
type Delivery struct {
	Key
	// Owner is the workspace that owned the destination when the log was routed; empty for the log's own. A destination
	// that another workspace makes under the same id later gets none of it.
	Owner string
	// Attempts is how many tries were made; 0 for a log that was only held. Tried is when the last of them began.
	Attempts int
	Tried    time.Time
	// Forgiven is how many of the attempts count no longer for the pause that follows: the destination has recovered since.
	Forgiven int
	// NextAt is the time of the next attempt, or ExpiresAt when none is left or the destination takes none.
	NextAt time.Time
	// Code is why the last attempt failed; empty before the first.
	Code failure.Code
	// Riding says that a hint is on the retry queue already, so that requeue need not send one.
	Riding bool
	// Parked says that the delivery has no time of its own: its destination takes no logs, and it waits to be drained or probed. NextAt is then
	// ExpiresAt.
	Parked bool
	// Document is what the destination receives, before its template.
	Document auditlog.Document
	// Revision counts the writes of this delivery; 0 means that it is not in the cache yet.
	Revision int
}

// For says whether the delivery may go to this destination, which has the id that it was routed to.
func (d Delivery) For(dest directory.Destination) bool {
	return dest.ID == d.DestinationID && dest.WorkspaceID == cmp.Or(d.Owner, d.WorkspaceID)
}

// ownerOf is a delivery's Owner for a log of that workspace.
func ownerOf(dest directory.Destination, workspaceID string) string {
	if dest.WorkspaceID == workspaceID {
		return ""
	}
	return dest.WorkspaceID
}

// FailedEvent is a delivery that was given up.
type FailedEvent struct {
	Key
	// Owner is the delivery's.
	Owner    string
	Type     string
	FailedAt time.Time
	Attempts int
	Code     failure.Code
}

// Hint is a message on the retry queue: look at this delivery, it should be due at At. The cache is the truth; a lost, repeated or outdated
// hint does no harm.
type Hint struct {
	Key
	At time.Time
	// Drain says not to wait for that time: the destination takes logs again, or is to be probed.
	Drain bool
	// Reserved says that the attempt has its place in the failing destination's budget already.
	Reserved bool
	// Why is why it is led to before its time; empty for a hint that does not do that.
	Why Why
}

// Message is one message of the ingest queue.
type Message struct {
	// ID is the queue's own id of the message.
	ID   string
	Body []byte
	// SentAt is when the queue took it: the moment of acceptance.
	SentAt time.Time
	// Receives counts how often it was handed out, this time included.
	Receives int
	// Handle is the queue's name for this time.
	Handle string
}

// HintMessage is one message of the retry queue.
type HintMessage struct {
	ID   string
	Hint Hint
	// Receives counts how often it was handed out, this time included; 0 if that is not known.
	Receives int
	// Handle is the queue's name for this time.
	Handle string
}

// Outcome says how an attempt ended.
type Outcome string

// The outcomes. Held means that no attempt was made and the log waits.
const (
	Delivered Outcome = "delivered"
	Failed    Outcome = "failed"
	Held      Outcome = "held"
)

// ErrChanged is Cache.Save's answer when another writer has moved the delivery on or removed it.
var ErrChanged = errors.New("the delivery was changed or removed meanwhile")

// ErrNotTried is a sink's answer for a log that it had no time to try. It counts as no attempt.
var ErrNotTried = errors.New("not tried: the time for this destination was used up")
