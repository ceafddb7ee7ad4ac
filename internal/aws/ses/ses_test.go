package ses

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/notice"
)

type transport func(*http.Request) (*http.Response, error)

func (f transport) Do(r *http.Request) (*http.Response, error) { return f(r) }

func account(f transport) aws.Config {
	return aws.Config{
		Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""), HTTPClient: f, RetryMaxAttempts: 5,
	}
}

func answer(r *http.Request, status int, errorType string) (*http.Response, error) {
	body := `{"message":"the identity ada@acme.example is not verified"}`
	if errorType == "" {
		body = `{"MessageId":"m-1"}`
	}
	header := http.Header{"Content-Type": {"application/json"}, "X-Amzn-Errortype": {errorType}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

var mail = notice.Mail{
	Kind: "voluntary", To: []string{"ada@acme.example", "ops@acme.example"}, Subject: "Ümläute", Text: "text", HTML: "<p>html</p>", ListID: "<notices.acme.example>",
}

// TestAnswers holds what each answer of the service says: taken, certainly not, or nobody knows. Whatever it is, there is one call.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status    int
		errorType string
		err       error
		want      string
	}{
		"taken":                {status: 200, want: "taken"},
		"rejected":             {status: 400, errorType: "MessageRejected", want: "refused for the mail: MessageRejected"},
		"bad address":          {status: 400, errorType: "BadRequestException", want: "refused for the mail: BadRequestException"},
		"throttled":            {status: 429, errorType: "TooManyRequestsException", want: "refused: TooManyRequestsException"},
		"quota":                {status: 400, errorType: "LimitExceededException", want: "refused: LimitExceededException"},
		"paused":               {status: 400, errorType: "SendingPausedException", want: "refused: SendingPausedException"},
		"suspended":            {status: 400, errorType: "AccountSuspendedException", want: "refused: AccountSuspendedException"},
		"domain not verified":  {status: 400, errorType: "MailFromDomainNotVerifiedException", want: "refused: MailFromDomainNotVerifiedException"},
		"no permission":        {status: 403, errorType: "AccessDeniedException", want: "refused: AccessDeniedException"},
		"no such set":          {status: 404, errorType: "NotFoundException", want: "refused: NotFoundException"},
		"unavailable":          {status: 503, errorType: "ServiceUnavailable", want: "refused: ServiceUnavailable"},
		"its own fault":        {status: 500, errorType: "InternalFailure", want: "unknown"},
		"a gateway's time-out": {status: 504, errorType: "GatewayTimeout", want: "unknown"},
		"not reached":          {err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}, want: "refused: it cannot be reached"},
		"name unknown":         {err: &net.DNSError{Err: "no such host"}, want: "refused: it cannot be reached"},
		"broken off":           {err: &net.OpError{Op: "read", Err: errors.New("connection reset")}, want: "unknown"},
		"timed out":            {err: context.DeadlineExceeded, want: "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			m := New(account(func(r *http.Request) (*http.Response, error) {
				calls++
				if c.err != nil {
					return nil, c.err
				}
				return answer(r, c.status, c.errorType)
			}), Sender{From: "notices@acme.example"})
			err := m.Send(t.Context(), mail)
			if diff := cmp.Diff(c.want, told(err)); diff != "" {
				t.Errorf("answer (-want +got):\n%s\n%v", diff, err)
			}
			if calls != 1 {
				t.Errorf("%d calls, want 1", calls)
			}
			if err != nil && strings.Contains(err.Error(), "@") {
				t.Errorf("the error names an address: %v", err)
			}
		})
	}
}

func told(err error) string {
	r, ok := errors.AsType[*notice.Refusal](err)
	switch {
	case err == nil:
		return "taken"
	case !ok:
		return "unknown"
	case r.Address:
		return "refused for the mail: " + r.Reason
	}
	return "refused: " + r.Reason
}

// TestRequest holds what is asked of the service.
func TestRequest(t *testing.T) {
	var got map[string]any
	m := New(account(func(r *http.Request) (*http.Response, error) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			return nil, fmt.Errorf("read the request: %w", err)
		}
		return answer(r, 200, "")
	}), Sender{From: "Acme <notices@acme.example>", ReplyTo: "help@acme.example", ConfigurationSet: "auditrelay-dev"})
	if err := m.Send(t.Context(), mail); err != nil {
		t.Fatal(err)
	}
	text := func(s string) map[string]any { return map[string]any{"Charset": "UTF-8", "Data": s} }
	want := map[string]any{
		"FromEmailAddress": "Acme <notices@acme.example>", "ReplyToAddresses": []any{"help@acme.example"}, "ConfigurationSetName": "auditrelay-dev",
		"Destination": map[string]any{"ToAddresses": []any{"ada@acme.example", "ops@acme.example"}},
		"EmailTags":   []any{map[string]any{"Name": "kind", "Value": "voluntary"}},
		"Content": map[string]any{"Simple": map[string]any{
			"Subject": text("Ümläute"), "Body": map[string]any{"Text": text("text"), "Html": text("<p>html</p>")},
			"Headers": []any{map[string]any{"Name": "List-Id", "Value": "<notices.acme.example>"}, map[string]any{"Name": "Auto-Submitted", "Value": "auto-generated"}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

// TestMailRegion holds from which region mails leave, and that the signature is for it.
func TestMailRegion(t *testing.T) {
	for region, want := range map[string]string{"": "eu-central-1", "ap-southeast-1": "ap-southeast-1"} {
		var got string
		m := New(account(func(r *http.Request) (*http.Response, error) {
			_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=id/")
			got = r.URL.Host + " " + strings.Join(strings.Split(scope, "/")[1:3], "/")
			return answer(r, http.StatusOK, "")
		}), Sender{From: "notices@acme.example", Region: region})
		if err := m.Send(t.Context(), mail); err != nil {
			t.Error(err)
		}
		if want := "email." + want + ".amazonaws.com " + want + "/ses"; got != want {
			t.Errorf("mailRegion %q: mails go to %s, want %s", region, got, want)
		}
	}
}
