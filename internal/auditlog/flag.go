package auditlog

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// flag is what a message says about zero retention. Whatever is not exactly one `"zero_retention": false`
// counts as a yes: a log that is masked without need can be sent again, and a log that was stored cannot be
// taken back.
type flag struct {
	raw json.RawMessage // of the last field that is written as the contract has it; nil if there is none
	// asked is set by a name in another spelling, by a second flag, and by a flag that stands in the payload.
	asked bool
}

// flagWord is the flag's name without what spellings differ in: zeroRetention and Zero-Retention are the flag
// too.
const flagWord = "zeroretention"

func isFlag(name string) bool {
	return mentions([]byte(name)) == 1 && len(strings.Map(bare, name)) == len(flagWord)
}

// bare folds a letter's case, and drops what separates words.
func bare(c rune) rune {
	switch c {
	case '_', '-', '.', ' ', '\t':
		return -1
	}
	return unicode.ToLower(c)
}

// envelope notes a field of the envelope if it is the flag.
func (f *flag) envelope(name string, value json.RawMessage) {
	switch {
	case name == "zero_retention":
		f.asked = f.asked || f.raw != nil
		f.raw = value
	case isFlag(name):
		f.asked = true
	}
}

// payload notes the flag as a member of the payload: it stands one level too deep and is a yes, unless it
// says no.
func (f *flag) payload(value json.RawMessage) {
	if string(value) != "false" && string(value) != "null" {
		f.asked = true
	}
}

// yes says whether zero retention is asked for. The error is an *Invalid.
func (f *flag) yes() (bool, error) {
	if f.raw != nil && string(f.raw) != "true" && string(f.raw) != "false" {
		return false, invalid("zero_retention must be true or false, not %s", describe(f.raw))
	}
	return f.asked || string(f.raw) == "true", nil
}

// mentions counts the flag's name in a text: in any spelling, and with any number of backslashes and escapes
// in it, as it has where a producer has put JSON into a string of JSON.
func mentions(text []byte) (count int) {
	matched := 0 // letters of flagWord; its first stands in it once, so a mismatch leaves nothing but that
	for len(text) > 0 {
		c, size := character(text)
		text = text[size:]
		switch c = bare(c); {
		case c == -1 || c == '\\':
			continue
		case c == rune(flagWord[matched]):
			matched++
		case c == rune(flagWord[0]):
			matched = 1
		default:
			matched = 0
		}
		if matched == len(flagWord) {
			count, matched = count+1, 0
		}
	}
	return count
}

// character reads a character, or the one that an escape such as \u005f stands for.
func character(text []byte) (c rune, size int) {
	const escape = len(`\u005f`)
	if text[0] == '\\' && len(text) >= escape && text[1] == 'u' {
		if n, err := strconv.ParseUint(string(text[2:escape]), 16, 16); err == nil {
			return rune(n), escape
		}
	}
	if text[0] < utf8.RuneSelf {
		return rune(text[0]), 1
	}
	return utf8.DecodeRune(text)
}
