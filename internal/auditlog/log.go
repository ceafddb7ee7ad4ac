// Package auditlog turns queue messages into logs and logs into the documents that destinations receive. It is pure: no I/O, no clock.
package auditlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/auditrelay/auditrelay/events"
)

// Log is a valid log, decoded and not yet prepared.
type Log struct {
	ID            string
	WorkspaceID   string
	Type          string
	OccurredAt    string // RFC 3339, as the producer wrote it
	ZeroRetention bool
	Payload       json.RawMessage // a JSON object
}

// Document is a prepared log: what is stored and sent. JSON is {id, type, workspace_id, occurred_at, payload} on one line.
type Document struct {
	ID          string
	WorkspaceID string
	Type        string
	JSON        []byte
}

// Invalid says why a message is no log. Reason is a sentence for the producer: what, where, which rule. It quotes no payload.
type Invalid struct{ Reason string }

// Error gives the reason.
func (e *Invalid) Error() string { return e.Reason }

func invalid(format string, a ...any) error { return &Invalid{Reason: fmt.Sprintf(format, a...)} }

var (
	idRule   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
	typeRule = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
)

// envelope has every field as its raw JSON, so that each mistake can be named.
type envelope struct {
	ID            json.RawMessage `json:"id"`
	WorkspaceID   json.RawMessage `json:"workspace_id"`
	Type          json.RawMessage `json:"type"`
	OccurredAt    json.RawMessage `json:"occurred_at"`
	ZeroRetention json.RawMessage `json:"zero_retention"`
	Payload       json.RawMessage `json:"payload"`
}

// Decode reads one queue message. Unknown fields are ignored, for later versions of the envelope. The error is always an *Invalid.
func Decode(body []byte) (Log, error) {
	if !utf8.Valid(body) {
		return Log{}, invalid("the message is not valid UTF-8")
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return Log{}, invalid("%s", notJSON(body, err))
	}
	var l Log
	var err error
	if l.ID, err = text("id", e.ID); err != nil {
		return Log{}, err
	}
	if !idRule.MatchString(l.ID) {
		return Log{}, invalid("id must be 1 to 128 characters of A-Z a-z 0-9 . _ -")
	}
	if l.WorkspaceID, err = text("workspace_id", e.WorkspaceID); err != nil {
		return Log{}, err
	}
	if !idRule.MatchString(l.WorkspaceID) {
		return Log{}, invalid("workspace_id must be 1 to 128 characters of A-Z a-z 0-9 . _ -")
	}
	if l.Type, err = text("type", e.Type); err != nil {
		return Log{}, err
	}
	if len(l.Type) > events.MaxTypeLength || !typeRule.MatchString(l.Type) {
		return Log{}, invalid("type must be a snake_case word of at most %d characters, such as user_activity", events.MaxTypeLength)
	}
	if l.OccurredAt, err = text("occurred_at", e.OccurredAt); err != nil {
		return Log{}, err
	}
	if _, err := time.Parse(time.RFC3339, l.OccurredAt); err != nil {
		return Log{}, invalid("occurred_at must be an RFC 3339 time with a zone, such as 2026-11-02T09:30:00Z")
	}
	if len(e.ZeroRetention) > 0 {
		if l.ZeroRetention, err = strconv.ParseBool(string(e.ZeroRetention)); err != nil || len(e.ZeroRetention) < len("true") {
			return Log{}, invalid("zero_retention must be true or false, not %s", describe(e.ZeroRetention))
		}
	}
	if e.Payload == nil {
		return Log{}, invalid("payload is missing; it must be a JSON object")
	}
	if e.Payload[0] != '{' {
		return Log{}, invalid("payload must be a JSON object, not %s", describe(e.Payload))
	}
	l.Payload = e.Payload
	return l, nil
}

func text(field string, raw json.RawMessage) (string, error) {
	if raw == nil {
		return "", invalid("%s is missing", field)
	}
	if raw[0] != '"' {
		return "", invalid("%s must be a string, not %s", field, describe(raw))
	}
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", invalid("%s is not a valid JSON string", field)
	}
	return s, nil
}

// notJSON explains a syntax error by its place, without quoting the message.
func notJSON(body []byte, err error) string {
	switch e := err.(type) {
	case *json.SyntaxError:
		if len(bytes.TrimSpace(body)) == 0 {
			return "the message is empty; it must be a JSON object"
		}
		return fmt.Sprintf("the message is not valid JSON: byte %d of %d is not what the syntax allows", e.Offset, len(body))
	case *json.UnmarshalTypeError:
		return "the message must be a JSON object, not " + describe(bytes.TrimSpace(body))
	}
	return "the message is not valid JSON"
}

func describe(raw []byte) string {
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
