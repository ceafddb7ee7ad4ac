package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Validate says whether the log would be accepted. The error names the field and the rule.
func (l Log) Validate() error {
	if l.OccurredAt.IsZero() {
		return errors.New("occurred_at is missing")
	}
	if err := errors.Join(CheckID("id", l.ID), CheckID("workspace_id", l.WorkspaceID), CheckType(l.Type),
		CheckTime(l.OccurredAt.Format(time.RFC3339Nano))); err != nil {
		return err
	}
	if !json.Valid(l.Payload) || firstByte(l.Payload) != '{' {
		return errors.New("payload must be a JSON object")
	}
	return nil
}

// Message is the log as a queue message, its payload byte for byte. encoding/json would write six bytes for each < > & of the payload, and a log
// that fits the queue could outgrow it. The error is Validate's.
func (l Log) Message() ([]byte, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(len(l.Payload) + len(l.ID) + len(l.WorkspaceID) + len(l.Type) + 120)
	// Validate has taken nothing that would have to be escaped.
	fmt.Fprintf(&b, `{"id":"%s","workspace_id":"%s","type":"%s","occurred_at":"%s"`, l.ID, l.WorkspaceID, l.Type, l.OccurredAt.Format(time.RFC3339Nano))
	if l.ZeroRetention {
		b.WriteString(`,"zero_retention":true`)
	}
	b.WriteString(`,"payload":`)
	b.Write(l.Payload)
	b.WriteByte('}')
	return b.Bytes(), nil
}

// CheckID holds an id or a workspace id, named by field, against the rule of log.schema.json.
func CheckID(field, id string) error {
	ok := len(id) >= 1 && len(id) <= MaxIDLength
	for _, c := range []byte(id) {
		ok = ok && (letterOrDigit(c) || c >= 'A' && c <= 'Z' || c == '.' || c == '_' || c == '-')
	}
	if !ok {
		return fmt.Errorf("%s must be 1 to %d characters of A-Z a-z 0-9 . _ -", field, MaxIDLength)
	}
	return nil
}

// CheckType holds a log type against the rule of log.schema.json: words of a-z 0-9, joined by single underscores, beginning with a letter.
func CheckType(logType string) error {
	ok := len(logType) <= MaxTypeLength
	last := byte('_')
	for i, c := range []byte(logType) {
		ok = ok && (letterOrDigit(c) || c == '_' && last != '_') && (i > 0 || c >= 'a')
		last = c
	}
	if !ok || last == '_' {
		return fmt.Errorf("type must be a snake_case word of at most %d characters, such as %s", MaxTypeLength, UserActivity)
	}
	return nil
}

func letterOrDigit(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// CheckTime holds occurred_at against the rule of log.schema.json: RFC 3339 with a zone, in capital letters, with a point and at most nine digits
// before the zone, and without leap seconds. That is narrower than the RFC, and it is what every receiver's parser takes.
func CheckTime(occurredAt string) error {
	if !timeShape(occurredAt) {
		return errTime
	}
	if _, err := time.Parse(time.RFC3339, occurredAt); err != nil {
		return errTime
	}
	return nil
}

var errTime = errors.New("occurred_at must be an RFC 3339 time with a zone, such as 2026-11-02T09:30:00Z or 2026-11-02T15:00:00.123+05:30")

// timeShape checks what time.Parse is lax about: the number of digits of the hour, a comma for the point, and the zone's range.
func timeShape(s string) bool {
	const local = len("2026-11-02T09:30:00")
	if len(s) <= local || s[local-len("09:30:00")-1] != 'T' || s[local-len(":30:00")] != ':' {
		return false
	}
	zone := s[local:]
	if zone[0] == '.' {
		digits := 1
		for digits < len(zone) && zone[digits] >= '0' && zone[digits] <= '9' {
			digits++
		}
		if digits == 1 || digits > 1+9 {
			return false
		}
		zone = zone[digits:]
	}
	if zone == "Z" {
		return true
	}
	return len(zone) == len("+05:30") && zone[1:3] <= "23" && zone[4:6] <= "59"
}

// firstByte is the first byte of a JSON text that is not white space, or 0.
func firstByte(text []byte) byte {
	for _, c := range text {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c
		}
	}
	return 0
}
