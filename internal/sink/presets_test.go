package sink

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Two logs, as each intake must receive them: the path, the headers that are its own, and the body.
func TestPresets(t *testing.T) {
	docs := make([]auditlog.Document, 2)
	for i, id := range []string{"l-1", "l-2"} {
		doc, err := auditlog.Prepare(auditlog.Log{ID: id, WorkspaceID: "ws", Type: "user_activity", OccurredAt: "2026-11-02T10:30:00.5+01:00", Payload: []byte(`{"say":"\"hi\""}`)})
		if err != nil {
			t.Fatal(err)
		}
		docs[i] = doc
	}
	one, two := string(docs[0].JSON), string(docs[1].JSON)
	text := func(doc string) string {
		quoted, _ := json.Marshal(doc)
		return string(quoted)
	}
	for _, c := range []struct {
		name        string
		settings    map[string]any
		credentials map[string]any
		uri         string
		header      map[string]string
		body        string
	}{
		{
			"splunk_hec", map[string]any{"headers": map[string]string{"X-Splunk-Request-Channel": "12345678-1234-1234-1234-1234567890ab"}}, map[string]any{"token": "abc"},
			"/services/collector/event", map[string]string{"Authorization": "Splunk abc", "Content-Type": "application/json", "X-Splunk-Request-Channel": "12345678-1234-1234-1234-1234567890ab"},
			`{"time":1793611800.500,"source":"auditrelay","sourcetype":"_json","event":` + one + "}\n" +
				`{"time":1793611800.500,"source":"auditrelay","sourcetype":"_json","event":` + two + "}",
		},
		{
			"splunk_hec", map[string]any{"index": "audit", "template": `{"m":{{{log_message}}}}`}, map[string]any{"token": "abc"},
			"/services/collector/event", map[string]string{"Authorization": "Splunk abc"},
			`{"time":1793611800.500,"source":"auditrelay","sourcetype":"_json","index":"audit","event":{"m":` + one + "}}\n" +
				`{"time":1793611800.500,"source":"auditrelay","sourcetype":"_json","index":"audit","event":{"m":` + two + "}}",
		},
		{
			"datadog", nil, map[string]any{"token": "abc"},
			"/api/v2/logs", map[string]string{"Dd-Api-Key": "abc", "Content-Type": "application/json", "Authorization": ""},
			`[{"ddsource":"auditrelay","service":"auditrelay","message":` + text(one) + `},{"ddsource":"auditrelay","service":"auditrelay","message":` + text(two) + `}]`,
		},
		{
			"sumo_logic", map[string]any{"headers": map[string]string{"X-Sumo-Category": "audit"}}, map[string]any{"token": "Za/b=="},
			"/receiver/v1/http/Za%2Fb==", map[string]string{"X-Sumo-Category": "audit", "Authorization": ""},
			one + "\n" + two + "\n",
		},
		{
			"grafana_loki", nil, map[string]any{"basic": map[string]string{"username": "123", "password": "glc"}},
			"/loki/api/v1/push", map[string]string{"Authorization": "Basic MTIzOmdsYw==", "Content-Type": "application/json"},
			`{"streams":[{"stream":{"service_name":"auditrelay"},"values":[["1793612345000000000",` + text(one) + `],["1793612345000000000",` + text(two) + `]]}]}`,
		},
		{
			"grafana_loki", nil, map[string]any{"token": "glc"},
			"/loki/api/v1/push", map[string]string{"Authorization": "Bearer glc"},
			`{"streams":[{"stream":{"service_name":"auditrelay"},"values":[["1793612345000000000",` + text(one) + `],["1793612345000000000",` + text(two) + `]]}]}`,
		},
		{
			"new_relic", nil, map[string]any{"token": "abc"},
			"/log/v1", map[string]string{"Api-Key": "abc", "Content-Type": "application/json"},
			`[{"common":{"attributes":{"service.name":"auditrelay","logtype":"auditrelay"}},"logs":[{"message":` + text(one) + `},{"message":` + text(two) + `}]}]`,
		},
		{
			"elastic", nil, map[string]any{"token": "aWQ6a2V5"},
			"/logs-auditrelay-default/_bulk?filter_path=errors,items.*.status", map[string]string{"Authorization": "ApiKey aWQ6a2V5", "Content-Type": "application/x-ndjson"},
			`{"create":{"_id":"ws:l-1:bdb985ce466865db"}}` + "\n" + `{"@timestamp":"2026-11-02T10:30:00.5+01:00","event":{"kind":"event","dataset":"auditrelay"},"auditrelay":` + one + "}\n" +
				`{"create":{"_id":"ws:l-2:d97dbd58bd8cc4c6"}}` + "\n" + `{"@timestamp":"2026-11-02T10:30:00.5+01:00","event":{"kind":"event","dataset":"auditrelay"},"auditrelay":` + two + "}\n",
		},
		{
			"elastic", map[string]any{"index": "audit"}, nil,
			"/audit/_bulk?filter_path=errors,items.*.status", map[string]string{"Authorization": ""}, "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			answers := map[string]answer{
				"splunk_hec": {status: 200, body: `{"text":"Success","code":0}`}, "datadog": {status: 202, body: `{}`}, "sumo_logic": {status: 200},
				"grafana_loki": {status: 204}, "new_relic": {status: 202, body: `{"requestId":"f0e7"}`},
				"elastic": {status: 200, body: `{"errors":false,"items":[]}`},
			}
			var got *http.Request
			var body []byte
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got = r
				body, _ = io.ReadAll(r.Body)
				answers[c.name].write(w)
			})
			settings := map[string]any{"url": server.URL, "preset": c.name}
			for name, value := range c.settings {
				settings[name] = value
			}
			s := httpFor(t, settings, c.credentials)
			s.now = func() time.Time { return time.Unix(1793612345, 0) }
			for _, doc := range docs {
				item := s.appendItem(nil, &outgoing{doc: doc, identity: doc.Identity(), at: s.now()})
				if size := s.itemSize(doc); len(item) > size || len(item) < size-300 {
					t.Errorf("an item of %d bytes is said to have %d", len(item), size)
				}
			}
			if diff := cmp.Diff([]string{"", ""}, codes(s.Send(t.Context(), docs))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.RequestURI != c.uri {
				t.Errorf("got %s, want %s", got.RequestURI, c.uri)
			}
			for name, want := range c.header {
				if value := got.Header.Get(name); value != want {
					t.Errorf("%s: got %q, want %q", name, value, want)
				}
			}
			if c.body != "" {
				if diff := cmp.Diff(strings.Split(c.body, "\n"), strings.Split(string(body), "\n")); diff != "" {
					t.Errorf("body (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestElasticVerdict(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		want         []string
	}{
		{"all taken", `{"errors":false}`, []string{"", "", "", "", ""}},
		{
			"each its own", `{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":409}},{"create":{"status":400}},{"create":{"status":429}},{"create":{"status":503}}]}`,
			[]string{"", "", string(failure.HTTPLogRefused), string(failure.HTTPThrottled), string(failure.HTTPServerError)},
		},
		{"too few", `{"errors":true,"items":[{"create":{"status":201}}]}`, all(failure.HTTPUnexpectedReply, 5)},
		{"another service", `{"ok":true}`, all(failure.HTTPUnexpectedReply, 5)},
		{"no JSON", `<html>`, all(failure.HTTPUnexpectedReply, 5)},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadAll(r.Body)
				_, _ = io.WriteString(w, c.answer)
			})
			s := httpFor(t, map[string]any{"url": server.URL, "preset": "elastic"}, nil)
			docs := make([]auditlog.Document, 5)
			for i := range docs {
				docs[i] = auditlog.Document{ID: "l", WorkspaceID: "w", JSON: []byte(`{}`)}
			}
			if diff := cmp.Diff(c.want, codes(s.Send(t.Context(), docs))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func all(code failure.Code, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = string(code)
	}
	return list
}
