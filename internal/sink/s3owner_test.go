package sink

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// ownedBucket is a bucket that belongs to an account and holds each request to the owner that it expects. A wrong owner is
// answered like a missing permission, and an owner that is no account's number with 400 (S3 User Guide, "Verifying bucket
// ownership with bucket owner condition").
type ownedBucket struct {
	bucket
	owner string
	// put and location answer an upload and a question for the region that come from the right account; status 0 for yes.
	put, location answer
	// calls counts by what the request asked for, unexpecting those without an expected owner.
	calls       map[string]int
	unexpecting int
}

const s3Location = `<?xml version="1.0" encoding="UTF-8"?><LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-central-1</LocationConstraint>`

func (b *ownedBucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asks, own := "PutObject", b.put
	if r.URL.Query().Has("location") {
		asks, own = "GetBucketLocation", b.location
	}
	expected := r.Header.Get("X-Amz-Expected-Bucket-Owner")
	b.mu.Lock()
	b.calls[asks]++
	if expected == "" {
		b.unexpecting++
	}
	b.mu.Unlock()
	switch {
	case expected != "" && expected != b.owner:
		own = answer{status: 403, body: s3AccessDenied}
	case own.status == 0 && asks == "PutObject":
		b.bucket.ServeHTTP(w, r)
		return
	case own.status == 0:
		own = answer{status: 200, body: s3Location}
	}
	_, _ = io.Copy(io.Discard, r.Body)
	own.write(w)
}

func TestS3BucketOwner(t *testing.T) {
	denied, broken := answer{status: 403, body: s3AccessDenied}, answer{status: 500, body: s3InternalError}
	const unconfirmed = "HTTP 403 AccessDenied; the bucket does not confirm that account 222222222222 owns it"
	tests := []struct {
		name     string
		bucket   *ownedBucket
		settings map[string]string
		want     failure.Code // "" for delivered
		detail   string
		calls    map[string]int
	}{
		{name: "the role's account", bucket: &ownedBucket{owner: "222222222222"}, calls: map[string]int{"PutObject": 3}},
		{
			name: "another account has the name now", bucket: &ownedBucket{owner: "999999999999"},
			want: failure.S3OwnerUnconfirmed, detail: unconfirmed, calls: map[string]int{"PutObject": 3, "GetBucketLocation": 1},
		},
		{
			name: "another account's bucket on purpose", bucket: &ownedBucket{owner: "999999999999"},
			settings: map[string]string{"bucket_owner": "999999999999"}, calls: map[string]int{"PutObject": 3},
		},
		{
			name: "the right account, and the role may not write", bucket: &ownedBucket{owner: "222222222222", put: denied},
			want: failure.S3PermissionDenied, detail: "HTTP 403 AccessDenied", calls: map[string]int{"PutObject": 3, "GetBucketLocation": 1},
		},
		{
			name: "the right account, and the key denies", bucket: &ownedBucket{owner: "222222222222", put: denied},
			settings: map[string]string{"kms_key_id": "alias/logs"}, want: failure.S3PermissionDenied,
			detail: "HTTP 403 AccessDenied; s3:PutObject on the bucket or kms:GenerateDataKey on the key is not allowed",
			calls:  map[string]int{"PutObject": 3, "GetBucketLocation": 1},
		},
		{
			name: "the right account, and the role may do nothing", bucket: &ownedBucket{owner: "222222222222", put: denied, location: denied},
			want: failure.S3OwnerUnconfirmed, detail: unconfirmed, calls: map[string]int{"PutObject": 3, "GetBucketLocation": 1},
		},
		{
			name: "no answer to the question", bucket: &ownedBucket{owner: "222222222222", put: denied, location: broken},
			want: failure.S3PermissionDenied, detail: "HTTP 403 AccessDenied", calls: map[string]int{"PutObject": 3, "GetBucketLocation": 1},
		},
		{
			name: "a failure that is not about rights", bucket: &ownedBucket{owner: "222222222222", put: broken},
			want: failure.S3ServerError, detail: "HTTP 500 InternalError", calls: map[string]int{"PutObject": 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			useSTS(t, &tokenService{life: time.Hour, demands: testExternalID})
			server := tt.bucket
			server.calls = make(map[string]int)
			d := s3Role(t, scripted(t, sinktest.Works, nil, server))
			settings := map[string]string{"bucket": "audit-logs", "region": "us-east-1", "role_arn": testRole}
			for name, value := range tt.settings {
				settings[name] = value
			}
			d.Settings = asJSON(t, settings)
			s, err := build(d, nil, localEnvironment())
			if err != nil {
				t.Fatal(err)
			}
			held := 0
			for i, r := range s.Send(t.Context(), sinktest.Logs(3, 10)) {
				if r.Err == nil && tt.want == "" {
					held++
					continue
				}
				f := failure.Of(r.Err)
				if diff := cmp.Diff([]string{string(tt.want), tt.detail}, []string{string(f.Code), f.Detail}); diff != "" {
					t.Errorf("log %d (-want +got):\n%s", i, diff)
				}
			}
			if diff := cmp.Diff(tt.calls, server.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if server.unexpecting > 0 || len(server.objects) != held {
				t.Errorf("%d calls without an expected owner; %d objects, want %d", server.unexpecting, len(server.objects), held)
			}
		})
	}
}

// What a bucket said of its owner is asked again after a minute: it may have been given back.
func TestS3BucketOwnerIsAskedAgain(t *testing.T) {
	server := &ownedBucket{owner: "222222222222", put: answer{status: 403, body: s3AccessDenied}, calls: make(map[string]int)}
	now, env := time.Now(), localEnvironment()
	env.now = func() time.Time { return now }
	d := s3Destination(t, map[string]string{
		"bucket": "audit-logs", "region": "us-east-1", "endpoint": scripted(t, sinktest.Works, nil, server), "bucket_owner": "acme",
	})
	s, err := build(d, s3Keys(t), env)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		owner string
		want  failure.Code
	}{
		{0, "mallory", failure.S3OwnerUnconfirmed},
		{askedFor - time.Second, "acme", failure.S3OwnerUnconfirmed},
		{time.Second, "acme", failure.S3PermissionDenied},
	} {
		now = now.Add(step.after)
		server.owner = step.owner
		if got := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err).Code; got != step.want {
			t.Errorf("%v later: %s, want %s", step.after, got, step.want)
		}
	}
	if diff := cmp.Diff(map[string]int{"PutObject": 3, "GetBucketLocation": 2}, server.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
