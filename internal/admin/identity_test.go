package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/auditrelay/auditrelay/internal/connection"
)

// TestCredentialsNeverFollowAnAddress changes each setting that says where credentials go, without giving them: nothing is
// changed, and nothing is sent anywhere. With them, or where none are stored, it may be changed.
func TestCredentialsNeverFollowAnAddress(t *testing.T) {
	const tenant = "11111111-1111-1111-1111-111111111111"
	monitor := `{"endpoint":%q,"tenant_id":"` + tenant + `","client_id":"` + tenant + `","rule_id":"dcr-00000000000000000000000000000000","stream":"Custom-X_CL","authority_host":%q}`
	for name, c := range map[string]struct {
		kind, settings, credentials string
		patch, field                string // %s is another receiver
	}{
		"url":            {"http", `{"url":%q}`, `{"bearer":"s3cr3t"}`, `{"url":%q}`, "url"},
		"path of a url":  {"http", `{"url":%q}`, `{"bearer":"s3cr3t"}`, `{"url":"https://siem.example/other"}`, "url"},
		"a url's preset": {"http", `{"url":%q,"preset":"splunk_hec"}`, `{"token":"s3cr3t"}`, `{"url":%q}`, "url"},
		"token endpoint": {"http", `{"url":%[1]q,"oauth":{"token_url":%[1]q}}`, `{"oauth":{"client_id":"c","client_secret":"s3cr3t"}}`, `{"oauth":{"token_url":%q}}`, "oauth.token_url"},
		"store":          {"s3", `{"bucket":"audit-logs","region":"us-east-1","endpoint":%q}`, `{"access_key_id":"AKIDEXAMPLE","secret_access_key":"s3cr3t"}`, `{"endpoint":%q}`, "endpoint"},
		"blob endpoint":  {"azure_blob", `{"account":"acct","container":"cont","endpoint":%q}`, `{"sas":"sv=1&sr=c&sig=s3cr3t"}`, `{"endpoint":%q}`, "endpoint"},
		"blob account":   {"azure_blob", `{"account":"acct","container":"cont"}`, `{"sas":"sv=1&sr=c&sig=s3cr3t"}`, `{"account":"other"}`, "account"},
		"monitor":        {"azure_monitor", strings.ReplaceAll(monitor, "%q", "%[1]q"), `{"client_secret":"s3cr3t"}`, `{"endpoint":%q}`, "endpoint"},
		"authority":      {"azure_monitor", strings.ReplaceAll(monitor, "%q", "%[1]q"), `{"client_secret":"s3cr3t"}`, `{"authority_host":%q}`, "authority_host"},
	} {
		t.Run(name, func(t *testing.T) {
			w, evil := newWorld(t), newWorld(t)
			w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/acme", `{"kind":"standalone"}`)
			settings, patch := c.settings, c.patch
			if strings.Contains(settings, "%") {
				settings = fmt.Sprintf(settings, w.receiver.URL)
			}
			if strings.Contains(patch, "%") {
				patch = fmt.Sprintf(patch, evil.receiver.URL)
			}
			body := func(credentials string) string {
				return fmt.Sprintf(`{"workspace_id":"acme","kind":%q,"settings":%s,"credentials":%s,"verify":false}`, c.kind, settings, credentials)
			}
			w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/siem", body(c.credentials))
			merged := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", "").text
			for _, verify := range []string{"true", "false"} {
				got := w.want(t, http.StatusUnprocessableEntity, http.MethodPatch, "/v1/destinations/siem?verify="+verify, `{"settings":`+patch+`}`)
				if !strings.Contains(got.text, "body.settings."+c.field) || strings.Contains(got.text, "s3cr3t") {
					t.Errorf("refused with %s", got.text)
				}
			}
			if len(evil.bodies) > 0 || w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", "").text != merged {
				t.Errorf("it was changed, or the other address asked %d times", len(evil.bodies))
			}
			w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/siem?verify=false", `{"settings":`+patch+`,"credentials":`+c.credentials+`}`)
			if w.credentials(t, "siem") != c.credentials {
				t.Errorf("the credentials are %s", w.credentials(t, "siem"))
			}
		})
	}
	w := newWorld(t)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/acme", `{"kind":"standalone"}`)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/open", w.siem(`"verify":false`))
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/open?verify=false", `{"settings":{"url":"https://siem.example/"}}`) // it has none
}

// TestARecordMadeAgainHasAnotherETag uses what was read of records that were deleted since.
func TestARecordMadeAgainHasAnotherETag(t *testing.T) {
	w := newWorld(t)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/rival", `{"kind":"standalone"}`)
	tags := make(map[string]bool)
	for _, path := range []string{"/v1/workspaces/acme", "/v1/destinations/siem", "/v1/workspaces/acme"} {
		body := map[bool]string{true: `{"kind":"standalone"}`, false: w.siem(`"verify":false`)}[strings.HasPrefix(path, "/v1/w")]
		if !strings.HasPrefix(path, "/v1/w") {
			w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/acme", `{"kind":"standalone"}`)
		}
		for range 5 {
			tag := w.want(t, http.StatusCreated, http.MethodPut, path, body).header.Get("ETag")
			if tags[tag] || len(tag) < 26 {
				t.Errorf("%s has the ETag %s, which another record had, or which can be guessed", path, tag)
			}
			for old := range tags {
				w.want(t, http.StatusPreconditionFailed, http.MethodPut, path, body, "If-Match", old)
				w.want(t, http.StatusPreconditionFailed, http.MethodDelete, path, "", "If-Match", old)
			}
			tags[tag] = true
			w.want(t, http.StatusNoContent, http.MethodDelete, path, "", "If-Match", tag)
		}
		if !strings.HasPrefix(path, "/v1/w") {
			w.want(t, http.StatusNoContent, http.MethodDelete, path+"?purge=true", "")
			w.want(t, http.StatusNoContent, http.MethodDelete, "/v1/workspaces/acme", "")
		}
	}
}

// TestEachTestIsAnEntry tests a destination in every way there is: the audit says who sent its credentials to which host.
func TestEachTestIsAnEntry(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.answer = http.StatusUnauthorized
	w.want(t, http.StatusUnprocessableEntity, http.MethodPatch, "/v1/destinations/siem", `{"settings":{"format":"ndjson"}}`)
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/test", "")
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/disconnect", "")
	w.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/v1/destinations/siem/reconnect", "")
	w.want(t, http.StatusUnprocessableEntity, http.MethodPut, "/v1/destinations/other", w.siem(`"credentials":{"bearer":"s3cr3t"}`))
	host := strings.TrimPrefix(w.receiver.URL, "http://")
	tests := make(map[string]bool)
	for _, e := range w.audit.entries {
		var p struct {
			Event   connection.Event
			Details struct {
				Activity struct {
					TestLogID string `json:"test_log_id"`
					Hosts     []string
				}
			}
		}
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			t.Fatal(err)
		}
		if p.Event != connection.DestinationTested {
			continue
		}
		if a := p.Details.Activity; len(a.Hosts) != 1 || a.Hosts[0] != host || tests[a.TestLogID] || !strings.HasPrefix(a.TestLogID, "test-") {
			t.Errorf("an entry of a test says %s", e.Payload)
		}
		tests[p.Details.Activity.TestLogID] = true
	}
	if len(tests) != len(w.bodies) || len(tests) != 5 {
		t.Errorf("%d tests are in the audit, and %d requests were sent; want 5 of both", len(tests), len(w.bodies))
	}
}

func TestSizesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/acme", `{"kind":"standalone"}`)
	for what, body := range map[string]string{
		"credentials": w.siem(`"verify":false,"credentials":{"bearer":"` + strings.Repeat("x", 32<<10) + `"}`),
		"settings":    `{"workspace_id":"acme","kind":"http","verify":false,"settings":{"url":"https://siem.example/","template":"` + strings.Repeat("x", 64<<10) + `"}}`,
	} {
		got := w.want(t, http.StatusUnprocessableEntity, http.MethodPut, "/v1/destinations/siem", body)
		if !strings.Contains(got.text, "body."+what) || !strings.Contains(got.text, "at most") || strings.Contains(got.text, "xxx") {
			t.Errorf("too large %s: %s", what, got.text)
		}
	}
}
