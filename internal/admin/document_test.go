package admin_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/admin"
)

var update = flag.Bool("update", false, "write docs/openapi.json from the Go types")

func TestDocumentIsCurrent(t *testing.T) {
	const page = "../../docs/openapi.json"
	want, err := admin.Document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(page, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/openapi.json is not what the Go types say; run make docs (-types +page):\n%.4000s", diff)
	}
}

// TestSuccessesAndRefusals gives the answers that the framework does not declare by itself; call holds each
// against the document.
func TestSuccessesAndRefusals(t *testing.T) {
	w := newWorld(t)
	const workspace = `{"kind":"standalone"}`
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/acme", workspace)
	w.want(t, http.StatusOK, http.MethodPut, "/v1/workspaces/acme", workspace)
	for _, kind := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded"} {
		got := w.want(t, http.StatusUnsupportedMediaType, http.MethodPut, "/v1/workspaces/acme", workspace, "Content-Type", kind)
		if got.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(got.text, "application/json") {
			t.Errorf("%s: %v %s", kind, got.header, got.text)
		}
	}
	w.want(t, http.StatusRequestURITooLong, http.MethodGet, "/v1/workspaces?next="+strings.Repeat("x", 9000), "")
	const destination = `{"workspace_id":"acme","kind":"http","settings":{"url":"https://receiver.example/logs"}}`
	w.want(t, http.StatusUnprocessableEntity, http.MethodPut, "/v1/destinations/siem?verify=no", destination)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/siem?verify=false", destination)
}

// operations are the documented ones: a pattern of the path, the method, and the statuses.
var operations = sync.OnceValues(func() (list []documented, err error) {
	text, err := admin.Document()
	if err != nil {
		return nil, err
	}
	var document struct {
		Paths map[string]map[string]struct{ Responses map[string]any }
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	variable := regexp.MustCompile(`\{\w+\}`)
	for path, methods := range document.Paths {
		for method, operation := range methods {
			list = append(list, documented{
				method: strings.ToUpper(method), path: regexp.MustCompile("^" + variable.ReplaceAllString(path, "[^/]+") + "$"),
				statuses: operation.Responses,
			})
		}
	}
	return list, nil
})

type documented struct {
	method   string
	path     *regexp.Regexp
	statuses map[string]any
}

// declared says whether the document has that answer to a request. What is asked of no path of it is not its
// matter.
func declared(t testing.TB, r *http.Request, status int) bool {
	t.Helper()
	all, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if o.method == r.Method && o.path.MatchString(r.URL.EscapedPath()) {
			return o.statuses[strconv.Itoa(status)] != nil
		}
	}
	return true
}
