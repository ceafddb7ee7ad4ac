package admin_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// wait puts n logs into the cache of a destination, a second apart.
func (w *world) wait(t testing.TB, destination string, n int, code failure.Code, logType string) {
	t.Helper()
	var ds []delivery.Delivery
	for i := range n {
		k := delivery.Key{DestinationID: destination, WorkspaceID: "acme", LogID: fmt.Sprintf("log-%05d", i), AcceptedAt: noon.Add(time.Duration(i-n) * time.Second)}
		ds = append(ds, delivery.Delivery{Key: k, Attempts: 1, NextAt: noon.Add(time.Hour), Code: code, Document: auditlog.Document{Type: logType}})
	}
	for _, err := range w.cache.Save(t.Context(), ds) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeliveriesArePaged(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.wait(t, "siem", 25, failure.NetTimeout, "user_activity")
	var got []string
	next := ""
	for range 4 {
		page := w.want(t, http.StatusOK, http.MethodGet, "/v1/deliveries?destination_id=siem&limit=10"+next, "")
		for i := 0; page.json(t, "items."+strconv.Itoa(i)+".log_id") != ""; i++ {
			got = append(got, page.json(t, "items."+strconv.Itoa(i)+".log_id"))
		}
		if page.json(t, "next") == "null" {
			break
		}
		next = "&next=" + page.json(t, "next")
	}
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprintf("log-%05d", i))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the pages differ (-want +got):\n%s", diff)
	}
	one := w.want(t, http.StatusOK, http.MethodGet, "/v1/deliveries?destination_id=siem&limit=1", "")
	const item = `{"accepted_at":"2026-11-02T11:59:35Z","attempts":1,"code":"net.timeout","destination_id":"siem","expires_at":"2026-11-09T11:59:35Z",` +
		`"log_id":"log-00000","next_attempt_at":"2026-11-02T13:00:00Z","workspace_id":"acme"}`
	if got := one.json(t, "items.0"); got != item {
		t.Errorf("an item is %s, want %s", got, item)
	}
	b := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem/backlog", "")
	if b.json(t, "count") != "25" || b.json(t, "more") != "false" || b.json(t, "first_expires_at") != "2026-11-09T11:59:35Z" {
		t.Errorf("the backlog is %s", b.text)
	}
}

// TestWhyLogsWait asks for the backlog of a destination that refuses some logs and takes others, some days later: how many were refused and why, and how
// many are lost within a day.
func TestWhyLogsWait(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	empty := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem/backlog", "")
	if empty.json(t, "codes") != "[]" || empty.json(t, "expire_in_a_day") != "0" {
		t.Errorf("the backlog is %s", empty.text)
	}
	if d := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", ""); d.json(t, "health.refused") != "null" || d.json(t, "health.taken_at") != "null" {
		t.Errorf("the destination is %s", d.text)
	}
	w.wait(t, "siem", 3, failure.HTTPLogTooLarge, "user_activity")
	w.wait(t, "siem", 70, failure.HTTPLogRefused, "user_activity")
	w.wait(t, "siem", 60, "", "user_activity")
	d, err := w.directory.CurrentDestination(t.Context(), "siem")
	if err != nil {
		t.Fatal(err)
	}
	at := noon.Add(-time.Hour)
	d.Health.TakenAt, d.Health.Refused = at, directory.Refusals{Since: at, Code: failure.HTTPLogRefused, Logs: 3}
	if _, err := w.directory.PutDestination(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	w.now = noon.Add(6*24*time.Hour - 30*time.Second) // of each two kinds, those that are 30 s older than noon or more are lost in a day
	b := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem/backlog", "")
	const codes = `[{"code":"http.log_refused","count":70},{"code":"","count":60},{"code":"http.log_too_large","count":3}]`
	if b.json(t, "count") != "133" || b.json(t, "codes") != codes || b.json(t, "expire_in_a_day") != "72" {
		t.Errorf("the backlog is %s", b.text)
	}
	got := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", "")
	now := at.Format(time.RFC3339Nano)
	if got.json(t, "health.taken_at") != now || got.json(t, "health.refused") != `{"code":"http.log_refused","since":"`+now+`"}` {
		t.Errorf("its health is %s", got.json(t, "health"))
	}
}

func TestFailedEventsOfAllDestinations(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/archive", w.siem())
	for i := range 8 {
		e := delivery.FailedEvent{Type: "user_activity", FailedAt: noon, Attempts: 8, Code: failure.NetTimeout}
		e.Key = delivery.Key{DestinationID: []string{"siem", "archive", "siem", "archive", "siem", "archive", "deleted", "deleted"}[i], WorkspaceID: "acme", LogID: fmt.Sprint("log-", i), AcceptedAt: noon.Add(time.Duration(i) * time.Second)}
		if err := errors.Join(w.cache.Record(t.Context(), []delivery.FailedEvent{e})...); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string][]string{
		"limit=2":                          {"log-1", "log-3", "log-5", "log-6", "log-7", "log-0", "log-2", "log-4"},
		"limit=3":                          {"log-1", "log-3", "log-5", "log-6", "log-7", "log-0", "log-2", "log-4"},
		"limit=4&order=newest":             {"log-5", "log-3", "log-1", "log-7", "log-6", "log-4", "log-2", "log-0"},
		"limit=1&destination_id=deleted":   {"log-6", "log-7"},
		"limit=1&destination_id=siem":      {"log-0", "log-2", "log-4"},
		"limit=100&destination_id=nowhere": nil,
	} {
		var got []string
		next := ""
		for range 10 {
			page := w.want(t, http.StatusOK, http.MethodGet, "/v1/failed?"+query+next, "")
			for i := 0; page.json(t, "items."+strconv.Itoa(i)+".log_id") != ""; i++ {
				got = append(got, page.json(t, "items."+strconv.Itoa(i)+".log_id"))
			}
			if page.json(t, "next") == "null" {
				break
			}
			next = "&next=" + page.json(t, "next")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the pages differ (-want +got):\n%s", query, diff)
		}
	}
}

func TestRedriveSendsHintsOfWhatIsMeant(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/archive", w.siem())
	w.wait(t, "siem", 4, failure.NetTimeout, "user_activity")
	w.wait(t, "archive", 3, failure.HTTPServerError, "job_details")
	for _, c := range []struct{ body, queued string }{
		{`{"destination_id":"siem"}`, "4"},
		{`{"code":"http.server_error"}`, "3"},
		{`{"log_type":"user_activity"}`, "4"},
		{`{"code":"net.timeout","log_type":"job_details"}`, "0"},
		{`{"accepted_from":"2026-11-02T11:59:57Z","accepted_to":"2026-11-02T11:59:59Z"}`, "4"},
	} {
		if got := w.want(t, http.StatusOK, http.MethodPost, "/v1/redrive", c.body); got.json(t, "queued") != c.queued || got.json(t, "next") != "null" {
			t.Errorf("%s: %s, want %s queued", c.body, got.text, c.queued)
		}
	}
	for _, m := range w.retries.Queue.Receive(1) {
		want := delivery.Hint{Key: delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: "log-00000", AcceptedAt: noon.Add(-4 * time.Second)},
			At: noon.Add(time.Hour), Drain: true, Why: delivery.WhyRedrive}
		if diff := cmp.Diff(want, m.Body); diff != "" {
			t.Errorf("the hint differs (-want +got):\n%s", diff)
		}
	}
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/disconnect", "")
	w.want(t, http.StatusConflict, http.MethodPost, "/v1/redrive", `{"destination_id":"siem"}`)
	if got := w.want(t, http.StatusOK, http.MethodPost, "/v1/redrive", `{"log_type":"user_activity"}`); got.json(t, "skipped") != `["siem"]` {
		t.Errorf("a disconnected destination: %s", got.text)
	}
}

// TestRedriveLooksAtAFewDestinationsARequest has more destinations than one request looks at, and logs that wait for the first, the last and one in between.
func TestRedriveLooksAtAFewDestinationsARequest(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	const destinations = 450
	for i := range destinations {
		d := directory.Destination{ID: fmt.Sprintf("many-%03d", i), WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Connected, Incarnation: fmt.Sprint(i)}
		if _, err := w.directory.PutDestination(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"many-000", "many-200", "many-449"} {
		w.wait(t, id, 1, failure.NetTimeout, "user_activity")
	}
	var queued []string
	next := ""
	for requests := 1; ; requests++ {
		got := w.want(t, http.StatusOK, http.MethodPost, "/v1/redrive", `{"code":"net.timeout"`+next+`}`)
		queued = append(queued, got.json(t, "queued"))
		if got.json(t, "next") == "null" || requests == 10 {
			break
		}
		next = `,"next":"` + got.json(t, "next") + `"`
	}
	if diff := cmp.Diff([]string{"1", "1", "1"}, queued); diff != "" {
		t.Errorf("queued by each request (-want +got):\n%s", diff)
	}
}

func TestRedriveGoesOnWhereItStopped(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.wait(t, "siem", 12_500, failure.NetTimeout, "user_activity")
	first := w.want(t, http.StatusOK, http.MethodPost, "/v1/redrive", `{"code":"net.timeout"}`)
	second := w.want(t, http.StatusOK, http.MethodPost, "/v1/redrive", `{"code":"net.timeout","next":"`+first.json(t, "next")+`"}`)
	if first.json(t, "queued") != "10000" || second.json(t, "queued") != "2500" || second.json(t, "next") != "null" {
		t.Errorf("first %s, second %s", first.text, second.text)
	}
	b := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem/backlog", "")
	if b.json(t, "count") != "10000" || b.json(t, "more") != "true" {
		t.Errorf("the backlog is %s", b.text)
	}
}

// TestALogThatWaitsUnderTheIDOfANewDestination is delivered to it only if the same workspace owned the one before.
func TestALogThatWaitsUnderTheIDOfANewDestination(t *testing.T) {
	for name, c := range map[string]struct {
		workspace, owner string // of the log, and of the destination that it was routed to
		among            int    // logs of the new owner that are older
		status           int
		draining         string
	}{
		"none waits":                                {"", "", 0, http.StatusCreated, "false"},
		"the owner's":                               {"acme", "", 0, http.StatusCreated, "true"},
		"a child's, routed to the owner's":          {"child", "acme", 0, http.StatusCreated, "true"},
		"a child's, routed to its own":              {"child", "", 0, http.StatusConflict, ""},
		"another's":                                 {"rival", "", 0, http.StatusConflict, ""},
		"the owner's, routed to its parent's":       {"acme", "top", 0, http.StatusConflict, ""},
		"of a workspace that is gone":               {"gone", "", 0, http.StatusConflict, ""},
		"its parent's":                              {"top", "", 0, http.StatusConflict, ""},
		"another's child's, routed to the other's":  {"child", "rival", 0, http.StatusConflict, ""},
		"the owner's, and thousands more of it":     {"acme", "", 12_000, http.StatusCreated, "true"},
		"a rival's with nothing of the owner's own": {"rival", "rival", 0, http.StatusConflict, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/top", `{"kind":"ahq_admin"}`)
			w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/acme", `{"kind":"ahq_managed","parent_id":"top"}`)
			w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/rival", `{"kind":"standalone"}`)
			w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/child", `{"kind":"embedded_customer","parent_id":"acme"}`)
			if c.among > 0 {
				w.wait(t, "siem", c.among, failure.NetTimeout, "user_activity")
			}
			if c.workspace != "" {
				key := delivery.Key{DestinationID: "siem", WorkspaceID: c.workspace, LogID: "l", AcceptedAt: noon.Add(-time.Hour)}
				if err := errors.Join(w.cache.Save(t.Context(), []delivery.Delivery{{Key: key, Owner: c.owner, NextAt: key.ExpiresAt()}})...); err != nil {
					t.Fatal(err)
				}
			}
			got := w.want(t, c.status, http.MethodPut, "/v1/destinations/siem", w.siem())
			if c.status == http.StatusCreated && got.json(t, "draining") != c.draining {
				t.Errorf("draining is %s, want %s", got.json(t, "draining"), c.draining)
			}
			if c.status == http.StatusConflict && (strings.Contains(got.text, c.workspace) || len(w.bodies) > 0) {
				t.Errorf("the answer names another's workspace, or a test was sent first (%d): %s", len(w.bodies), got.text)
			}
		})
	}
}

// Logs under one id are told apart, from page to page too.
func TestLogsUnderOneIDAreListedApart(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	want := []string{"null", "0123456789abcdef", "fedcba9876543210"}
	var ds []delivery.Delivery
	for _, hash := range []string{"", want[1], want[2]} { // the first was stored when keys had no hash
		k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: "a", AcceptedAt: noon.Add(-time.Hour), Hash: hash}
		ds = append(ds, delivery.Delivery{Key: k, NextAt: noon.Add(time.Hour), Document: auditlog.Document{Type: "user_activity"}})
	}
	for _, err := range w.cache.Save(t.Context(), ds) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	next := ""
	for range want {
		page := w.want(t, http.StatusOK, http.MethodGet, "/v1/deliveries?destination_id=siem&limit=1"+next, "")
		got = append(got, page.json(t, "items.0.hash"))
		next = "&next=" + page.json(t, "next")
	}
	if diff := cmp.Diff(want, got); diff != "" || next != "&next=null" {
		t.Errorf("next %s; hashes (-want +got):\n%s", next, diff)
	}
	for _, hash := range []string{"0123", "0123456789ABCDEF", "0123456789abcdeg", "0123456789abcdef0", "#"} {
		cursor := base64.RawURLEncoding.EncodeToString([]byte(strings.Join([]string{"siem", "1793611800123", "acme", "a", hash}, "\n")))
		w.want(t, http.StatusUnprocessableEntity, http.MethodGet, "/v1/deliveries?destination_id=siem&next="+cursor, "")
	}
}
