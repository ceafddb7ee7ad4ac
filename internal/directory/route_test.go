package directory

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoute(t *testing.T) {
	dest := func(id string, shared bool, state State, logTypes ...string) Destination {
		return Destination{ID: id, Shared: shared, State: state, LogTypes: logTypes}
	}
	for name, c := range map[string]struct {
		logType      string
		own, parents []Destination
		want         []string
	}{
		"nobody": {"user_activity", nil, nil, nil},
		"own": {"user_activity",
			[]Destination{dest("own", false, Connected)}, nil, []string{"own"}},
		"every own one that wants it, in order": {"job_summary",
			[]Destination{dest("b", false, Connected), dest("a", false, Connected, "user_activity"), dest("c", false, Connected, "job_details", "job_summary")},
			nil, []string{"b", "c"}},
		"own before the parent's": {"user_activity",
			[]Destination{dest("own", false, Connected)}, []Destination{dest("parent", true, Connected)}, []string{"own"}},
		"own and shared is still own": {"user_activity",
			[]Destination{dest("own", true, Connected)}, []Destination{dest("parent", true, Connected)}, []string{"own"}},
		"none of its own": {"user_activity",
			nil, []Destination{dest("parent", true, Connected)}, []string{"parent"}},
		"only what the parent shares": {"user_activity",
			nil, []Destination{dest("private", false, Connected), dest("shared", true, Connected)}, []string{"shared"}},
		"only what the parent shares and wants": {"user_activity",
			nil, []Destination{dest("jobs", true, Connected, "job_summary"), dest("all", true, Connected)}, []string{"all"}},
		"own does not want the type, parent's does": {"job_details",
			[]Destination{dest("own", false, Connected, "user_activity")}, []Destination{dest("parent", true, Connected, "job_details")}, []string{"parent"}},
		"neither wants the type": {"job_details",
			[]Destination{dest("own", false, Connected, "user_activity")}, []Destination{dest("parent", true, Connected, "user_activity")}, nil},
		"an unpublished type goes to those that want all": {"api_platform_request",
			[]Destination{dest("some", false, Connected, "user_activity", "job_summary", "job_details"), dest("all", false, Connected)}, nil, []string{"all"}},
		"type by its whole name": {"job",
			[]Destination{dest("own", false, Connected, "job_summary")}, nil, nil},
		"disconnected: the log waits for it": {"user_activity",
			[]Destination{dest("own", false, Disconnected)}, []Destination{dest("parent", true, Connected)}, []string{"own"}},
		"disabled: the log waits for it": {"user_activity",
			[]Destination{dest("own", false, Disabled)}, []Destination{dest("parent", true, Connected)}, []string{"own"}},
		"the parent's disabled": {"user_activity",
			nil, []Destination{dest("parent", true, Disabled)}, []string{"parent"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, d := range Route(c.logType, c.own, c.parents) {
				got = append(got, d.ID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Route (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRouteLeavesItsArgumentsAlone(t *testing.T) {
	own := []Destination{{ID: "a", LogTypes: []string{"x"}}, {ID: "b"}}
	if picked := Route("y", own, nil); len(picked) == 1 {
		picked[0].ID = "changed"
	}
	if own[0].ID != "a" || own[1].ID != "b" {
		t.Errorf("own is now %+v", own)
	}
}
