// Package directory knows workspaces and their destinations: who owns what, where a log goes, and in which state a connection is.
// It is pure: values in, values out.
package directory

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// WorkspaceKind tells how a workspace relates to others.
type WorkspaceKind string

// The kinds of workspaces. Customers and managed workspaces have a parent.
const (
	Standalone       WorkspaceKind = "standalone"
	EmbeddedPartner  WorkspaceKind = "embedded_partner"
	EmbeddedCustomer WorkspaceKind = "embedded_customer"
	AHQAdmin         WorkspaceKind = "ahq_admin"
	AHQManaged       WorkspaceKind = "ahq_managed"
)

// WorkspaceKinds lists every kind, in the order that messages name them.
func WorkspaceKinds() []WorkspaceKind {
	return []WorkspaceKind{Standalone, EmbeddedPartner, EmbeddedCustomer, AHQAdmin, AHQManaged}
}

// Workspace is a customer account.
type Workspace struct {
	ID   string        `json:"id"`
	Name string        `json:"name"`
	Kind WorkspaceKind `json:"kind"`
	// ParentID is the partner or AHQ admin workspace, or empty.
	ParentID string `json:"parent_id,omitempty"`
	// Admins and ErrorRecipients are mail addresses; both get the mails about the workspace's own destinations.
	Admins          []string `json:"admins,omitempty"`
	ErrorRecipients []string `json:"error_recipients,omitempty"`
	// ExternalID is what roles that the workspace's S3 destinations assume must demand, see NewExternalID.
	ExternalID string `json:"external_id,omitempty"`
	// Incarnation tells this record from every other that had or will have its id, see NewIncarnation.
	Incarnation string `json:"-"`
	// Revision grows with every write of the record; a write over an older one is refused with ErrChanged.
	Revision int `json:"-"`
}

// Kind is what a destination is.
type Kind string

// The kinds of destinations.
const (
	S3           Kind = "s3"
	HTTP         Kind = "http"
	AzureMonitor Kind = "azure_monitor"
	AzureBlob    Kind = "azure_blob"
	GCS          Kind = "gcs"
)

// Kinds lists every kind, in the order that messages name them.
func Kinds() []Kind { return []Kind{S3, HTTP, AzureMonitor, AzureBlob, GCS} }

// State is where a connection stands in its life, see transition.go.
type State string

// The states of a connection.
const (
	Connected    State = "connected"
	Disconnected State = "disconnected"
	Disabled     State = "disabled"
	// Deleted: an admin has deleted the destination, and until its grace ends can still restore it. It is sent nothing but the entry about its deletion;
	// logs wait for it as for a disconnected one.
	Deleted State = "deleted"
)

// Destination is one streaming connection, owned by one workspace.
type Destination struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	WorkspaceID string `json:"workspace_id"`
	Kind        Kind   `json:"kind"`
	// Shared destinations also serve the owner's child workspaces that have none of their own.
	Shared bool `json:"shared"`
	// LogTypes are the types this destination wants; none means all.
	LogTypes []string `json:"log_types,omitempty"`
	// ExternalID is a copy of the owner's, so that one reading gives all that sending needs. S3 destinations have it.
	ExternalID string `json:"external_id,omitempty"`
	// Incarnation tells this record from every other that had or will have its id, see NewIncarnation.
	Incarnation string `json:"-"`
	// Settings are the kind's own, see package sink. They hold no credential.
	Settings json.RawMessage `json:"settings"`
	// Credentials are sealed, see package vault; empty if the destination has none. They are part of the record so
	// that one write changes them together with the settings, and one reading gives both.
	Credentials Sealed `json:"-"`
	State       State  `json:"state"`
	// Generation grows with every transition, so that a timer of an earlier one does nothing.
	Generation int `json:"generation"`
	// StateSince is when the connection came into its state.
	StateSince time.Time `json:"state_since,omitzero"`
	Health     Health    `json:"health"`
	// Farewell is the id of the activity audit's entry about the deletion: the one log that a deleted destination is sent.
	Farewell string `json:"-"`
	// Draining says that the backlog is being sent at once, after a recovery or a reconnect.
	Draining bool `json:"draining,omitempty"`
	// LastLook says that the backlog was sent, but for a last look at it that is still to come: it sees whatever was parked while Draining stood here. Who
	// parks a log later finds that Draining does not, and sets it.
	LastLook bool `json:"-"`
	// OpenedAt is when it last began to take logs: it was connected, reconnected, or recovered. A drain sends what was not tried since.
	OpenedAt time.Time `json:"-"`
	// Version grows with every change an admin makes. Sinks and their sessions are kept by incarnation and version.
	Version int `json:"version"`
	// Revision grows with every write of the record, health and state included; a write over an older one is refused with ErrChanged.
	Revision int `json:"-"`
}

// Sealed are a destination's credentials, encrypted and bound to the record that holds them.
type Sealed []byte

// NewIncarnation gives a new record its incarnation: 130 random bits, so that it is never used again and nobody
// can guess it. An id is a name for people and may be used again after a deletion; what remembers, locks or resumes
// does so by incarnation.
func NewIncarnation() string { return rand.Text() }

// Identity names this very record, where its id alone would also name the records before and after it.
func (d Destination) Identity() string { return Identity(d.ID, d.Incarnation) }

// Identity is a destination's id and incarnation as one text. Ids hold no '~'.
func Identity(id, incarnation string) string { return id + "~" + incarnation }

// SameRecord says whether o is this record, at whatever revision.
func (d Destination) SameRecord(o Destination) bool {
	return d.ID == o.ID && d.Incarnation == o.Incarnation
}

// Accepts says whether a log of a workspace may be sent to the destination as it is: to one that is connected any, to a deleted one its farewell.
func (d Destination) Accepts(workspaceID, logID string) bool {
	return d.State == Connected || d.State == Deleted && logID == d.Farewell && logID != "" && workspaceID == d.WorkspaceID
}

// NeedsAttention says whether requeue must look at the destination every minute: it fails, its timer runs, its backlog is being sent or had its last look
// not yet, it is disabled, so that logs which wait for it are lost one day, or it has refused logs that may wait.
func (d Destination) NeedsAttention() bool {
	return d.InGrace() || d.State == Disabled || d.Health.State == Failing || d.Draining || d.LastLook || d.Health.Refuses()
}

// Takes says whether the destination takes logs, as far as is known.
func (d Destination) Takes() bool { return d.State == Connected && d.Health.State != Failing }

// Drain has what waits for the destination sent at once, from the time at which it opened.
func (d Destination) Drain(opened time.Time) Destination {
	d.Draining, d.LastLook, d.OpenedAt = true, false, opened.UTC().Truncate(time.Millisecond)
	return d
}

// HealthState says whether deliveries get through.
type HealthState string

// The states of a destination's health.
const (
	Healthy HealthState = "healthy"
	Failing HealthState = "failing"
)

// Health is how a destination has fared of late.
type Health struct {
	State HealthState `json:"state"`
	// Since is when it began to fail; zero while healthy.
	Since time.Time `json:"since,omitzero"`
	// Code is why it fails; empty while healthy.
	Code failure.Code `json:"code,omitempty"`
	// Answer is what the service answered, in short, where the code says less: "HTTP 403 QuotaExceeded". It may be empty,
	// and is safe to show, see failure.Error.
	Answer string `json:"answer,omitempty"`
	// Until is when it may be tried again, if it asked to be left alone, and AskedAt when it asked.
	Until   time.Time `json:"until,omitzero"`
	AskedAt time.Time `json:"-"`
	// TakenAt is when it last took a log, as far as that was written down: logs that are taken cost no write, so it
	// is noted with other changes, and each hour while Refused says something. Zero if it is not known.
	TakenAt time.Time `json:"taken_at,omitzero"`
	// Refused is what it refused of late; zero if nothing of that waits.
	Refused Refusals `json:"refused,omitzero"`
}

// Refusals are logs that a destination refused one by one, for a reason that is theirs, so that it may take others.
type Refusals struct {
	// Since is when the first of them was refused, or when the destination was set up anew after that.
	Since time.Time `json:"since,omitzero"`
	// Logs counts those that were refused at their first attempt while nothing is known to have been taken, until there
	// are enough to say that the destination refuses whatever comes.
	Logs int `json:"-"`
	// Code is why the first was refused, and Answer what the service answered, see Health.
	Code   failure.Code `json:"code,omitempty"`
	Answer string       `json:"answer,omitempty"`
}

// Refuses says whether logs may wait that the destination refused one by one.
func (h Health) Refuses() bool { return !h.Refused.Since.IsZero() }

// SetUpAnew is the health after a change of what is sent to whom: neither a pause nor a refusal of before says
// anything of the time that follows. What was refused still waits.
func (h Health) SetUpAnew(now time.Time) Health {
	h.Until = time.Time{}
	if h.Refuses() {
		h.Refused.Since, h.Refused.Logs = now.UTC().Truncate(time.Millisecond), 0
	}
	return h
}

// MostDestinations is how many destinations a workspace may own. Each of its logs can go to all of them, in one invocation with others' logs.
const MostDestinations = 100

// Wants says whether the destination takes logs of this type.
func (d Destination) Wants(logType string) bool {
	return len(d.LogTypes) == 0 || slices.Contains(d.LogTypes, logType)
}

// Route picks the destinations of a log: the workspace's own that want its type, or, if there are none, its parent's shared ones that do.
// Disconnected, disabled and deleted destinations are picked too: logs wait for them, and nothing goes elsewhere that may not be taken back.
func Route(logType string, own, parents []Destination) []Destination {
	picked := pick(own, func(d Destination) bool { return d.Wants(logType) })
	if len(picked) > 0 {
		return picked
	}
	return pick(parents, func(d Destination) bool { return d.Shared && d.Wants(logType) })
}

func pick(from []Destination, want func(Destination) bool) []Destination {
	var picked []Destination
	for _, d := range from {
		if want(d) {
			picked = append(picked, d)
		}
	}
	return picked
}

// ErrNotFound is a directory's answer for a workspace or destination that it does not hold.
var ErrNotFound = errors.New("not in the directory")

// ErrChanged is a store's answer when another writer was first: the record is no longer what the write was meant for.
var ErrChanged = errors.New("the record was changed meanwhile")
