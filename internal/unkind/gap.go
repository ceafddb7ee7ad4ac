package unkind

import (
	"fmt"
	"slices"
	"strings"
)

// gap is a promise that does not hold yet. Its breaches do not count in the stories and under the kinds that it names; no stories are all, no kinds any
// weather. Whoever closes a gap strikes its row.
type gap struct {
	promise Promise
	stories []string
	kinds   Kinds
	why     string
}

// gaps are all that is known to be open.
func gaps() []gap {
	return []gap{
		{Lost, []string{"newborn", "family", "types"}, 0, "a remembered answer of the directory is believed when nobody wants a log"},
		{Unrouted, nil, 0, "the same"},
		{Silence, nil, LateIndex, "deliver hears of a write by an index, and remembers for two hours what it has not heard"},
		{Owner, nil, LateIndex, "an old memory holds a destination for healthy, and does not hear that its failure is over"},
		{Cause, nil, 0, "an answer to earlier settings, or to an earlier connection, counts for those of now"},
		{Gentle, nil, LateIndex, "an old memory holds a failing destination for a healthy one"},
		{Voluntary, nil, LostAnswer | DeafService, "a claim whose answer was lost is held for another's"},
		{Involuntary, nil, LostAnswer | DeafService, "the same"},
		{Recovered, nil, 0, "a failure is known by its beginning, and each stumble is a new one"},
		{Fair, []string{"dead", "backlog"}, 0, "who asks first in a minute gets the attempts of a failing destination, and fresh logs ask first"},
		{Ledger, nil, Redrive, "a message that was sent again is another delivery of the same log"},
	}
}

// open says whether a breach is one of a known gap.
func (r Result) open(b Breach) bool {
	return slices.ContainsFunc(gaps(), func(g gap) bool {
		return g.promise == b.Promise && (g.kinds == 0 || r.Kinds.Has(g.kinds)) && (g.stories == nil || slices.Contains(g.stories, r.Story))
	})
}

// Unexpected are the breaches that are not known.
func (r Result) Unexpected() []Breach {
	return slices.DeleteFunc(slices.Clone(r.Breaches), r.open)
}

// String tells how to see the run again.
func (r Result) String() string {
	var list []string
	for _, b := range r.Breaches {
		list = append(list, b.String())
	}
	return fmt.Sprintf("seed %d, %s, %s: %s", r.Seed, r.Story, r.Kinds, strings.Join(list, "; "))
}
