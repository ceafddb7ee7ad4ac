package logfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/auditrelay/auditrelay/internal/auditlog"
)

// errTooLong is what is wrong with a value that is not read to its end.
var errTooLong = fmt.Errorf("has more than %d MB, which no log has", largest>>20)

// Lines gives each line that is not blank, of a text that Open gave. It does not look into them, but for the
// first: where that shows that the file is laid out in another way, the error is a Layout. An error is the
// last that is given.
func Lines(in io.Reader) iter.Seq2[Value, error] {
	return func(yield func(Value, error) bool) {
		text := bufio.NewReaderSize(in, 1<<16)
		first := true
		for number := 1; ; number++ {
			line, long, err := readLine(text)
			if err != nil && !errors.Is(err, io.EOF) {
				yield(Value{Place: Place{Line: number}, Next: Place{Line: number}}, err)
				return
			}
			v := Value{Place: Place{Line: number}, Next: Place{Line: number + 1}, JSON: line}
			if long {
				v.JSON, v.Bad = nil, errTooLong
			}
			if len(line) > 0 || long {
				if wrong := layout(line, text); first && wrong != "" {
					yield(Value{Place: v.Place, Next: v.Place}, wrong)
					return
				}
				first = false
				if !yield(v, nil) {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
}

// readLine reads to the end of a line, and gives it without the white space and the byte order marks around
// it: files that were joined keep theirs.
func readLine(in *bufio.Reader) (line []byte, long bool, err error) {
	for {
		var part []byte
		part, err = in.ReadSlice('\n')
		if long = long || len(line)+len(part) > largest; long {
			line = nil
		} else {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSpace(bytes.TrimPrefix(line, []byte(utf8Mark))), long, err
		}
	}
}

// layout says what a file is whose first line is no log of its own; empty if it may be one.
func layout(line []byte, rest *bufio.Reader) Layout {
	switch s := shapeOf(line); {
	case s == shapeArray:
		if _, pointer, _ := auditlog.ParsePointer(line); pointer {
			return ""
		}
		return "is a JSON array, not an object a line; --records . sends its elements"
	case s == shapeCut && goesOn(rest):
		return "is JSON over several lines (pretty-printed), not an object a line; --records . reads it"
	}
	return ""
}

// goesOn says whether the next lines go on with a value that was begun: a log would begin with a brace.
func goesOn(rest *bufio.Reader) bool {
	next, _ := rest.Peek(4 << 10)
	next = bytes.TrimSpace(next)
	return len(next) > 0 && next[0] != '{'
}

// shape is what a line is that should be one JSON object.
type shape int

const (
	shapeOther shape = iota
	shapeObject
	shapeArray
	// shapeCut is an object that does not end.
	shapeCut
	// shapeComma is an object with a comma after it, and shapeSeveral one with another value after it.
	shapeComma
	shapeSeveral
)

func shapeOf(line []byte) shape {
	if len(line) == 0 || line[0] != '{' {
		if len(line) > 0 && line[0] == '[' {
			return shapeArray
		}
		return shapeOther
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(line), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	switch err := d.SkipValue(); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return shapeCut
	case err != nil:
		return shapeOther
	}
	switch rest := bytes.TrimSpace(line[d.InputOffset():]); {
	case len(rest) == 0:
		return shapeObject
	case string(rest) == ",":
		return shapeComma
	case rest[0] == '{':
		return shapeSeveral
	}
	return shapeOther
}

// Explain gives what to do about a line that is no JSON object, or nil where there is nothing to say but that
// it is not.
func Explain(line []byte) error {
	switch shapeOf(line) {
	case shapeComma:
		return errors.New("a comma follows the object, as in an array; --records . reads it")
	case shapeSeveral:
		return errors.New("several objects stand in the line; --records . reads them")
	}
	return nil
}
