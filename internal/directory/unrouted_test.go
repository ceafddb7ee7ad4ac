package directory

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServed(t *testing.T) {
	of := func(id string, s State, shared bool, types ...string) Destination {
		return Destination{ID: id, WorkspaceID: "w", State: s, Shared: shared, LogTypes: types}
	}
	for name, c := range map[string]struct {
		own, parents []Destination
		want         string // none if nobody is to be told
	}{
		"no destination anywhere":               {},
		"one's own":                             {own: []Destination{of("a", Connected, false, "x")}, want: "a"},
		"the first by id":                       {own: []Destination{of("b", Connected, false, "x"), of("a", Connected, false, "y")}, want: "a"},
		"the first that is connected":           {own: []Destination{of("b", Connected, false, "x"), of("a", Disabled, false, "y")}, want: "b"},
		"all are disconnected":                  {own: []Destination{of("a", Disconnected, false, "x"), of("b", Deleted, false)}},
		"one's own is disabled, shared is not":  {own: []Destination{of("a", Disabled, false, "x")}, parents: []Destination{of("p", Connected, true, "y")}},
		"the parent's shared one":               {parents: []Destination{of("o", Connected, false), of("p", Connected, true, "x")}, want: "p"},
		"the parent shares none":                {parents: []Destination{of("p", Connected, false, "x")}},
		"one's own comes before the parent's":   {own: []Destination{of("z", Connected, false, "x")}, parents: []Destination{of("a", Connected, true, "y")}, want: "z"},
		"the parent's shared one is cut by now": {parents: []Destination{of("p", Deleted, true, "x")}},
	} {
		t.Run(name, func(t *testing.T) {
			d, _, ok := Served(c.own, c.parents)
			if diff := cmp.Diff([]any{c.want, c.want != ""}, []any{d.ID, ok}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAsked changes what destinations ask for, and what is no such change.
func TestAsked(t *testing.T) {
	asked := func(ds ...Destination) string {
		for i := range ds {
			ds[i].State = Connected
		}
		_, asked, _ := Served(ds, nil)
		return asked
	}
	was := asked(Destination{ID: "a", LogTypes: []string{"x"}}, Destination{ID: "b", LogTypes: []string{"y"}})
	for name, c := range map[string]struct {
		is   string
		same bool
	}{
		"another order":       {asked(Destination{ID: "b", LogTypes: []string{"y", "x"}}, Destination{ID: "a", LogTypes: []string{"x"}}), true},
		"made again":          {asked(Destination{ID: "c", Incarnation: "C", LogTypes: []string{"x", "y"}}), true},
		"a type more":         {asked(Destination{ID: "a", LogTypes: []string{"x", "y", "z"}}), false},
		"a type less":         {asked(Destination{ID: "a", LogTypes: []string{"x"}}), false},
		"types that run on":   {asked(Destination{ID: "a", LogTypes: []string{"xy"}}), false},
		"another type, alone": {asked(Destination{ID: "a", LogTypes: []string{"v"}}), false},
	} {
		if (c.is == was) != c.same {
			t.Errorf("%s: the same is %v, want %v", name, c.is == was, c.same)
		}
	}
}

func TestUnroutedNamesTwentyTypes(t *testing.T) {
	var u Unrouted
	for range 2 {
		for _, logType := range []string{"b", "a"} {
			u.Add(logType)
		}
	}
	if diff := cmp.Diff(Unrouted{Logs: 4, LogTypes: []string{"a", "b"}}, u); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range 1000 {
		u.Add(fmt.Sprint("type_", i))
	}
	if len(u.LogTypes) != unroutedTypes || !u.Others || u.Logs != 1004 {
		t.Errorf("got %+v", u)
	}
}
