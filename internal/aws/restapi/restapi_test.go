package restapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/aws/restapi"
	"github.com/auditrelay/auditrelay/internal/connection"
)

// event is a request as the developer guide shows it, "Input format of a Lambda function for proxy integration",
// for a put with a body.
func event(t *testing.T) events.APIGatewayProxyRequest {
	t.Helper()
	text, err := os.ReadFile("testdata/put.json")
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayProxyRequest
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestHandler(t *testing.T) {
	var got string
	var caller connection.Caller
	h := restapi.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = fmt.Sprintf("%s %s %s %s %s %s", r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Host, r.Header.Get("If-Match"), body)
		caller = restapi.Caller(r)
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(http.StatusCreated)
		w.WriteHeader(http.StatusOK) // too late
		fmt.Fprint(w, "é")
	}))
	answer, err := h(t.Context(), event(t))
	if err != nil {
		t.Fatal(err)
	}
	want := `PUT /v1/workspaces/a%2Fb limit=1&next=%26+%2B abc.execute-api.eu-central-1.amazonaws.com "0" {"kind":"standalone"}`
	if got != want {
		t.Errorf("the handler got %s, want %s", got, want)
	}
	by := connection.Caller{Identity: "arn:aws:sts::111122223333:assumed-role/ops/ada", IPAddress: "192.0.2.1", UserAgent: "auditrelay-cli"}
	if diff := cmp.Diff(by, caller); diff != "" {
		t.Errorf("the caller differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(events.APIGatewayProxyResponse{StatusCode: http.StatusCreated, Headers: map[string]string{"Etag": `"1"`}, Body: "é"}, answer); diff != "" {
		t.Errorf("the answer differs (-want +got):\n%s", diff)
	}
}

// TestTargets holds what a handler sees as the path and the query, however the API is reached.
func TestTargets(t *testing.T) {
	for name, test := range map[string]struct {
		change func(e *events.APIGatewayProxyRequest)
		want   string
	}{
		"by its own address":         {func(*events.APIGatewayProxyRequest) {}, "/v1/workspaces/a%2Fb?limit=1&next=%26+%2B"},
		"by a domain with a mapping": {func(e *events.APIGatewayProxyRequest) { e.Path = "/relay/v1" + e.Path }, "/v1/workspaces/a%2Fb?limit=1&next=%26+%2B"},
		"values that are repeated": {func(e *events.APIGatewayProxyRequest) {
			e.MultiValueQueryStringParameters = map[string][]string{"id": {"a", "b"}}
		}, "/v1/workspaces/a%2Fb?id=a&id=b"},
		"without a query": {func(e *events.APIGatewayProxyRequest) {
			e.MultiValueQueryStringParameters, e.QueryStringParameters = nil, nil
		}, "/v1/workspaces/a%2Fb"},
		"from the console's test": {func(e *events.APIGatewayProxyRequest) {
			e.MultiValueQueryStringParameters, e.PathParameters = nil, nil
		}, "/v1/workspaces/a%2Fb?limit=1&next=%26+%2B"},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			h := restapi.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RequestURI }))
			e := event(t)
			test.change(&e)
			if _, err := h(t.Context(), e); err != nil || got != test.want {
				t.Errorf("%s (%v), want %s", got, err, test.want)
			}
		})
	}
}

func TestWhatIsNoRequest(t *testing.T) {
	h := restapi.Handler(http.NotFoundHandler())
	for name, e := range map[string]events.APIGatewayProxyRequest{
		"a path without a slash": {Path: "v1"},
		"a body of no base64":    {Path: "/", Body: "?", IsBase64Encoded: true},
		"a bad escape":           {Path: "/%zz"},
	} {
		answer, err := h(t.Context(), e)
		if err != nil || answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d, error %v", name, answer.StatusCode, err)
		}
	}
}

// TestCallerWithoutASignature holds that a request which nobody signed, such as a test invocation, has no name.
func TestCallerWithoutASignature(t *testing.T) {
	var caller connection.Caller
	h := restapi.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { caller = restapi.Caller(r) }))
	e := event(t)
	e.RequestContext.Identity.UserArn = ""
	if _, err := h(t.Context(), e); err != nil || caller.Identity != "unknown" {
		t.Errorf("the caller is %+v (%v)", caller, err)
	}
}
