package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// fail makes a destination failing.
func (w *world) fail(t testing.TB, id string) {
	t.Helper()
	d, err := w.directory.CurrentDestination(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	d.Health = directory.Health{State: directory.Failing, Since: noon, Code: failure.HTTPUnauthorized}
	if _, err := w.directory.PutDestination(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// Whoever mends a failing destination, or sees that it takes a test log, need not wait for the retry table: its oldest logs are tried at once.
func TestMendedDestinationIsTriedAtOnce(t *testing.T) {
	var oldest []string
	for i := range 10 {
		oldest = append(oldest, fmt.Sprintf("log-%05d", i))
	}
	for name, c := range map[string]struct {
		healthy            bool
		answer             int
		method, path, body string
		status             int
		want               []string
	}{
		"test":                {false, 200, http.MethodPost, "/test", "", 200, oldest},
		"test that fails":     {false, 401, http.MethodPost, "/test", "", 200, nil},
		"test of a healthy":   {true, 200, http.MethodPost, "/test", "", 200, nil},
		"credentials":         {false, 200, http.MethodPatch, "", `{"credentials":{"bearer":"new"}}`, 200, oldest},
		"credentials refused": {false, 401, http.MethodPatch, "", `{"credentials":{"bearer":"new"}}`, 422, nil},
		"unverified":          {false, 401, http.MethodPatch, "?verify=false", `{"credentials":{"bearer":"new"}}`, 200, oldest},
		"settings":            {false, 200, http.MethodPatch, "", `{"settings":{"format":"ndjson"}}`, 200, oldest},
		"name":                {false, 200, http.MethodPatch, "", `{"name":"other"}`, 200, nil},
		"disconnected":        {false, 200, http.MethodPost, "/disconnect", "", 200, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.seed(t)
			w.wait(t, "siem", 12, failure.HTTPUnauthorized, "job_summary")
			if !c.healthy {
				w.fail(t, "siem")
			}
			w.answer = c.answer
			w.want(t, c.status, c.method, "/v1/destinations/siem"+c.path, c.body)
			var got []string
			for _, m := range w.retries.Queue.Receive(100) {
				if !m.Body.Drain {
					t.Errorf("the hint of %s waits for the log's own time", m.Body.LogID)
				}
				got = append(got, m.Body.LogID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("tried at once (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNudgeThatFailsIsOurOwnAffair(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.wait(t, "siem", 1, failure.HTTPUnauthorized, "job_summary")
	w.fail(t, "siem")
	w.retries.Hook = func(string) memory.Fault { return memory.FailAfter }
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/test", "")
	if len(w.faults) != 1 || !strings.Contains(w.faults[0], "have the oldest logs for destination siem tried") {
		t.Errorf("faults %v", w.faults)
	}
}

// A receiver that has asked for days of rest holds back its destination no longer once that is connected in another way.
func TestMendedDestinationNeedNotRest(t *testing.T) {
	until := noon.Add(6 * 24 * time.Hour)
	for body, want := range map[string]time.Time{
		`{"settings":{"format":"ndjson"}}`:        {},
		`{"credentials":{"bearer":"s3cr3t-two"}}`: {},
		`{"name":"other"}`:                        until,
	} {
		w := newWorld(t)
		w.seed(t)
		w.fail(t, "siem")
		d, err := w.directory.CurrentDestination(t.Context(), "siem")
		if err != nil {
			t.Fatal(err)
		}
		d.Health.Until = until
		if _, err := w.directory.PutDestination(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		w.want(t, http.StatusOK, http.MethodPatch, "/v1/destinations/siem", body)
		if d, err = w.directory.CurrentDestination(t.Context(), "siem"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(directory.Health{State: directory.Failing, Since: noon, Code: failure.HTTPUnauthorized, Until: want}, d.Health); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}
