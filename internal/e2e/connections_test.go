//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"

	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// remembered is how long deliver may go by what it last read of a destination: its DIRECTORY_TTL, and a little.
const remembered = 11 * time.Second

// Over the management API a workspace gets a destination. A disconnect makes logs wait; when its schedule goes off after eight hours, the destination
// is disabled and one mail goes out. A reconnect delivers what waited.
func disconnected(t *testing.T, d *deployment) {
	r := openReceiver(t, http.StatusOK)
	d.api(t, http.MethodPut, "/v1/workspaces/w-leaves", `{"name":"Leaves","kind":"standalone","admins":["admin@leaves.example"],"error_recipients":["ops@leaves.example"]}`)
	body := fmt.Sprintf(`{"name":"Logs","workspace_id":"w-leaves","kind":"http","settings":{"url":%q},"credentials":{"bearer":"a-token-of-leaves"}}`, r.url)
	d.api(t, http.MethodPut, "/v1/destinations/d-leaves", body)
	d.api(t, http.MethodPost, "/v1/destinations/d-leaves/disconnect", "")
	<-time.After(remembered)
	before := r.count()
	d.send(t, aLog("w-leaves", "while-away", `{}`))
	eventually(t, "the log waits", patience, func() bool { return len(d.held("while-away")) > 0 })
	d.eightHoursPass(t, "d-leaves")
	d.fire(t, "d-leaves")
	if got := d.destination(t, "d-leaves").State; got != directory.Disabled {
		t.Fatalf("the destination is %s, want disabled", got)
	}
	for _, person := range []string{"admin@leaves.example", "ops@leaves.example"} {
		eventually(t, "mailed", patience, func() bool { return len(d.mails(t, person)) > 0 })
		if mails := d.mails(t, person); len(mails) != 1 || !strings.Contains(mails[0], "d-leaves") {
			t.Errorf("mails to %s: %v, want one that names the destination", person, mails)
		}
	}
	if got := r.count(); got != before {
		t.Errorf("the receiver took %d requests while it was disconnected", got-before)
	}
	d.api(t, http.MethodPost, "/v1/destinations/d-leaves/reconnect", "")
	eventually(t, "what waited is delivered", 100*time.Second, func() bool { return len(r.bodies("while-away")) > 0 })
}

// held gives the log lines of a log that was not tried.
func (d *deployment) held(logID string) []map[string]any {
	return slices.DeleteFunc(d.functions["deliver"].output.of("delivery.held"), func(line map[string]any) bool { return line["log_id"] != logID })
}

// A destination that refuses the credentials is a matter for its admin at once: one mail, with the error's name.
func refusedCredentials(t *testing.T, d *deployment) {
	r := openReceiver(t, http.StatusUnauthorized)
	d.workspace(t, "w-refused", r.url)
	for i := range 3 {
		d.send(t, aLog("w-refused", fmt.Sprintf("refused-%d", i), `{}`))
	}
	eventually(t, "mailed", patience, func() bool { return len(d.mails(t, "admin@w-refused.example")) > 0 })
	if mails := d.mails(t, "admin@w-refused.example"); len(mails) != 1 || !strings.Contains(mails[0], "http.unauthorized") {
		t.Errorf("mails %v, want one that names http.unauthorized", mails)
	}
}

// api sends a request to the management API, which must answer with success.
func (d *deployment) api(t *testing.T, method, path, body string) string {
	t.Helper()
	status, answer := d.ask(t, method, path, "", body)
	if status >= 300 {
		t.Fatalf("%s %s answers %d %s", method, path, status, answer)
	}
	return answer
}

// ask sends a request to the management API, as the REST API does for a caller who signed it.
func (d *deployment) ask(t *testing.T, method, path, query, body string) (status int, text string) {
	t.Helper()
	d.requireAPI(t)
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	request := events.APIGatewayProxyRequest{
		Resource: "/{proxy+}", Path: path, HTTPMethod: method, PathParameters: map[string]string{"proxy": strings.TrimPrefix(path, "/")},
		MultiValueQueryStringParameters: values, MultiValueHeaders: map[string][]string{"Content-Type": {"application/json"}}, Body: body,
		RequestContext: events.APIGatewayProxyRequestContext{
			DomainName: "api.execute-api.example", HTTPMethod: method, Path: "/api" + path, Stage: "api",
			Identity: events.APIGatewayRequestIdentity{SourceIP: "192.0.2.1", UserAgent: "e2e", UserArn: "arn:aws:iam::" + account + ":role/operator"},
		},
	}
	payload, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	response, err := d.functions["admin"].invoke(t.Context(), payload)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	var answer events.APIGatewayProxyResponse
	if err := json.Unmarshal(response, &answer); err != nil {
		t.Fatalf("%s %s answers %s (%v)", method, path, response, err)
	}
	return answer.StatusCode, answer.Body
}

// requireAPI holds that admin is reached by a REST API that takes signed requests alone, and may invoke it.
func (d *deployment) requireAPI(t *testing.T) {
	t.Helper()
	methods := d.all("AWS::ApiGateway::Method")
	if len(methods) != 1 {
		t.Fatalf("the template has %d methods of REST APIs, want one", len(methods))
	}
	var method struct {
		RestApiId, HttpMethod, AuthorizationType string
		Integration                              struct{ Type, Uri string }
	}
	if err := properties(d.values, methods[0], &method); err != nil {
		t.Fatal(err)
	}
	_, function, _ := strings.Cut(strings.TrimSuffix(method.Integration.Uri, "/invocations"), "/functions/")
	if method.AuthorizationType != "AWS_IAM" || method.HttpMethod != "ANY" || method.Integration.Type != "AWS_PROXY" || d.byARN(function) != d.functions["admin"] {
		t.Fatalf("the method is %+v", method)
	}
	var permission struct{ Action, FunctionName, Principal, SourceArn string }
	for _, id := range d.all("AWS::Lambda::Permission") {
		if err := properties(d.values, id, &permission); err != nil {
			t.Fatal(err)
		}
		if permission.Principal == "apigateway.amazonaws.com" {
			break
		}
	}
	source := "arn:aws:execute-api:" + region + ":" + account + ":" + method.RestApiId + "/api/*/*"
	if permission.Action != "lambda:InvokeFunction" || permission.SourceArn != source || permission.FunctionName != function {
		t.Fatalf("the permission is %+v, want one for %s", permission, source)
	}
}

// eightHoursPass dates a disconnect back, since a function's clock cannot be set.
func (d *deployment) eightHoursPass(t *testing.T, id string) {
	t.Helper()
	store := &dynamo.Directory{Client: dynamodb.NewFromConfig(d.servers.dynamodb), Table: d.table(t, "Directory"), Now: time.Now}
	dest := d.destination(t, id)
	dest.StateSince = dest.StateSince.Add(-directory.Grace)
	if _, err := store.PutDestination(t.Context(), dest); err != nil {
		t.Fatal(err)
	}
}

// fire lets the schedule of a destination go off, as EventBridge Scheduler does at its time: in the schedule's role, and with its input.
func (d *deployment) fire(t *testing.T, destinationID string) {
	t.Helper()
	client := scheduler.NewFromConfig(d.servers.moto)
	for _, id := range d.all("AWS::Scheduler::ScheduleGroup") {
		group := d.name(id)
		list, err := client.ListSchedules(t.Context(), &scheduler.ListSchedulesInput{GroupName: &group})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list.Schedules {
			out, err := client.GetSchedule(t.Context(), &scheduler.GetScheduleInput{GroupName: &group, Name: s.Name})
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(aws.ToString(out.Target.Input), `"`+destinationID+`"`) {
				d.goOff(t, out)
				return
			}
		}
	}
	t.Fatalf("there is no schedule for %s", destinationID)
}

func (d *deployment) goOff(t *testing.T, s *scheduler.GetScheduleOutput) {
	t.Helper()
	text, _ := strings.CutPrefix(*s.ScheduleExpression, "at(")
	at, err := time.Parse("2006-01-02T15:04:05)", text)
	if wait := time.Until(at); err != nil || wait < directory.Grace-5*time.Minute || wait > directory.Grace+time.Minute {
		t.Errorf("the schedule goes off %s, want eight hours after the disconnect", *s.ScheduleExpression)
	}
	may := roleOf(t, d.values, *s.Target.RoleArn, "scheduler.amazonaws.com")
	needs := []need{{action: "lambda:InvokeFunction", resource: *s.Target.Arn}}
	if s.Target.DeadLetterConfig != nil {
		needs = append(needs, need{action: "sqs:SendMessage", resource: *s.Target.DeadLetterConfig.Arn})
	}
	for _, n := range slices.Concat(needs, d.keyNeeds(needs)) {
		if allowed, err := allows(may, n); err != nil || !allowed {
			t.Errorf("the schedule's role may not %s (%v)", n, err)
		}
	}
	f := d.byARN(*s.Target.Arn)
	if f == nil {
		t.Fatalf("the schedule is for %s, which is no function of the template", *s.Target.Arn)
	}
	if _, err := f.invoke(t.Context(), []byte(*s.Target.Input)); err != nil {
		t.Fatal(err)
	}
}

// mails are those that were sent to an address, whole, as JSON.
func (d *deployment) mails(t *testing.T, address string) []string {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, *d.servers.ses.BaseEndpoint+"/store", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var store struct{ Emails []json.RawMessage }
	if err := json.Unmarshal(text, &store); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range store.Emails {
		if strings.Contains(string(m), address) {
			found = append(found, string(m))
		}
	}
	return found
}
