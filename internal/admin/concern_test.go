package admin_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// TestFaultsNameWhatWasAskedFor has our own part of requests fail, and wants the fault to be found by what the request was about.
func TestFaultsNameWhatWasAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		failing            string
		method, path, body string
		want               failure.Concern
	}{
		"a destination": {memory.CallDestination, http.MethodGet, "/v1/destinations/siem", "",
			failure.Concern{DestinationID: "siem"}},
		"its state": {memory.CallPutDestination, http.MethodPost, "/v1/destinations/siem/disconnect", "",
			failure.Concern{DestinationID: "siem"}},
		"a new one": {memory.CallPutDestination, http.MethodPut, "/v1/destinations/other?verify=false",
			`{"workspace_id":"acme","kind":"http","settings":{"url":"https://x.example/"}}`,
			failure.Concern{DestinationID: "other"}},
		"a workspace": {memory.CallPutWorkspace, http.MethodPut, "/v1/workspaces/shop",
			`{"kind":"standalone"}`, failure.Concern{WorkspaceID: "shop"}},
	} {
		t.Run(name, func(t *testing.T) {
			var failing string
			w := newWorldWith(t, func(call string) memory.Fault {
				if call == failing {
					return memory.FailBefore
				}
				return memory.OK
			})
			w.seed(t)
			failing = c.failing
			if diff := cmp.Diff([]failure.Concern{c.want},
				concerns(t, w, c.method, c.path, c.body)); diff != "" {
				t.Errorf("what the faults concern (-want +got):\n%s", diff)
			}
		})
	}
	for name, c := range map[string]struct {
		method, path, body string
		want               failure.Concern
	}{
		"a list": {http.MethodGet, "/v1/deliveries?destination_id=siem", "",
			failure.Concern{DestinationID: "siem"}},
		"a backlog": {http.MethodGet, "/v1/destinations/siem/backlog", "",
			failure.Concern{DestinationID: "siem"}},
		"a redrive": {http.MethodPost, "/v1/redrive", `{"destination_id":"siem"}`,
			failure.Concern{DestinationID: "siem", WorkspaceID: "acme"}},
		"a redrive of all": {http.MethodPost, "/v1/redrive", `{"log_type":"user_activity"}`,
			failure.Concern{DestinationID: "siem", WorkspaceID: "acme"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.seed(t)
			w.Pending = bug{errors.New("no")}
			w.handler = w.Handler()
			got := concerns(t, w, c.method, c.path, c.body)
			if diff := cmp.Diff([]failure.Concern{c.want}, got); diff != "" {
				t.Errorf("what the faults concern (-want +got):\n%s", diff)
			}
		})
	}
}

// concerns makes a request and gives what each of its faults concerns.
func concerns(t *testing.T, w *world, method, path, body string) (all []failure.Concern) {
	t.Helper()
	w.Fault = func(err error) { all = append(all, failure.ConcernOf(err)) }
	w.handler = w.Handler()
	w.call(t, method, path, body)
	return all
}
