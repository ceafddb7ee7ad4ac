package auditlog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/auditrelay/auditrelay/events"
)

// withheld is what is kept of a message that is not kept itself: what identifies it to its producer. The
// names are those that the contract takes, since any other text may be data.
type withheld struct {
	ID          string `json:"id,omitempty"`
	WorkspaceID string `json:"workspace_id,omitempty"`
	Type        string `json:"type,omitempty"`
	OccurredAt  string `json:"occurred_at,omitempty"`
	Bytes       int    `json:"bytes"`
	SHA256      string `json:"sha256"`
	// Withheld says why. It does not name the flag, so that such a note is kept as it is when it is sent to
	// the queue again by mistake.
	Withheld string `json:"withheld"`
}

const (
	unreadable = "the message is no JSON object, and may hold data that must not be kept; its producer must send it again"
	forbidden  = "the message asks that no data of a job be kept; its producer must send it again"
)

// Keepable gives what may be kept of a message that is no valid log. It is the message as it came, and whole
// is true, if that is a JSON object that names zero retention nowhere but in one flag of its envelope that
// says false; or a pointer, see ParsePointer. Of any other message only what identifies it is kept: it may
// hold job data in any place, because the rule that it breaks may be about the place. unread says that a
// deployment wants messages too of which nobody can tell what they ask for, because they are no JSON object.
func Keepable(body []byte, unread bool) (kept []byte, whole bool) {
	if p, ok, err := ParsePointer(body); ok && err == nil {
		return p.body(), true
	}
	e, err := open(body)
	named := mentions(body)
	switch {
	case err != nil && named == 0 && unread:
		return body, true
	case err != nil:
		return note(envelope{}, body, unreadable), false
	case named == 0, named == 1 && string(e.zeroRetention.raw) == "false" && !e.zeroRetention.asked:
		return body, true
	}
	return note(e, body, forbidden), false
}

func note(e envelope, body []byte, why string) []byte {
	sum := sha256.Sum256(body)
	n := withheld{Bytes: len(body), SHA256: hex.EncodeToString(sum[:]), Withheld: why}
	if id, err := text("id", e.id); err == nil && events.CheckID("id", id) == nil {
		n.ID = id
	}
	if id, err := text("workspace_id", e.workspaceID); err == nil && events.CheckID("workspace_id", id) == nil {
		n.WorkspaceID = id
	}
	if logType, err := text("type", e.logType); err == nil && events.CheckType(logType) == nil {
		n.Type = logType
	}
	if at, err := text("occurred_at", e.occurredAt); err == nil && events.CheckTime(at) == nil {
		n.OccurredAt = at
	}
	kept, err := json.Marshal(n)
	if err != nil {
		panic("auditlog: texts and a number cannot be written as JSON: " + err.Error())
	}
	return kept
}
