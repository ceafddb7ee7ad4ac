package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// randomID is the form of an external id: 26 letters and digits, 130 bits.
var randomID = regexp.MustCompile(`^[A-Z2-7]{26}$`)

func TestExternalIDIsTheWorkspacesOwn(t *testing.T) {
	w := newWorld(t)
	put := func(status int, id, more string) reply {
		t.Helper()
		return w.want(t, status, http.MethodPut, "/v1/workspaces/"+id, `{"kind":"standalone"`+more+`}`)
	}
	acme := put(http.StatusCreated, "acme", "").json(t, "external_id")
	orbit := put(http.StatusCreated, "orbit", "").json(t, "external_id")
	if !randomID.MatchString(acme) || !randomID.MatchString(orbit) || acme == orbit {
		t.Errorf("external ids %q and %q, want two of 130 random bits", acme, orbit)
	}
	if got := put(http.StatusOK, "acme", `,"name":"Acme"`).json(t, "external_id"); got != acme {
		t.Errorf("a put made it %q, it was %q", got, acme)
	}
	whole := w.want(t, http.StatusOK, http.MethodGet, "/v1/workspaces/acme", "")
	w.want(t, http.StatusOK, http.MethodPut, "/v1/workspaces/acme", whole.text) // what GET answers can be put back
	for name, more := range map[string]string{"another's": orbit, "one of one's own": "6f1d2c9a"} {
		got := put(http.StatusUnprocessableEntity, "acme", fmt.Sprintf(`,"external_id":%q`, more))
		if got.json(t, "errors.0.field") != "body.external_id" || strings.Contains(got.text, more) {
			t.Errorf("%s: %s", name, got.text)
		}
	}
	put(http.StatusUnprocessableEntity, "new", `,"external_id":"6f1d2c9a"`)
	if list := w.want(t, http.StatusOK, http.MethodGet, "/v1/workspaces", ""); list.json(t, "items.0.external_id") != acme {
		t.Errorf("the list says %s", list.text)
	}
	w.want(t, http.StatusNoContent, http.MethodDelete, "/v1/workspaces/acme", "")
	if again := put(http.StatusCreated, "acme", "").json(t, "external_id"); again == acme {
		t.Error("a workspace that is made again under its id has the old external id")
	}
}

// archive is an S3 destination's JSON with further members.
func archive(workspace string, more ...string) string {
	settings := `{"bucket":"audit-logs","region":"us-east-1","role_arn":"arn:aws:iam::222222222222:role/auditrelay-writer"}`
	return fmt.Sprintf(`{"workspace_id":%q,"kind":"s3","settings":%s%s}`, workspace, settings, strings.Join(append([]string{""}, more...), ","))
}

func TestDestinationsCarryTheirOwnersExternalID(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	of := w.want(t, http.StatusOK, http.MethodGet, "/v1/workspaces/acme", "").json(t, "external_id")
	made := w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/archive?verify=false", archive("acme"))
	if got := made.json(t, "external_id"); got != of {
		t.Errorf("the destination's is %q, its owner's %q", got, of)
	}
	w.want(t, http.StatusOK, http.MethodPut, "/v1/destinations/archive?verify=false", made.text) // what is answered can be put back
	if siem := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", ""); strings.Contains(siem.text, "external_id") {
		t.Errorf("a destination that assumes no role tells of an external id: %s", siem.text)
	}
	patch := func(settings string) string { return `{"settings":` + settings + `}` }
	for name, c := range map[string]struct{ method, id, body, field string }{
		"a put with one in the settings":     {http.MethodPut, "b", strings.Replace(archive("acme"), `{"bucket"`, `{"external_id":"`+of+`","bucket"`, 1), "body.settings.external_id"},
		"a put with an empty one":            {http.MethodPut, "b", strings.Replace(archive("acme"), `{"bucket"`, `{"external_id":"","bucket"`, 1), "body.settings.external_id"},
		"a patch with one in the settings":   {http.MethodPatch, "archive", patch(`{"external_id":"6f1d2c9a"}`), "body.settings.external_id"},
		"a put with one beside the settings": {http.MethodPut, "archive", archive("acme", `"external_id":"6f1d2c9a"`), "body.external_id"},
		"a new one with one beside":          {http.MethodPut, "b", archive("acme", `"external_id":"6f1d2c9a"`), "body.external_id"},
		"another kind with one beside":       {http.MethodPut, "siem", w.siem(`"external_id":"6f1d2c9a"`), "body.external_id"},
	} {
		got := w.want(t, http.StatusUnprocessableEntity, c.method, "/v1/destinations/"+c.id+"?verify=false", c.body)
		if got.json(t, "errors.0.field") != c.field {
			t.Errorf("%s: %s", name, got.text)
		}
	}
	if after := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/archive", ""); after.text != made.text {
		t.Errorf("refused requests changed it: %s", after.text)
	}
}

// A workspace that was stored before there were external ids gets one with its next write, or with its next S3 destination; a destination
// that was saved before gets its owner's with its next write.
func TestWorkspacesWithoutExternalIDGetOne(t *testing.T) {
	for name, write := range map[string]func(w *world){
		"a put of the workspace": func(w *world) {
			w.want(t, http.StatusOK, http.MethodPut, "/v1/workspaces/old", `{"kind":"standalone"}`)
		},
		"a destination": func(w *world) {
			w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/new?verify=false", archive("old"))
		},
		"a put of a destination as it is": func(w *world) {
			w.want(t, http.StatusOK, http.MethodPut, "/v1/destinations/archive?verify=false", archive("old"))
		},
	} {
		w := newWorld(t)
		before := directory.Workspace{ID: "old", Kind: directory.Standalone}
		if err := w.directory.PutWorkspace(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		saved := directory.Destination{ID: "archive", WorkspaceID: "old", Kind: directory.S3, State: directory.Connected, Version: 1,
			Settings: []byte(`{"bucket":"audit-logs","region":"us-east-1","role_arn":"arn:aws:iam::222222222222:role/auditrelay-writer"}`)}
		if _, err := w.directory.PutDestination(t.Context(), saved); err != nil {
			t.Fatal(err)
		}
		write(w)
		got, err := w.directory.CurrentWorkspace(t.Context(), "old")
		if err != nil || !randomID.MatchString(got.ExternalID) {
			t.Errorf("%s: the workspace has %q (%v)", name, got.ExternalID, err)
		}
		if lines := w.audit.lines(t); lines[0].Event != connection.WorkspaceUpdated || lines[0].Workspace != "old" {
			t.Errorf("%s: the audit says %v", name, lines)
		}
		w.want(t, http.StatusOK, http.MethodPut, "/v1/destinations/archive?verify=false", archive("old"))
		if d, _ := w.directory.CurrentDestination(t.Context(), "archive"); d.ExternalID != got.ExternalID {
			t.Errorf("%s: the destination has %q, its owner %q", name, d.ExternalID, got.ExternalID)
		}
	}
}

func TestExternalIDHasOneWinner(t *testing.T) {
	w := newWorld(t)
	if err := w.directory.PutWorkspace(t.Context(), directory.Workspace{ID: "old", Kind: directory.Standalone}); err != nil {
		t.Fatal(err)
	}
	ids := make([]string, 20)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			got := w.call(t, http.MethodPut, fmt.Sprintf("/v1/destinations/archive-%d?verify=false", i), archive("old"))
			if got.status != http.StatusCreated && got.status != http.StatusPreconditionFailed {
				t.Errorf("a put got %d %s", got.status, got.text)
			}
		})
	}
	wg.Wait()
	owner, err := w.directory.CurrentWorkspace(t.Context(), "old")
	if err != nil {
		t.Fatal(err)
	}
	for d, err := range w.directory.Destinations(t.Context()) {
		if err != nil || d.ExternalID != owner.ExternalID {
			t.Errorf("%s has %q, its owner %q (%v)", d.ID, d.ExternalID, owner.ExternalID, err)
		}
	}
}

// Where the catalogue has one code for all that a service may answer, a refusal tells the answer.
func TestVerificationTellsTheAnswer(t *testing.T) {
	w := newWorld(t)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/acme", `{"kind":"standalone"}`)
	for answer, want := range map[int]string{http.StatusBadGateway: "HTTP 502", http.StatusUnauthorized: "401 Unauthorized"} {
		w.answer = answer
		refused := w.want(t, http.StatusUnprocessableEntity, http.MethodPut, "/v1/destinations/siem", w.siem())
		if !strings.Contains(refused.json(t, "detail"), "does not take a test log ("+want+"): ") {
			t.Errorf("%d: %s", answer, refused.text)
		}
		w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/siem?verify=false", w.siem())
		if tested := w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/test", ""); tested.json(t, "status") != want {
			t.Errorf("%d: the test says %s", answer, tested.text)
		}
		w.want(t, http.StatusNoContent, http.MethodDelete, "/v1/destinations/siem", "")
	}
}

// services are STS, whose role demands an external id unless it is open, and S3.
type services struct {
	mu      sync.Mutex
	demands string
	open    bool
	asked   []string // the external id of each AssumeRole, "-" for none
	puts    int
}

func (s *services) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodPut {
		s.puts++
		return
	}
	_ = r.ParseForm()
	given := r.PostForm.Get("ExternalId")
	s.asked = append(s.asked, map[bool]string{true: given, false: "-"}[given != ""])
	if !s.open && given != s.demands {
		out.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(out, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>m</Message></Error></ErrorResponse>`)
		return
	}
	_, _ = fmt.Fprintf(out, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s</SecretAccessKey>`+
		`<SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

// TestVerificationOfRoles tries the role without the external id before anything else.
func TestVerificationOfRoles(t *testing.T) {
	w := newWorld(t)
	s := &services{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_STS": server.URL, "AWS_ENDPOINT_URL_S3": server.URL, "AWS_ACCESS_KEY_ID": "own", "AWS_SECRET_ACCESS_KEY": "own", "AWS_REGION": "us-east-1",
	} {
		t.Setenv(name, value)
	}
	w.Account = func(ctx context.Context) (aws.Config, error) { return config.LoadDefaultConfig(ctx) }
	w.handler = w.Handler()
	s.demands = w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/acme", `{"kind":"standalone"}`).json(t, "external_id")
	tries := []struct {
		name, method, path, body string
		status                   int // of a role that demands the external id
	}{
		{"put", http.MethodPut, "/v1/destinations/archive", archive("acme"), http.StatusCreated},
		{"patch", http.MethodPatch, "/v1/destinations/archive", `{"settings":{"prefix":"a"}}`, http.StatusOK},
		{"test", http.MethodPost, "/v1/destinations/archive/test", "", http.StatusOK},
		{"reconnect", http.MethodPost, "/v1/destinations/archive/reconnect", "", http.StatusOK},
	}
	for _, try := range tries {
		if try.name == "reconnect" {
			w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/archive/disconnect", "")
		}
		s.open, s.asked, s.puts = true, nil, 0
		refused := w.call(t, try.method, try.path, try.body)
		if try.name == "test" && refused.status == http.StatusOK {
			refused.status = http.StatusUnprocessableEntity // it tells in its body
		}
		if refused.status != http.StatusUnprocessableEntity || refused.json(t, "code") != "s3.role_open" || !strings.Contains(refused.text, "sts:ExternalId") {
			t.Errorf("%s with an open role: %d %s", try.name, refused.status, refused.text)
		}
		if diff := cmp.Diff([]string{"-"}, s.asked); diff != "" || s.puts != 0 {
			t.Errorf("%s with an open role: %d objects; external ids (-want +got):\n%s", try.name, s.puts, diff)
		}
		s.open, s.asked = false, nil
		taken := w.want(t, try.status, try.method, try.path, try.body)
		if try.name == "test" && taken.json(t, "ok") != "true" {
			t.Errorf("the test says %s", taken.text)
		}
		if diff := cmp.Diff([]string{"-", s.demands}, s.asked); diff != "" || s.puts != 1 {
			t.Errorf("%s: %d objects; external ids (-want +got):\n%s", try.name, s.puts, diff)
		}
	}
	s.open, s.asked = true, nil
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/archive?verify=false", `{"settings":{"prefix":"b"}}`)
	if len(s.asked) != 0 {
		t.Errorf("verify=false asked STS: %v", s.asked)
	}
	// Another workspace names the same role: what it sends is its own external id, which the role does not trust.
	s.open = false
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/mallory", `{"kind":"standalone"}`)
	stolen := w.want(t, http.StatusUnprocessableEntity, http.MethodPut, "/v1/destinations/mine", archive("mallory"))
	if stolen.json(t, "code") != "s3.role_invalid" {
		t.Errorf("another workspace with the same role: %s", stolen.text)
	}
}
