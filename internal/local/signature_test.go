package local_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// Receivers hold a signature's time against their own clock, which nobody has moved: whatever sends, for whichever
// reason, signs in real time.
func TestSignaturesAreOfRealTime(t *testing.T) {
	const secret = "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	verified := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if err := verifier.Verify(body, r.Header); err != nil {
			t.Errorf("%s: %v, with the time %s", r.Header.Get("Webhook-Id"), err, r.Header.Get("Webhook-Timestamp"))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		verified++
	}))
	defer server.Close()
	expect := func(n int, what string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if verified != n {
			t.Errorf("%s: %d requests were verified, want %d", what, verified, n)
		}
	}

	w := local.NewWorld(monday, nil)
	w.SetSinks(&sink.Factory{Vault: w.Vault, Records: w.Directory, Network: local.Network(), Now: time.Now})
	settings, _ := json.Marshal(map[string]string{"url": server.URL})
	err = w.Apply(t.Context(), local.Directory{
		Workspaces: []directory.Workspace{{ID: "acme", Kind: directory.Standalone, Admins: []string{"ada@acme.example"}}},
		Destinations: []directory.Destination{{ID: "siem", WorkspaceID: "acme", Kind: directory.HTTP, Settings: settings, State: directory.Connected,
			Health: directory.Health{State: directory.Healthy}, Version: 1}},
		Credentials: map[string]json.RawMessage{"siem": json.RawMessage(`{"signing_secrets":["` + secret + `"]}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Advance(t.Context(), 3*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	w.Send([]byte(`{"id":"a","workspace_id":"acme","type":"user_activity","occurred_at":"2026-11-02T08:59:58Z","payload":{}}`))
	if err := w.Advance(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	expect(1, "a log")
	if status, answer := call(t, w, http.MethodPost, "/v1/destinations/siem/test", ""); status != http.StatusOK {
		t.Errorf("the test: %d %s", status, answer)
	}
	expect(2, "a test")
	body, _ := json.Marshal(map[string]any{
		"name": "SIEM", "workspace_id": "acme", "kind": "http", "settings": map[string]string{"url": server.URL + "/in"},
		"credentials": map[string]any{"signing_secrets": []string{secret}},
	})
	if status, answer := call(t, w, http.MethodPut, "/v1/destinations/other?verify=true", string(body)); status/100 != 2 {
		t.Errorf("the verification: %d %s", status, answer)
	}
	expect(3, "a verification")
}
