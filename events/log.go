// Package events is auditrelay's public contract: what producers send (a [Log]) and what comes out (a [Document] for destinations, and the
// details in bus.go for the EventBridge bus). The JSON Schemas and the examples beside this file say the same; tests hold them together.
package events

import (
	"encoding/json"
	"time"
)

// The log types that have a published shape. Other snake_case types pass too, with any payload.
const (
	UserActivity = "user_activity"
	JobSummary   = "job_summary"
	JobDetails   = "job_details"
)

// Limits of the contract.
const (
	// MaxMessageBytes is the largest queue message. A larger log goes to the payload bucket and its pointer to the queue.
	MaxMessageBytes = 1 << 20
	// MaxLogBytes is the largest document that is delivered whole. Of a larger one the context stays and the lines are replaced.
	MaxLogBytes = 40 << 20
	// MaxIDLength is the longest log id.
	MaxIDLength = 128
	// MaxTypeLength is the longest log type.
	MaxTypeLength = 64
)

// Log is one audit event as a producer puts it on the ingest queue, envelope version 1.
type Log struct {
	// ID names the log: 1 to 128 of A-Z a-z 0-9 . _ -. Object names and webhook ids are made of it, so it must never be used for two different logs.
	ID string `json:"id"`
	// WorkspaceID is the customer account in which it happened: 1 to 128 of A-Z a-z 0-9 . _ -.
	WorkspaceID string `json:"workspace_id"`
	// Type is user_activity, job_summary, job_details or another snake_case word.
	Type string `json:"type"`
	// OccurredAt is when it happened.
	OccurredAt time.Time `json:"occurred_at"`
	// ZeroRetention has the data of the job removed from the payload before the log is stored or sent
	// anywhere: input and output, the values of report and error, and texts that hold such members.
	ZeroRetention bool `json:"zero_retention,omitempty"`
	// Payload is the event itself, a JSON object that auditrelay passes on as it is.
	Payload json.RawMessage `json:"payload"`
}

// Document is what a destination receives.
type Document struct {
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	WorkspaceID string          `json:"workspace_id"`
	OccurredAt  time.Time       `json:"occurred_at"`
	Payload     json.RawMessage `json:"payload"`
}
