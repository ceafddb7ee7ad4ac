// Package auditlog turns queue messages into logs and logs into the documents that destinations receive. It is pure: no I/O, no clock.
package auditlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/auditrelay/auditrelay/events"
)

// MaxNesting is how deep objects and arrays may nest in a message, its own object counted. It is the limit of jsontext and of encoding/json.
const MaxNesting = 10_000

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

// Decode reads one queue message. Unknown fields are ignored, for later versions of the envelope; names are
// told apart by case; of two fields of one name the last counts. The flag of zero retention alone is read
// more widely, see flag. The log's payload shares the memory of body. The error is always an *Invalid.
func Decode(body []byte) (Log, error) {
	e, err := open(body)
	if err != nil {
		return Log{}, err
	}
	var l Log
	if l.ID, err = text("id", e.id); err != nil {
		return Log{}, err
	}
	if l.WorkspaceID, err = text("workspace_id", e.workspaceID); err != nil {
		return Log{}, err
	}
	if l.Type, err = text("type", e.logType); err != nil {
		return Log{}, err
	}
	if l.OccurredAt, err = text("occurred_at", e.occurredAt); err != nil {
		return Log{}, err
	}
	for _, err := range [...]error{events.CheckID("id", l.ID), events.CheckID("workspace_id", l.WorkspaceID),
		events.CheckType(l.Type), events.CheckTime(l.OccurredAt)} {
		if err != nil {
			return Log{}, invalid("%s", err)
		}
	}
	if l.ZeroRetention, err = e.zeroRetention.yes(); err != nil {
		return Log{}, err
	}
	if e.payload == nil {
		return Log{}, invalid("payload is missing; it must be a JSON object")
	}
	if e.payload[0] != '{' {
		return Log{}, invalid("payload must be a JSON object, not %s", describe(e.payload))
	}
	l.Payload = e.payload
	return l, nil
}

// CheckObject says whether a text is one JSON object. The error is an *Invalid, in the words of Decode.
func CheckObject(text []byte) error {
	_, err := open(text)
	return err
}

// envelope has every field as its raw JSON, so that each mistake can be named. A field that is missing is nil.
type envelope struct {
	id, workspaceID, logType, occurredAt, payload json.RawMessage
	zeroRetention                                 flag
}

// open checks that a message is one JSON object and finds the envelope's fields in it, without copying them.
func open(body []byte) (envelope, error) {
	var e envelope
	if !utf8.Valid(body) {
		return e, invalid("the message is not valid UTF-8")
	}
	in := decoder(body)
	if kind := in.PeekKind(); kind != '{' {
		if _, err := in.ReadValue(); err != nil {
			return e, notJSON(body, err)
		}
		if err := nothingAfter(body, in.InputOffset()); err != nil {
			return e, err
		}
		return e, invalid("the message must be a JSON object, not %s", describe(bytes.TrimSpace(body)))
	}
	if _, err := in.ReadToken(); err != nil {
		return e, notJSON(body, err)
	}
	for in.PeekKind() == '"' {
		token, err := in.ReadToken()
		if err != nil {
			return e, notJSON(body, err)
		}
		name := token.String()
		if name == "payload" && in.PeekKind() == '{' {
			err = e.openPayload(body, in)
		} else {
			err = e.openField(body, in, name)
		}
		if err != nil {
			return e, notJSON(body, err)
		}
	}
	if _, err := in.ReadToken(); err != nil {
		return e, notJSON(body, err)
	}
	return e, nothingAfter(body, in.InputOffset())
}

// openField takes the value of a field.
func (e *envelope) openField(body []byte, in *jsontext.Decoder, name string) error {
	value, err := in.ReadValue()
	if err != nil {
		return err
	}
	end := in.InputOffset()
	raw := json.RawMessage(body[end-int64(len(value)) : end])
	if field := e.field(name); field != nil {
		*field = raw
	} else {
		e.zeroRetention.envelope(name, raw)
	}
	return nil
}

// openPayload takes the payload, an object, and looks at the names in it.
func (e *envelope) openPayload(body []byte, in *jsontext.Decoder) error {
	if _, err := in.ReadToken(); err != nil {
		return err
	}
	start := in.InputOffset() - int64(len("{"))
	for in.PeekKind() == '"' {
		name, err := in.ReadValue()
		if err != nil {
			return err
		}
		isFlag := len(name) >= len(`"`+flagWord+`"`) && isFlag(unquoted(name))
		value, err := in.ReadValue()
		if err != nil {
			return err
		}
		if isFlag {
			e.zeroRetention.payload(json.RawMessage(value))
		}
	}
	if _, err := in.ReadToken(); err != nil {
		return err
	}
	e.payload = body[start:in.InputOffset()]
	return nil
}

func (e *envelope) field(name string) *json.RawMessage {
	switch name {
	case "id":
		return &e.id
	case "workspace_id":
		return &e.workspaceID
	case "type":
		return &e.logType
	case "occurred_at":
		return &e.occurredAt
	case "payload":
		return &e.payload
	}
	return nil
}

// decoder reads JSON that was checked to be UTF-8. Payloads are the producers' own, so repeated names and lone surrogates pass.
func decoder(text []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// unquoted is the text of a JSON string.
func unquoted(raw []byte) string {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	text, _ := jsontext.AppendUnquote(nil, raw) // lone surrogates become U+FFFD
	return string(text)
}

// nothingAfter answers nil if only white space follows the message's one value, which ends at end.
func nothingAfter(body []byte, end int64) error {
	if rest := bytes.TrimLeft(body[end:], " \t\r\n"); len(rest) > 0 {
		return notJSON(body, &jsontext.SyntacticError{ByteOffset: int64(len(body) - len(rest))})
	}
	return nil
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
func notJSON(body []byte, err error) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return invalid("the message is empty; it must be a JSON object")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("the message is not valid JSON: it ends too early, after %d bytes", len(body))
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if depth(body[:min(e.ByteOffset, int64(len(body)))]) >= MaxNesting {
			return invalid("the message nests objects and arrays more than %d deep, at byte %d of %d", MaxNesting, e.ByteOffset+1, len(body))
		}
		return invalid("the message is not valid JSON: byte %d of %d is not what the syntax allows", e.ByteOffset+1, len(body))
	}
	return invalid("the message is not valid JSON")
}

// depth is how many objects and arrays are open at the end of a text that is JSON up to there.
func depth(text []byte) int {
	open, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			open++
		case c == '}' || c == ']':
			open--
		}
	}
	return open
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
