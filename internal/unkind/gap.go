package unkind

import (
	"fmt"
	"slices"
	"strings"
)

// gap is a promise that does not hold yet. Its breaches do not count in the stories and under the kinds that it names; no stories are all, and all of its
// kinds must be in the weather. Whoever closes a gap strikes its row.
type gap struct {
	promise Promise
	stories []string
	kinds   Kinds
	why     string
}

// gaps are all that is known to be open.
func gaps() []gap {
	return []gap{
		{Fair, []string{"dead"}, 0, "a last turn that finds the budget used up by logs with times of their own is not given again"},
		{Silence, nil, LateIndex | Throttling, "while the counters of writes cannot be read, answers are read anew by the index, as late as it is"},
		{End, nil, LostAnswer | LateMinute, "an end whose hint is lost outside an outage is the sweep's, a quarter of an hour later"},
		{Ledger, nil, 0, "a log that comes twice in one batch is counted as accepted twice"},
	}
}

// open says whether a breach is one of a known gap.
func (r Result) open(b Breach) bool {
	return slices.ContainsFunc(gaps(), func(g gap) bool {
		return g.promise == b.Promise && r.Kinds&g.kinds == g.kinds && (g.stories == nil || slices.Contains(g.stories, r.Story))
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
