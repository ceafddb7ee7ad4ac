package legible

import (
	"strings"
	"unicode"
)

// Name is what a tenant calls something, for a mail: one line of at most most characters, without hidden
// characters and double quotes, of which no mail program makes a link. So a template may put it between
// double quotes, where it ends for the reader as well.
//
// Mail programs make links of addresses without any markup: of https://evil.example and mailto:, of
// evil.example/login alone, of a@evil.example and of \\evil\share. Brackets around the point, the colon and
// the at sign end that, and what was meant can still be read: evil[.]example.
func Name(s string, most int) string {
	words := strings.Fields(strings.Map(singleQuote, Line(s)))
	for i, w := range words {
		if !version(w) {
			words[i] = unlinked([]rune(w))
		}
	}
	return Short(strings.Join(words, " "), most)
}

// singleQuote puts the simple quote for every kind of double one.
func singleQuote(c rune) rune {
	if strings.ContainsRune("\"“”„‟«»〝〞〟＂″‶", c) {
		return '\''
	}
	return c
}

// version says whether a word is a number such as 2.0 or 9.1.3, of which nobody makes a link. Four numbers
// are an IP address.
func version(word string) bool {
	parts := strings.Split(word, ".")
	for _, p := range parts {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return len(parts) <= 3
}

// The characters that join the parts of an address, and those that names of hosts and browsers take for them
// (UTS #46, section 4; NFKC).
const (
	points         = ".。．｡․﹒"
	colonsAndSigns = ":：︰﹕@＠﹫"
	// afterPoints is punctuation of addresses. Other punctuation after a point ends a sentence or a bracket.
	afterPoints = `-_%/\[`
)

// unlinked puts brackets around what joins the parts of an address in a word, and makes one backslash of
// many.
func unlinked(word []rune) string {
	var out strings.Builder
	for i, c := range word {
		first, last := i == 0, i+1 == len(word)
		switch {
		case first || last && c != '\\':
			out.WriteRune(c)
		case c == '\\' && word[i-1] == '\\':
		case strings.ContainsRune(colonsAndSigns, c), strings.ContainsRune(points, c) && goesOn(word[i+1]):
			out.WriteString("[" + string(c) + "]")
		default:
			out.WriteRune(c)
		}
	}
	return out.String()
}

// goesOn says whether an address may go on with c after a point.
func goesOn(c rune) bool {
	return !unicode.IsPunct(c) || strings.ContainsRune(afterPoints, c)
}
