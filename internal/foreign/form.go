// Package foreign makes logs of the audit events of other systems: an event becomes the payload as it is, and
// what the envelope needs is read out of it. It is pure: no I/O, no clock.
package foreign

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
)

// Form says where the events of a system keep what an envelope needs. Fields are named by paths, see find.
type Form struct {
	// Type is the log type. If TypeField is set, an event that has the field is of the type that it names.
	Type, TypeField string
	// ID are the ways to name an event: the first counts all of whose fields are there. The field SHA256
	// stands for the event's own hash.
	ID [][]string
	// Time are the fields that hold the event's time: the first counts that is there.
	Time []string
	// Zone is that of times that name none; nil refuses them.
	Zone *time.Location
	// MonthFirst takes times as Americans write them too, such as 1/9/2007 10:41:00 AM.
	MonthFirst bool
	// ZeroRetentionField, if set, is the field that asks for zero retention, with true. An event without it
	// asks for none.
	ZeroRetentionField string
}

// SHA256 in place of an id's field is the hash of the event, for systems whose events have no id or share
// one.
const SHA256 = "sha256"

// Log makes a log of an event. The error says what is wrong, and quotes nothing of the event.
func (f Form) Log(workspaceID string, event []byte) (events.Log, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(event, &fields); err != nil || fields == nil || !utf8.Valid(event) {
		return events.Log{}, notAnObject(event)
	}
	l := events.Log{WorkspaceID: workspaceID, Type: f.Type, Payload: event}
	var err error
	if l.ID, err = f.id(fields, event); err != nil {
		return events.Log{}, err
	}
	if l.OccurredAt, err = f.time(fields); err != nil {
		return events.Log{}, err
	}
	if raw := find(fields, f.TypeField); raw != nil {
		if l.Type, err = text(raw); err != nil {
			return events.Log{}, fmt.Errorf("the field %q (--type-field) is not a string", f.TypeField)
		}
	}
	if raw := find(fields, f.ZeroRetentionField); raw != nil {
		if l.ZeroRetention = string(raw) == "true"; !l.ZeroRetention && string(raw) != "false" {
			return events.Log{}, fmt.Errorf("the field %q (--zero-retention-field) is neither true nor false", f.ZeroRetentionField)
		}
	}
	return l, l.Validate()
}

// notAnObject says why an event is no JSON object.
func notAnObject(event []byte) error {
	if err := auditlog.CheckObject(event); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "the message", "the event"))
	}
	return errors.New("the event is not a JSON object")
}

// time reads when the event happened.
func (f Form) time(fields map[string]json.RawMessage) (time.Time, error) {
	for _, name := range f.Time {
		raw := find(fields, name)
		if raw == nil {
			continue
		}
		at, err := f.moment(raw)
		if err != nil {
			return time.Time{}, fmt.Errorf("the field %q (--time-field) %w", name, err)
		}
		return at, nil
	}
	return time.Time{}, missing(f.Time, "--time-field")
}

// missing says which fields an event lacks.
func missing(names []string, flag string) error {
	if len(names) == 1 {
		return fmt.Errorf("the line has no field %q (%s)", names[0], flag)
	}
	return fmt.Errorf("the line has none of the fields %q (%s)", names, flag)
}
