package directory

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOddTypes(t *testing.T) {
	for logType, want := range map[string][]OddType{
		"user_activity":        nil,
		"job_summary":          nil,
		"job_details":          nil,
		"jon_summary":          {{0, "jon_summary", "job_summary"}},
		"job_summry":           {{0, "job_summry", "job_summary"}},
		"job_detail":           {{0, "job_detail", "job_details"}},
		"jobdetails":           {{0, "jobdetails", "job_details"}},
		"useractivity":         {{0, "useractivity", "user_activity"}},
		"user_activities":      {{0, "user_activities", "user_activity"}},
		"suer_activity":        {{0, "suer_activity", "user_activity"}},
		"user_activitys":       {{0, "user_activitys", "user_activity"}},
		"jobs_summary":         {{0, "jobs_summary", "job_summary"}},
		"api_platform_request": {{0, "api_platform_request", ""}},
		"job":                  {{0, "job", ""}},
		"a":                    {{0, "a", ""}},
	} {
		if diff := cmp.Diff(want, Destination{LogTypes: []string{logType}}.OddTypes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", logType, diff)
		}
	}
	if diff := cmp.Diff([]OddType{{1, "jon_summary", "job_summary"}, {2, "login", ""}},
		Destination{LogTypes: []string{"user_activity", "jon_summary", "login"}}.OddTypes()); diff != "" {
		t.Errorf("of several (-want +got):\n%s", diff)
	}
	if odd := (Destination{}).OddTypes(); odd != nil {
		t.Errorf("of all types: %v", odd)
	}
}
