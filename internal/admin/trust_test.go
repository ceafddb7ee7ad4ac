package admin_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// TestTrustPolicy holds the policy that the API gives for a workspace to the one that the page for customers shows,
// in each partition.
func TestTrustPolicy(t *testing.T) {
	page, err := os.ReadFile("../../docs/destinations/s3.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(page), "`trust.json`:\n\n```json\n")
	shown, _, closed := strings.Cut(after, "\n```")
	if !ok || !closed {
		t.Fatal("docs/destinations/s3.md shows no trust.json")
	}
	for _, partition := range []string{"aws", "aws-us-gov", "aws-eusc"} {
		w := newWorld(t)
		w.seed(t)
		w.TrustedRoles = "arn:" + partition + ":iam::111122223333:role/auditrelay/prod/*"
		w.handler = w.Handler()
		id := w.want(t, http.StatusOK, http.MethodGet, "/v1/workspaces/acme", "").json(t, "external_id")
		fill := strings.NewReplacer("arn:aws:", "arn:"+partition+":", "<account of this deployment>", "111122223333", "<stage>", "prod",
			"<external id of the workspace>", id)
		var want, got any
		if err := json.Unmarshal([]byte(fill.Replace(shown)), &want); err != nil {
			t.Fatal(err)
		}
		answer := w.want(t, http.StatusOK, http.MethodGet, "/v1/workspaces/acme/trust-policy", "")
		if err := json.Unmarshal([]byte(answer.text), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || id == "" {
			t.Errorf("%s: the page and the answer for external id %q (-page +answer):\n%s", partition, id, diff)
		}
	}
}

// TestNoTrustPolicy holds what is answered where there is nothing to trust.
func TestNoTrustPolicy(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	for path, detail := range map[string]string{
		"/v1/workspaces/acme/trust-policy":  "no AWS account of its own",
		"/v1/workspaces/other/trust-policy": "there is no workspace",
	} {
		if got := w.want(t, http.StatusNotFound, http.MethodGet, path, ""); !strings.Contains(got.json(t, "detail"), detail) {
			t.Errorf("%s: %s", path, got.text)
		}
	}
	w.TrustedRoles = "arn:aws:iam::111122223333:role/auditrelay/prod/*"
	w.handler = w.Handler()
	if err := w.directory.PutWorkspace(t.Context(), directory.Workspace{ID: "old", Kind: directory.Standalone, Incarnation: "I"}); err != nil {
		t.Fatal(err)
	}
	if got := w.want(t, http.StatusNotFound, http.MethodGet, "/v1/workspaces/old/trust-policy", ""); !strings.Contains(got.json(t, "detail"), "no external id yet") {
		t.Errorf("a workspace from before there were any: %s", got.text)
	}
}
