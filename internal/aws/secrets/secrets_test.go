package secrets

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"
)

// vault is a scripted Secrets Manager with one text for every secret. It counts reads.
type vault struct {
	text  string
	reads int
}

// RoundTrip implements http.RoundTripper.
func (v *vault) RoundTrip(r *http.Request) (*http.Response, error) {
	v.reads++
	body, err := json.Marshal(map[string]string{"SecretString": v.text})
	if err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.1"}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader(string(body))), Request: r}, nil
}

func (v *vault) manager(now *time.Time) *Manager {
	return &Manager{Now: func() time.Time { return *now }, Client: secretsmanager.NewFromConfig(aws.Config{
		Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), HTTPClient: &http.Client{Transport: v},
	})}
}

// TestUnchangedCredentialsAreReadLessAndLess asks every minute for four hours, in which the secret changes once.
func TestUnchangedCredentialsAreReadLessAndLess(t *testing.T) {
	start := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	now := start
	v := &vault{text: `{"token":"one"}`}
	m := v.manager(&now)
	var readAt []int // minutes
	for minute := range 4 * 60 {
		now = start.Add(time.Duration(minute) * time.Minute)
		if minute == 130 {
			v.text = `{"token":"two"}`
		}
		if minute == 200 {
			if _, err := m.Credentials(t.Context(), "dest-1", true); err != nil { // after a failure of authentication
				t.Fatal(err)
			}
			readAt = append(readAt, minute)
			v.reads = len(readAt)
		}
		got, err := m.Credentials(t.Context(), "dest-1", false)
		if err != nil {
			t.Fatal(err)
		}
		if v.reads > len(readAt) {
			readAt = append(readAt, minute)
			if string(got) != v.text {
				t.Errorf("minute %d: %s was read and %s answered", minute, v.text, got)
			}
		}
	}
	want := []int{0, 5, 15, 35, 75, 135, 140, 150, 170, 200, 205, 215, 235}
	if diff := cmp.Diff(want, readAt); diff != "" {
		t.Errorf("minutes in which the secret was read (-want +got):\n%s", diff)
	}
}

// TestWhatIsRememberedIsBounded reads more than may be remembered: the ones used last stay.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	v := &vault{text: `{"client_key":"` + strings.Repeat("k", 60_000) + `"}`}
	m := v.manager(&now)
	const secrets = 1000 // 60 MB
	for i := range secrets {
		if _, err := m.Credentials(t.Context(), fmt.Sprint("dest-", i), false); err != nil {
			t.Fatal(err)
		}
	}
	sum := 0
	for _, id := range m.answers.Keys() {
		a, _ := m.answers.Peek(id)
		sum += size(id, a)
	}
	if sum != m.bytes || sum > mostBytes || sum < mostBytes*9/10 {
		t.Errorf("%d bytes are remembered and %d counted, want nearly %d of both", sum, m.bytes, mostBytes)
	}
	for i, want := range []int{secrets, secrets + 1} { // the last is remembered, the first is not
		if _, err := m.Credentials(t.Context(), fmt.Sprint("dest-", []int{secrets - 1, 0}[i]), false); err != nil || v.reads != want {
			t.Errorf("%d reads (%v), want %d", v.reads, err, want)
		}
	}
	m.forget("dest-0")
	if m.answers.Contains("dest-0") {
		t.Error("a forgotten secret is remembered")
	}
}
