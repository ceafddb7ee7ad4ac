package functionurl_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/aws/functionurl"
	"github.com/auditrelay/auditrelay/internal/connection"
)

func TestHandler(t *testing.T) {
	var got string
	var caller connection.Caller
	h := functionurl.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = fmt.Sprintf("%s %s %s %s %s %s", r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Host, r.Header.Get("If-Match"), body)
		caller = functionurl.Caller(r)
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(http.StatusCreated)
		w.WriteHeader(http.StatusOK) // too late
		fmt.Fprint(w, "é")
	}))
	e := events.LambdaFunctionURLRequest{
		RawPath: "/v1/workspaces/a%2Fb", RawQueryString: "limit=1&next=%26", Body: "eyJhIjoxfQ==", IsBase64Encoded: true,
		Headers: map[string]string{"if-match": `"0"`},
	}
	e.RequestContext.DomainName = "abc.lambda-url.eu-central-1.on.aws"
	e.RequestContext.HTTP = events.LambdaFunctionURLRequestContextHTTPDescription{Method: "PUT", SourceIP: "192.0.2.1", UserAgent: "curl"}
	e.RequestContext.Authorizer = &events.LambdaFunctionURLRequestContextAuthorizerDescription{
		IAM: &events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{UserARN: "arn:aws:iam::1:user/ada"},
	}
	answer, err := h(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if want := `PUT /v1/workspaces/a%2Fb limit=1&next=%26 abc.lambda-url.eu-central-1.on.aws "0" {"a":1}`; got != want {
		t.Errorf("the handler got %s, want %s", got, want)
	}
	if diff := cmp.Diff(connection.Caller{Identity: "arn:aws:iam::1:user/ada", IPAddress: "192.0.2.1", UserAgent: "curl"}, caller); diff != "" {
		t.Errorf("the caller differs (-want +got):\n%s", diff)
	}
	want := events.LambdaFunctionURLResponse{StatusCode: http.StatusCreated, Headers: map[string]string{"Etag": `"1"`}, Body: "é"}
	if diff := cmp.Diff(want, answer); diff != "" {
		t.Errorf("the answer differs (-want +got):\n%s", diff)
	}
}

func TestWhatIsNoRequest(t *testing.T) {
	h := functionurl.Handler(http.NotFoundHandler())
	for name, e := range map[string]events.LambdaFunctionURLRequest{
		"a path without a slash": {RawPath: "v1"},
		"a body of no base64":    {RawPath: "/", Body: "?", IsBase64Encoded: true},
		"a bad escape":           {RawPath: "/%zz"},
	} {
		answer, err := h(t.Context(), e)
		if err != nil || answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d, error %v", name, answer.StatusCode, err)
		}
	}
}
