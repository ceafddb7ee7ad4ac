package auditlog

import (
	"bytes"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// withoutData copies a JSON value without the members "input" and "output" of anything below a member "lines", at any depth. It removes too
// much rather than too little: whatever stands under lines and is called input or output is data of a job.
func withoutData(payload []byte) ([]byte, error) {
	return rewrite(payload, func(out *jsontext.Encoder, in *jsontext.Decoder, name string, depth int) (bool, error) {
		if depth > 0 && (name == "input" || name == "output") {
			return true, in.SkipValue()
		}
		return false, nil
	})
}

// withoutLines copies a JSON value with the value of every outermost member "lines" replaced by SizeNotice.
func withoutLines(payload []byte) ([]byte, error) {
	return rewrite(payload, func(out *jsontext.Encoder, in *jsontext.Decoder, name string, depth int) (bool, error) {
		if name != "lines" {
			return false, nil
		}
		if err := out.WriteToken(jsontext.String(name)); err != nil {
			return true, err
		}
		if err := out.WriteToken(jsontext.String(SizeNotice)); err != nil {
			return true, err
		}
		return true, in.SkipValue()
	})
}

// member is asked at each member's name, with how many members "lines" stand around it. It answers whether it has dealt with the member, name
// and value, itself.
type member func(out *jsontext.Encoder, in *jsontext.Decoder, name string, depth int) (bool, error)

// rewrite copies a JSON value token by token, so that memory does not grow with the value's structure.
func rewrite(payload []byte, ask member) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(len(payload) + len("\n"))
	in := decoder(payload)
	// Behind a plain io.Writer, the encoder works in a few KiB; a *bytes.Buffer it would double in size.
	out := jsontext.NewEncoder(struct{ io.Writer }{&buf}, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true))
	var lines []int // the stack depths at which a member "lines" was entered
	for {
		for len(lines) > 0 && in.StackDepth() <= lines[len(lines)-1] && !inValue(in) {
			lines = lines[:len(lines)-1]
		}
		if kind, length := in.StackIndex(in.StackDepth()); kind == '{' && length%2 == 0 && in.PeekKind() == '"' {
			token, err := in.ReadToken()
			if err != nil {
				return nil, err
			}
			name := token.String()
			done, err := ask(out, in, name, len(lines))
			if err != nil {
				return nil, err
			}
			if done {
				continue
			}
			if name == "lines" {
				lines = append(lines, in.StackDepth())
			}
			if err := out.WriteToken(token); err != nil {
				return nil, err
			}
			continue
		}
		if kind := in.PeekKind(); kind == '{' || kind == '[' || kind == '}' || kind == ']' {
			token, err := in.ReadToken()
			if err != nil {
				return nil, err
			}
			if err := out.WriteToken(token); err != nil {
				return nil, err
			}
			if in.StackDepth() == 0 {
				return bytes.TrimRight(buf.Bytes(), "\n"), nil
			}
			continue
		}
		value, err := in.ReadValue()
		if err != nil {
			return nil, err
		}
		if err := out.WriteValue(value); err != nil {
			return nil, err
		}
		if in.StackDepth() == 0 {
			return bytes.TrimRight(buf.Bytes(), "\n"), nil
		}
	}
}

// inValue says whether the decoder stands between a member's name and its value.
func inValue(in *jsontext.Decoder) bool {
	kind, length := in.StackIndex(in.StackDepth())
	return kind == '{' && length%2 == 1
}
