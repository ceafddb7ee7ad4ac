package sink

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// discretion decides which of a receiver's own words may be shown in an error, a log line, a mail or a page.
// A receiver has just been sent a credential and may repeat it wherever it answers: in a status text, a header, a
// code, a number, a body. So nothing is shown but codes that the service documents, and of those none that is part
// of one of the destination's credentials.
type discretion struct {
	// credentials are the texts of the destination's credentials.
	credentials []string
}

// newDiscretion reads the texts of credentials, a JSON object. What cannot be read as one makes no sink.
func newDiscretion(credentials json.RawMessage) discretion {
	var d discretion
	in := jsontext.NewDecoder(bytes.NewReader(credentials),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		token, err := in.ReadToken()
		if err != nil {
			return d
		}
		switch token.Kind() {
		case '"', '0':
			d.credentials = append(d.credentials, token.String())
		}
	}
}

// code gives a code that known has, unless a credential holds it, and otherwise "".
func (d discretion) code(native string, known func(string) bool) string {
	if native == "" || !known(native) {
		return ""
	}
	for _, text := range d.credentials {
		if strings.Contains(text, native) {
			return ""
		}
	}
	return native
}

// Unquoted gives the output for package log in a program that sends logs. What a receiver sends on a connection on
// which nothing was asked for, net/http quotes there (readLoopPeekFailLocked in net/http/transport.go), and no
// setting of a transport prevents it. Such a line is replaced by one that quotes nothing.
func Unquoted(next io.Writer) io.Writer { return unquoted{next} }

type unquoted struct{ next io.Writer }

// Write takes one line of package log, which writes each by one call.
func (u unquoted) Write(line []byte) (int, error) {
	shown := line
	if bytes.Contains(line, []byte("Unsolicited response received on idle HTTP channel")) {
		shown = []byte("a receiver sent something that was not asked for; the connection is closed\n")
	}
	if _, err := u.next.Write(shown); err != nil {
		return 0, err
	}
	return len(line), nil
}
