//go:build integration

package sink

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// signedRequest is a request as a receiver gives it to a library of Standard Webhooks.
type signedRequest struct {
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`
	Options map[string]bool   `json:"options"`
}

// What docs/destinations/http.md says of signatures holds with the libraries that receivers use, and what is refused
// when it is saved is what they cannot verify.
func TestSignaturesInOtherLanguages(t *testing.T) {
	const secret, next, other = "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh", "whsec_YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJi", "whsec_Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj"
	docs := make([]auditlog.Document, 3)
	for i, payload := range []string{`{"text":"a & b < c é \u2028 😀"}`, `{"n":12345678901234567890.10}`, `{"deep":[[[[]]]],"empty":""}`} {
		doc, err := auditlog.Prepare(auditlog.Log{
			ID: string(rune('a' + i)), WorkspaceID: "acme", Type: "user_activity", OccurredAt: "2026-11-02T09:30:00Z", Payload: []byte(payload),
		})
		if err != nil {
			t.Fatal(err)
		}
		docs[i] = doc
	}
	const one, list, bad, noJSON = "verified {", "verified [", "No matching signature found", "SyntaxError"
	rows := []struct {
		name     string
		settings map[string]any
		secrets  []string
		verify   string // with this secret
		options  map[string]bool
		tamper   bool
		saved    bool
		logs     int
		want     string // the beginning of what the library says
		inPython string // if it says something else
	}{
		{name: "one log", secrets: []string{secret}, verify: secret, saved: true, logs: 1, want: one},
		{name: "a list", settings: map[string]any{"format": "json_array"}, secrets: []string{secret}, verify: secret, saved: true, logs: 3, want: list},
		{name: "a template", settings: map[string]any{"template": `{"log":{{{log_message}}},"text":{{{log_message_str}}}}`}, secrets: []string{secret}, verify: secret, saved: true, logs: 1, want: one},
		{name: "the old secret of two", secrets: []string{secret, next}, verify: secret, saved: true, logs: 1, want: one},
		{name: "the new secret of two", secrets: []string{secret, next}, verify: next, saved: true, logs: 1, want: one},
		{name: "another secret", secrets: []string{secret}, verify: other, saved: true, logs: 1, want: bad},
		{name: "a changed body", secrets: []string{secret}, verify: secret, tamper: true, saved: true, logs: 1, want: bad},
		{name: "compressed", settings: map[string]any{"gzip": true}, secrets: []string{secret}, verify: secret, logs: 1, want: bad, inPython: "UnicodeDecodeError"},
		{name: "a log a line", settings: map[string]any{"format": "ndjson"}, secrets: []string{secret}, verify: secret, logs: 3, want: noJSON},
		{name: "a log a line, not parsed", settings: map[string]any{"format": "ndjson"}, secrets: []string{secret}, verify: secret, options: map[string]bool{"jsonParse": false}, logs: 3, want: "verified"},
	}
	var requests []signedRequest
	var node, python []string
	for _, row := range rows {
		var got signedRequest
		server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			got = signedRequest{Secret: row.verify, Headers: make(map[string]string), Options: row.options}
			for name := range r.Header {
				got.Headers[strings.ToLower(name)] = r.Header.Get(name)
			}
			got.Body, _ = io.ReadAll(r.Body)
		})
		settings := map[string]any{"url": server.URL}
		for name, value := range row.settings {
			settings[name] = value
		}
		d := directory.Destination{Kind: directory.HTTP, Settings: asJSON(t, settings)}
		credentials := asJSON(t, map[string]any{"signing_secrets": row.secrets})
		if err := Validate(d, credentials, local()); (err == nil) != row.saved {
			t.Errorf("%s: saving it gives %v", row.name, err)
		}
		s, err := build(d, credentials, localEnvironment())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range s.Send(t.Context(), docs[:row.logs]) {
			if r.Err != nil {
				t.Fatalf("%s: %v", row.name, r.Err)
			}
		}
		if row.tamper {
			got.Body = append(got.Body, ' ')
		}
		requests = append(requests, got)
		node = append(node, row.want)
		if row.inPython != "" {
			row.want = row.inPython
		}
		python = append(python, row.want)
	}
	for _, library := range []struct {
		program, script string
		want            []string
	}{{"node", "testdata/verify.mjs", node}, {"python3", "testdata/verify.py", python}} {
		cmd := exec.CommandContext(t.Context(), library.program, library.script)
		cmd.Stdin, cmd.Stderr = bytes.NewReader(asJSON(t, requests)), os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", library.script, err)
		}
		var told []string
		if err := json.Unmarshal(out, &told); err != nil {
			t.Fatalf("%s printed %s", library.script, out)
		}
		for i, text := range told {
			if strings.HasPrefix(text, "verified") {
				told[i] = text[:min(len(text), len(library.want[i]))]
			}
		}
		if diff := cmp.Diff(library.want, told); diff != "" {
			t.Errorf("%s (-want +got), in the order of the rows:\n%s", library.script, diff)
		}
	}
}
