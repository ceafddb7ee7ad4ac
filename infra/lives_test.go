package infra

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testOutlives lists what is still there when the stack is gone, and what the functions make at run time.
func testOutlives(t *testing.T, tmpl template) {
	got := make(map[string]string)
	for id, r := range tmpl.Resources {
		if _, ok := nameOf()[r.Type]; !ok {
			t.Errorf("%s has the type %s: say in account_test.go by what property it gets a name", id, r.Type)
		}
		if r.DeletionPolicy == "" || r.DeletionPolicy == "Delete" {
			continue
		}
		got[plain(id)] = r.DeletionPolicy
		if name := fixed(r); name != "" {
			t.Errorf("%s outlives the stack with a name of ours, %s, and the next stack cannot have it", id, name)
		}
	}
	want := map[string]string{
		"Key": "RetainExceptOnCreate", "Directory": "RetainExceptOnCreate", "Deliveries": "RetainExceptOnCreate", "Payloads": "RetainExceptOnCreate",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what outlives the stack (-want +got):\n%s", diff)
	}
	testMadeAtRunTime(t, tmpl)
}

// testMadeAtRunTime lists by which grants functions make things that CloudFormation does not know of: schedules, which
// go with their group, and streams, which go with their log group. A log group that a function could make, Lambda would
// make again, under its name, for a run that ends after the stack's end.
func testMadeAtRunTime(t *testing.T, tmpl template) {
	got := make(map[string]bool)
	for _, f := range functionNames() {
		for action, on := range grantsOf(t, tmpl, strings.ToUpper(f[:1])+f[1:]) {
			if strings.Contains(action, ":Create") || strings.HasSuffix(action, ":*") {
				got[action+" "+strings.Join(on, " ")] = true
			}
		}
	}
	const schedules = "scheduler:CreateSchedule arn:{AWS::Partition}:scheduler:{AWS::Region}:{AWS::AccountId}:schedule/auditrelay-dev/*"
	want := []string{schedules}
	for _, f := range functionNames() {
		want = append(want, "logs:CreateLogStream {"+strings.ToUpper(f[:1])+f[1:]+"Log.Arn}")
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, sorted(got)); diff != "" {
		t.Errorf("what is made at run time (-want +got):\n%s", diff)
	}
}

// released is the template of the last release, in the settings of the end-to-end tests; `make released` writes it.
func released(t *testing.T) template {
	t.Helper()
	text, err := os.ReadFile("testdata/released.template.json")
	if err != nil {
		t.Fatal(err)
	}
	var tmpl template
	if err := json.Unmarshal(text, &tmpl); err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// live plays the stack's lives in an account: each failure of a first deploy, the end of a stack, and what follows.
func live(tmpl template) (failed []string) {
	hold := func(story string, err error) {
		if err != nil {
			failed = append(failed, story+": "+err.Error())
		}
	}
	for fails := range len(tmpl.Resources) {
		a := make(account)
		hold("a deploy fails", a.deploy(tmpl, fails))
		hold("the deploy after a failed one", a.deploy(tmpl, -1))
	}
	a := make(account)
	hold("a deploy", a.deploy(tmpl, -1))
	hold("its end", a.destroy(tmpl))
	hold("the deploy after it", a.deploy(tmpl, -1))
	return failed
}

func upgrade(from, to template) error {
	a := make(account)
	if err := a.deploy(from, -1); err != nil {
		return err
	}
	return a.update(from, to)
}

// TestLives holds that no deploy, failed deploy or end of a stack stands in the way of the next deploy, and that the
// last release's stack can be brought to this one, without the loss of what holds data.
func TestLives(t *testing.T) {
	s := defaults(t)
	s.Stage, s.MailFrom = "e2e", "notices@auditrelay.example"
	tmpl, before := synthesize(t, s), released(t)
	for _, story := range live(tmpl) {
		t.Error(story)
	}
	if err := upgrade(before, tmpl); err != nil {
		t.Errorf("the upgrade from the last release: %v", err)
	}
	for id, was := range before.Resources {
		is := tmpl.Resources[id]
		for _, property := range unchangeable()[was.Type] {
			if diff := cmp.Diff(was.at(property), is.at(property)); diff != "" || is.Type != was.Type {
				t.Errorf("%s is replaced: %s (-release +now):\n%s", id, property, diff)
			}
		}
	}
	testLivesFail(t, tmpl)
}

// testLivesFail holds that the stories see what goes wrong in accounts.
func testLivesFail(t *testing.T, tmpl template) {
	one := func(kind, construct string, change func(r *resource)) template {
		changed := template{Resources: maps.Clone(tmpl.Resources)}
		id := tmpl.id(t, kind, construct)
		r := changed.Resources[id]
		r.Properties = maps.Clone(r.Properties)
		change(&r)
		changed.Resources[id] = r
		return changed
	}
	lives := map[string]struct {
		tmpl template
		want string
	}{
		"a group that is retained": {
			one("AWS::Scheduler::ScheduleGroup", "Schedules", func(r *resource) { r.DeletionPolicy = "Retain" }),
			"the deploy after a failed one: CREATE_FAILED: AWS::Scheduler::ScheduleGroup auditrelay-e2e already exists",
		},
		"a group that is retained once it is made": {
			one("AWS::Scheduler::ScheduleGroup", "Schedules", func(r *resource) { r.DeletionPolicy = "RetainExceptOnCreate" }),
			"the deploy after it: CREATE_FAILED: AWS::Scheduler::ScheduleGroup auditrelay-e2e already exists",
		},
		"a table that is protected": {
			one("AWS::DynamoDB::Table", "Directory", func(r *resource) { r.Properties["DeletionProtectionEnabled"] = true }),
			"a deploy fails: ROLLBACK_FAILED: Directory98167B95 is protected against deletion",
		},
		"a bucket with a name of ours": {
			one("AWS::S3::Bucket", "Payloads", func(r *resource) { r.Properties["BucketName"] = "payloads" }),
			"the deploy after it: CREATE_FAILED: AWS::S3::Bucket payloads already exists",
		},
	}
	for name, l := range lives {
		if got := live(l.tmpl); !slices.Contains(got, l.want) {
			t.Errorf("%s: %v, want %s", name, got, l.want)
		}
	}
	renamed := template{Resources: maps.Clone(tmpl.Resources)}
	bus := tmpl.id(t, "AWS::Events::EventBus", "Bus")
	renamed.Resources["Other"+bus] = renamed.Resources[bus]
	delete(renamed.Resources, bus)
	upgrades := map[string]template{
		"Events::EventBus auditrelay-e2e already exists": renamed,
		"3 indexes change at once":                       one("AWS::DynamoDB::Table", "Directory", func(r *resource) { delete(r.Properties, "GlobalSecondaryIndexes") }),
	}
	for want, to := range upgrades {
		if err := upgrade(tmpl, to); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the upgrade says %v, want %s", err, want)
		}
	}
}
