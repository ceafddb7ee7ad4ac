package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/auditrelay/auditrelay/internal/admin"
)

func TestRequestsAreSigned(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer server.Close()
	c, err := newClient("--api", server.URL+"/api/")
	if err != nil {
		t.Fatal(err)
	}
	c.region = "eu-central-1"
	c.account = &aws.Config{Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "token")}
	if _, err := c.do(t.Context(), call{method: http.MethodPut, path: "/v1/workspaces/a", body: map[string]string{"kind": "standalone"}}); err != nil {
		t.Fatal(err)
	}
	if got.URL.Path != "/api/v1/workspaces/a" {
		t.Errorf("the request goes to %s, without the stage that stands in the address", got.URL.Path)
	}
	authorization := got.Header.Get("Authorization")
	if !strings.HasPrefix(authorization, "AWS4-HMAC-SHA256 Credential=AKID/") || !strings.Contains(authorization, "/eu-central-1/execute-api/aws4_request") {
		t.Errorf("the request is signed by %q", authorization)
	}
	if got.Header.Get("X-Amz-Security-Token") != "token" {
		t.Error("the session's token is not sent")
	}
}

// A REST API answers 403 to a caller without the permission, and also for a path that it does not have, such as
// one without its stage.
func TestForbidden(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"Missing Authentication Token"}`)
	}))
	defer server.Close()
	c, err := newClient("--api", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.do(t.Context(), call{method: http.MethodGet, path: "/v1/workspaces"})
	for _, want := range []string{"403 Forbidden", "execute-api:Invoke", "ApiUrl", "OperatorPolicyArn"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestRegionOfAnAddress(t *testing.T) {
	for host, want := range map[string]string{
		"abc.execute-api.eu-central-1.amazonaws.com": "eu-central-1", "abc.execute-api.us-gov-west-1.amazonaws.com": "us-gov-west-1",
		"abc.execute-api.cn-north-1.amazonaws.com.cn": "cn-north-1", "127.0.0.1:8686": "", "api.acme.example": "", "execute-api.acme.example": "",
	} {
		if got := regionOf(host); got != want {
			t.Errorf("%s: region %q, want %q", host, got, want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for want, errs := range map[int][]error{
		exitFailed:   {errors.New("x"), &refusal{admin.Problem{Status: 500}}},
		exitUsage:    {usageError("x"), fmt.Errorf("wrapped: %w", usageError("x"))},
		exitNotThere: {&refusal{admin.Problem{Status: 404}}},
		exitConflict: {&refusal{admin.Problem{Status: 409}}, &refusal{admin.Problem{Status: 412}}},
		exitInvalid:  {&refusal{admin.Problem{Status: 422}}, &refusal{admin.Problem{Status: 400}}, &refusal{admin.Problem{Status: 413}}},
		exitRefused:  {errTestFailed, fmt.Errorf("apply: %w", &refusal{admin.Problem{Status: 422, Code: "net.dns"}})},
	} {
		for _, err := range errs {
			if got := exitCode(err); got != want {
				t.Errorf("%v: exit code %d, want %d", err, got, want)
			}
		}
	}
}

func TestTablesHoldNoControlCharacters(t *testing.T) {
	var b strings.Builder
	tab := &table{headings: []string{"NAME", "STATE"}}
	tab.add(text("%s", "evil\x1b[2J\r\nname\u009b"), text("é").in(red))
	if err := tab.write(&b); err != nil {
		t.Fatal(err)
	}
	if want := "NAME             STATE\nevil·[2J··name·  é\n"; b.String() != want {
		t.Errorf("the table is %q, want %q", b.String(), want)
	}
}

func TestRelativeTimes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "now", 30 * time.Second: "in 30 s", -5 * time.Minute: "5 min ago", 3 * time.Hour: "in 3 h", -50 * time.Hour: "2 d 2 h ago", 7 * 24 * time.Hour: "in 7 d 0 h",
	} {
		if got := relative(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
