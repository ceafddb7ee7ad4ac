package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// Workspaces stores workspaces. What is to be told of a change is stored in one write with it, both or neither; so it is with Destinations.
type Workspaces interface {
	// WorkspaceSince gives a workspace with the destinations that it owns, as they were at that time or later, or directory.ErrNotFound.
	WorkspaceSince(ctx context.Context, id string, at time.Time) (directory.Workspace, []directory.Destination, error)
	// CurrentWorkspace gives a workspace as of now, never older, or directory.ErrNotFound.
	CurrentWorkspace(ctx context.Context, id string) (directory.Workspace, error)
	// PutWorkspace stores a new workspace if its revision is 0, otherwise in place of that revision of that record, else
	// directory.ErrChanged. Its revision is one higher then.
	PutWorkspace(ctx context.Context, w directory.Workspace, tell ...directory.Outgoing) error
	// DeleteWorkspace removes that revision of that record, else directory.ErrChanged.
	DeleteWorkspace(ctx context.Context, w directory.Workspace, tell ...directory.Outgoing) error
}

// Destinations stores destinations.
type Destinations interface {
	// CurrentDestination gives a destination as of now, never older, or directory.ErrNotFound.
	CurrentDestination(ctx context.Context, id string) (directory.Destination, error)
	// PutDestination stores a new destination if its revision is 0, otherwise in place of that revision of that record,
	// else directory.ErrChanged. The answer is what was stored.
	PutDestination(ctx context.Context, d directory.Destination, tell ...directory.Outgoing) (directory.Destination, error)
}

// Listing lists the directory by id. What was written a moment ago may be missing, and what was removed still be there.
type Listing interface {
	// WorkspacesAfter gives up to limit workspaces whose ids come after the given one; "" comes before all. Fewer are the last.
	WorkspacesAfter(ctx context.Context, id string, limit int) ([]directory.Workspace, error)
	// DestinationsAfter gives destinations likewise.
	DestinationsAfter(ctx context.Context, id string, limit int) ([]directory.Destination, error)
	// Child gives the id of a workspace whose parent is the given one, "" if there is none.
	Child(ctx context.Context, parent string) (string, error)
}

// Vault seals destinations' credentials for their records, and opens them.
type Vault interface {
	// Seal encrypts credentials, bound to the record's id, incarnation and owner.
	Seal(ctx context.Context, d directory.Destination, credentials json.RawMessage) (directory.Sealed, error)
	// Open decrypts those in the record; nil if it has none.
	Open(ctx context.Context, d directory.Destination) (json.RawMessage, error)
}

// Connections moves destinations through their states and does what goes with it: timers, events, the audit entry.
type Connections interface {
	// Disconnect stops delivery; eight hours later the destination is disabled. A *directory.Conflict says that its state does not allow it.
	Disconnect(ctx context.Context, id string, by connection.Caller) (directory.Destination, error)
	// Reconnect starts delivery again, the backlog first. A *directory.Conflict says that its state does not allow it.
	Reconnect(ctx context.Context, id string, by connection.Caller) (directory.Destination, error)
	// Delete ends delivery; eight hours later the destination is removed. May judges the record before each write, and its error ends the deletion.
	// A *directory.Conflict says that it was deleted already.
	Delete(ctx context.Context, id string, by connection.Caller, may func(directory.Destination) error) (directory.Destination, error)
	// Restore takes a deletion back. A *directory.Conflict says that the destination is not deleted.
	Restore(ctx context.Context, id string, by connection.Caller) (directory.Destination, error)
	// Purge removes a deleted destination now. May is as in Delete. A *directory.Conflict says that the destination is not deleted.
	Purge(ctx context.Context, id string, by connection.Caller, may func(directory.Destination) error) error
}

// Outbox tells who changed what: in the activity audit and on the event bus.
type Outbox interface {
	// Keep stores what is to be told of an action that is about to be taken and changes no record.
	Keep(ctx context.Context, o directory.Outgoing) error
	// Tell tells what was stored just now. What it cannot tell is told later by others.
	Tell(ctx context.Context, o directory.Outgoing)
}

// Pending lists deliveries that wait in the cache.
type Pending interface {
	// Pending gives up to limit deliveries of a destination, the oldest first, that come after the key, which is zero for the first page. Their
	// documents may lack the JSON.
	Pending(ctx context.Context, destinationID string, after delivery.Key, limit int) ([]delivery.Delivery, error)
	// OldestPending gives some of the oldest deliveries of a destination as of now, never older: none only if none waits.
	// Their documents may lack the JSON.
	OldestPending(ctx context.Context, destinationID string) ([]delivery.Delivery, error)
}

// Failed lists failed events, 30 days long.
type Failed interface {
	// Failed gives up to limit failed events of a destination by their acceptance, the newest or the oldest first, that come after the key, which
	// is zero for the first page. Without a destination it gives those of all, by destination.
	Failed(ctx context.Context, destinationID string, after delivery.Key, newest bool, limit int) ([]delivery.FailedEvent, error)
}

// Attempts reads what was written down of attempts.
type Attempts interface {
	// Attempts gives up to q.Limit attempts, the newest first, and says how far it looked. That its time is over is no
	// error: what it found by then is the answer.
	Attempts(ctx context.Context, q AttemptQuery) (AttemptSearch, error)
}

// AttemptQuery says which attempts are wanted; empty fields set no limit.
type AttemptQuery struct {
	LogID         string
	DestinationID string
	// Since and Until bound the attempt's time, both included.
	Since, Until time.Time
	Limit        int
}

// AttemptSearch is what a search found, and what it can say of the rest.
type AttemptSearch struct {
	Records []AttemptRecord
	// Complete says that there are no others in the time that was asked for. Otherwise SearchedUntil is how far back they are all
	// known, or were looked for in vain; at that very time there may be more.
	Complete      bool
	SearchedUntil time.Time
}

// AttemptRecord is one attempt, or one time that a log was held.
type AttemptRecord struct {
	delivery.Key
	Kind    directory.Kind
	Attempt int
	Outcome delivery.Outcome
	Code    failure.Code
	At      time.Time
	Took    time.Duration
	// NextAt is zero when there is no next attempt.
	NextAt time.Time
	// Why, MessageID and Receives are those of delivery.Entry; empty for what was written down before they were.
	Why       delivery.Why
	MessageID string
	Receives  int
}

// API is the management API. All its ports must be set.
type API struct {
	Workspaces   Workspaces
	Destinations Destinations
	Listing      Listing
	Vault        Vault
	Connections  Connections
	Outbox       Outbox
	Pending      Pending
	Failed       Failed
	Attempts     Attempts
	Retries      delivery.RetryQueue
	Network      sink.Network
	// TrustedRoles is the pattern of the ARNs of roles that customers' roles trust, such as
	// arn:aws:iam::111122223333:role/auditrelay/prod/*; empty for a system without an account.
	TrustedRoles string
	// Account is for tests of destinations with a role.
	Account sink.Account
	Now     func() time.Time
	// Caller says who sends a request.
	Caller func(*http.Request) connection.Caller
	// Journal is told of tests of destinations.
	Journal delivery.Journal
	// Fault is told of errors of our own, which the client sees only as "try again".
	Fault func(error)
}
