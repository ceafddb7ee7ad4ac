package auditlog

import (
	"bytes"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// MaskNotice stands where a text stood that a zero-retention log may not hold. Other values are replaced by
// null.
const MaskNotice = "Masked by zero retention"

// withoutData copies the payload of a zero-retention log without the data of its job. It removes too much
// rather than too little, and compares names without regard to case:
//
//   - Members called input or output are removed, wherever they stand.
//   - Below a member lines, what stands in the place of a line and is no object is masked, and so is each
//     value of a list.
//   - The values below members report and error are masked: the columns of a report are made of the job's
//     data, and errors quote it.
//   - A text that holds such members itself, as JSON or in another notation, is masked whole.
//
// What stands in other members of a line, of the job or of its context is context, and stays.
func withoutData(payload []byte) ([]byte, error) {
	m, err := mask(payload)
	return m.out, err
}

// place is where a value stands.
type place int

const (
	plain   place = iota
	line          // lines itself, or one of them
	ofLine        // a member of a line, at any depth
	listed        // an element of a list in a line
	private       // below report or error
)

// masking copies a JSON value.
type masking struct {
	in  *jsontext.Decoder
	enc *jsontext.Encoder
	out []byte
	// places are those of the containers that are open, the innermost last.
	places []place
	// next is the place of the value of the member whose name was read last.
	next place
	// changed says that something was removed or masked.
	changed bool
}

// mask copies a JSON value token by token, so that memory does not grow with the value's structure.
func mask(value []byte) (*masking, error) {
	var buf bytes.Buffer
	buf.Grow(len(value) + len("\n"))
	m := &masking{in: decoder(value), enc: encoder(&buf)}
	for {
		if err := m.step(); err != nil {
			return m, err
		}
		if m.in.StackDepth() == 0 {
			m.out = bytes.TrimRight(buf.Bytes(), "\n")
			return m, nil
		}
	}
}

// step takes a name, a scalar, or the beginning or end of a container.
func (m *masking) step() error {
	kind, length := m.in.StackIndex(m.in.StackDepth())
	peek := m.in.PeekKind()
	switch {
	case kind == '{' && length%2 == 0 && peek == '"':
		return m.name()
	case peek == '{' || peek == '[':
		m.places = append(m.places, inside(m.place(kind), byte(peek)))
		return m.token()
	case peek == '}' || peek == ']':
		m.places = m.places[:max(0, len(m.places)-1)]
		return m.token()
	}
	value, err := m.in.ReadValue()
	if err != nil {
		return err
	}
	if to := masked(m.place(kind), value); to != nil {
		m.changed = true
		return m.enc.WriteValue(to)
	}
	return m.enc.WriteValue(value)
}

// place is that of the value that comes next, within a container of that kind.
func (m *masking) place(container jsontext.Kind) place {
	switch container {
	case '{':
		return m.next
	case '[':
		return m.places[len(m.places)-1]
	}
	return plain
}

// name takes a member's name, and the whole member if it is to go.
func (m *masking) name() error {
	raw, err := m.in.ReadValue()
	if err != nil {
		return err
	}
	name := strings.TrimSpace(unquoted(raw))
	if strings.EqualFold(name, "input") || strings.EqualFold(name, "output") {
		m.changed = true
		return m.in.SkipValue()
	}
	around := m.places[len(m.places)-1]
	switch m.next = around; {
	case around == private:
	case strings.EqualFold(name, "report"), strings.EqualFold(name, "error"):
		m.next = private
	case strings.EqualFold(name, "lines"):
		m.next = line
	}
	return m.enc.WriteValue(raw)
}

func (m *masking) token() error {
	token, err := m.in.ReadToken()
	if err != nil {
		return err
	}
	return m.enc.WriteToken(token)
}

// inside is the place of what a container holds, which stands at p.
func inside(p place, kind byte) place {
	switch {
	case p == line && kind == '[':
		return line
	case p == listed && kind == '{', p == line:
		return ofLine
	case p == ofLine && kind == '[':
		return listed
	}
	return p
}

// masked is what stands for a scalar in a zero-retention log, or nil if it may stay.
func masked(p place, value jsontext.Value) jsontext.Value {
	text := value.Kind() == '"'
	switch {
	case value.Kind() == 'n', p == line && string(value) == `"`+SizeNotice+`"`:
		return nil
	case p == plain || p == ofLine:
		if !text || !holdsData(unquoted(value)) {
			return nil
		}
	}
	if text {
		return jsontext.Value(`"` + MaskNotice + `"`)
	}
	return jsontext.Value("null")
}

// holdsData says whether a text holds what mask would change, as JSON, or a member input or output in another
// notation.
func holdsData(text string) bool {
	if trimmed := strings.TrimSpace(text); trimmed != "" && strings.IndexByte(`{["`, trimmed[0]) >= 0 {
		m, err := mask([]byte(trimmed))
		if m.changed {
			return true
		}
		whole := err == nil && m.in.InputOffset() == int64(len(trimmed))
		if !whole && strings.Contains(trimmed, `\u`) { // the names in it may be escaped
			return true
		}
	}
	for i := range len(text) {
		if text[i]|0x20 == 't' && namesData(text[:i+1], text[i+1:]) {
			return true
		}
	}
	return false
}

// namesData says whether the text before ends in input or output, and the text after makes that a member's
// name, as in "input": and 'output' => and <input> and input=.
func namesData(before, after string) bool {
	ends := func(word string) bool {
		return len(before) >= len(word) && strings.EqualFold(before[len(before)-len(word):], word)
	}
	if !ends("input") && !ends("output") {
		return false
	}
	after = strings.TrimLeft(after, "\"'`\\)] \t\r\n")
	return after != "" && strings.IndexByte(":=>", after[0]) >= 0
}

// encoder writes behind a plain io.Writer in a few KiB; a *bytes.Buffer it would double in size.
func encoder(buf *bytes.Buffer) *jsontext.Encoder {
	return jsontext.NewEncoder(struct{ io.Writer }{buf},
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true))
}
