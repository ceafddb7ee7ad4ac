package sink

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// The answers of STS. Form: AssumeRole and "Common errors" in the STS API Reference; the text of the denial as users report it.
const (
	stsDenied = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>AccessDenied</Code>
    <Message>User: arn:aws:sts::111111111111:assumed-role/deliver/deliver is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/audit</Message>
  </Error>
  <RequestId>f69fdb43-78fb-4b3d-afac-99609e296283</RequestId>
</ErrorResponse>`
	stsInvalidARN = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>ValidationError</Code>
    <Message>arn:aws:iam::222222222222:role/ is invalid</Message>
  </Error>
  <RequestId>f69fdb43-78fb-4b3d-afac-99609e296284</RequestId>
</ErrorResponse>`
	stsOwnTokenExpired = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>ExpiredToken</Code>
    <Message>The security token included in the request is expired</Message>
  </Error>
  <RequestId>f69fdb43-78fb-4b3d-afac-99609e296285</RequestId>
</ErrorResponse>`
	stsThrottled = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>Throttling</Code>
    <Message>Rate exceeded</Message>
  </Error>
  <RequestId>f69fdb43-78fb-4b3d-afac-99609e296286</RequestId>
</ErrorResponse>`
	stsSession = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser><Arn>arn:aws:sts::222222222222:assumed-role/audit/auditrelay-d-1</Arn><AssumedRoleId>ARO123EXAMPLE123:auditrelay-d-1</AssumedRoleId></AssumedRoleUser>
    <Credentials><AccessKeyId>ASIA%06d</AccessKeyId><SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey><SessionToken>token</SessionToken><Expiration>%s</Expiration></Credentials>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
</AssumeRoleResponse>`
)

// tokenService plays STS. It gives sessions of some length, or an answer of its own. A role that demands an external id is
// assumed with that one alone (IAM User Guide, "Access to AWS accounts owned by third parties").
type tokenService struct {
	life    time.Duration
	answer  *answer
	demands string

	mu    sync.Mutex
	calls []url.Values
}

func (s *tokenService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		panic(err)
	}
	s.calls = append(s.calls, r.PostForm)
	if s.answer != nil {
		s.answer.write(w)
		return
	}
	if s.demands != "" && r.PostForm.Get("ExternalId") != s.demands {
		answer{status: 403, body: stsDenied}.write(w)
		return
	}
	_, _ = fmt.Fprintf(w, stsSession, len(s.calls), time.Now().Add(s.life).UTC().Format(time.RFC3339))
}

// useSTS makes STS the one of the test, and gives this process credentials of its own.
func useSTS(t *testing.T, service http.Handler) {
	t.Helper()
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_STS", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAOWN")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "own")
	t.Setenv("AWS_REGION", "us-east-1")
}

// s3Role is a destination with a role, whose S3 is the server of the test.
func s3Role(t *testing.T, server string) directory.Destination {
	t.Helper()
	t.Setenv("AWS_ENDPOINT_URL_S3", server)
	d := s3Destination(t, map[string]string{"bucket": "audit-logs", "region": "us-east-1", "role_arn": testRole})
	d.ExternalID = testExternalID
	return d
}

const (
	testRole       = "arn:aws:iam::222222222222:role/audit"
	testExternalID = "EXT7"
)

func TestS3RoleCodes(t *testing.T) {
	tests := []struct {
		name   string
		answer answer
		want   failure.Code
		detail string
	}{
		{"denied", answer{status: 403, body: stsDenied}, failure.S3RoleInvalid, "assuming the role: HTTP 403 AccessDenied"},
		{"an ARN that STS cannot read", answer{status: 400, body: stsInvalidARN}, failure.S3RoleInvalid, "assuming the role: HTTP 400 ValidationError"},
		{"our own session ended", answer{status: 403, body: stsOwnTokenExpired}, failure.ConfigCredentials, "assuming the role: HTTP 403 ExpiredToken"},
		{"throttled", answer{status: 400, body: stsThrottled}, failure.S3Throttled, "assuming the role: HTTP 400 Throttling"},
		{"a fault of STS", answer{status: 500}, failure.S3ServerError, "assuming the role: HTTP 500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			useSTS(t, &tokenService{answer: &tt.answer})
			s, err := build(s3Role(t, scripted(t, sinktest.Works, nil, &bucket{})), nil, localEnvironment())
			if err != nil {
				t.Fatal(err)
			}
			f := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err)
			if diff := cmp.Diff([]string{string(tt.want), tt.detail}, []string{string(f.Code), f.Detail}); diff != "" {
				t.Errorf("failure (-want +got), cause %v:\n%s", f.Err, diff)
			}
		})
	}
}

// A session serves many uploads, is renewed before its end, and is asked for with the destination's own role, external id and name.
func TestS3RoleSessions(t *testing.T) {
	tests := []struct {
		name  string
		life  time.Duration
		calls int
	}{
		{"kept while it is good", time.Hour, 1},
		{"renewed within the margin of its end", sessionMargin - time.Minute, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			service := &tokenService{life: tt.life}
			useSTS(t, service)
			s, err := build(s3Role(t, scripted(t, sinktest.Works, nil, &bucket{})), nil, localEnvironment())
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err; err != nil {
					t.Fatal(err)
				}
			}
			if len(service.calls) != tt.calls {
				t.Errorf("%d sessions, want %d", len(service.calls), tt.calls)
			}
			got := service.calls[0]
			got.Del("Version")
			want := url.Values{
				"Action": {"AssumeRole"}, "RoleArn": {testRole}, "ExternalId": {testExternalID},
				"RoleSessionName": {"auditrelay-d-1"}, "DurationSeconds": {"3600"},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// A session that S3 no longer takes, because the role was made anew, say, is replaced for the next attempt.
func TestS3RoleSessionRefusedByS3(t *testing.T) {
	service := &tokenService{life: time.Hour}
	useSTS(t, service)
	endpoint := scripted(t, "refused", map[sinktest.Scenario]answer{"refused": {status: 400, body: s3ExpiredToken}}, nil)
	s, err := build(s3Role(t, endpoint), nil, localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err).Code; got != failure.S3RoleInvalid {
			t.Errorf("code %s, want %s", got, failure.S3RoleInvalid)
		}
	}
	if len(service.calls) != 2 {
		t.Errorf("%d sessions, want a new one for the second attempt", len(service.calls))
	}
}

func TestSTSIsOutOfReach(t *testing.T) {
	useSTS(t, &tokenService{})
	t.Setenv("AWS_ENDPOINT_URL_STS", scripted(t, sinktest.Refuses, nil, nil))
	s, err := build(s3Role(t, scripted(t, sinktest.Works, nil, &bucket{})), nil, localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	if got := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err).Code; got != failure.NetRefused {
		t.Errorf("code %s, want %s", got, failure.NetRefused)
	}
}

// Without an external id no role is assumed, whatever the role would say.
func TestS3RoleIsNeverAssumedWithoutAnExternalID(t *testing.T) {
	service := &tokenService{life: time.Hour}
	useSTS(t, service)
	d := s3Role(t, scripted(t, sinktest.Works, nil, &bucket{}))
	d.ExternalID = ""
	s, err := build(d, nil, localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	got := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err)
	want := []string{string(failure.ConfigInvalid), "the connection has no external id yet: save it again"}
	if diff := cmp.Diff(want, []string{string(got.Code), got.Detail}); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
	if len(service.calls) != 0 {
		t.Errorf("STS was asked: %v", service.calls)
	}
}

// An account that could not be opened once is opened the next time.
func TestS3RoleAccountIsOpenedAgain(t *testing.T) {
	useSTS(t, &tokenService{life: time.Hour, demands: testExternalID})
	env, tries := localEnvironment(), 0
	env.account = func(ctx context.Context) (aws.Config, error) {
		if tries++; tries == 1 {
			return aws.Config{}, errors.New("the metadata service does not answer")
		}
		return ownAccount(ctx)
	}
	s, err := build(s3Role(t, scripted(t, sinktest.Works, nil, &bucket{})), nil, env)
	if err != nil {
		t.Fatal(err)
	}
	if got := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err).Code; got != failure.ConfigCredentials {
		t.Errorf("code %s, want %s", got, failure.ConfigCredentials)
	}
	if err := s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err; err != nil {
		t.Errorf("the second time: %v", err)
	}
}
