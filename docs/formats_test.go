package docs

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/local"
)

// TestYAML reads every configuration as auditrelay local does, which checks settings and credentials as the management API does.
func TestYAML(t *testing.T) {
	const workspace = "workspaces:\n  - {id: ws-1, kind: standalone}\n"
	for _, s := range all(t, "yaml") {
		s.text = strings.Replace(s.text, `"private_key": "…"`, `"private_key": `+privateKey(t), 1)
		file := workspace + s.text
		if strings.HasPrefix(s.text, "settings:") { // of an HTTP preset
			file = workspace + "destinations:\n  - id: siem\n    workspace_id: ws-1\n    kind: http\n    " + strings.ReplaceAll(strings.TrimSpace(s.text), "\n", "\n    ") + "\n"
		}
		d, err := local.ParseFile(s.page, []byte(file), local.Network())
		if err != nil {
			t.Errorf("%s:%d: %v", s.page, s.line, err)
			continue
		}
		if len(d.Destinations) == 0 {
			t.Errorf("%s:%d: it has no destination", s.page, s.line)
		}
	}
}

// privateKey is a key as a service account's file has it, a JSON string: no page should show one.
func privateKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestJSON reads each document as what it is for reads it.
func TestJSON(t *testing.T) {
	for _, s := range all(t, "json") {
		if err := readJSON(s.text); err != nil {
			t.Errorf("%s:%d: %v", s.page, s.line, err)
		}
	}
}

func readJSON(text string) error {
	if strings.Contains(text, "{{{") {
		_, err := auditlog.ParseTemplate(strings.TrimSpace(text))
		return err
	}
	var document any
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return err
	}
	if _, pointer := document.([]any); pointer {
		text = strings.NewReplacer("<payload bucket>", "payloads", "<any unique name>", "a-1").Replace(strings.TrimSpace(text))
		p, ok, err := auditlog.ParsePointer([]byte(text))
		if err != nil || !ok || p.Bucket == "" || p.Key == "" {
			return fmt.Errorf("it is no pointer to a log: %+v, %t, %w", p, ok, err)
		}
		return nil
	}
	fields, _ := document.(map[string]any)
	switch {
	case fields["workspace_id"] != nil:
		_, err := auditlog.Decode([]byte(strings.TrimSpace(text)))
		return err
	case fields["Statement"] != nil:
		return readPolicy(text)
	case fields["streamDeclarations"] != nil:
		return readRule(text)
	case fields["DataActions"] != nil, fields["auditrelay"] != nil: // a role of another system
		if strings.ContainsAny(text, "*") {
			return errors.New("the role gives more than it names")
		}
		return nil
	}
	return errors.New("no test knows what this document is")
}

// readPolicy reads an IAM policy and lets no field pass that IAM does not know.
func readPolicy(text string) error {
	var policy struct {
		Version   string
		Statement []struct {
			Sid, Effect                            string
			Action, Principal, Resource, Condition any
		}
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&policy); err != nil {
		return err
	}
	for _, s := range policy.Statement {
		if policy.Version != "2012-10-17" || s.Effect != "Allow" || s.Action == nil || s.Action == "*" || s.Resource == "*" {
			return fmt.Errorf("the policy is not one that gives little: %+v", s)
		}
	}
	return nil
}

// readRule compares a data collection rule's columns with the fields of a document.
func readRule(text string) error {
	var rule struct {
		StreamDeclarations map[string]struct {
			Columns []struct{ Name, Type string }
		}
	}
	if err := json.Unmarshal([]byte(text), &rule); err != nil {
		return err
	}
	for _, stream := range rule.StreamDeclarations {
		got := make(map[string]string)
		for _, c := range stream.Columns {
			got[c.Name] = c.Type
		}
		want := map[string]string{"id": "string", "type": "string", "workspace_id": "string", "occurred_at": "datetime", "payload": "dynamic"}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("columns (-of a document +of the rule):\n%s", diff)
		}
	}
	return nil
}

// goProgram is a snippet of Go as a program that runs it.
func goProgram(s snippet) string {
	return `package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/auditrelay/auditrelay/events"
)

func main() {
	ctx := context.Background()
	account, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		panic(err)
	}
	if err := send(ctx, sqs.NewFromConfig(account), json.RawMessage(` + "`{\"event\":\"login\"}`" + `)); err != nil {
		panic(err)
	}
}

func send(ctx context.Context, client *sqs.Client, payload json.RawMessage) error {
` + s.text + `	return err
}
`
}

// buildGo compiles a snippet of Go as part of this module, without a file in it.
func buildGo(t *testing.T, s snippet) (program string) {
	t.Helper()
	dir := t.TempDir()
	source, overlay, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "program")
	module, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(module, "docs", "snippet", "main.go"): source}})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{source: goProgram(s), overlay: string(replace)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", program, "./docs/snippet")
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s:%d: %v\n%s", s.page, s.line, err, out)
	}
	return program
}

func TestGoCompiles(t *testing.T) {
	for _, s := range all(t, "go") {
		buildGo(t, s)
	}
}
