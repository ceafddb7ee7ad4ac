package logfile

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Documents gives the logs of JSON values that may stand anywhere in a text that Open gave: over several
// lines, several in a line, one a line. Of an array each element is a log; of an object that has an array
// under one of the names, each element of that; any other value is one itself. A name leads into objects by
// dots. After a value that is broken, reading goes on with the next line. An error is the last that is given.
//
// At most one log is in memory, however large its document is.
func Documents(in io.Reader, names ...string) iter.Seq2[Value, error] {
	return func(yield func(Value, error) bool) {
		d := &documents{window: &window{in: in, line: 1}, names: names, yield: yield}
		d.begin()
		for {
			err := d.value()
			switch {
			case err == nil:
			case errors.Is(err, errStopped), errors.Is(err, io.EOF):
				return
			case d.skip():
			case d.broken(err):
				at := d.place(d.mark)
				found := d.window.nextLine(d.mark)
				if !d.give(Value{Place: at, Next: Place{Line: d.window.line}, Bad: reason(err)}) || !found {
					return
				}
				d.begin()
			default: // only the file has another kind of error
				at := d.place(d.mark)
				yield(Value{Place: at, Next: at}, d.window.err)
				return
			}
		}
	}
}

// errStopped says that no more is wanted.
var errStopped = errors.New("stopped")

type documents struct {
	window *window
	names  []string
	yield  func(Value, error) bool

	in     *jsontext.Decoder
	origin int64 // the offset in the file at which in began
	mark   int64 // where the value begins that is being read
	last   Place // of what was given last
}

// begin reads on with a new decoder, from what the window hands out next.
func (d *documents) begin() {
	d.in = jsontext.NewDecoder(d.window, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	d.origin, d.mark = d.window.start, d.window.start
}

// offset is how far values were read.
func (d *documents) offset() int64 { return d.origin + d.in.InputOffset() }

// value reads one value that stands by itself in the file.
func (d *documents) value() error {
	switch d.peek(blank) {
	case '[':
		return d.elements()
	case '{':
		return d.object()
	case jsontext.KindInvalid:
		_, err := d.in.ReadToken()
		return err
	}
	if err := d.in.SkipValue(); err != nil {
		return err
	}
	return d.itself()
}

const blank = " \t\r\n"

// peek looks at the next token and marks where it begins, after what stands between it and the one before.
func (d *documents) peek(between string) jsontext.Kind {
	kind := d.in.PeekKind()
	d.mark = d.offset()
	d.window.forget(d.mark)
	for i, c := range d.window.kept[:d.window.read] {
		if strings.IndexByte(between, c) < 0 {
			d.mark += int64(i)
			break
		}
	}
	return kind
}

// object reads an object: itself a log, unless it has an array under one of the names.
func (d *documents) object() error {
	if document, err := d.members(d.names); document || err != nil {
		return err
	}
	return d.itself()
}

// members reads an object and gives the elements of the arrays that it has under one of the names; document
// says that there was one.
func (d *documents) members(names []string) (document bool, err error) {
	if _, err := d.in.ReadToken(); err != nil {
		return false, err
	}
	for d.in.PeekKind() == '"' {
		token, err := d.in.ReadToken()
		if err != nil {
			return false, err
		}
		name, found := token.String(), false
		switch kind, inner := d.in.PeekKind(), below(names, name); {
		case kind == '[' && slices.Contains(names, name):
			found, err = true, d.elements()
		case kind == '{' && len(inner) > 0:
			found, err = d.members(inner)
		default:
			err = d.in.SkipValue()
		}
		if err != nil {
			return false, err
		}
		document = document || found
	}
	_, err = d.in.ReadToken()
	return document, err
}

// below gives the rest of each path that leads into the member of a name.
func below(names []string, name string) (rest []string) {
	for _, n := range names {
		if r, ok := strings.CutPrefix(n, name+"."); ok {
			rest = append(rest, r)
		}
	}
	return rest
}

// elements reads an array, each of whose elements is a log.
func (d *documents) elements() error {
	if d.last.Line < d.window.lineAt(d.mark) {
		d.last = Place{Line: d.window.lineAt(d.mark)}
	}
	if _, err := d.in.ReadToken(); err != nil {
		return err
	}
	for {
		switch d.peek(blank + ",") {
		case ']', jsontext.KindInvalid:
			_, err := d.in.ReadToken()
			return err
		}
		if err := d.in.SkipValue(); err != nil {
			return err
		}
		at := Place{Line: d.window.lineAt(d.mark), Record: d.last.Record + 1}
		if !d.give(Value{Place: at, Next: Place{Line: at.Line, Record: at.Record + 1}, JSON: d.window.between(d.mark, d.offset())}) {
			return errStopped
		}
	}
}

// itself gives the value from the mark up to here.
func (d *documents) itself() error {
	at := d.place(d.mark)
	next := Place{Line: at.Line, Record: at.Record + 1}
	rest, _, ended := bytes.Cut(d.window.kept[d.offset()-d.window.start:], []byte{'\n'})
	if ended && len(bytes.TrimSpace(rest)) == 0 {
		next = Place{Line: at.Line + 1}
	}
	if !d.give(Value{Place: at, Next: next, JSON: d.window.between(d.mark, d.offset())}) {
		return errStopped
	}
	return nil
}

// place is that of a value which begins at an offset and is no element of an array.
func (d *documents) place(offset int64) Place {
	if line := d.window.lineAt(offset); line > d.last.Line {
		return Place{Line: line}
	}
	return Place{Line: d.last.Line, Record: d.last.Record + 1}
}

func (d *documents) give(v Value) bool {
	d.last = v.Place
	return d.yield(v, nil)
}

// skip goes on after what may stand between two values of a file: the byte order mark of a file that was
// joined, or the comma of an array without brackets.
func (d *documents) skip() bool {
	if d.in.StackDepth() > 0 {
		return false
	}
	d.window.forget(d.mark)
	for len(d.window.kept) < len(utf8Mark) && d.window.more() {
		continue
	}
	for _, between := range []string{utf8Mark, ","} {
		if bytes.HasPrefix(d.window.kept, []byte(between)) {
			d.window.forget(d.mark + int64(len(between)))
			d.window.read = 0
			d.begin()
			return true
		}
	}
	return false
}

// broken says whether an error is about a value; otherwise the file cannot be read.
func (d *documents) broken(err error) bool {
	_, syntax := errors.AsType[*jsontext.SyntacticError](err)
	return syntax || errors.Is(err, errFull) || errors.Is(err, io.ErrUnexpectedEOF) && errors.Is(d.window.err, io.EOF)
}

// reason puts an error of a value into words, without quoting the value.
func reason(err error) error {
	switch {
	case errors.Is(err, errFull):
		return errTooLong
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the value ends too early")
	}
	return errors.New("what stands here is not valid JSON; reading goes on with the next line")
}
