package directory

import (
	"slices"

	"github.com/auditrelay/auditrelay/events"
)

// CutOff is a parent's shared destination to which some of a child workspace's logs no longer come.
type CutOff struct {
	Destination Destination
	// Types are those of these logs that have a name here: the published ones, and what destinations ask for.
	Types []string
	// Others says that logs of all other types no longer come either.
	Others bool
}

// CutOffs says which of a parent's shared destinations lose logs of a child workspace by a change of the child's own destinations: the child's logs of
// a type went to the parent's, see Route, and now go to its own.
func CutOffs(was, is, parents []Destination) []CutOff {
	var list []CutOff
	for _, p := range parents {
		c := CutOff{Destination: p}
		for _, t := range namedTypes(was, is, parents) {
			if goesTo(p, t, was, parents) && !goesTo(p, t, is, parents) {
				c.Types = append(c.Types, t)
			}
		}
		const other = "" // a type that nobody names
		c.Others = goesTo(p, other, was, parents) && !goesTo(p, other, is, parents)
		if len(c.Types) > 0 || c.Others {
			list = append(list, c)
		}
	}
	return list
}

func goesTo(d Destination, logType string, own, parents []Destination) bool {
	return slices.ContainsFunc(Route(logType, own, parents), d.SameRecord)
}

// namedTypes are the published types and those that destinations ask for, in order.
func namedTypes(lists ...[]Destination) []string {
	types := PublishedTypes()
	for _, list := range lists {
		for _, d := range list {
			types = append(types, d.LogTypes...)
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// PublishedTypes are the types whose form is part of the contract. Producers may send others.
func PublishedTypes() []string {
	return []string{events.UserActivity, events.JobSummary, events.JobDetails}
}
