package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

const siemPath = "/v1/destinations/siem"

// later lets time pass.
func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// waits has a log of a workspace wait for a destination of that owner.
func (w *world) waits(t *testing.T, destination, owner string) {
	t.Helper()
	key := delivery.Key{DestinationID: destination, WorkspaceID: owner, LogID: "l", AcceptedAt: noon.Add(-time.Hour)}
	for _, err := range w.cache.Save(t.Context(), []delivery.Delivery{{Key: key, NextAt: key.ExpiresAt(), Parked: true}}) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestADeletedDestinationIsShown looks at one in its eight hours by every way there is.
func TestADeletedDestinationIsShown(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.want(t, http.StatusNoContent, http.MethodDelete, siemPath, "")
	got := w.want(t, http.StatusOK, http.MethodGet, siemPath, "")
	for path, want := range map[string]string{
		"state": "deleted", "state_since": "2026-11-02T12:00:00Z", "grace_ends_at": "2026-11-02T20:00:00Z", "generation": "2", "version": "1", "name": "SIEM",
	} {
		if v := got.json(t, path); v != want {
			t.Errorf("%s is %s, want %s", path, v, want)
		}
	}
	for _, list := range []string{"/v1/destinations", "/v1/destinations?workspace_id=acme"} {
		if v := w.want(t, http.StatusOK, http.MethodGet, list, "").json(t, "items.0.grace_ends_at"); v != "2026-11-02T20:00:00Z" {
			t.Errorf("%s says that its grace ends at %s", list, v)
		}
	}
	if w.credentials(t, "siem") != `{"bearer":"s3cr3t-one"}` {
		t.Error("its credentials are gone while it can be restored")
	}
}

// TestADeletedDestinationIsLeftAlone asks for everything else that can be done to a destination.
func TestADeletedDestinationIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.want(t, http.StatusNoContent, http.MethodDelete, siemPath, "")
	sent := len(w.bodies)
	for _, r := range []struct{ method, path, body string }{
		{http.MethodPatch, siemPath, `{"name":"New"}`},
		{http.MethodPost, siemPath + "/disconnect", ""},
		{http.MethodPost, siemPath + "/reconnect", ""},
		{http.MethodPost, siemPath + "/test", ""},
		{http.MethodPost, "/v1/redrive", `{"destination_id":"siem"}`},
	} {
		if got := w.want(t, http.StatusConflict, r.method, r.path, r.body); !strings.Contains(got.text, "restore") {
			t.Errorf("%s %s is refused with %s, which does not say how to go on", r.method, r.path, got.text)
		}
	}
	w.want(t, http.StatusNoContent, http.MethodDelete, siemPath, "") // once more
	if got := w.want(t, http.StatusOK, http.MethodGet, siemPath, "").json(t, "generation"); got != "2" || len(w.bodies) != sent {
		t.Errorf("it has generation %s, and was sent %d requests", got, len(w.bodies)-sent)
	}
}

// TestADeletionIsTold looks at what goes out: one entry, one event and one notice, which hold all that a mail says.
func TestADeletionIsTold(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.want(t, http.StatusNoContent, http.MethodDelete, siemPath, "")
	w.want(t, http.StatusNoContent, http.MethodDelete, siemPath, "")
	d, err := w.directory.CurrentDestination(t.Context(), "siem")
	if err != nil {
		t.Fatal(err)
	}
	want := []directory.Notice{{
		Kind: directory.Deletion, DestinationID: "siem", Incarnation: d.Incarnation, Generation: 2, At: noon,
		Subject: &directory.Subject{Name: "SIEM", WorkspaceID: "acme", Kind: directory.HTTP},
	}}
	if diff := cmp.Diff(want, w.notices.list); diff != "" {
		t.Errorf("the notices (-want +got):\n%s", diff)
	}
	last := w.audit.entries[len(w.audit.entries)-1]
	if d.Farewell != last.ID || w.entries(t, connection.DestinationDeleted) != 1 || !strings.Contains(string(last.Payload), `"state":"deleted"`) {
		t.Errorf("the farewell is %s, the last entry %s: %s", d.Farewell, last.ID, last.Payload)
	}
}

// TestARestoredDestinationIsTheSame deletes destinations in every state and takes that back.
func TestARestoredDestinationIsTheSame(t *testing.T) {
	for name, before := range map[string][]string{"connected": nil, "disconnected": {"/disconnect"}, "deleted and restored before": {"", "/restore"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.seed(t)
			for _, step := range before {
				if step == "" {
					w.want(t, http.StatusNoContent, http.MethodDelete, siemPath, "")
					continue
				}
				w.want(t, http.StatusOK, http.MethodPost, siemPath+step, "")
			}
			was := w.want(t, http.StatusOK, http.MethodGet, siemPath, "")
			w.want(t, http.StatusNoContent, http.MethodDelete, siemPath, "", "If-Match", was.header.Get("ETag"))
			w.later(8*time.Hour - time.Minute)
			got := w.want(t, http.StatusOK, http.MethodPost, siemPath+"/restore", "")
			for path, want := range map[string]string{
				"state": "connected", "incarnation": was.json(t, "incarnation"), "version": "1", "draining": "true", "grace_ends_at": "null",
			} {
				if v := got.json(t, path); v != want {
					t.Errorf("%s is %s, want %s", path, v, want)
				}
			}
			if w.credentials(t, "siem") != `{"bearer":"s3cr3t-one"}` || got.header.Get("ETag") == was.header.Get("ETag") {
				t.Errorf("credentials %s, ETag %s", w.credentials(t, "siem"), got.header.Get("ETag"))
			}
			w.want(t, http.StatusConflict, http.MethodPost, siemPath+"/restore", "")
		})
	}
}

// TestARestoreIsVerified has the receiver refuse the test log.
func TestARestoreIsVerified(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.want(t, http.StatusConflict, http.MethodPost, siemPath+"/restore", "")
	w.want(t, http.StatusNoContent, http.MethodDelete, siemPath, "")
	w.answer = http.StatusUnauthorized
	w.want(t, http.StatusUnprocessableEntity, http.MethodPost, siemPath+"/restore", "")
	if state := w.want(t, http.StatusOK, http.MethodGet, siemPath, "").json(t, "state"); state != "deleted" {
		t.Errorf("it is %s", state)
	}
	w.want(t, http.StatusOK, http.MethodPost, siemPath+"/restore", `{"verify":false}`)
	w.want(t, http.StatusNotFound, http.MethodPost, "/v1/destinations/nobody/restore", "")
}

// TestAPurgeNeedsADeletion has what is purged deleted first, so that its admins hear of it.
func TestAPurgeNeedsADeletion(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.want(t, http.StatusConflict, http.MethodDelete, siemPath+"?purge=true", "")
	tag := w.want(t, http.StatusOK, http.MethodGet, siemPath, "").header.Get("ETag")
	w.want(t, http.StatusNoContent, http.MethodDelete, siemPath, "")
	w.want(t, http.StatusPreconditionFailed, http.MethodDelete, siemPath+"?purge=true", "", "If-Match", tag)
	w.want(t, http.StatusNoContent, http.MethodDelete, siemPath+"?purge=true", "")
	w.want(t, http.StatusNotFound, http.MethodDelete, siemPath+"?purge=true", "")
	w.want(t, http.StatusNotFound, http.MethodPost, siemPath+"/restore", "")
	if len(w.notices.list) != 1 {
		t.Errorf("%d notices", len(w.notices.list))
	}
}

// TestAnIDIsTakenFromADeletedDestination makes another one under its id, in its eight hours.
func TestAnIDIsTakenFromADeletedDestination(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/rival", `{"kind":"standalone"}`)
	rivals := strings.Replace(w.siem(), "acme", "rival", 1)
	was := w.want(t, http.StatusOK, http.MethodGet, siemPath, "")
	w.waits(t, "siem", "acme")
	w.want(t, http.StatusNoContent, http.MethodDelete, siemPath, "")
	w.want(t, http.StatusConflict, http.MethodPut, siemPath, rivals)                                                 // a log waits
	w.want(t, http.StatusPreconditionFailed, http.MethodPut, siemPath, w.siem(), "If-Match", was.header.Get("ETag")) // it is not there to be replaced
	w.answer = http.StatusUnauthorized
	w.want(t, http.StatusUnprocessableEntity, http.MethodPut, siemPath, w.siem())
	w.answer = http.StatusOK
	if state := w.want(t, http.StatusOK, http.MethodGet, siemPath, "").json(t, "state"); state != "deleted" {
		t.Errorf("after refusals it is %s, and can no longer be restored", state)
	}
	got := w.want(t, http.StatusCreated, http.MethodPut, siemPath, w.siem(), "If-None-Match", "*")
	if got.json(t, "incarnation") == was.json(t, "incarnation") || got.json(t, "draining") != "true" || w.credentials(t, "siem") != "" {
		t.Errorf("the new one is %s with credentials %s", got.text, w.credentials(t, "siem"))
	}
	w.want(t, http.StatusNoContent, http.MethodDelete, siemPath, "")
	w.cache.Remove(t.Context(), []delivery.Key{{DestinationID: "siem", WorkspaceID: "acme", LogID: "l", AcceptedAt: noon.Add(-time.Hour)}})
	if v := w.want(t, http.StatusCreated, http.MethodPut, siemPath, rivals).json(t, "workspace_id"); v != "rival" {
		t.Errorf("it belongs to %s", v)
	}
}

// TestAWorkspaceOutlivesItsDeletedDestinations deletes a workspace whose destinations can still be restored.
func TestAWorkspaceOutlivesItsDeletedDestinations(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.want(t, http.StatusNoContent, http.MethodDelete, siemPath, "")
	got := w.want(t, http.StatusConflict, http.MethodDelete, "/v1/workspaces/acme", "")
	for _, says := range []string{"siem until 2026-11-02T20:00:00Z", "purge=true"} {
		if !strings.Contains(got.text, says) {
			t.Errorf("it is refused with %s, without %q", got.text, says)
		}
	}
	w.want(t, http.StatusNoContent, http.MethodDelete, siemPath+"?purge=true", "")
	w.want(t, http.StatusNoContent, http.MethodDelete, "/v1/workspaces/acme", "")
	if !slices.ContainsFunc(w.audit.lines(t), func(l line) bool { return l.Event == connection.DestinationRemoved }) {
		t.Error("the audit has no entry of the end")
	}
}
