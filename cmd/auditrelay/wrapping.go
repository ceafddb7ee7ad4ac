package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/foreign"
	"github.com/auditrelay/auditrelay/internal/logfile"
)

// wrapping are the flags that say what is sent.
type wrapping struct {
	source, workspace string
	form              foreign.Form
	id                []string
	time, zone        string
	records           string
}

// reading is how a file becomes messages.
type reading struct {
	values func(io.Reader) iter.Seq2[logfile.Value, error]
	// message makes the message of a value that is in one line. The error says why it is none.
	message func(value []byte) (outgoing, error)
}

// reading checks the flags and puts them into effect; given says which of them were given.
func (w *wrapping) reading(given func(flag string) bool) (reading, error) {
	r := reading{values: logfile.Lines, message: asItIs}
	var records []string
	if w.source != "" {
		source, err := foreign.FindSource(w.source)
		if err != nil {
			return r, usageError(err.Error())
		}
		w.over(&source.Form, given)
		w.form, records = source.Form, source.Records
	} else {
		w.form.ID, w.form.Time = [][]string{w.id}, []string{w.time}
	}
	if given("records") {
		if records = []string{w.records}; w.records == "." {
			records = nil
		}
	}
	if w.source != "" || given("records") {
		r.values = func(in io.Reader) iter.Seq2[logfile.Value, error] { return logfile.Documents(in, records...) }
	}
	if w.form.Type == "" {
		for _, flag := range []string{"workspace", "id-field", "time-field", "time-zone", "type-field", "zero-retention-field"} {
			if given(flag) {
				return r, usageError("--" + flag + " goes with --wrap or --from; without them, lines are logs already, which name all of that themselves")
			}
		}
		return r, nil
	}
	if w.workspace == "" {
		return r, usageError("--wrap and --from need --workspace: the workspace that the logs belong to")
	}
	if err := errors.Join(events.CheckID("--workspace", w.workspace), events.CheckType(w.form.Type)); err != nil {
		return r, usageError(err.Error())
	}
	if w.zone != "" {
		zone, err := foreign.ParseZone(w.zone)
		if err != nil {
			return r, usageError(err.Error())
		}
		w.form.Zone = zone
	}
	r.message = w.wrapped
	return r, nil
}

// over puts the flags that were given in the place of what is known of a source.
func (w *wrapping) over(f *foreign.Form, given func(flag string) bool) {
	if w.form.Type != "" {
		f.Type = w.form.Type
	}
	f.TypeField, f.ZeroRetentionField = w.form.TypeField, w.form.ZeroRetentionField
	if given("id-field") {
		f.ID = [][]string{w.id}
	}
	if given("time-field") {
		f.Time = []string{w.time}
	}
}

// wrapped makes a log of an event.
func (w *wrapping) wrapped(event []byte) (outgoing, error) {
	l, err := w.form.Log(w.workspace, event)
	if err != nil {
		return outgoing{}, err
	}
	body, err := l.Message()
	if err != nil {
		return outgoing{}, err
	}
	return checked(body)
}

// asItIs takes a value that is a log already, or the pointer to one.
func asItIs(value []byte) (outgoing, error) {
	if _, pointer, err := auditlog.ParsePointer(value); pointer {
		return outgoing{body: bytes.Clone(value)}, err
	}
	return checked(bytes.Clone(value)) // the file's reader uses its memory again
}

// checked decides as the receiving side does, before the log is sent.
func checked(body []byte) (outgoing, error) {
	l, err := auditlog.Decode(body)
	if err != nil {
		return outgoing{}, err
	}
	if len(body) > events.MaxMessageBytes {
		return outgoing{}, fmt.Errorf("the log has %d bytes, and a message at most %d; docs/producers.md says how larger ones are sent", len(body), events.MaxMessageBytes)
	}
	return outgoing{workspaceID: l.WorkspaceID, body: body}, nil
}

// inOneLine gives a value without the white space between its tokens if it has line breaks, and otherwise as
// it is. Its tokens stay as they are.
func inOneLine(value []byte) []byte {
	if bytes.IndexByte(value, '\n') < 0 && bytes.IndexByte(value, '\r') < 0 {
		return value
	}
	var line bytes.Buffer
	if json.Compact(&line, value) != nil {
		return value // message says what is wrong with it
	}
	return line.Bytes()
}
