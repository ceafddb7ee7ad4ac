package auditlog

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// withoutLines copies a JSON value with the value of every outermost member "lines" replaced by SizeNotice.
// It copies token by token, so that memory does not grow with the value's structure.
func withoutLines(payload []byte) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(len(payload) + len("\n"))
	in, out := decoder(payload), encoder(&buf)
	for {
		if err := shorten(out, in); err != nil {
			return nil, err
		}
		if in.StackDepth() == 0 {
			return bytes.TrimRight(buf.Bytes(), "\n"), nil
		}
	}
}

// shorten copies a member lines with its notice, or the next name, scalar, or beginning or end of a
// container.
func shorten(out *jsontext.Encoder, in *jsontext.Decoder) error {
	switch in.PeekKind() {
	case '{', '[', '}', ']':
		token, err := in.ReadToken()
		if err != nil {
			return err
		}
		return out.WriteToken(token)
	}
	kind, length := in.StackIndex(in.StackDepth())
	value, err := in.ReadValue()
	if err != nil {
		return err
	}
	if name := kind == '{' && length%2 == 0; !name || unquoted(value) != "lines" {
		return out.WriteValue(value)
	}
	if err := out.WriteToken(jsontext.String("lines")); err != nil {
		return err
	}
	if err := out.WriteToken(jsontext.String(SizeNotice)); err != nil {
		return err
	}
	return in.SkipValue()
}
