package directory

import (
	"time"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// NoticeKind is what a mail is about.
type NoticeKind string

// The kinds of notices.
const (
	// Voluntary: an admin disconnected the destination eight hours ago, and it is disabled now. One mail a disconnect.
	Voluntary NoticeKind = "voluntary"
	// Involuntary: deliveries fail because the connection is no longer valid. At most one mail in 24 hours.
	Involuntary NoticeKind = "involuntary"
	// Recovered: deliveries get through again.
	Recovered NoticeKind = "recovered"
	// ExpiryWarning: logs that wait will be given up within 24 hours.
	ExpiryWarning NoticeKind = "expiry_warning"
)

// Notice is a message on the notices queue: there may be something to mail. Whoever takes it checks the destination as it is then, and
// claims the mail, so that a repeated or outdated notice does no harm.
type Notice struct {
	Kind          NoticeKind `json:"kind"`
	DestinationID string     `json:"destination_id"`
	// Incarnation is the record's that the notice is about. A notice of another one is void.
	Incarnation string `json:"incarnation,omitempty"`
	// Generation is the destination's, at the disconnect that a voluntary notice is about.
	Generation int `json:"generation,omitempty"`
	// Since is when the destination was disconnected or, for the other kinds, when it began to fail.
	Since time.Time `json:"since,omitzero"`
	// Code is why it fails, and Answer what the service answered, see Health.
	Code   failure.Code `json:"code,omitempty"`
	Answer string       `json:"answer,omitempty"`
	// At is when it was noticed: the error time of the mail.
	At time.Time `json:"at"`
}
