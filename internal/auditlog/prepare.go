package auditlog

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/auditrelay/auditrelay/events"
)

// SizeNotice stands where the lines of a log stood that was larger than events.MaxLogBytes.
const SizeNotice = "Log lines exceed size limit"

// Prepare makes the document that is stored and sent: without the data of its job if the log is
// zero-retention, and with its lines replaced by SizeNotice if it is over 40 MB. The error is an *Invalid:
// the log is over 40 MB even without its lines.
func Prepare(l Log) (Document, error) {
	payload := []byte(l.Payload)
	if l.ZeroRetention {
		var err error
		if payload, err = withoutData(payload); err != nil {
			return Document{}, invalid("payload cannot be read for zero retention")
		}
	}
	doc := document(l, payload)
	if len(doc.JSON) > events.MaxLogBytes {
		shorter, err := withoutLines(payload)
		if err != nil {
			return Document{}, invalid("payload cannot be read to shorten it")
		}
		if doc = document(l, shorter); len(doc.JSON) > events.MaxLogBytes {
			return Document{}, invalid("the log has %d bytes without its lines; at most %d are delivered", len(doc.JSON), events.MaxLogBytes)
		}
	}
	return doc, nil
}

// WithoutLines is the document with its lines replaced by SizeNotice, for a destination that takes no log of its size. A document that has none
// stays as it is.
func (d Document) WithoutLines() (Document, error) {
	shorter, err := withoutLines(d.JSON)
	if err != nil {
		return d, fmt.Errorf("shorten a document: %w", err)
	}
	d.JSON = shorter
	return d, nil
}

// document writes the JSON by hand: every string in it was checked by Decode and needs no escaping, and the payload is copied once.
func document(l Log, payload []byte) Document {
	var b bytes.Buffer
	b.Grow(len(payload) + len(l.ID) + len(l.Type) + len(l.WorkspaceID) + len(l.OccurredAt) + 80)
	b.WriteString(`{"id":"`)
	b.WriteString(l.ID)
	b.WriteString(`","type":"`)
	b.WriteString(l.Type)
	b.WriteString(`","workspace_id":"`)
	b.WriteString(l.WorkspaceID)
	b.WriteString(`","occurred_at":"`)
	b.WriteString(l.OccurredAt)
	b.WriteString(`","payload":`)
	if bytes.IndexByte(payload, '\n') < 0 && bytes.IndexByte(payload, '\r') < 0 {
		b.Write(payload)
	} else if err := json.Compact(&b, payload); err != nil {
		panic("auditlog: a decoded payload is no JSON: " + err.Error()) // Decode has parsed it
	}
	b.WriteByte('}')
	return Document{ID: l.ID, WorkspaceID: l.WorkspaceID, Type: l.Type, JSON: b.Bytes()}
}

// Parse reads a document back that Prepare made and the cache stored.
func Parse(doc []byte) (Document, error) {
	var d struct {
		ID          string `json:"id"`
		Type        string `json:"type"`
		WorkspaceID string `json:"workspace_id"`
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return Document{}, fmt.Errorf("parse a stored document: %w", err)
	}
	return Document{ID: d.ID, WorkspaceID: d.WorkspaceID, Type: d.Type, JSON: doc}, nil
}
