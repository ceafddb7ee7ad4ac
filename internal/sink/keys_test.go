package sink

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/auditrelay/auditrelay/internal/auditlog"
)

// logDocument prepares a log as deliver would.
func logDocument(t interface {
	Helper()
	Fatalf(string, ...any)
}, workspace, logType, id, occurredAt, payload string) auditlog.Document {
	t.Helper()
	doc, err := auditlog.Prepare(auditlog.Log{
		ID: id, WorkspaceID: workspace, Type: logType, OccurredAt: occurredAt, Payload: json.RawMessage(payload),
	})
	if err != nil {
		t.Fatalf("prepare log %s: %v", id, err)
	}
	return doc
}

func TestObjectKey(t *testing.T) {
	long := strings.Repeat("9", 2000)
	tests := []struct {
		name                                         string
		workspace, logType, id, occurredAt, template string
		payload                                      string
		want                                         string
	}{
		{
			name:      "the summary of a job whose log has the job's id",
			workspace: "w-1", logType: "job_summary", id: "j-77", occurredAt: "2026-11-02T23:30:05-02:00",
			payload: `{"id":"j-77","recipe_id":4711,"status":"failed"}`,
			want:    "w-1/jobs/4711/20261103/j-77/w-1-4711-j-77-20261103013005-failed-HASH.json",
		},
		{
			name:      "the details of the same job",
			workspace: "w-1", logType: "job_details", id: "j-77-d", occurredAt: "2026-11-02T23:30:05-02:00",
			payload: `{"lines":[{"id":"no","status":"no"}],"id":"j-77","recipe_id":"4711","status":"failed"}`,
			want:    "w-1/jobs/4711/20261103/j-77/w-1-4711-j-77-20261103013005-failed-j-77-d-HASH.json",
		},
		{
			name:      "a job that does not say what it is",
			workspace: "w", logType: "job_summary", id: "L", occurredAt: "2026-01-02T03:04:05Z", payload: `{"id":null,"recipe_id":{}}`,
			want: "w/jobs/unknown/20260102/unknown/w-unknown-unknown-20260102030405-unknown-L-HASH.json",
		},
		{
			name:      "hostile payload values",
			workspace: "..", logType: "job_summary", id: "..", occurredAt: "2026-01-02T03:04:05Z",
			payload: `{"id":"../../\u0000\n etc","recipe_id":"..","status":"failed/../x"}`,
			want:    ".%2E/jobs/.%2E/20260102/.._..____etc/.%2E-.%2E-.._..____etc-20260102030405-unknown-..-HASH.json",
		},
		{
			name:      "values that are too long",
			workspace: "w", logType: "job_summary", id: "L", occurredAt: "2026-01-02T03:04:05Z",
			payload: `{"id":"` + long + `","recipe_id":` + long + `,"status":"` + strings.Repeat("s", 2000) + `"}`,
			want: "w/jobs/" + long[:64] + "/20260102/" + long[:64] + "/w-" + long[:64] + "-" + long[:64] +
				"-20260102030405-unknown-L-HASH.json",
		},
		{
			name:      "user activity",
			workspace: "w-1", logType: "user_activity", id: "a.1_2", occurredAt: "2026-11-02T00:00:00Z", payload: `{"id":"other","status":"x"}`,
			want: "w-1/user_activity/20261102/a.1_2-HASH.json",
		},
		{
			name:      "a template",
			workspace: "w-1", logType: "user_activity", id: "a.", occurredAt: "2026-11-02T05:06:07Z", payload: `{}`,
			template: "{workspace}/y={year}/m={month}/d={day}/h={hour}/{type}/{recipe}{job}{status}/{date}{time}-{id}.json",
			want:     "w-1/y=2026/m=11/d=02/h=05/user_activity/unknownunknownunknown/20261102050607-a%2E-HASH.json",
		},
		{
			name:      "a template with a place for the hash",
			workspace: "w-1", logType: "user_activity", id: "a.", occurredAt: "2026-11-02T05:06:07Z", payload: `{}`,
			template: "{workspace}/{hash}-{type}/{id}.json",
			want:     "w-1/HASH-user_activity/a%2E.json",
		},
		{
			name:      "a template without an extension",
			workspace: "w-1", logType: "user_activity", id: "a.b", occurredAt: "2026-11-02T05:06:07Z", payload: `{}`,
			template: "v1.0/{workspace}/{date}.{id}",
			want:     "v1.0/w-1/20261102.a.b-HASH",
		},
		{
			name:      "a template with two extensions",
			workspace: "w-1", logType: "user_activity", id: "a", occurredAt: "2026-11-02T05:06:07Z", payload: `{}`,
			template: "{workspace}/{id}/log.json.txt",
			want:     "w-1/a/log-HASH.json.txt",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if problem := checkKeyTemplate(tt.template, true); tt.template != "" && problem != "" {
				t.Fatalf("checkKeyTemplate(%q) = %q", tt.template, problem)
			}
			doc := logDocument(t, tt.workspace, tt.logType, tt.id, tt.occurredAt, tt.payload)
			want := strings.ReplaceAll(tt.want, "HASH", doc.Hash())
			if diff := cmp.Diff(want, objectKey(doc, tt.template)); diff != "" {
				t.Errorf("key (-want +got):\n%s", diff)
			}
		})
	}
}

// Two logs share a name only when they are the same log, whatever their payloads say. The alphabets are small so that values meet often.
func TestObjectKeysAreUnique(t *testing.T) {
	id := rapid.StringMatching(`[a.-]{1,4}`)
	value := rapid.StringMatching(`[a./-]{0,4}`)
	status := rapid.SampledFrom([]string{"", "a", "failed", "failed-a", "a/a"})
	logType := rapid.SampledFrom([]string{"job_summary", "job_details", "user_activity", "jobs"})
	template := rapid.SampledFrom([]string{
		"", "{workspace}/{id}", "{recipe}{job}{type}{status}/{date}{id}/{workspace}{time}", "{id}{id}/{id}/{workspace}", "{workspace}/{id}/x.json.gz",
		"{hash}{recipe}{job}/{workspace}/{id}", "{workspace}/{id}/{job}{status}{hash}", "{hash}{job}{hash}{recipe}{hash}/{workspace}/{id}",
	})
	at := rapid.SampledFrom([]string{"2026-01-02T03:04:05Z", "2027-01-02T03:04:05Z"})
	rapid.Check(t, func(t *rapid.T) {
		form := template.Draw(t, "template")
		draw := func(label string) auditlog.Document {
			payload, err := json.Marshal(map[string]string{
				"id": value.Draw(t, label+" job"), "recipe_id": value.Draw(t, label+" recipe"), "status": status.Draw(t, label+" status"),
			})
			if err != nil {
				t.Fatal(err)
			}
			return logDocument(t, id.Draw(t, label+" workspace"), logType.Draw(t, label+" type"), id.Draw(t, label+" id"), at.Draw(t, label+" at"), string(payload))
		}
		a, b := draw("a"), draw("b")
		if a.Identity() == b.Identity() {
			return
		}
		key := objectKey(a, form)
		if key == objectKey(b, form) {
			t.Fatalf("two logs have the name %q", key)
		}
		if problem := checkPath(key); problem != "" {
			t.Fatalf("the name %q %s", key, problem)
		}
	})
}

func TestObjectKeysFit(t *testing.T) {
	long := strings.Repeat("x", 2000)
	doc := logDocument(t, strings.Repeat("w", 127)+".", "job_details", strings.Repeat("i", 128), "2026-01-02T03:04:05Z",
		`{"id":"`+long+`","recipe_id":"`+long+`","status":"`+strings.Repeat("s", maxStatus)+`"}`)
	key := joinPrefix(strings.Repeat("p", maxPrefix), objectKey(doc, ""))
	if len(key) > maxKey {
		t.Errorf("the longest name has %d bytes, more than %d", len(key), maxKey)
	}
}

func TestCheckKeyTemplate(t *testing.T) {
	tests := []struct{ template, problem string }{
		{"{workspace}/{id}.json", ""},
		{"logs/{workspace}/{type}/{date}/{time}-{id}.json", ""},
		{"{workspace}/x.json", "{id}"},
		{"{id}.json", "{workspace}"},
		{"{workspace}-{id}.json", "{id}"},
		{"{workspace}/{recipe}-{id}.json", "{id}"},
		{"{workspace}/{id", "brace"},
		{"{workspace}/id}", "brace"},
		{"{workspace}/{log}/{id}", "no other placeholder"},
		{"../{workspace}/{id}", "dot"},
		{"/{workspace}/{id}", "slash"},
		{"{workspace}//{id}", "slash"},
		{"{workspace}/\n{id}", "printable"},
		{"{workspace}/" + strings.Repeat("{id}", 10), "bytes"},
		{"{workspace}/{id}/" + strings.Repeat("x", 823-2-2*130-17), ""},
		{"{workspace}/{id}/" + strings.Repeat("x", 823-2-2*130-16), "824 bytes"},
		{"{workspace}/{hash}/{id}", ""},
		{"{workspace}/{id}-{hash}.json", ""},
		{"{workspace}/{id}/{date}{hash}{time}", ""},
		{"{workspace}/{id}/{hash}{type}{job}", ""},
		{"{workspace}/{id}/{type}{hash}{job}", "before it or after it"},
		{"{workspace}/{id}/{hash}{type}{hash}{job}", ""},
	}
	for _, tt := range tests {
		got := checkKeyTemplate(tt.template, true)
		if (got == "") != (tt.problem == "") || !strings.Contains(got, tt.problem) {
			t.Errorf("checkKeyTemplate(%q) = %q, want %q in it", tt.template, got, tt.problem)
		}
	}
}

// A template that was saved when names held no hash is used as it is, be it that a name of all its longest parts would not fit.
func TestKeyTemplatesThatWereSaved(t *testing.T) {
	template := "{workspace}/{id}/" + strings.Repeat("x", 823-2-2*130)
	if problem := checkKeyTemplate(template, false); problem != "" {
		t.Errorf("the template %s", problem)
	}
}

func TestBatchKeyIgnoresOrder(t *testing.T) {
	a := logDocument(t, "w", "user_activity", "1", "2026-01-03T03:04:05Z", `{}`)
	b := logDocument(t, "w", "user_activity", "2", "2026-01-02T03:04:05Z", `{}`)
	key := batchKey(inOrder([]auditlog.Document{a, b}))
	if diff := cmp.Diff(key, batchKey(inOrder([]auditlog.Document{b, a}))); diff != "" {
		t.Errorf("the same logs have two names (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(key, "batches/20260102/") {
		t.Errorf("the name %q has not the date of the earliest log", key)
	}
	if key == batchKey(inOrder([]auditlog.Document{a})) {
		t.Errorf("other logs have the same name %q", key)
	}
}
