package events_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
)

// TestMessageKeepsThePayload holds that a payload leaves as it came: characters that HTML knows, blanks,
// escapes, large numbers, repeated names.
func TestMessageKeepsThePayload(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 30, 0, 120_000_000, time.FixedZone("", 5*3600+1800))
	for _, payload := range []string{
		`{}`,
		`{"a":"<b>&amp;</b>"}`,
		`{ "a" : 1 , "b":[ ] }`,
		`{"a":"\u003c\/\u2028` + "\u2028" + `"}`,
		`{"n":9007199254740993,"m":1.10,"e":1E400}`,
		`{"a":1,"a":2}`,
		"{\"a\":1,\n\"b\":2}",
	} {
		l := events.Log{ID: "log-1", WorkspaceID: "acme", Type: events.UserActivity, OccurredAt: at, ZeroRetention: true, Payload: json.RawMessage(payload)}
		message, err := l.Message()
		if err != nil {
			t.Fatalf("%s: %v", payload, err)
		}
		got, err := auditlog.Decode(message)
		if err != nil {
			t.Fatalf("%s: %v", message, err)
		}
		want := auditlog.Log{ID: "log-1", WorkspaceID: "acme", Type: "user_activity", OccurredAt: "2026-11-02T09:30:00.12+05:30", ZeroRetention: true, Payload: json.RawMessage(payload)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", payload, diff)
		}
	}
}

func TestMessageDoesNotGrow(t *testing.T) {
	payload := []byte(`{"html":"` + strings.Repeat("<&>", 400<<10/3) + `"}`)
	l := events.Log{ID: "a", WorkspaceID: "b", Type: "c", OccurredAt: time.Unix(0, 0).UTC(), Payload: payload}
	message, err := l.Message()
	if err != nil {
		t.Fatal(err)
	}
	if extra := len(message) - len(payload); extra > 120 || !bytes.Contains(message, payload) || bytes.Contains(message, []byte("zero_retention")) {
		t.Errorf("the message has %d bytes more than its payload", extra)
	}
}

func TestMessageOfNoLog(t *testing.T) {
	l := events.Log{ID: `a"`, WorkspaceID: "b", Type: "c", OccurredAt: time.Unix(0, 0).UTC(), Payload: json.RawMessage(`{}`)}
	if message, err := l.Message(); err == nil {
		t.Errorf("%s is the message of a log that is not valid", message)
	}
}
