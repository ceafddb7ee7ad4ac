package directory

import "strings"

// OddType is a log type that a destination asks for and that is not published. Near is a published type that is spelt almost so; empty if none is.
type OddType struct {
	// Place is where it stands in the destination's LogTypes.
	Place      int
	Type, Near string
}

// OddTypes are the destination's log types that may be misspelt. Producers may send other types than the published ones, so they are no errors.
func (d Destination) OddTypes() []OddType {
	var odd []OddType
	for i, t := range d.LogTypes {
		published := false
		near, best := "", spellingDistance+1
		for _, p := range PublishedTypes() {
			published = published || t == p
			if n := min(distance(t, p), distance(bare(t), bare(p))); n < best {
				near, best = p, n
			}
		}
		if !published {
			odd = append(odd, OddType{Place: i, Type: t, Near: near})
		}
	}
	return odd
}

// spellingDistance is how many letters may be wrong, missing or too many in a word that is meant for another.
const spellingDistance = 2

// bare is a type without what is easily put otherwise: underscores and the plural.
func bare(t string) string { return strings.TrimSuffix(strings.ReplaceAll(t, "_", ""), "s") }

// distance is how many letters have to be changed, added or removed to make one word of the other, where two that are swapped are one change
// (optimal string alignment).
func distance(a, b string) int {
	older, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
		older, last, row = last, row, older
	}
	return last[len(b)]
}
