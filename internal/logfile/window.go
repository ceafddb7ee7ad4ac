package logfile

import (
	"bytes"
	"errors"
	"io"
)

// errFull says that a value has more than largest bytes.
var errFull = errors.New("the value is too large")

// window reads a file and keeps what was read since a point, so that a value can be given as it is, with its
// line, and be left where it is broken.
type window struct {
	in  io.Reader
	err error // of in, once it has one

	kept  []byte
	start int64 // the offset in the file of what is kept
	line  int   // the line of that offset
	read  int   // how much of kept was handed out
}

// Read hands out what was kept and not handed out, then more of the file.
func (w *window) Read(p []byte) (int, error) {
	if w.read == len(w.kept) {
		if len(w.kept) > largest {
			return 0, errFull
		}
		if !w.more() {
			return 0, w.err
		}
	}
	n := copy(p, w.kept[w.read:])
	w.read += n
	return n, nil
}

// more reads on; false is the end of the file or an error.
func (w *window) more() bool {
	if w.err != nil {
		return false
	}
	const step = 32 << 10
	size := len(w.kept)
	w.kept = append(w.kept, make([]byte, step)...)
	n, err := w.in.Read(w.kept[size:])
	w.kept, w.err = w.kept[:size+n], err
	return n > 0 || err == nil
}

// between gives the bytes of the file from one offset to another, both of what is kept.
func (w *window) between(from, to int64) []byte { return w.kept[from-w.start : to-w.start] }

// lineAt gives the line of an offset.
func (w *window) lineAt(offset int64) int {
	return w.line + bytes.Count(w.between(w.start, offset), []byte{'\n'})
}

// forget drops what is before an offset.
func (w *window) forget(before int64) {
	n := int(before - w.start)
	w.line = w.lineAt(before)
	w.start = before
	// What is left moves to the front once it is the smaller part, so that each byte is moved about once.
	if w.read -= n; n >= len(w.kept)-n {
		w.kept = w.kept[:copy(w.kept, w.kept[n:])]
	} else {
		w.kept = w.kept[n:]
	}
}

// nextLine drops everything up to the end of the line that an offset is in; what follows is handed out anew.
// False is the end of the file.
func (w *window) nextLine(offset int64) bool {
	w.forget(offset)
	for {
		if end := bytes.IndexByte(w.kept, '\n'); end >= 0 {
			w.forget(w.start + int64(end) + 1)
			w.read = 0
			return true
		}
		w.forget(w.start + int64(len(w.kept)))
		w.read = 0
		if !w.more() {
			return false
		}
	}
}
