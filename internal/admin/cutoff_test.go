package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// TestThePartnerHearsOfACutOff has a customer make a destination of its own, and change what it takes: the partner, whose shared destination served it, is told each
// time that it loses logs, and of nothing else.
func TestThePartnerHearsOfACutOff(t *testing.T) {
	w := newWorld(t)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/partner", `{"name":"Partner","kind":"embedded_partner","admins":["pia@partner.example"]}`)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/orbit", `{"name":"Orbit","kind":"embedded_customer","parent_id":"partner"}`)
	put := func(id, workspace, more string) {
		t.Helper()
		w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/"+id+"?verify=false", `{"workspace_id":"`+workspace+`","kind":"http","settings":{"url":"https://siem.example/"}`+more+`}`)
	}
	put("private", "partner", "")
	put("shared", "partner", `,"shared":true`)
	put("jobs", "partner", `,"shared":true,"log_types":["job_details"]`)
	told := func() (list []string) {
		for _, n := range w.notices.list {
			if n.Kind == directory.CutOffNotice {
				list = append(list, n.DestinationID+": "+n.Child.ID+" "+n.Child.Name+" "+strings.Join(n.Child.LogTypes, " "))
			}
		}
		return list
	}
	put("own", "orbit", `,"log_types":["job_summary"]`)
	want := []string{"shared: orbit Orbit job_summary"}
	if diff := cmp.Diff(want, told()); diff != "" {
		t.Errorf("when it was made (-want +got):\n%s", diff)
	}
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/own?verify=false", `{"name":"New"}`)
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/own?verify=false", `{"log_types":["job_summary","job_details"]}`)
	want = append(want, "jobs: orbit Orbit job_details", "shared: orbit Orbit job_details")
	w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/own?verify=false", `{"log_types":["job_summary"]}`)
	put("two", "orbit", `,"log_types":["job_summary"]`)
	w.want(t, http.StatusNoContent, http.MethodDelete, "/v1/destinations/own", "")
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/own/restore?verify=false", "")
	if diff := cmp.Diff(want, told()); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
	entries := 0
	for _, l := range w.audit.lines(t) {
		if l.Event == connection.DestinationCutOff {
			entries++
			if l.Workspace != "partner" || l.By != "auditrelay" {
				t.Errorf("the entry is %+v", l)
			}
		}
	}
	if entries != len(want) || len(w.directory.Untold()) > 0 {
		t.Errorf("%d entries, want %d; %d left to tell", entries, len(want), len(w.directory.Untold()))
	}
}
