package main

import (
	"encoding/json"
	"io"

	"github.com/auditrelay/auditrelay/internal/legible"
)

// screen is a standard stream of the process. Anything that is written to it may hold what a tenant, a
// producer or a receiver wrote, so hidden characters are marked here, where no command can forget it: an
// escape sequence could clear the terminal, change its title or hide what stands before it. Each Write is
// text of its own: no character is cut in two.
type screen struct{ to io.Writer }

// Write implements io.Writer.
func (s screen) Write(p []byte) (int, error) {
	if _, err := io.WriteString(s.to, legible.Text(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// bare is the stream behind a screen, for what draws on a terminal by control characters of the program's
// own. What is written there must hold no word of anybody else's, or only clean ones.
func bare(w io.Writer) io.Writer {
	if s, ok := w.(screen); ok {
		return s.to
	}
	return w
}

// writeJSON writes v as JSON in which every hidden character is an escape, so that it can be shown and still
// be read back. Indent is that of a level; without one, v is a single line.
func writeJSON(w io.Writer, v any, indent string) error {
	e := json.NewEncoder(legible.JSONWriter{To: w})
	e.SetIndent("", indent)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
