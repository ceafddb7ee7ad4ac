package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/legible"
)

// hostile is a name as somebody would choose it who wants to write on another's terminal.
const hostile = "a\x1b[2J\x1b]0;title\x07\u009b31mRED\u202egnp.exe\u2066\u200b\u200d\ufeff\u2028\u00ad\U000e0041\r\n\tx"

// fill puts hostile text into every string of a value, and one element into every list.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if at, ok := reflect.TypeAssert[time.Time](v); ok {
			v.Set(reflect.ValueOf(at.AddDate(2025, 0, 0)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[admin.Object]() {
			text, _ := json.Marshal(map[string]string{hostile: hostile})
			v.SetBytes(text)
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	}
}

func filled[T any]() T {
	var v T
	fill(reflect.ValueOf(&v).Elem())
	return v
}

// hostileAPI answers as the management API does, with hostile text in every field.
func hostileAPI(w http.ResponseWriter, r *http.Request) {
	page := func(item any) map[string]any { return map[string]any{"items": []any{item}, "next": nil} }
	redriven := filled[admin.RedriveResult]()
	redriven.Next = nil
	var answer any
	switch path := r.Method + " " + r.URL.Path; {
	case path == "GET /clock":
		answer = map[string]any{"now": time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	case path == "GET /v1/workspaces":
		answer = page(filled[admin.Workspace]())
	case strings.Contains(path, " /v1/workspaces/"):
		answer = filled[admin.Workspace]()
	case path == "GET /v1/destinations":
		d := filled[admin.Destination]()
		d.ID = "siem"
		answer = page(d)
	case strings.HasSuffix(path, "/backlog"):
		answer = filled[admin.Backlog]()
	case strings.HasSuffix(path, "/test"):
		result := filled[admin.TestResult]()
		result.OK = false
		answer = result
	case strings.Contains(path, " /v1/destinations/"):
		answer = filled[admin.Destination]()
	case path == "GET /v1/deliveries":
		answer = page(filled[admin.PendingDelivery]())
	case path == "GET /v1/failed":
		answer = page(filled[admin.FailedEvent]())
	case path == "GET /v1/attempts":
		answer = filled[admin.AttemptPage]()
	case path == "POST /v1/redrive":
		answer = redriven
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// hostileRefusal refuses everything, in hostile words.
func hostileRefusal(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusUnprocessableEntity)
	p := filled[admin.Problem]()
	p.Status = http.StatusUnprocessableEntity
	_ = json.NewEncoder(w).Encode(p)
}

// hostileStatus is a server that is no API, and has a status of its own.
func hostileStatus(w http.ResponseWriter, _ *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(c, "HTTP/1.1 502 %s\r\nConnection: close\r\n\r\n%s",
		strings.NewReplacer("\r", "", "\n", "").Replace(hostile), hostile)
	_ = c.Close()
}

// remoteCommands are the commands over the API, each with arguments that it takes.
func remoteCommands(t *testing.T) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	d := file("d.yaml", `{"workspace_id":"acme","kind":"http","settings":{"url":"https://siem.example/"}}`)
	streams := file("streams.yaml", "workspaces:\n  - {id: acme, name: Acme, kind: standalone}\n")
	return map[string][]string{
		"workspace list": nil, "workspace get": {"acme"}, "workspace put": {"acme", "--kind",
			"standalone"}, "workspace delete": {"acme"},
		"destination list": nil, "destination get": {"siem"}, "destination put": {"siem", "-f",
			d}, "destination delete": {"siem"},
		"destination restore": {"siem"}, "destination disconnect": {"siem"}, "destination reconnect": {"siem"}, "destination test": {"siem"},
		"apply": {"-f", streams}, "status": nil, "pending": {"siem"}, "failed": nil, "attempts": nil,
		"tail": {"--since", "1h", "--for", "1ns"}, "redrive": {"--destination", "siem"},
	}
}

// TestNothingHiddenReachesATerminal runs every command over the API, and send, against services whose every
// word is hostile.
func TestNothingHiddenReachesATerminal(t *testing.T) {
	commands := remoteCommands(t)
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			name := strings.TrimPrefix(c.CommandPath(), "auditrelay ")
			if _, ok := commands[name]; !ok && c.Flags().Lookup("local") != nil && c.Runnable() && !c.HasSubCommands() {
				t.Errorf("%s is not tried", name)
			}
			walk(c)
		}
	}
	walk(root())
	for service, answer := range map[string]http.HandlerFunc{"an API": hostileAPI,
		"one that refuses": hostileRefusal, "no API": hostileStatus} {
		server := httptest.NewServer(answer)
		t.Cleanup(server.Close)
		for name, args := range commands {
			for _, format := range []string{"table", "json"} {
				t.Run(service+"/"+name+"/"+format, func(t *testing.T) {
					out, errs := runWith(t, slices.Concat(strings.Fields(name), args,
						[]string{"--local=" + server.URL, "-o", format}))
					if service == "an API" && format == "json" && out != "" && !json.Valid([]byte(strings.Split(out, "}\n{")[0])) {
						t.Errorf("it is no JSON: %s", out)
					}
					if service != "an API" && (out != "" || strings.Count(errs,
						"\n") != 1) && name != "tail" {
						t.Errorf("want one line of error, got %q and %q", out, errs)
					}
				})
			}
		}
		t.Run(service+"/send", func(t *testing.T) {
			logs := filepath.Join(t.TempDir(), "logs.ndjson")
			if err := os.WriteFile(logs, []byte(`{"id":"a","workspace_id":"acme","type":"user_activity","occurred_at":"2026-11-02T09:00:00Z","payload":{}}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, errs := runWith(t, []string{"send", "--url", server.URL + "/ingest",
				logs}); strings.Count(errs, "\n") > 1 {
				t.Errorf("want one line of error, got %q", errs)
			}
		})
	}
}

// runWith runs the program and gives what it wrote, in which nothing may be hidden.
func runWith(t *testing.T, args []string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	run(t.Context(), args, &out, &errs)
	for name, text := range map[string]string{"standard output": out.String(),
		"standard error": errs.String()} {
		for _, c := range text {
			if legible.Hidden(c) && c != '\n' && c != '\t' {
				t.Errorf("%s holds %U:\n%q", name, c, text)
				break
			}
		}
	}
	return out.String(), errs.String()
}

// TestJSONIsWhatTheAPISaid holds that escapes lose nothing.
func TestJSONIsWhatTheAPISaid(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(hostileAPI))
	defer server.Close()
	out, _ := runWith(t, []string{"destination", "get", "siem", "--local=" + server.URL, "-o", "json"})
	var got admin.Destination
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	var was, is any
	for _, c := range []struct {
		text []byte
		into *any
	}{{filled[admin.Destination]().Settings, &was}, {got.Settings, &is}} {
		if err := json.Unmarshal(c.text, c.into); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]any{hostile, was}, []any{got.Name, is}); diff != "" {
		t.Errorf("the name and the settings (-want +got):\n%s", diff)
	}
}

// TestUsageErrorsAreClean gives hostile arguments and files, as a script may that takes names from elsewhere.
func TestUsageErrorsAreClean(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x\u009b\u202e.yaml")
	if err := os.WriteFile(file, []byte("\"a\u202e\u009b\": 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{hostile}, {"destination", "get", hostile, hostile}, {"apply", "-f", file}, {"apply", "-f",
			hostile}, {"local", "--config", file},
		{"send", "--url", "http://" + hostile}, {"send", "--url",
			"https://sqs.example/" + "\u202e"}, {"failed", "--" + hostile}, {"simulate", "--policies", hostile},
	} {
		if _, errs := runWith(t, args); errs == "" {
			t.Errorf("%q is taken", args)
		}
	}
}

// TestCompletionsAreWhole holds that nothing is marked in what a shell reads.
func TestCompletionsAreWhole(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var want bytes.Buffer
		cmd := root()
		cmd.SetArgs([]string{"completion", shell})
		cmd.SetOut(&want)
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, _ := runWith(t, []string{"completion", shell}); got != want.String() || got == "" {
			t.Errorf("%s: the script differs", shell)
		}
	}
}

// TestPlainHTTPIsForThisMachine opens clients by either flag.
func TestPlainHTTPIsForThisMachine(t *testing.T) {
	for _, c := range []struct {
		flag, address string
		ok            bool
	}{
		{"--api", "https://abc.execute-api.eu-central-1.amazonaws.com/api", true},
		{"--api", "http://127.0.0.1:8686", true},
		{"--api", "http://127.9.9.9:8686/x", true},
		{"--api", "http://LOCALHOST:8686", true},
		{"--api", "http://[::1]:8686", true},
		{"--api", "http://[::ffff:127.0.0.1]:8686", true},
		{"--api", "http://abc.execute-api.eu-central-1.amazonaws.com/api", false},
		{"--api", "HTTP://api.acme.example", false},
		{"--api", "http://10.1.2.3", false},
		{"--api", "http://[::ffff:10.1.2.3]", false},
		{"--api", "http://0.0.0.0:8686", false},
		{"--api", "http://localhost.evil.example", false},
		{"--api", "http://127.0.0.1.evil.example", false},
		{"--api", "http://localhost@evil.example", false},
		{"--api", "http://2130706433", false},
		{"--local", "http://relay:8686", true},
		{"--local", "ftp://127.0.0.1", false},
	} {
		_, err := newClient(c.flag, c.address)
		if (err == nil) != c.ok || err != nil && exitCode(err) != exitUsage {
			t.Errorf("%s %s: %v", c.flag, c.address, err)
		}
	}
	t.Setenv(apiVariable, "http://api.acme.example")
	if _, errs := runWith(t, []string{"status"}); !strings.Contains(errs, "must begin with https://") {
		t.Errorf("by the environment: %s", errs)
	}
}

// TestNoRedirectIsFollowed has an API's address send a change on, with its credentials.
func TestNoRedirectIsFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
		*http.Request) {
		t.Error("the change went elsewhere")
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	_, errs := runWith(t, []string{"workspace", "put", "acme", "--kind", "standalone",
		"--local=" + server.URL})
	if want := "answers 307 Temporary Redirect; is it the address of the management API?"; !strings.Contains(errs, want) {
		t.Errorf("the error is %q, want one that says %q", errs, want)
	}
}
