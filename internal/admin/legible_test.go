package admin_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/auditrelay/auditrelay/internal/legible"
)

// TestAnswersHideNothing stores a name that would write on the terminal of whoever asks with curl, and reads
// it back whole.
func TestAnswersHideNothing(t *testing.T) {
	const hostile = "a\u009b31m\u202egnp.exe\u200b\u2028\U000e0041"
	w := newWorld(t)
	name, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodPut, "/v1/workspaces/acme", `{"kind":"standalone","name":` + string(name) + `}`,
			http.StatusCreated},
		{http.MethodGet, "/v1/workspaces/acme", "", http.StatusOK},
		{http.MethodGet, "/v1/workspaces", "", http.StatusOK},
		{http.MethodGet, "/v1/deliveries?destination_id=" + url.QueryEscape(hostile), "",
			http.StatusUnprocessableEntity},
		{http.MethodGet, "/v1/workspaces/" + url.PathEscape(hostile), "", http.StatusUnprocessableEntity},
	} {
		got := w.want(t, c.status, c.method, c.path, c.body)
		if strings.ContainsFunc(strings.TrimSpace(got.text), legible.Hidden) {
			t.Errorf("%s %s: hidden characters in %q", c.method, c.path, got.text)
		}
	}
	var kept struct{ Name string }
	if err := json.Unmarshal([]byte(w.want(t, http.StatusOK, http.MethodGet, "/v1/workspaces/acme", "").text),
		&kept); err != nil || kept.Name != hostile {
		t.Errorf("the name is %q, %v", kept.Name, err)
	}
}
