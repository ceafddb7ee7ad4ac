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

// desk holds one destination's record: as deliver has read it, and as it is now. Its vault has credentials in the clear.
type desk struct {
	openVault
	read, now directory.Destination
	fails     error // of a reading as of now
	readings  int
}

// deskFor has a destination that was read with the first credentials, and has the second now.
func deskFor(d directory.Destination, read, now string) *desk {
	k := &desk{read: d, now: d}
	k.read.Credentials, k.now.Credentials = directory.Sealed(read), directory.Sealed(now)
	if read != now {
		k.now.Version++
	}
	return k
}

// CurrentDestination implements Records.
func (k *desk) CurrentDestination(context.Context, string) (directory.Destination, error) {
	k.readings++
	return k.now, k.fails
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

func TestTheRecordIsReadAgainAfterAnAuthenticationFailure(t *testing.T) {
	tests := []struct {
		name      string
		read, now string // credentials
		change    func(k *desk)
		opens     string
		want      failure.Code // "" for delivered
		tries     map[string]int
		readings  int
	}{
		{
			name: "right from the start", read: keyPair("NEW"), now: keyPair("NEW"), opens: "NEW",
			tries: map[string]int{"NEW": 3}, readings: 0,
		},
		{
			name: "changed meanwhile", read: keyPair("OLD"), now: keyPair("NEW"), opens: "NEW",
			tries: map[string]int{"OLD": 3, "NEW": 3}, readings: 1,
		},
		{
			name: "wrong and not changed", read: keyPair("OLD"), now: keyPair("OLD"), opens: "NEW", want: failure.S3CredentialsWrong,
			tries: map[string]int{"OLD": 3}, readings: 1,
		},
		{
			name: "changed, and wrong again: one more attempt, not two", read: keyPair("OLD"), now: keyPair("BAD"), opens: "NEW", want: failure.S3CredentialsWrong,
			tries: map[string]int{"OLD": 3, "BAD": 3}, readings: 1,
		},
		{
			name: "changed to what cannot work", read: keyPair("OLD"), now: `{"password":"x"}`, opens: "NEW", want: failure.ConfigInvalid,
			tries: map[string]int{"OLD": 3}, readings: 1,
		},
		{
			name: "cannot be read", read: keyPair("OLD"), now: keyPair("NEW"), opens: "NEW", want: failure.S3CredentialsWrong,
			change: func(k *desk) { k.fails = errors.New("the table does not answer") },
			tries:  map[string]int{"OLD": 3}, readings: 1,
		},
		{
			name: "deleted", read: keyPair("OLD"), now: keyPair("NEW"), opens: "NEW", want: failure.S3CredentialsWrong,
			change: func(k *desk) { k.fails = directory.ErrNotFound },
			tries:  map[string]int{"OLD": 3}, readings: 1,
		},
		{
			name: "made again by somebody else", read: keyPair("OLD"), now: keyPair("NEW"), opens: "NEW", want: failure.S3CredentialsWrong,
			change: func(k *desk) { k.now.Incarnation = "another" },
			tries:  map[string]int{"OLD": 3}, readings: 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := &lock{opens: tt.opens}
			k, s := renewingS3(t, tt.read, tt.now, server)
			if tt.change != nil {
				tt.change(k)
			}
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
			if k.readings != tt.readings {
				t.Errorf("%d readings, want %d", k.readings, tt.readings)
			}
		})
	}
}

// renewingS3 asks a Factory for the sink of a bucket at the server.
func renewingS3(t *testing.T, read, now string, server http.Handler) (*desk, delivery.Sink) {
	t.Helper()
	url := scripted(t, sinktest.Works, nil, server)
	k := deskFor(s3Destination(t, map[string]string{"bucket": "audit-logs", "region": "us-east-1", "endpoint": url}), read, now)
	s, err := (&Factory{Vault: k, Records: k, Network: local(), Now: time.Now}).Sink(t.Context(), k.read)
	if err != nil {
		t.Fatal(err)
	}
	return k, s
}

// TestWhatWasRenewedIsKept asks again with the old reading, and then with the new one: neither makes another sink.
func TestWhatWasRenewedIsKept(t *testing.T) {
	server := &lock{opens: "NEW"}
	url := scripted(t, sinktest.Works, nil, server)
	k := deskFor(s3Destination(t, map[string]string{"bucket": "audit-logs", "region": "us-east-1", "endpoint": url}), keyPair("OLD"), keyPair("NEW"))
	f := &Factory{Vault: k, Records: k, Network: local(), Now: time.Now}
	for _, d := range []directory.Destination{k.read, k.read, k.now, k.now} {
		deliverOne(t, ask(t, f, d))
	}
	if diff := cmp.Diff(map[string]int{"OLD": 1, "NEW": 4}, server.tries); diff != "" {
		t.Errorf("requests by key (-want +got):\n%s", diff)
	}
}

// TestOtherFailuresReadNothing has a failure that other credentials cannot end.
func TestOtherFailuresReadNothing(t *testing.T) {
	url := scripted(t, "slow down", map[sinktest.Scenario]answer{"slow down": {status: 503, body: s3SlowDown}}, nil)
	k := deskFor(s3Destination(t, map[string]string{"bucket": "audit-logs", "region": "us-east-1", "endpoint": url}), keyPair("OLD"), keyPair("NEW"))
	s := ask(t, &Factory{Vault: k, Records: k, Network: local(), Now: time.Now}, k.read)
	if got := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err).Code; got != failure.S3Throttled {
		t.Errorf("code %s", got)
	}
	if k.readings != 0 {
		t.Errorf("%d readings, want none", k.readings)
	}
}

func TestFactoryKeepsASinkUntilTheDestinationChanges(t *testing.T) {
	f := &Factory{Vault: openVault{}, Network: Network{}, Now: time.Now}
	d := s3Destination(t, map[string]string{"bucket": "audit-logs", "region": "us-east-1", "bucket_owner": "222222222222"})
	d.Credentials = directory.Sealed(keyPair("K"))
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
	damaged := &failure.Error{Code: failure.ConfigCredentials}
	tests := []struct {
		name  string
		d     directory.Destination
		vault Vault
		want  failure.Code // "" for an error of our own
	}{
		{"unknown kind", directory.Destination{Kind: "ftp"}, openVault{}, failure.ConfigUnknownKind},
		{"bad settings", directory.Destination{Kind: directory.S3, Settings: json.RawMessage(`[]`)}, openVault{}, failure.ConfigInvalid},
		{"credentials that do not open", s3, closedVault{damaged}, failure.ConfigCredentials},
		{"a vault that does not answer", s3, closedVault{errors.New("timeout")}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &Factory{Vault: tt.vault, Now: time.Now}
			_, err := f.Sink(t.Context(), tt.d)
			var got failure.Code
			if theirs, ok := errors.AsType[*failure.Error](err); ok {
				got = theirs.Code
			}
			if err == nil || got != tt.want {
				t.Errorf("%v is %q, want %q", err, got, tt.want)
			}
		})
	}
}

// closedVault opens nothing.
type closedVault struct{ err error }

func (v closedVault) Open(context.Context, directory.Destination) (json.RawMessage, error) {
	return nil, v.err
}
