package auditlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of templates. A log can have 40 MB, so what one log becomes must not be left to the template's text.
const (
	// MaxTemplateBytes is the longest template that ParseTemplate takes.
	MaxTemplateBytes = 64 << 10
	// MaxPlaceholders is how many placeholders it may have, and MaxDocuments how many of them may be the document.
	MaxPlaceholders = 32
	MaxDocuments    = 4
	// MaxMessage is the largest message, in bytes, that a template makes: the largest document, as a string with every second byte of it escaped.
	// A log whose message would have more is sent as the document itself.
	MaxMessage = 64 << 20
)

// Template makes the message of a log out of an admin's text with placeholders. The zero Template gives the document itself.
//
// The placeholders and what they mean are Workato's ("Custom log messages",
// https://docs.workato.com/features/activity-audit-log-streaming-customize-log.html), in triple braces or, as in that page's older versions, in
// double ones:
//
//	{{{log_message}}}      the document, as JSON
//	{{{log_message_str}}}  the document as a JSON string, its quotes included; within a string, without them
//	{{{now}}}              2023-06-02T01:30:01.002-04:00, a JSON string, its quotes included; within a string, without them
//	{{{now_utc}}}          1685683801002, milliseconds since 1970 (that page's example has a fraction; receivers want whole ones)
//	{{{now_utc_micro}}}    1685683801002213, microseconds
//	{{{now_utc_nano}}}     1685683801002213000, nanoseconds
type Template struct{ parts []part }

// part is a piece of a template: text, and the placeholder after it.
type part struct {
	text   []byte
	value  value
	quoted bool // the placeholder stands within a JSON string
}

// value is what a placeholder stands for.
type value string

const (
	nothing       value = ""
	logMessage    value = "log_message"
	logMessageStr value = "log_message_str"
	nowZoned      value = "now"
	nowUTC        value = "now_utc"
	nowUTCMicro   value = "now_utc_micro"
	nowUTCNano    value = "now_utc_nano"
)

// ParseTemplate reads a template. What it accepts gives valid JSON on one line for every document. The error says what to change; a log whose
// destination has such a template all the same is sent as the document itself, which is what the zero Template does.
func ParseTemplate(text string) (Template, error) {
	if len(text) > MaxTemplateBytes {
		return Template{}, fmt.Errorf("must have at most %d bytes", MaxTemplateBytes)
	}
	if !utf8.ValidString(text) {
		return Template{}, fmt.Errorf("must be valid UTF-8")
	}
	t, err := split(text)
	if err != nil {
		return Template{}, err
	}
	switch documents := t.documents(); {
	case documents == 0:
		return Template{}, fmt.Errorf("must contain {{{log_message}}} or {{{log_message_str}}}")
	case documents > MaxDocuments:
		return Template{}, fmt.Errorf("must contain {{{log_message}}} and {{{log_message_str}}} at most %d times together", MaxDocuments)
	case len(t.parts)-1 > MaxPlaceholders:
		return Template{}, fmt.Errorf("must contain at most %d placeholders", MaxPlaceholders)
	}
	// A document is an object that holds strings, so a place that takes this one takes them all, and numbers have a digit or more.
	sample := Document{JSON: []byte(`{"a":"\\\"b"}`)}
	if !json.Valid(t.Append(nil, sample, time.Unix(1, 0).UTC())) {
		if t.inString(logMessage) {
			return Template{}, fmt.Errorf("must use {{{log_message_str}}} within a string, not {{{log_message}}}")
		}
		return Template{}, fmt.Errorf("must be valid JSON once the placeholders are replaced: {{{log_message}}} by an object, {{{log_message_str}}} and {{{now}}} by a string with its quotes, the others by a number")
	}
	return t, nil
}

// split takes a template apart. Line breaks become spaces: in valid JSON they stand between tokens only, and a batch of lines needs them gone.
func split(text string) (Template, error) {
	text = strings.NewReplacer("\n", " ", "\r", " ").Replace(text)
	var t Template
	var inString bool
	from := 0 // where the current piece of text begins
	for at := 0; ; {
		start := strings.Index(text[at:], "{{")
		if start < 0 {
			t.parts = append(t.parts, part{text: []byte(text[from:])})
			return t, nil
		}
		at += start
		name, length := placeholder(text[at:])
		if length == 0 { // braces of JSON or of prose
			at++
			continue
		}
		v, known := named(name)
		if !known {
			return Template{}, fmt.Errorf("must not contain {{{%s}}}, which is no placeholder; the placeholders are log_message, log_message_str, now, now_utc, now_utc_micro and now_utc_nano", name)
		}
		piece := []byte(text[from:at])
		inString = within(inString, piece)
		t.parts = append(t.parts, part{text: piece, value: v, quoted: inString})
		at += length
		from = at
	}
}

// longestName bounds the name of a placeholder, with the spaces around it.
const longestName = 40

// placeholder reads {{{name}}} or {{name}} at the beginning of text. The length is 0 if it is neither.
func placeholder(text string) (name string, length int) {
	width := 2
	if strings.HasPrefix(text, "{{{") {
		width = 3
	}
	inner := text[width:min(len(text), longestName+2*width)]
	name, _, ok := strings.Cut(inner, strings.Repeat("}", width))
	length = len(name) + 2*width
	if name = strings.TrimSpace(name); !ok || !word(name) {
		return "", 0
	}
	return name, length
}

// word says whether a text looks like a placeholder's name.
func word(s string) bool {
	for _, c := range []byte(s) {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

func named(name string) (value, bool) {
	switch v := value(name); v {
	case logMessage, logMessageStr, nowZoned, nowUTC, nowUTCMicro, nowUTCNano:
		return v, true
	}
	return nothing, false
}

// within says whether the end of text stands within a JSON string, given that its beginning did or did not.
func within(inString bool, text []byte) bool {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			inString = !inString
		case text[i] == '\\' && inString:
			i++
		}
	}
	return inString
}

// documents counts the placeholders that stand for the document.
func (t Template) documents() (n int) {
	for _, p := range t.parts {
		if p.value == logMessage || p.value == logMessageStr {
			n++
		}
	}
	return n
}

func (t Template) inString(v value) bool {
	for _, p := range t.parts {
		if p.value == v && p.quoted {
			return true
		}
	}
	return false
}

// IsZero says that the template gives the document itself.
func (t Template) IsZero() bool { return len(t.parts) == 0 }

// longestTime is the longest of what stands for a time: the one with a zone and its quotes.
const longestTime = len(`"2006-01-02T15:04:05.000-07:00"`)

// Size is how many bytes Append appends for a document, or a few more: what stands for a time counts as longestTime.
func (t Template) Size(d Document) int {
	if plain := t.size(d); !t.IsZero() && plain <= MaxMessage {
		return plain
	}
	return len(d.JSON)
}

// size is Size without the limit.
func (t Template) size(d Document) (n int) {
	for _, p := range t.parts {
		n += len(p.text)
		switch p.value {
		case logMessage:
			n += len(d.JSON)
		case logMessageStr:
			n += EscapedSize(d.JSON) + len(`""`)
		case nowZoned, nowUTC, nowUTCMicro, nowUTCNano:
			n += longestTime
		}
	}
	return n
}

// Append appends the message of a document to dst: JSON without a line break, if the document is that. It is the document itself if the message
// would have more than MaxMessage bytes.
func (t Template) Append(dst []byte, d Document, at time.Time) []byte {
	if t.IsZero() || t.size(d) > MaxMessage {
		return append(dst, d.JSON...)
	}
	for _, p := range t.parts {
		dst = append(dst, p.text...)
		switch p.value {
		case logMessage:
			dst = append(dst, d.JSON...)
		case logMessageStr:
			dst = quote(dst, p.quoted, func(dst []byte) []byte { return AppendEscaped(dst, d.JSON) })
		case nowZoned:
			dst = quote(dst, p.quoted, func(dst []byte) []byte { return at.AppendFormat(dst, "2006-01-02T15:04:05.000-07:00") })
		case nowUTC:
			dst = strconv.AppendInt(dst, at.UnixMilli(), 10)
		case nowUTCMicro:
			dst = strconv.AppendInt(dst, at.UnixMicro(), 10)
		case nowUTCNano:
			dst = strconv.AppendInt(dst, at.UnixNano(), 10)
		}
	}
	return dst
}

func quote(dst []byte, bare bool, inner func([]byte) []byte) []byte {
	if bare {
		return inner(dst)
	}
	return append(inner(append(dst, '"')), '"')
}

// EscapedSize is how many bytes AppendEscaped appends.
func EscapedSize(text []byte) int {
	n := len(text)
	for _, c := range text {
		switch {
		case c == '"', c == '\\', c == '\n', c == '\r', c == '\t':
			n++
		case c < ' ':
			n += len(`u0000`)
		}
	}
	return n
}

// AppendEscaped appends valid UTF-8 as the inside of a JSON string.
func AppendEscaped(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	from := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	return append(dst, text[from:]...)
}

// OccurredAt is the log's own time as its producer wrote it, read from the document without parsing it: only ids and a type stand before it,
// none of which can hold a quote. It is empty if the document was not made by Prepare.
func (d Document) OccurredAt() string {
	const key = `"occurred_at":"`
	_, rest, ok := bytes.Cut(d.JSON, []byte(key))
	end := bytes.IndexByte(rest, '"')
	if !ok || end < 0 {
		return ""
	}
	return string(rest[:end])
}
