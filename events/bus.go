package events

import "time"

// Source is the source of every event on the EventBridge bus. The detail-types are the constants below; the detail of each is the type of the
// same name with the suffix Detail. EventBridge may deliver an event more than once: its fields say which fact it tells.
const Source = "auditrelay"

// The detail-types.
const (
	// LogDeliveryFailed: a log was given up, seven days after its acceptance.
	LogDeliveryFailed = "LogDeliveryFailed"
	// DestinationFailing: deliveries to a destination have begun to fail.
	DestinationFailing = "DestinationFailing"
	// DestinationRecovered: they get through again.
	DestinationRecovered = "DestinationRecovered"
	// DestinationDisconnected: an admin has disconnected a destination.
	DestinationDisconnected = "DestinationDisconnected"
	// DestinationDisabled: eight hours have passed since then.
	DestinationDisabled = "DestinationDisabled"
	// DestinationReconnected: an admin has reconnected a destination.
	DestinationReconnected = "DestinationReconnected"
	// DestinationChanged: an admin has created, updated, deleted or restored a destination, or eight hours have removed a deleted one.
	DestinationChanged = "DestinationChanged"
)

// DestinationName says which destination an event is about.
type DestinationName struct {
	DestinationID   string `json:"destination_id"`
	DestinationName string `json:"destination_name"`
	// WorkspaceID is the workspace that owns the destination.
	WorkspaceID string `json:"workspace_id"`
	// Kind is s3, http, azure_monitor, azure_blob or gcs; later versions may add kinds.
	Kind string `json:"kind"`
}

// LogDeliveryFailedDetail tells of a failed event.
type LogDeliveryFailedDetail struct {
	LogID string `json:"log_id"`
	// Hash is the beginning of the SHA-256 of the log as it is sent, before the destination's template. It tells
	// apart two logs under one id.
	Hash string `json:"hash,omitempty"`
	// WorkspaceID is the workspace of the log.
	WorkspaceID   string `json:"workspace_id"`
	DestinationID string `json:"destination_id"`
	// Kind is the destination's kind; empty if the destination was deleted.
	Kind       string    `json:"kind,omitempty"`
	Type       string    `json:"type"`
	AcceptedAt time.Time `json:"accepted_at"`
	FailedAt   time.Time `json:"failed_at"`
	// Attempts is 0 when the log only waited, for a destination that stayed disconnected.
	Attempts int `json:"attempts"`
	// Code is why the last attempt failed, see docs/errors.md; empty without an attempt.
	Code string `json:"code,omitempty"`
}

// DestinationFailingDetail tells why a destination fails, and since when.
type DestinationFailingDetail struct {
	DestinationName
	Since time.Time `json:"since"`
	Code  string    `json:"code"`
}

// DestinationRecoveredDetail tells of the failure that is over.
type DestinationRecoveredDetail struct {
	DestinationName
	FailingSince time.Time `json:"failing_since"`
	RecoveredAt  time.Time `json:"recovered_at"`
	// Code is why the destination failed.
	Code string `json:"code"`
}

// DestinationDisconnectedDetail tells who disconnected a destination, and when it will be disabled.
type DestinationDisconnectedDetail struct {
	DestinationName
	// Generation counts the transitions of the connection. The DestinationDisabled that follows has the next one.
	Generation     int       `json:"generation"`
	DisconnectedAt time.Time `json:"disconnected_at"`
	DisablesAt     time.Time `json:"disables_at"`
	// By is the caller's identity.
	By string `json:"by"`
}

// DestinationDisabledDetail tells when the eight hours were over.
type DestinationDisabledDetail struct {
	DestinationName
	Generation     int       `json:"generation"`
	DisconnectedAt time.Time `json:"disconnected_at"`
	DisabledAt     time.Time `json:"disabled_at"`
}

// DestinationReconnectedDetail tells who reconnected a destination.
type DestinationReconnectedDetail struct {
	DestinationName
	Generation    int       `json:"generation"`
	ReconnectedAt time.Time `json:"reconnected_at"`
	By            string    `json:"by"`
}

// DestinationChangedDetail tells who changed a destination. It never holds a credential.
type DestinationChangedDetail struct {
	DestinationName
	// Change is created, updated, deleted (it can be restored for eight hours), restored, or removed (it is gone); later versions may add changes.
	Change string `json:"change"`
	// Fields are the names of what an update changed, such as "settings.url" or "credentials"; not their values.
	Fields    []string  `json:"fields,omitempty"`
	Version   int       `json:"version"`
	ChangedAt time.Time `json:"changed_at"`
	By        string    `json:"by"`
}

// Announcement is one event on the bus: a detail-type and the detail that belongs to it.
type Announcement struct {
	DetailType string
	Detail     any
	At         time.Time
}
