package infra

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"
)

// TestProps holds that an app of somebody else's meets the rules and the sentences of the context.
func TestProps(t *testing.T) {
	least := Props{Stage: "prod", MailFrom: "notices@acme.example", Build: buildOf(t)}
	filled := least
	filled.DestinationRoles, filled.MailIdentity = "auditrelay-*", "existing"
	env := func(region string) *awscdk.Environment { return &awscdk.Environment{Region: jsii.String(region)} }
	all := Props{
		Stage: "prod", DestinationRoles: "acme-*", MailFrom: "Acme <notices@acme.example>", MailIdentity: "existing",
		MailRegion: "ap-southeast-1", MailReplyTo: "help@acme.example", MailProduct: "Acme, Audit", MailOff: []string{"recovered", "unrouted"},
		AlarmMail: "oncall@acme.example", ProducerAccounts: []string{"111122223333", "444455556666"},
		AccountConcurrency: 1000, ReservedConcurrency: 100, AllowPrivateCIDRs: []string{"10.1.0.0/16", "fd00::/8"}, AllowHTTP: true,
		KeepRejectedBodies: true, Dedupe: true, ProtectTables: true, Build: least.Build, Env: env("ap-east-1"),
	}
	for name, test := range map[string]struct {
		change  func(*Props)
		want    Props
		refused []string
	}{
		"the least":            {change: func(*Props) {}, want: filled},
		"all":                  {change: func(p *Props) { *p = all }, want: all},
		"nothing":              {change: func(p *Props) { *p = Props{} }, refused: []string{"the setting stage is missing", "the setting mailFrom is missing"}},
		"a stage":              {change: func(p *Props) { p.Stage = "Prod" }, refused: []string{`the setting stage is "Prod": it must be a lower-case word`}},
		"an account":           {change: func(p *Props) { p.ProducerAccounts = []string{"1"} }, refused: []string{`producerAccounts is "1"`}},
		"a reservation":        {change: func(p *Props) { p.ReservedConcurrency = 1334 }, refused: []string{"from 8 to 1333"}},
		"less than none":       {change: func(p *Props) { p.AccountConcurrency = -1 }, refused: []string{`accountConcurrency is "-1"`}},
		"an identity afar":     {change: func(p *Props) { p.MailRegion, p.MailIdentity = "eu-west-1", "domain" }, refused: []string{"together with mailRegion"}},
		"a region without SES": {change: func(p *Props) { p.Env = env("mx-central-1") }, refused: []string{"mx-central-1 has no SES"}},
		"functions missing":    {change: func(p *Props) { p.Build = t.TempDir() }, refused: []string{"deliver is not compiled"}},
	} {
		t.Run(name, func(t *testing.T) {
			props := least
			test.change(&props)
			got, err := props.checked()
			for _, want := range test.refused {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error %v does not tell of %q", err, want)
				}
			}
			if len(test.refused) > 0 {
				return
			}
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("error %v, settings (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestNewPanics holds that what is refused comes as constructs tell it.
func TestNewPanics(t *testing.T) {
	defer func() {
		if told := fmt.Sprint(recover()); !strings.Contains(told, "the setting stage is missing") {
			t.Errorf("New without settings: %s", told)
		}
	}()
	New(awscdk.NewApp(nil), "AuditRelay", nil)
}

// TestFlagsOfOthers holds that an app without this project's feature flags of CDK gets the same stack.
func TestFlagsOfOthers(t *testing.T) {
	s := defaults(t)
	with, without := synthesize(t, s), templateOf(t, stackOf(t, s, &map[string]any{}))
	if diff := cmp.Diff(with, without); diff != "" {
		t.Errorf("without the flags of cdk.json (-with +without):\n%s", diff)
	}
}

// TestForeignApp compiles docs/examples/cdk in a module of its own, as a company has it, and synthesizes it.
func TestForeignApp(t *testing.T) {
	templates := foreign(t)
	want := synthesize(t, defaults(t))
	relay := templates["AuditRelay"]
	// CDK has the stack's id in the ids of these, and neither holds anything.
	for _, tmpl := range []template{want, relay} {
		maps.DeleteFunc(tmpl.Resources, func(_ string, r resource) bool {
			return r.Type == "AWS::Lambda::Permission" || r.Type == "AWS::ApiGateway::Deployment"
		})
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want.Resources)), slices.Sorted(maps.Keys(relay.Resources))); diff != "" {
		t.Errorf("logical ids of the project's own app and of the foreign one (-own +foreign):\n%s", diff)
	}
	role, err := json.Marshal(templates["Shop"].Resources)
	if err != nil || !strings.Contains(string(role), "Fn::ImportValue") || !strings.Contains(string(role), "auditrelay-prod:") {
		t.Errorf("the other stack does not refer to this one's policy: %s (%v)", role, err)
	}
}

// foreign runs the example and gives its templates by the stacks' ids.
func foreign(t *testing.T) map[string]template {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir, out := t.TempDir(), t.TempDir()
	copied := func(from, to string, change func(string) string) {
		text, err := os.ReadFile(filepath.Join(root, from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), []byte(change(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	same := func(text string) string { return text }
	copied("docs/examples/cdk/main.go", "main.go", same)
	copied("go.sum", "go.sum", same)
	const path = "github.com/auditrelay/auditrelay"
	copied("go.mod", "go.mod", func(text string) string {
		text = strings.Replace(text, "module "+path, "module acme.example/stacks", 1)
		return text + "\nrequire " + path + " v0.0.0\n\nreplace " + path + " => " + root + "\n"
	})
	run := func(name string, args ...string) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "CDK_OUTDIR="+out, "AUDITRELAY_BUILD="+buildOf(t))
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
	}
	run("go", "build", "-o", "app", ".")
	run("./app")
	templates := make(map[string]template)
	for _, id := range []string{"AuditRelay", "Shop"} {
		text, err := os.ReadFile(filepath.Join(out, id+".template.json"))
		if err != nil {
			t.Fatal(err)
		}
		var tmpl template
		if err := json.Unmarshal(text, &tmpl); err != nil {
			t.Fatal(err)
		}
		templates[id] = tmpl
	}
	return templates
}
