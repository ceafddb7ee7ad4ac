package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
)

func TestDestinationFromPutToDelete(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	if len(w.bodies) != 1 || !strings.Contains(w.bodies[0], `"test":true`) || !strings.Contains(w.bodies[0], `"id":"test-`) {
		t.Errorf("the receiver got %q, want one marked test log", w.bodies)
	}
	got := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", "")
	for path, want := range map[string]string{
		"id": "siem", "name": "SIEM", "workspace_id": "acme", "kind": "http", "shared": "false", "log_types": "[]", "state": "connected",
		"health.state": "healthy", "health.since": "null", "health.code": "", "version": "1", "settings.url": w.receiver.URL,
	} {
		if v := got.json(t, path); v != want {
			t.Errorf("%s is %s, want %s", path, v, want)
		}
	}
	if strings.Contains(got.text, "s3cr3t") || strings.Contains(got.text, "credentials") {
		t.Errorf("the answer tells of credentials: %s", got.text)
	}
	w.want(t, http.StatusOK, http.MethodPut, "/v1/destinations/siem", got.text) // what GET answers can be put back
	if v := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", "").json(t, "version"); v != "1" {
		t.Errorf("a put that changes nothing made version %s", v)
	}
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/siem?verify=false", `{"settings":{"format":"ndjson"},"log_types":["user_activity"]}`)
	after := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", "")
	if after.json(t, "settings.url") != w.receiver.URL || after.json(t, "settings.format") != "ndjson" || after.json(t, "version") != "2" {
		t.Errorf("after the patch: %s", after.text)
	}
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/siem", `{"settings":{"format":null}}`)
	w.purge(t, "siem")
	w.want(t, http.StatusNotFound, http.MethodGet, "/v1/destinations/siem", "")
	if c := w.credentials(t, "siem"); c != "" {
		t.Errorf("the credentials stay: %s", c)
	}
	w.want(t, http.StatusNoContent, http.MethodDelete, "/v1/workspaces/acme", "")
}

func TestCredentialsStayUnlessGiven(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	stored := func() string { return w.credentials(t, "siem") }
	w.want(t, http.StatusOK, http.MethodPut, "/v1/destinations/siem", w.siem(`"shared":true`))
	if stored() != `{"bearer":"s3cr3t-one"}` {
		t.Errorf("a put without credentials left %s", stored())
	}
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/siem", `{"credentials":{"bearer":"s3cr3t-two"}}`)
	if stored() != `{"bearer":"s3cr3t-two"}` {
		t.Errorf("a patch with credentials left %s", stored())
	}
	w.want(t, http.StatusOK, http.MethodPut, "/v1/destinations/siem", w.siem(`"credentials":{}`))
	if stored() != "" {
		t.Errorf("a put of no credentials left %s", stored())
	}
}

func TestVerificationRefusesWhatDoesNotWork(t *testing.T) {
	w := newWorld(t)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/acme", `{"kind":"standalone"}`)
	w.answer = http.StatusUnauthorized
	got := w.want(t, http.StatusUnprocessableEntity, http.MethodPut, "/v1/destinations/siem", w.siem(`"credentials":{"bearer":"s3cr3t"}`))
	if got.json(t, "code") != "http.unauthorized" || got.json(t, "guidance") == "" || strings.Contains(got.text, "s3cr3t") {
		t.Errorf("refused with %s", got.text)
	}
	w.want(t, http.StatusNotFound, http.MethodGet, "/v1/destinations/siem", "")
	if c := w.credentials(t, "siem"); c != "" {
		t.Errorf("a refused put stored credentials")
	}
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/siem", w.siem(`"verify":false`))
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/other?verify=false", w.siem())
	w.want(t, http.StatusUnprocessableEntity, http.MethodPatch, "/v1/destinations/other?verify=true", `{"shared":true}`)
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/other?verify=false", `{"shared":true}`)
	result := w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/test", "")
	if result.json(t, "ok") != "false" || result.json(t, "code") != "http.unauthorized" || result.json(t, "status") != "401 Unauthorized" {
		t.Errorf("the test says %s", result.text)
	}
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/disconnect", "")
	w.want(t, http.StatusUnprocessableEntity, http.MethodPost, "/v1/destinations/siem/reconnect", "")
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/reconnect", `{"verify":false}`)
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/other/disconnect", "")
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/other/reconnect?verify=false", "")
	w.answer = http.StatusOK
	if result := w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/test", ""); result.json(t, "ok") != "true" {
		t.Errorf("the test says %s", result.text)
	}
}

func TestConnectionsHaveOneWinner(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	if got := w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/disconnect", ""); got.json(t, "state") != "disconnected" {
		t.Errorf("disconnected: %s", got.text)
	}
	got := w.want(t, http.StatusConflict, http.MethodPost, "/v1/destinations/siem/disconnect", "")
	if !strings.Contains(got.json(t, "detail"), "disconnected since") {
		t.Errorf("the second disconnect: %s", got.text)
	}
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/reconnect?verify=false", "")
	w.want(t, http.StatusConflict, http.MethodPost, "/v1/destinations/siem/reconnect", "")
}

func TestOptimisticConcurrency(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	tag := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", "").header.Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	w.want(t, http.StatusPreconditionFailed, http.MethodPut, "/v1/destinations/siem", w.siem(), "If-None-Match", "*")
	w.want(t, http.StatusPreconditionFailed, http.MethodPut, "/v1/destinations/other", w.siem(), "If-Match", tag)
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/siem", `{"shared":true}`, "If-Match", tag)
	got := w.want(t, http.StatusPreconditionFailed, http.MethodPatch, "/v1/destinations/siem", `{"shared":false}`, "If-Match", tag)
	if !strings.Contains(got.json(t, "detail"), "read it again") {
		t.Errorf("refused with %s", got.text)
	}
	w.want(t, http.StatusPreconditionFailed, http.MethodDelete, "/v1/destinations/siem", "", "If-Match", tag)
	d, err := w.directory.CurrentDestination(t.Context(), "siem")
	if err != nil {
		t.Fatal(err)
	}
	tag = w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", "").header.Get("ETag")
	d.Health = directory.Health{State: directory.Failing, Since: noon, Code: "http.server_error"}
	if _, err := w.directory.PutDestination(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/siem", `{"shared":false}`, "If-Match", tag) // the health is no admin's change
	if got := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", ""); got.json(t, "health.code") != "http.server_error" {
		t.Errorf("the change lost the health: %s", got.text)
	}
}

// TestWorkspacesAreChangedOnWhatWasRead holds the same for workspaces, for ten at once too.
func TestWorkspacesAreChangedOnWhatWasRead(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/workspaces/beta"
	tag := w.want(t, http.StatusCreated, http.MethodPut, path, `{"kind":"standalone"}`, "If-None-Match", "*").header.Get("ETag")
	w.want(t, http.StatusPreconditionFailed, http.MethodPut, path, `{"kind":"ahq_admin"}`, "If-None-Match", "*")
	w.want(t, http.StatusPreconditionFailed, http.MethodPut, "/v1/workspaces/other", `{"kind":"standalone"}`, "If-Match", tag)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			switch got := w.call(t, http.MethodPut, path, fmt.Sprintf(`{"kind":"standalone","name":"name %d"}`, i), "If-Match", tag); got.status {
			case http.StatusOK:
				won.Add(1)
			case http.StatusPreconditionFailed:
			default:
				t.Errorf("%d: %s", got.status, got.text)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of ten changes were made, want one", won.Load())
	}
	w.want(t, http.StatusPreconditionFailed, http.MethodDelete, path, "", "If-Match", tag)
	tag = w.want(t, http.StatusOK, http.MethodGet, path, "").header.Get("ETag")
	w.want(t, http.StatusOK, http.MethodPut, path, `{"kind":"standalone","name":"without a condition"}`)
	w.want(t, http.StatusPreconditionFailed, http.MethodDelete, path, "", "If-Match", tag)
	w.want(t, http.StatusNoContent, http.MethodDelete, path, "")
}

func TestEveryChangeIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/siem", `{"name":"New","settings":{"format":"ndjson"},"credentials":{"bearer":"x"}}`)
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/siem", `{"name":"New"}`) // changes nothing
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/disconnect", "")
	w.want(t, http.StatusNoContent, http.MethodDelete, "/v1/destinations/siem", "")
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/restore?verify=false", "")
	w.purge(t, "siem")
	w.want(t, http.StatusNoContent, http.MethodDelete, "/v1/workspaces/acme", "")
	const ada = "arn:aws:iam::1:user/ada"
	want := []line{
		{connection.WorkspaceCreated, "acme", "Acme", ada, nil},
		{connection.DestinationTested, "acme", "Acme", ada, nil},
		{connection.DestinationCreated, "acme", "Acme", ada, []string{"name", "settings.url", "credentials"}},
		{connection.DestinationTested, "acme", "Acme", ada, nil},
		{connection.DestinationUpdated, "acme", "Acme", ada, []string{"name", "settings.format", "credentials"}},
		{connection.DestinationDisconnected, "acme", "Acme", ada, nil},
		{connection.DestinationDeleted, "acme", "Acme", ada, nil},
		{connection.DestinationRestored, "acme", "Acme", ada, nil},
		{connection.DestinationDeleted, "acme", "Acme", ada, nil},
		{connection.DestinationRemoved, "acme", "Acme", ada, nil},
		{connection.WorkspaceDeleted, "acme", "Acme", ada, nil},
	}
	if diff := cmp.Diff(want, w.audit.lines(t)); diff != "" {
		t.Errorf("the audit differs (-want +got):\n%s", diff)
	}
}

func TestRefusalsNameTheField(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	long := strings.Repeat("x", 201)
	for name, c := range map[string]struct {
		method, target, body string
		status               int
		says                 string
	}{
		"no JSON":                {"PUT", "/v1/workspaces/a", `{`, 400, "body is not valid JSON"},
		"nothing":                {"PUT", "/v1/workspaces/a", ``, 400, "body"},
		"an array":               {"PUT", "/v1/workspaces/a", `[]`, 422, "must be a JSON object"},
		"no kind":                {"PUT", "/v1/workspaces/a", `{}`, 422, "body.kind is missing"},
		"another kind":           {"PUT", "/v1/workspaces/a", `{"kind":"x"}`, 422, `body.kind must be one of "standalone`},
		"an unknown member":      {"PUT", "/v1/workspaces/a", `{"kind":"standalone","x":1}`, 422, "body.x is not known"},
		"an id with a space":     {"PUT", "/v1/workspaces/a%20b", `{"kind":"standalone"}`, 422, "path.id must be 1 to 128"},
		"another id":             {"PUT", "/v1/workspaces/a", `{"id":"b","kind":"standalone"}`, 422, "body.id must be the id of the path"},
		"a long name":            {"PUT", "/v1/workspaces/a", `{"kind":"standalone","name":"` + long + `"}`, 422, "body.name"},
		"a name of two lines":    {"PUT", "/v1/workspaces/a", `{"kind":"standalone","name":"a\nBcc: x"}`, 422, "body.name must be"},
		"no address":             {"PUT", "/v1/workspaces/a", `{"kind":"standalone","admins":["ada"]}`, 422, "body.admins[0] must be a mail address"},
		"a missing parent":       {"PUT", "/v1/workspaces/a", `{"kind":"ahq_managed","parent_id":"nobody"}`, 422, "body.parent_id must be a workspace that is there"},
		"its own parent":         {"PUT", "/v1/workspaces/a", `{"kind":"ahq_managed","parent_id":"a"}`, 422, "body.parent_id must be another"},
		"an unknown workspace":   {"PUT", "/v1/destinations/a", strings.Replace(w.siem(), "acme", "nobody", 1), 422, "body.workspace_id must be a workspace that is there"},
		"an unknown setting":     {"PUT", "/v1/destinations/a", w.siem(`"settings":{"url":"https://x.example","colour":1}`), 422, "body.settings.colour is not known"},
		"a bad URL":              {"PUT", "/v1/destinations/a", w.siem(`"settings":{"url":"ftp://x"}`), 422, "body.settings.url"},
		"a bad credential":       {"PUT", "/v1/destinations/a", w.siem(`"credentials":{"bearer":["s3cr3t"]}`), 422, "body.credentials.bearer must be"},
		"credentials as text":    {"PUT", "/v1/destinations/a", w.siem(`"credentials":"s3cr3t"`), 422, "body.credentials must be a JSON object"},
		"a bad log type":         {"PUT", "/v1/destinations/a", w.siem(`"log_types":["No"]`), 422, "body.log_types[0]"},
		"another owner":          {"PUT", "/v1/destinations/siem", strings.Replace(w.siem(), "acme", "other", 1), 422, "body.workspace_id cannot be changed"},
		"another destination":    {"PUT", "/v1/destinations/siem", strings.Replace(w.siem(), `"http"`, `"s3"`, 1), 422, "body.kind cannot be changed"},
		"a large body":           {"PUT", "/v1/destinations/a", `{"name":"` + strings.Repeat("x", 256<<10) + `"}`, 413, "the body is too large; it may have 262144 bytes"},
		"a used workspace":       {"DELETE", "/v1/workspaces/acme", "", 409, "owns 1 destinations, siem for one"},
		"a patch of nothing":     {"PATCH", "/v1/destinations/nobody", `{}`, 404, `no destination "nobody"`},
		"settings as a list":     {"PATCH", "/v1/destinations/siem", `{"settings":[]}`, 422, "body.settings must be a JSON object"},
		"no such path":           {"GET", "/v1/nothing", "", 404, "no such path"},
		"a path with dots":       {"GET", "/v1/workspaces/..", "", 404, "no such path"},
		"a wrong method":         {"POST", "/v1/workspaces", "", 405, "this path takes GET"},
		"a limit of nought":      {"GET", "/v1/workspaces?limit=0", "", 422, "query.limit"},
		"a limit in words":       {"GET", "/v1/workspaces?limit=ten", "", 422, "query.limit"},
		"a made-up cursor":       {"GET", "/v1/workspaces?next=abc", "", 422, "query.next must be the value"},
		"an unknown query":       {"GET", "/v1/workspaces?colour=1", "", 422, "query.colour is not known"},
		"deliveries of nobody":   {"GET", "/v1/deliveries", "", 422, "query.destination_id is missing"},
		"another's cursor":       {"GET", "/v1/deliveries?destination_id=siem&next=YQ", "", 422, "query.next"},
		"a redrive of all":       {"POST", "/v1/redrive", `{}`, 422, "at least one of"},
		"a redrive of no time":   {"POST", "/v1/redrive", `{"accepted_from":"yesterday"}`, 422, "accepted_from"},
		"a redrive of no one":    {"POST", "/v1/redrive", `{"destination_id":"nobody"}`, 404, "no destination"},
		"a time that is no time": {"GET", "/v1/attempts?since=monday", "", 422, "query.since"},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.call(t, c.method, c.target, c.body)
			if got.status != c.status || !strings.Contains(got.json(t, "detail"), c.says) || got.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s: %d %s %s, want %d and %q", c.method, c.target, got.status, got.header.Get("Content-Type"), got.text, c.status, c.says)
			}
			if strings.Contains(got.text, "s3cr3t") {
				t.Errorf("the answer quotes a credential: %s", got.text)
			}
		})
	}
	if len(w.faults) > 0 {
		t.Errorf("faults: %v", w.faults)
	}
}

// A workspace owns so many destinations and no more; what is there can still be changed.
func TestDestinationsOfAWorkspaceAreCounted(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	for i := 1; i < directory.MostDestinations; i++ { // siem is the first
		w.want(t, http.StatusCreated, http.MethodPut, fmt.Sprintf("/v1/destinations/d-%d?verify=false", i), w.siem())
	}
	one := w.want(t, http.StatusUnprocessableEntity, http.MethodPut, "/v1/destinations/more?verify=false", w.siem())
	if !strings.Contains(one.text, "owns 100 destinations, the most that a workspace may") {
		t.Errorf("it is refused with %s", one.text)
	}
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/d-7?verify=false", `{"name":"seven"}`)
	w.want(t, http.StatusNoContent, http.MethodDelete, "/v1/destinations/d-7", "")
	w.want(t, http.StatusUnprocessableEntity, http.MethodPut, "/v1/destinations/more?verify=false", w.siem()) // logs still wait for d-7
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/d-7?verify=false", w.siem())
	w.purge(t, "d-7")
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/more?verify=false", w.siem())
}

// unsettledTimers are those of a group that is being deleted.
type unsettledTimers struct{ noTimers }

func (unsettledTimers) Set(context.Context, connection.Timer) error {
	return fmt.Errorf("create the schedule: %w", connection.ErrTimersUnsettled)
}

// TestGracesMeetADeletion holds that a client hears when to come again, and that nothing has changed by then.
func TestGracesMeetADeletion(t *testing.T) {
	for _, r := range [][2]string{{http.MethodPost, "/v1/destinations/siem/disconnect"}, {http.MethodDelete, "/v1/destinations/siem"}} {
		w := newWorld(t)
		w.seed(t)
		service := *w.Connections.(*connection.Service)
		service.Timers = unsettledTimers{}
		w.Connections = &service
		w.handler = w.Handler()
		got := w.want(t, http.StatusServiceUnavailable, r[0], r[1], "")
		if got.header.Get("Retry-After") != "10" || got.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(got.json(t, "detail"), "Try again in 10 seconds") {
			t.Errorf("%s: %v %s", r, got.header, got.text)
		}
		if state := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", "").json(t, "state"); state != "connected" {
			t.Errorf("%s: the destination is %s", r, state)
		}
		if len(w.faults) != 1 {
			t.Errorf("%s: the operator hears %q", r, w.faults)
		}
	}
}
