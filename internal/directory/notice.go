package directory

import (
	"cmp"
	"slices"
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
	// ExpiryWarning: logs that wait will be given up within a day or so, whatever the reason. At most one mail in 24 hours.
	ExpiryWarning NoticeKind = "expiry_warning"
	// Deletion: an admin has deleted the destination, which can be restored for eight hours. One mail a deletion.
	Deletion NoticeKind = "deletion"
	// CutOffNotice: a child workspace's own destination takes logs that came to this shared one. At most one mail a child in 24 hours.
	CutOffNotice NoticeKind = "cut_off"
	// UnroutedNotice: logs of a workspace went to no destination, though it is served by some. The destination is one of those, whose owner is told,
	// once for all children: at most one mail in 28 days, and another when the destinations ask for other types.
	UnroutedNotice NoticeKind = "unrouted"
)

// Notice is a message on the notices queue: there may be something to mail. Whoever takes it checks the destination as it is then, and
// claims the mail, so that a repeated or outdated notice does no harm.
type Notice struct {
	Kind          NoticeKind `json:"kind"`
	DestinationID string     `json:"destination_id"`
	// Incarnation is the record's that the notice is about. A notice of another one is void.
	Incarnation string `json:"incarnation,omitempty"`
	// Generation is the destination's, at the disconnect that a voluntary notice is about, or after the deletion.
	Generation int `json:"generation,omitempty"`
	// Subject is what a mail says of a destination that may be gone by the time; nil where that voids the notice.
	Subject *Subject `json:"subject,omitempty"`
	// Since is when the destination was disconnected, when it began to fail, or when it refused the first of the logs that
	// are to be lost, whichever is the reason for the mail.
	Since time.Time `json:"since,omitzero"`
	// Code is why it fails, and Answer what the service answered, see Health.
	Code   failure.Code `json:"code,omitempty"`
	Answer string       `json:"answer,omitempty"`
	// At is when it was noticed: the error time of the mail.
	At time.Time `json:"at"`
	// Child is whose logs no longer come, for a destination that was cut off; nil for the other kinds.
	Child *Child `json:"child,omitempty"`
	// Unrouted are the logs that went to no destination; nil for the other kinds.
	Unrouted *Unrouted `json:"unrouted,omitempty"`
	// Losses are what an expiry warning is about; nil for the other kinds.
	Losses *Losses `json:"losses,omitempty"`
}

// Child is a workspace whose own destination takes logs that came to its parent's, and which logs.
type Child struct {
	ID       string   `json:"id"`
	Name     string   `json:"name,omitempty"`
	LogTypes []string `json:"log_types,omitempty"`
	Others   bool     `json:"others,omitempty"`
}

// Losses are logs that are given up by some time unless their destination takes them.
type Losses struct {
	// Logs is how many, and Waiting how many logs wait in all; More says that there are others, which were not counted.
	Logs    int  `json:"logs"`
	Waiting int  `json:"waiting"`
	More    bool `json:"more,omitempty"`
	// First is when the first of them is given up, and Until the time by which all are.
	First time.Time `json:"first"`
	Until time.Time `json:"until"`
	// Codes says why, the most frequent code first.
	Codes []CodeCount `json:"codes"`
}

// CodeCount is how many logs wait because their last attempt failed for a reason. The code is empty for logs that
// were not tried yet.
type CodeCount struct {
	Code failure.Code `json:"code"`
	Logs int          `json:"logs"`
}

// ByCode puts counts in order: the most frequent code first, and of equal ones by name.
func ByCode(counts map[failure.Code]int) []CodeCount {
	list := make([]CodeCount, 0, len(counts))
	for code, n := range counts {
		list = append(list, CodeCount{code, n})
	}
	slices.SortFunc(list, func(a, b CodeCount) int {
		return cmp.Or(cmp.Compare(b.Logs, a.Logs), cmp.Compare(a.Code, b.Code))
	})
	return list
}

// Subject is who a destination is, and whose.
type Subject struct {
	Name        string `json:"name,omitempty"`
	WorkspaceID string `json:"workspace_id"`
	Kind        Kind   `json:"kind"`
}

// Subject is what a notice takes along of the destination.
func (d Destination) Subject() *Subject {
	return &Subject{Name: d.Name, WorkspaceID: d.WorkspaceID, Kind: d.Kind}
}

// Destination is what the notice knows of its destination.
func (n Notice) Destination() Destination {
	d := Destination{ID: n.DestinationID, Incarnation: n.Incarnation}
	if n.Subject != nil {
		d.Name, d.WorkspaceID, d.Kind = n.Subject.Name, n.Subject.WorkspaceID, n.Subject.Kind
	}
	return d
}
