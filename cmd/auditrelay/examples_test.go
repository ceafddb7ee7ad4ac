package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/local"
)

// TestReadmeExamples holds the files that the README's commands name.
func TestReadmeExamples(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"docs/examples/local.yaml", "docs/examples/logs.ndjson"} {
		if !strings.Contains(string(readme), name) {
			t.Errorf("the README does not name %s", name)
		}
	}
	if _, err := local.ReadFile("../../docs/examples/local.yaml", local.Network()); err != nil {
		t.Error(err)
	}
	logs, err := os.ReadFile("../../docs/examples/logs.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(logs) {
		if _, err := auditlog.Decode(bytes.TrimSpace(line)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// TestDemo runs the whole story; its balance is checked by the demo itself.
func TestDemo(t *testing.T) {
	var out bytes.Buffer
	cmd := root()
	cmd.SetArgs([]string{"demo"})
	cmd.SetOut(&out)
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"0 pending + 3 failed", "given up", "has recovered", "http.server_error", "bucket:11", "monitor:11", "to ada@acme.example: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the story does not tell %q:\n%s", want, out.String())
		}
	}
}
