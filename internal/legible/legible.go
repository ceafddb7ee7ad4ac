// Package legible makes what tenants, producers and receivers wrote harmless where a person reads it: on a
// terminal, in JSON that is shown on one, and in a mail. It is pure: text in, text out.
package legible

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Hidden says whether a reader does not see a character but is steered by it: controls, C1 included, which
// move a terminal's cursor; the marks that turn the direction of writing; what has no width; the separators
// of lines and paragraphs; variation selectors; and code points that mean nothing or something private.
// Spaces are not hidden, other white space is.
//
// Letters with accents of their own are seen. An emoji that is joined of several by a hidden character falls
// into its parts.
func Hidden(c rune) bool {
	return !unicode.IsGraphic(c) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point,
		c) || unicode.Is(unicode.Variation_Selector, c)
}

// mark stands for one hidden character, so that a reader sees that there was one and columns stay as wide as
// they were.
const mark = '·'

// Text is s for a terminal: lines and tabs stay, every other hidden character is marked, and what is no UTF-8
// becomes U+FFFD.
func Text(s string) string {
	return strings.Map(func(c rune) rune {
		if c != '\n' && c != '\t' && Hidden(c) {
			return mark
		}
		return c
	}, s)
}

// Cell is Text for a value within a line: line breaks and tabs are marked too.
func Cell(s string) string {
	return strings.Map(func(c rune) rune {
		if Hidden(c) {
			return mark
		}
		return c
	}, s)
}

// Line is s as one line of running text: white space of any kind is one space, and hidden characters are left
// out.
func Line(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case Hidden(c):
			return -1
		}
		return c
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// Short is at most the first most characters of s; an ellipsis says that something is left out.
func Short(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// JSON is a JSON text that means the same and shows no hidden character: each stands as its escape. The white
// space between values stays, and what is no UTF-8 becomes U+FFFD.
func JSON(text []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(text))
	for _, c := range string(text) {
		switch {
		case c == '\n' || c == '\t' || !Hidden(c):
			out.WriteRune(c)
		case c > 0xffff:
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		case c == '\r': // valid JSON has it between values only
			out.WriteByte(' ')
		default:
			fmt.Fprintf(&out, `\u%04x`, c)
		}
	}
	return out.Bytes()
}

// JSONWriter passes JSON on as JSON gives it. Each Write is a whole text or line.
type JSONWriter struct{ To io.Writer }

// Write implements io.Writer.
func (w JSONWriter) Write(p []byte) (int, error) {
	if _, err := w.To.Write(JSON(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
