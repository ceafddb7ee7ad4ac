package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/doctor"
)

func TestPlan(t *testing.T) {
	const file = `{"app":"x","context":{"stage":"prod","mailFrom":"Acme <notices@acme.example>","mailIdentity":"existing","accountConcurrency":1000,"reservedConcurrency":"400"}}`
	for name, test := range map[string]struct {
		file string
		args []string
		want doctor.Plan
	}{
		"nothing": {"", nil, doctor.Plan{Stage: "dev", MailIdentity: "existing"}},
		"flags": {"", []string{"--stage", "test", "--mail-from", "a@b.example", "--mail-identity", "address", "--reserved-concurrency", "8"},
			doctor.Plan{Stage: "test", MailFrom: "a@b.example", MailIdentity: "address", Reserved: 8}},
		"the file": {file, nil, doctor.Plan{Stage: "prod", MailFrom: "notices@acme.example", MailIdentity: "existing", Account: 1000, Reserved: 400}},
		"flags over the file": {file, []string{"--stage", "test", "--reserved-concurrency", "0", "--account-concurrency", "20"},
			doctor.Plan{Stage: "test", MailFrom: "notices@acme.example", MailIdentity: "existing", Account: 20}},
		"a number in the file": {`{"context":{"reservedConcurrency":9}}`, nil, doctor.Plan{Stage: "dev", MailIdentity: "existing", Reserved: 9}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if test.file != "" {
				if err := os.WriteFile(contextFile, []byte(test.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var p planFlags
			cmd := doctorCommand()
			cmd.ResetFlags()
			p.flags(cmd)
			if err := cmd.ParseFlags(test.args); err != nil {
				t.Fatal(err)
			}
			got, err := p.plan(cmd.Flags().Changed)
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	t.Chdir(t.TempDir())
	for _, text := range []string{"{", `{"context":{"reservedConcurrency":"many"}}`, `{"context":{"mailFrom":"nobody"}}`} {
		if err := os.WriteFile(contextFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if plan, err := new(planFlags).plan(func(string) bool { return false }); err == nil {
			t.Errorf("%s is %+v", text, plan)
		}
	}
}

func TestDiagnosis(t *testing.T) {
	findings := []doctor.Finding{
		{Check: "stack", Status: doctor.OK, Found: "auditrelay-dev is CREATE_COMPLETE"},
		{Check: "sender", Status: doctor.Warning, Found: "SES has not\x1b[2J verified it", Do: "wait"},
		{Check: "arrival", Status: doctor.Failing, Found: "nothing came", Do: "look", Took: 90 * time.Second, Seconds: 90},
	}
	var text bytes.Buffer
	d := diagnosis{out: &text}
	for _, f := range findings {
		d.tell(f)
	}
	const want = "ok       stack         auditrelay-dev is CREATE_COMPLETE\n" +
		"warning  sender        SES has not[2J verified it\n" +
		"                       → wait\n" +
		"failing  arrival       nothing came (90.0 s)\n" +
		"                       → look\n"
	err := d.end(t.Context())
	if diff := cmp.Diff(want, text.String()); diff != "" || exitCode(err) != exitAiling || err.Error() != "checks that fail: 1; the lines above say what to do" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}

	text.Reset()
	d = diagnosis{out: &text, json: true}
	for _, f := range findings[:2] {
		d.tell(f)
	}
	err = d.end(t.Context())
	var told struct {
		Status   doctor.Status
		Findings []struct{ Check, Status, Found, Do string }
	}
	if bad := json.Unmarshal(text.Bytes(), &told); bad != nil || err != nil || told.Status != doctor.Warning || len(told.Findings) != 2 || told.Findings[1].Do != "wait" {
		t.Errorf("%v, %v: %s", err, bad, text.String())
	}

	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if err := d.end(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted, it ends with %v", err)
	}
}

// TestDoctorCommand runs the command against an account that denies everything, and one without an answer.
func TestDoctorCommand(t *testing.T) {
	denies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body)
		if strings.Contains(body.String(), "Action=GetCallerIdentity") {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = w.Write([]byte(`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>` +
				`<Arn>arn:aws:iam::111122223333:user/ada</Arn><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`))
			return
		}
		w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
		w.WriteHeader(http.StatusForbidden)
		answer := `{"message":"not authorized"}`
		if strings.Contains(body.String(), "Action=") {
			answer = `<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>`
		}
		_, _ = w.Write([]byte(answer))
	}))
	defer denies.Close()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	t.Chdir(t.TempDir())
	for name, value := range map[string]string{"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1", "AWS_PROFILE": "", "AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none"} {
		t.Setenv(name, value)
	}
	run := func(endpoint string, args ...string) (string, int) {
		t.Setenv("AWS_ENDPOINT_URL", endpoint)
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"doctor"}, args...), &out, &errs)
		return out.String() + errs.String(), code
	}
	out, code := run(denies.URL, "--mail-from", "notices@acme.example")
	for _, want := range []string{
		"ok       credentials   account 111122223333 in eu-central-1, as arn:aws:iam::111122223333:user/ada\n",
		"unknown  bootstrap     it could not be seen: you may not ssm:GetParameter\n",
		"unknown  concurrency   it could not be seen: you may not lambda:GetAccountSettings\n",
		"unknown  mail account  it could not be seen: you may not ses:GetAccount\n",
		"                       → let your role ses:GetEmailIdentity, and look again\n",
		"unknown  stack         it could not be seen: you may not cloudformation:DescribeStacks\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if code != 0 {
		t.Errorf("it ends with %d: %s", code, out)
	}
	if out, code := run(denies.URL, "--canary"); code != exitUsage || !strings.Contains(out, "--canary needs a stack auditrelay-dev that is deployed") {
		t.Errorf("a canary without a stack ends with %d: %s", code, out)
	}
	if out, code := run(away.URL); code != exitAiling || !strings.HasPrefix(out, "failing  credentials   AWS does not know who asks: STS GetCallerIdentity: ") || strings.Count(out, "\n") != 3 {
		t.Errorf("without AWS it ends with %d: %s", code, out)
	}
	t.Setenv("AWS_REGION", "")
	if out, code := run(denies.URL); code != exitUsage || !strings.Contains(out, "no region is chosen") {
		t.Errorf("without a region it ends with %d: %s", code, out)
	}
}
