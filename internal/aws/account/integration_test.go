//go:build integration

package account

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/aws/emulator"
	"github.com/auditrelay/auditrelay/internal/doctor"
)

// beyond answers what moto does not know, as the services' API references have it, and hands everything else
// on.
type beyond struct {
	next http.RoundTripper
	// answers are bodies by path.
	answers map[string]string
	// denied is the action that the caller may not do, by its path.
	denied string
}

// RoundTrip implements http.RoundTripper.
func (b *beyond) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(status int, body string) (*http.Response, error) {
		header := http.Header{"Content-Type": {"application/json"}}
		if status != http.StatusOK {
			header.Set("X-Amzn-Errortype", "AccessDeniedException")
		}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
	if r.URL.Path == b.denied {
		return answer(http.StatusForbidden, `{"message":"not authorized"}`)
	}
	if body, ok := b.answers[r.URL.Path]; ok {
		return answer(http.StatusOK, body)
	}
	return b.next.RoundTrip(r)
}

const (
	settingsPath = "/2016-08-19/account-settings" // Lambda, GetAccountSettings
	mailPath     = "/v2/email/account"            // SES v2, GetAccount

	plenty = `{"AccountLimit":{"ConcurrentExecutions":1000,"UnreservedConcurrentExecutions":1000,"TotalCodeSize":80530636800}}`
	free   = `{"ProductionAccessEnabled":true,"SendingEnabled":true,"EnforcementStatus":"HEALTHY","SendQuota":{"Max24HourSend":50000,"MaxSendRate":14,"SentLast24Hours":0}}`
)

// template is what the look needs of the stack: names of its own, and outputs.
const template = `{"Resources":{
	"Ingest":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":"ingest"}},
	"Bus":{"Type":"AWS::Events::EventBus","Properties":{"Name":"auditrelay-dev"}},
	"NotifyLog":{"Type":"AWS::Logs::LogGroup","Properties":{"LogGroupName":"/auditrelay/dev/notify"}}},
	"Outputs":{"IngestQueueUrl":{"Value":{"Ref":"Ingest"}},"ApiUrl":{"Value":"https://x.execute-api.eu-central-1.amazonaws.com/api/"}}}`

// TestSee looks at accounts on moto: sound ones, before a deploy and after, and one with each fault.
func TestSee(t *testing.T) {
	moto := emulator.Start(t, emulator.Moto)
	plan := doctor.Plan{Stage: "dev", Region: "eu-central-1", MailFrom: "notices@acme.example", MailIdentity: "domain", Account: 1000}
	bootstrapped := func(version string) func(*testing.T, aws.Config, *beyond) {
		return func(t *testing.T, c aws.Config, _ *beyond) {
			must(t)(ssm.NewFromConfig(c).PutParameter(t.Context(), &ssm.PutParameterInput{
				Name: aws.String(bootstrapVersion), Value: &version, Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true),
			}))
		}
	}
	for name, test := range map[string]struct {
		plan  func(*doctor.Plan)
		fault func(*testing.T, aws.Config, *beyond)
		want  string // the findings that are not OK
	}{
		"sound": {},
		"sound, after the deploy": {
			fault: func(t *testing.T, c aws.Config, b *beyond) {
				must(t)(cloudformation.NewFromConfig(c).CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: aws.String("auditrelay-dev"), TemplateBody: aws.String(template)}))
				b.answers["/v2/email/identities/notices@acme.example"] = `{"IdentityType":"EMAIL_ADDRESS","VerifiedForSendingStatus":true}`
			},
		},
		"never bootstrapped": {
			fault: func(t *testing.T, c aws.Config, _ *beyond) {
				must(t)(ssm.NewFromConfig(c).DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String(bootstrapVersion)}))
			},
			want: "failing bootstrap",
		},
		"an old bootstrap":               {fault: bootstrapped("5"), want: "failing bootstrap"},
		"a bootstrap that is no number":  {fault: bootstrapped("new"), want: "unknown bootstrap"},
		"a region without function URLs": {plan: func(p *doctor.Plan) { p.Region = "eu-central-2" }},
		"a region without SES":           {plan: func(p *doctor.Plan) { p.Region = "ap-east-1" }, want: "failing region"},
		"a domain above the sender's": {
			plan: func(p *doctor.Plan) { p.MailIdentity, p.MailFrom = "existing", "notices@eu.mail.acme.example" },
			fault: func(_ *testing.T, _ aws.Config, b *beyond) {
				b.answers["/v2/email/identities/acme.example"] = `{"IdentityType":"DOMAIN","VerifiedForSendingStatus":true}`
			},
		},
		"a young account": {
			fault: func(_ *testing.T, _ aws.Config, b *beyond) {
				b.answers[settingsPath] = `{"AccountLimit":{"ConcurrentExecutions":10,"UnreservedConcurrentExecutions":10}}`
			},
			want: "warning concurrency",
		},
		"too much set aside": {plan: func(p *doctor.Plan) { p.Reserved = 1400 }, want: "failing concurrency"},
		"the sandbox": {
			fault: func(_ *testing.T, _ aws.Config, b *beyond) {
				b.answers[mailPath] = strings.Replace(free, `"ProductionAccessEnabled":true`, `"ProductionAccessEnabled":false`, 1)
			},
			want: "warning mail account",
		},
		"mails are stopped": {
			fault: func(_ *testing.T, _ aws.Config, b *beyond) {
				b.answers[mailPath] = strings.Replace(free, `"SendingEnabled":true`, `"SendingEnabled":false`, 1)
			},
			want: "failing mail account",
		},
		"an identity that is there": {
			fault: func(t *testing.T, c aws.Config, _ *beyond) {
				must(t)(sesv2.NewFromConfig(c).CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String("acme.example")}))
			},
			want: "failing sender",
		},
		"an identity that is not": {plan: func(p *doctor.Plan) { p.MailIdentity = "existing" }, want: "warning sender"},
		"a schedule group that is left": {
			fault: func(t *testing.T, c aws.Config, _ *beyond) {
				must(t)(scheduler.NewFromConfig(c).CreateScheduleGroup(t.Context(), &scheduler.CreateScheduleGroupInput{Name: aws.String("auditrelay-dev")}))
			},
			want: "failing leftovers",
		},
		"an event bus that is left": {
			fault: func(t *testing.T, c aws.Config, _ *beyond) {
				must(t)(eventbridge.NewFromConfig(c).CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("auditrelay-dev")}))
			},
			want: "failing leftovers",
		},
		"a configuration set that is left": {
			fault: func(_ *testing.T, _ aws.Config, b *beyond) {
				// Moto's own answer has a number where SES has a time.
				b.answers["/v2/email/configuration-sets/auditrelay-dev"] = `{"ConfigurationSetName":"auditrelay-dev"}`
			},
			want: "failing leftovers",
		},
		"log groups that are left": {
			fault: func(t *testing.T, c aws.Config, _ *beyond) {
				for _, group := range []string{"/auditrelay/dev/deliver", "/auditrelay/dev/admin", "/auditrelay/prod/admin"} {
					must(t)(cloudwatchlogs.NewFromConfig(c).CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group}))
				}
			},
			want: "failing leftovers, failing leftovers",
		},
		"what may not be seen": {
			fault: func(_ *testing.T, _ aws.Config, b *beyond) { b.denied = settingsPath },
			want:  "unknown concurrency",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := moto
			resp, err := http.Post(*c.BaseEndpoint+"/moto-api/reset", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			b := &beyond{next: http.DefaultTransport, answers: map[string]string{settingsPath: plenty, mailPath: free}}
			c.HTTPClient = &http.Client{Transport: b}
			bootstrapped("21")(t, c, b)
			p := plan
			if test.plan != nil {
				test.plan(&p)
			}
			if test.fault != nil {
				test.fault(t, c, b)
			}
			facts := See(t.Context(), c, p)
			var got []string
			for _, f := range doctor.Account(p, facts) {
				if f.Status != doctor.OK {
					got = append(got, string(f.Status)+" "+f.Check)
				}
			}
			if diff := cmp.Diff(test.want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("(-want +got):\n%s\n%+v", diff, facts)
			}
			if name == "what may not be seen" && facts.Concurrency.Denied != "lambda:GetAccountSettings" {
				t.Errorf("denied: %q", facts.Concurrency.Denied)
			}
			if name == "sound, after the deploy" && (facts.Stack.Value.Outputs["IngestQueueUrl"] == "" || len(facts.Stack.Value.Resources["AWS::Logs::LogGroup"]) != 1) {
				t.Errorf("the stack is %+v", facts.Stack.Value)
			}
		})
	}
}

// must gives a function that fails the test at an error of a call.
func must(t *testing.T) func(any, error) {
	t.Helper()
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}
