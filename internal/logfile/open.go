// Package logfile reads the files that people keep logs in: one JSON object a line, or documents with arrays
// of them; compressed or not. It says of each log where it stands, and of what is no log what to do.
package logfile

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/auditrelay/auditrelay/events"
)

// largest bounds one value in memory. A log may have events.MaxLogBytes; one that is larger has to be read
// whole to be named.
const largest = events.MaxLogBytes + events.MaxLogBytes/2

// Layout is the error of a file that cannot be read as it is. It says what to do.
type Layout string

// Error is a sentence that goes on from the name of the file.
func (l Layout) Error() string { return string(l) }

// Value is one JSON value of a file, or what is wrong with what stands in its place.
type Value struct {
	Place Place
	// Next is where to go on once this value was dealt with.
	Next Place
	// JSON is valid until the next value is asked for. It is nil if Bad is set.
	JSON []byte
	Bad  error
}

const (
	utf8Mark = "\xef\xbb\xbf"
	// peeked is how much of a file is looked at to find out what it is.
	peeked = 64
)

// Open unpacks what is compressed, by its first bytes and not by its name, and skips a byte order mark. A
// file in another encoding or an archive is a Layout.
func Open(in io.Reader) (io.Reader, error) {
	text := bufio.NewReaderSize(in, 1<<16)
	start, _ := text.Peek(peeked)
	unpacked, err := unpack(text, start)
	if err != nil {
		return nil, err
	}
	if unpacked != nil {
		text = bufio.NewReaderSize(unpacked, 1<<16)
		start, _ = text.Peek(peeked) // an error comes again when it is read
	}
	if wide(start) {
		return nil, Layout("is UTF-16 or UTF-32; it must be UTF-8: iconv -f UTF-16 -t UTF-8 FILE | auditrelay send …")
	}
	if bytes.HasPrefix(start, []byte(utf8Mark)) {
		_, _ = text.Discard(len(utf8Mark)) // it was peeked
	}
	return text, nil
}

// unpack gives a reader of what is compressed in a way that is known here, or nil.
func unpack(in io.Reader, start []byte) (io.Reader, error) {
	switch {
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("unpack gzip: %w", err)
		}
		return z, nil
	case bytes.HasPrefix(start, []byte("\x28\xb5\x2f\xfd")):
		// The window is that of zstd --ultra, and the most that its own program takes unless it is told to.
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("unpack zstd: %w", err)
		}
		return z.IOReadCloser(), nil
	case bytes.HasPrefix(start, []byte("BZh")):
		return bzip2.NewReader(in), nil
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		return nil, Layout("is a zip archive: unzip -p FILE | auditrelay send …")
	case bytes.HasPrefix(start, []byte("\xfd7zXZ\x00")):
		return nil, Layout("is compressed with xz: xz -dc FILE | auditrelay send …")
	case bytes.HasPrefix(start, []byte("PAR1")):
		return nil, Layout("is Parquet; its rows must become JSON, one object a line")
	}
	return nil, nil
}

// wide says whether a text is in an encoding of two or four bytes a character: by its mark, or because JSON
// has no NUL.
func wide(start []byte) bool {
	return bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff")) || bytes.IndexByte(start, 0) >= 0
}
