package sink

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

func TestCheckTrust(t *testing.T) {
	asked := []url.Values{{
		"Action": {"AssumeRole"}, "RoleArn": {testRole}, "RoleSessionName": {"auditrelay-d-1"}, "DurationSeconds": {"900"},
	}}
	role := map[string]string{"bucket": "audit-logs", "region": "us-east-1", "role_arn": testRole}
	tests := []struct {
		name     string
		kind     directory.Kind
		settings map[string]string
		service  *tokenService
		want     failure.Code // "" for nothing against it
		detail   string
		calls    []url.Values
	}{
		{name: "a role that demands the external id", settings: role, service: &tokenService{life: time.Hour, demands: testExternalID}, calls: asked},
		{
			name: "a role that demands none", settings: role, service: &tokenService{life: time.Hour},
			want: failure.S3RoleOpen, detail: "the role was assumed without the external id", calls: asked,
		},
		{
			name: "an ARN that STS cannot read", settings: role, service: &tokenService{answer: &answer{status: 400, body: stsInvalidARN}},
			want: failure.S3RoleInvalid, detail: "assuming the role: HTTP 400 ValidationError", calls: asked,
		},
		{
			name: "STS is busy", settings: role, service: &tokenService{answer: &answer{status: 400, body: stsThrottled}},
			want: failure.S3Throttled, detail: "assuming the role: HTTP 400 Throttling", calls: asked,
		},
		{
			name: "our own session ended", settings: role, service: &tokenService{answer: &answer{status: 403, body: stsOwnTokenExpired}},
			want: failure.ConfigCredentials, detail: "assuming the role: HTTP 403 ExpiredToken", calls: asked,
		},
		{name: "an access key", settings: map[string]string{"bucket": "audit-logs", "region": "us-east-1", "bucket_owner": "222222222222"}},
		{name: "another kind", kind: directory.HTTP, settings: map[string]string{"url": "https://example.com"}},
		{
			name: "settings that cannot work", settings: map[string]string{"bucket": "audit-logs", "role_arn": testRole},
			want: failure.ConfigInvalid, detail: "settings.region: is missing",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			service := tt.service
			if service == nil {
				service = &tokenService{}
			}
			useSTS(t, service)
			d := s3Destination(t, tt.settings)
			d.ExternalID = testExternalID
			if tt.kind != "" {
				d.Kind = tt.kind
			}
			f := Factory{Network: local(), Account: ownAccount, Now: time.Now}
			err := f.CheckTrust(t.Context(), d)
			var got failure.Error
			if err != nil {
				got = *failure.Of(err)
			}
			if diff := cmp.Diff([]string{string(tt.want), tt.detail}, []string{string(got.Code), got.Detail}); diff != "" {
				t.Errorf("failure (-want +got), cause %v:\n%s", got.Err, diff)
			}
			for _, call := range service.calls {
				call.Del("Version")
			}
			if diff := cmp.Diff(tt.calls, service.calls); diff != "" {
				t.Errorf("calls of STS (-want +got):\n%s", diff)
			}
		})
	}
}

// A check that cannot be made is no proof that the role refuses.
func TestCheckTrustWithoutSTS(t *testing.T) {
	useSTS(t, &tokenService{})
	t.Setenv("AWS_ENDPOINT_URL_STS", scripted(t, sinktest.Refuses, nil, nil))
	d := s3Destination(t, map[string]string{"bucket": "audit-logs", "region": "us-east-1", "role_arn": testRole})
	for name, want := range map[string]failure.Code{"STS is out of reach": failure.NetRefused, "no account": failure.ConfigCredentials} {
		f := Factory{Account: ownAccount, Now: time.Now}
		if name == "no account" {
			f.Account = nil
		}
		if got := failure.Of(f.CheckTrust(t.Context(), d)).Code; got != want {
			t.Errorf("%s: code %s, want %s", name, got, want)
		}
	}
}
