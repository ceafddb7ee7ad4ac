package sink

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// vault is a Secrets that keeps what it gave, as the real one does, and counts fresh reads.
type vault struct {
	mu     sync.Mutex
	stored string // what Secrets Manager holds
	kept   string // what a read that need not be fresh gives
	fails  error
	fresh  int
}

func (v *vault) Credentials(_ context.Context, _ string, fresh bool) (json.RawMessage, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if fresh {
		v.fresh++
		if v.fails != nil {
			return nil, v.fails
		}
		v.kept = v.stored
	}
	return json.RawMessage(v.kept), nil
}

func keyPair(id string) string {
	return `{"access_key_id":"` + id + `","secret_access_key":"` + testSecretKey + `"}`
}

// lock plays a bucket that knows one access key, and counts requests by the key that they come with.
type lock struct {
	opens string
	store bucket

	mu    sync.Mutex
	tries map[string]int
}

func (l *lock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(credential, "/")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tries == nil {
		l.tries = make(map[string]int)
	}
	l.tries[id]++
	if id != l.opens {
		_, _ = io.Copy(io.Discard, r.Body)
		answer{status: 403, body: s3InvalidKeyID}.write(w)
		return
	}
	l.store.ServeHTTP(w, r)
}

func TestCredentialsAreReadAgainAfterAnAuthenticationFailure(t *testing.T) {
	tests := []struct {
		name  string
		vault *vault
		opens string
		want  failure.Code // "" for delivered
		tries map[string]int
		fresh int
	}{
		{
			name:  "right from the start",
			vault: &vault{kept: keyPair("NEW"), stored: keyPair("NEW")}, opens: "NEW",
			tries: map[string]int{"NEW": 3}, fresh: 0,
		},
		{
			name:  "changed meanwhile",
			vault: &vault{kept: keyPair("OLD"), stored: keyPair("NEW")}, opens: "NEW",
			tries: map[string]int{"OLD": 3, "NEW": 3}, fresh: 1,
		},
		{
			name:  "wrong and not changed",
			vault: &vault{kept: keyPair("OLD"), stored: keyPair("OLD")}, opens: "NEW", want: failure.S3CredentialsWrong,
			tries: map[string]int{"OLD": 3}, fresh: 1,
		},
		{
			name:  "changed, and wrong again: one more attempt, not two",
			vault: &vault{kept: keyPair("OLD"), stored: keyPair("BAD")}, opens: "NEW", want: failure.S3CredentialsWrong,
			tries: map[string]int{"OLD": 3, "BAD": 3}, fresh: 1,
		},
		{
			name:  "changed to what cannot work",
			vault: &vault{kept: keyPair("OLD"), stored: `{"password":"x"}`}, opens: "NEW", want: failure.ConfigInvalid,
			tries: map[string]int{"OLD": 3}, fresh: 1,
		},
		{
			name:  "cannot be read",
			vault: &vault{kept: keyPair("OLD"), fails: errors.New("no access to the key")}, opens: "NEW", want: failure.S3CredentialsWrong,
			tries: map[string]int{"OLD": 3}, fresh: 1,
		},
		{
			name:  "could not work when they were kept, and were corrected since",
			vault: &vault{kept: `{"access_key_id":"OLD"}`, stored: keyPair("NEW")}, opens: "NEW",
			tries: map[string]int{"NEW": 3}, fresh: 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := &lock{opens: tt.opens}
			s := renewingS3(t, tt.vault, server)
			for i, r := range s.Send(t.Context(), sinktest.Logs(3, 10)) {
				var got failure.Code
				if r.Err != nil {
					got = failure.Of(r.Err).Code
				}
				if got != tt.want {
					t.Errorf("log %d: %q, want %q", i, got, tt.want)
				}
			}
			if diff := cmp.Diff(tt.tries, server.tries); diff != "" {
				t.Errorf("requests by key (-want +got):\n%s", diff)
			}
			if tt.vault.fresh != tt.fresh {
				t.Errorf("%d fresh reads, want %d", tt.vault.fresh, tt.fresh)
			}
		})
	}
}

// renewingS3 asks a Factory for the sink of a bucket at the server.
func renewingS3(t *testing.T, secrets Secrets, server http.Handler) delivery.Sink {
	t.Helper()
	f := &Factory{Secrets: secrets, Network: local(), Now: time.Now}
	s, err := f.Sink(t.Context(), s3Destination(t, map[string]string{"bucket": "audit-logs", "region": "us-east-1", "endpoint": scripted(t, sinktest.Works, nil, server)}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Credentials that were replaced before the old ones end are used without waiting for a failure.
func TestChangedCredentialsAreUsedWithoutAFailure(t *testing.T) {
	secrets := &vault{kept: keyPair("OLD")}
	server := &lock{opens: "OLD"}
	s := renewingS3(t, secrets, server)
	s.Send(t.Context(), sinktest.Logs(1, 10))
	secrets.kept, server.opens = keyPair("NEW"), "NEW"
	if err := s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err; err != nil {
		t.Fatal(err)
	}
	secrets.kept = `{"password":"x"}` // an admin's mistake, while the receiver still takes the one before
	if err := s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"OLD": 1, "NEW": 2}, server.tries); diff != "" {
		t.Errorf("requests by key (-want +got):\n%s", diff)
	}
}

// Failures that other credentials cannot end read nothing.
func TestOtherFailuresLeaveTheCredentialsAlone(t *testing.T) {
	secrets := &vault{kept: keyPair("OLD"), stored: keyPair("NEW")}
	f := &Factory{Secrets: secrets, Network: local(), Now: time.Now}
	url := scripted(t, "slow down", map[sinktest.Scenario]answer{"slow down": {status: 503, body: s3SlowDown}}, nil)
	s, err := f.Sink(t.Context(), s3Destination(t, map[string]string{"bucket": "audit-logs", "region": "us-east-1", "endpoint": url}))
	if err != nil {
		t.Fatal(err)
	}
	if got := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err).Code; got != failure.S3Throttled {
		t.Errorf("code %s", got)
	}
	if secrets.fresh != 0 {
		t.Errorf("%d fresh reads, want none", secrets.fresh)
	}
}

func TestFactoryKeepsASinkUntilTheDestinationChanges(t *testing.T) {
	f := &Factory{Secrets: &vault{kept: keyPair("K")}, Network: Network{}, Now: time.Now}
	d := s3Destination(t, map[string]string{"bucket": "audit-logs", "region": "us-east-1", "bucket_owner": "222222222222"})
	first, err := f.Sink(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := f.Sink(t.Context(), d); again != first {
		t.Error("the same version gave another sink")
	}
	d.Version++
	if again, _ := f.Sink(t.Context(), d); again == first {
		t.Error("another version gave the same sink")
	}
}

func TestFactoryFailures(t *testing.T) {
	s3 := s3Destination(t, map[string]string{"bucket": "audit-logs", "region": "us-east-1"})
	tests := []struct {
		name    string
		d       directory.Destination
		secrets Secrets
		want    failure.Code
	}{
		{"unknown kind", directory.Destination{Kind: "ftp"}, &vault{}, failure.ConfigUnknownKind},
		{"bad settings", directory.Destination{Kind: directory.S3, Settings: json.RawMessage(`[]`)}, &vault{}, failure.ConfigInvalid},
		{"unreadable credentials", s3, unreadable{}, failure.ConfigCredentials},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &Factory{Secrets: tt.secrets, Now: time.Now}
			_, err := f.Sink(t.Context(), tt.d)
			if got := failure.Of(err).Code; got != tt.want {
				t.Errorf("code %s, want %s", got, tt.want)
			}
		})
	}
}

// unreadable is a Secrets that always fails.
type unreadable struct{}

func (unreadable) Credentials(context.Context, string, bool) (json.RawMessage, error) {
	return nil, errors.New("access denied")
}
