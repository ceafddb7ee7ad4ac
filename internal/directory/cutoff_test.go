package directory

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCutOffs(t *testing.T) {
	dest := func(id string, shared bool, logTypes ...string) Destination {
		return Destination{ID: id, Incarnation: "1", Shared: shared, State: Connected, LogTypes: logTypes}
	}
	all := []Destination{dest("p", true)}
	for name, c := range map[string]struct {
		was, is, parents []Destination
		want             map[string]string
	}{
		"a first destination for everything":    {nil, []Destination{dest("own", false)}, all, map[string]string{"p": "job_details job_summary user_activity and others"}},
		"a first destination for one type":      {nil, []Destination{dest("own", false, "job_summary")}, all, map[string]string{"p": "job_summary"}},
		"a type that is not published":          {nil, []Destination{dest("own", false, "login")}, all, map[string]string{"p": "login"}},
		"one more type":                         {[]Destination{dest("own", false, "login")}, []Destination{dest("own", false, "login", "job_summary")}, all, map[string]string{"p": "job_summary"}},
		"a second one for the same":             {[]Destination{dest("own", false)}, []Destination{dest("own", false), dest("two", false)}, all, nil},
		"fewer types":                           {[]Destination{dest("own", false)}, []Destination{dest("own", false, "login")}, all, nil},
		"the last one goes":                     {[]Destination{dest("own", false)}, nil, all, nil},
		"what the parent does not want":         {nil, []Destination{dest("own", false, "login")}, []Destination{dest("p", true, "job_summary")}, nil},
		"what the parent does not share":        {nil, []Destination{dest("own", false)}, []Destination{dest("p", false)}, nil},
		"no parent":                             {nil, []Destination{dest("own", false)}, nil, nil},
		"each of the parent's, by what it gets": {nil, []Destination{dest("own", false, "login", "job_summary")}, []Destination{dest("p", true), dest("q", true, "job_summary"), dest("r", true, "job_details")}, map[string]string{"p": "job_summary login", "q": "job_summary"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got map[string]string
			for _, cut := range CutOffs(c.was, c.is, c.parents) {
				if got == nil {
					got = make(map[string]string)
				}
				text := ""
				for i, logType := range cut.Types {
					if i > 0 {
						text += " "
					}
					text += logType
				}
				if cut.Others {
					text += " and others"
				}
				got[cut.Destination.ID] = text
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
