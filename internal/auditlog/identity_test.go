package auditlog

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A log is known by its workspace, its id and what is sent of it.
func TestIdentity(t *testing.T) {
	log := func(change func(*Log)) Log {
		l := Log{ID: "a.1", WorkspaceID: "acme", Type: "job_details", OccurredAt: "2026-11-02T09:30:00Z"}
		l.Payload = json.RawMessage(`{"a":1,"input":"x"}`)
		change(&l)
		return l
	}
	first := identity(t, log(func(*Log) {}))
	if diff := cmp.Diff("acme:a.1:caf57a55349d49a8", first); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	tests := []struct {
		name   string
		change func(*Log)
		same   bool
	}{
		{"sent again", func(*Log) {}, true},
		{"line breaks in the payload", func(l *Log) { l.Payload = json.RawMessage("{\n\"a\":1,\r\n\"input\":\"x\"}") }, true},
		{"another payload", func(l *Log) { l.Payload = json.RawMessage(`{"a":2,"input":"x"}`) }, false},
		{"another order", func(l *Log) { l.Payload = json.RawMessage(`{"input":"x","a":1}`) }, false},
		{"another type", func(l *Log) { l.Type = "job_summary" }, false},
		{"another time", func(l *Log) { l.OccurredAt = "2026-11-02T09:30:01Z" }, false},
		{"the same instant, written otherwise", func(l *Log) { l.OccurredAt = "2026-11-02T10:30:00+01:00" }, false},
		{"another id", func(l *Log) { l.ID = "a.2" }, false},
		{"another workspace", func(l *Log) { l.WorkspaceID = "acme2" }, false},
		{"zero retention", func(l *Log) { l.ZeroRetention = true }, false},
	}
	for _, tt := range tests {
		if got := identity(t, log(tt.change)); (got == first) != tt.same {
			t.Errorf("%s: %s beside %s", tt.name, got, first)
		}
	}
}

// What zero retention removes leaves no trace in a hash, from which it could be guessed.
func TestIdentityHoldsNothingOfWhatWasRemoved(t *testing.T) {
	var got []string
	for _, secret := range []string{"0000", "4711"} {
		payload := json.RawMessage(`{"lines":[{"input":"` + secret + `"}],"report":{"pin":"` + secret + `"}}`)
		got = append(got, identity(t, Log{ID: "j", WorkspaceID: "acme", Type: "job_details",
			OccurredAt: "2026-11-02T09:30:00Z", ZeroRetention: true, Payload: payload}))
	}
	if got[0] != got[1] {
		t.Errorf("two data have the identities %v", got)
	}
}

func identity(t *testing.T, l Log) string {
	t.Helper()
	doc, err := Prepare(l)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(doc.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if again.Identity() != doc.Identity() {
		t.Errorf("stored and read back, %s is %s", doc.Identity(), again.Identity())
	}
	return doc.Identity()
}
