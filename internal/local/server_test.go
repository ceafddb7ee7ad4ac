package local_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/legible"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// call makes one request of a new world's interface and gives the answer's status and body.
func call(t *testing.T, w *local.World, method, path, body string) (status int, answer string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Host = "localhost"
	rec := httptest.NewRecorder()
	(&local.Server{World: w}).Handler().ServeHTTP(rec, r)
	text, err := io.ReadAll(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Code, string(text)
}

func sampleWorld(t *testing.T) *local.World {
	t.Helper()
	w := local.NewWorld(monday, nil)
	w.SetSinks(&sink.Factory{Vault: w.Vault, Records: w.Directory, Network: local.Network(), Now: time.Now})
	if err := w.Apply(t.Context(), local.Sample("http://127.0.0.1:1/")); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAdvanceTakesDaysAndDurations(t *testing.T) {
	for by, want := range map[string]time.Duration{
		"0s": 0, "90s": 90 * time.Second, "7d": 168 * time.Hour, "2d14h": 62 * time.Hour, "1d0h30m": 24*time.Hour + 30*time.Minute,
		"366d": 366 * 24 * time.Hour, "": -1, "1y": -1, "d": -1, "-1d": -1, "-1h": -1, "1d-1h": -1, "367d": -1, "366d1s": -1, "1.5d": -1, "1d2d": -1,
	} {
		t.Run(by, func(t *testing.T) {
			w := sampleWorld(t)
			ask, err := json.Marshal(map[string]string{"by": by})
			if err != nil {
				t.Fatal(err)
			}
			status, answer := call(t, w, http.MethodPost, "/clock/advance", string(ask))
			if want < 0 {
				if status != http.StatusBadRequest || !strings.Contains(answer, "by must be a duration") {
					t.Errorf("status %d, %s", status, answer)
				}
				want = 0
			}
			if diff := cmp.Diff(monday.Add(want), w.Clock.Now()); diff != "" {
				t.Errorf("the clock (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnotherMethodIsNamed(t *testing.T) {
	w := sampleWorld(t)
	for path, allowed := range map[string]string{
		"/ingest": http.MethodPost, "/clock/advance": http.MethodPost, "/payloads/a": http.MethodPut, "/clock": http.MethodGet, "/attempts": http.MethodGet,
		"/failed": http.MethodGet, "/rejected": http.MethodGet, "/mail": http.MethodGet, "/ledger": http.MethodGet,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			status, answer := call(t, w, method, path, `{"by":"1s"}`)
			if wrong := status == http.StatusMethodNotAllowed && strings.Contains(answer, "takes "+allowed); wrong == (method == allowed) {
				t.Errorf("%s %s: %d %s", method, path, status, answer)
			}
		}
	}
}

func TestIngestTakesWholeLinesOnly(t *testing.T) {
	const line = `{"id":"a","workspace_id":"acme","type":"user_activity","occurred_at":"2026-11-02T08:59:58Z","payload":{}}` + "\n"
	for name, c := range map[string]struct {
		body     io.Reader
		encoding string
		status   int
		answer   string
		queued   int
	}{
		"whole":          {strings.NewReader(line + "\r\n" + strings.TrimSpace(line)), "", 200, `{"queued":2}`, 2},
		"broken off":     {io.MultiReader(strings.NewReader(line+line[:20]), iotest.ErrReader(io.ErrUnexpectedEOF)), "", 400, "broke off after 1 whole lines", 1},
		"compressed":     {strings.NewReader("\x1f\x8b"), "gzip", 415, "without Content-Encoding", 0},
		"one too large":  {strings.NewReader(line + strings.Repeat("x", 1<<20+1) + "\n\n" + line), "", 200, `{"queued":2,"refused":1,"refused_lines":[2]}`, 2},
		"as they are":    {strings.NewReader(line), "identity", 200, `{"queued":1}`, 1},
		"nothing at all": {strings.NewReader(""), "", 200, `{"queued":0}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := sampleWorld(t)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/ingest", c.body)
			r.Host = "localhost"
			r.Header.Set("Content-Encoding", c.encoding)
			rec := httptest.NewRecorder()
			(&local.Server{World: w}).Handler().ServeHTTP(rec, r)
			if got := rec.Body.String(); rec.Code != c.status || !strings.Contains(got, c.answer) {
				t.Errorf("%d %s, want %d %s", rec.Code, got, c.status, c.answer)
			}
			if n := w.Ingest.Queue.Len(); n != c.queued {
				t.Errorf("%d messages on the queue, want %d", n, c.queued)
			}
		})
	}
}

// TestIngestHoldsNoLongLine sends a line that never ends, as far as its sender is concerned, between two logs.
func TestIngestHoldsNoLongLine(t *testing.T) {
	const line = `{"id":"a","workspace_id":"acme","type":"user_activity","occurred_at":"2026-11-02T08:59:58Z","payload":{}}` + "\n"
	const long = 64 << 20
	body := io.MultiReader(strings.NewReader(line), io.LimitReader(endless{}, long), strings.NewReader("\n"+line))
	w := sampleWorld(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/ingest", body)
	r.Host = "localhost"
	rec := httptest.NewRecorder()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	(&local.Server{World: w}).Handler().ServeHTTP(rec, r)
	runtime.ReadMemStats(&after)
	if got, want := strings.TrimSpace(rec.Body.String()), `{"queued":2,"refused":1,"refused_lines":[2]}`; rec.Code != http.StatusOK || got != want {
		t.Errorf("%d %s, want 200 %s", rec.Code, got, want)
	}
	if held := after.TotalAlloc - before.TotalAlloc; held > 32<<20 {
		t.Errorf("a line of %d bytes took %d", long, held)
	}
	type kept struct {
		Reason string
		Body   int
	}
	var got []kept
	for _, r := range w.Rejected.All() {
		got = append(got, kept{r.Reason, len(r.Body)})
	}
	want := []kept{{fmt.Sprintf("the message has %d bytes; the queue takes at most %d: put larger logs into the payload bucket and send their pointer", long, 1<<20), 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the rejected messages (-want +got):\n%s", diff)
	}
}

// TestAnswersHideNothing asks for a message that would write on a terminal.
func TestAnswersHideNothing(t *testing.T) {
	const hostile = "\u009b2J\u202e\u200b"
	w := sampleWorld(t)
	w.Send([]byte(`{"id":"` + hostile + `"}`))
	if err := w.Advance(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	_, answer := call(t, w, http.MethodGet, "/rejected", "")
	if strings.ContainsFunc(strings.TrimSpace(answer), legible.Hidden) {
		t.Errorf("hidden characters in %q", answer)
	}
	if kept := w.Rejected.All(); len(kept) != 1 || !strings.Contains(string(kept[0].Body), hostile) {
		t.Errorf("nothing hostile was kept: %s", answer)
	}
}

// TestAttemptsAreTheNewestFirst asks the API of the runner for parts of what was tried, each from where the one before says it ends.
func TestAttemptsAreTheNewestFirst(t *testing.T) {
	w := sampleWorld(t)
	at := func(minute int) time.Time { return monday.Add(time.Duration(minute) * time.Minute) }
	for minute := range 5 {
		k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: fmt.Sprintf("log-%d", minute), AcceptedAt: monday}
		w.Journal.Record(delivery.Entry{Event: delivery.EventAttempted, Key: k, At: at(minute), Attempt: 1, Outcome: delivery.Failed})
	}
	if err := w.Advance(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		Logs          []string
		Complete      bool
		SearchedUntil time.Time
	}
	for query, want := range map[string]answer{
		"":                              {[]string{"log-4", "log-3", "log-2", "log-1", "log-0"}, true, at(60).Add(-delivery.Lifetime)},
		"&limit=5":                      {[]string{"log-4", "log-3", "log-2", "log-1", "log-0"}, true, at(60).Add(-delivery.Lifetime)},
		"&limit=2":                      {[]string{"log-4", "log-3"}, false, at(3)},
		"&limit=2&until=" + text(at(3)): {[]string{"log-3", "log-2"}, false, at(2)},
		"&since=" + text(at(1)) + "&until=" + text(at(2)): {[]string{"log-2", "log-1"}, true, at(1)},
		"&log_id=log-9": {nil, true, at(60).Add(-delivery.Lifetime)},
		"&until=2030-01-01T00:00:00Z&since=2029-01-01T00:00:00Z": {nil, true, time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		_, body := call(t, w, http.MethodGet, "/v1/attempts?destination_id=siem"+query, "")
		var page admin.AttemptPage
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		got := answer{Complete: page.Complete, SearchedUntil: page.SearchedUntil}
		for _, a := range page.Items {
			got.Logs = append(got.Logs, a.LogID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

func text(t time.Time) string { return t.Format(time.RFC3339) }

// TestTooLargeBodiesAreAnswered sends more than the API takes, by a client that sends all of it before it listens.
func TestTooLargeBodiesAreAnswered(t *testing.T) {
	server := httptest.NewServer((&local.Server{World: sampleWorld(t)}).Handler())
	defer server.Close()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	body := strings.Repeat("x", 8<<20)
	if _, err := fmt.Fprintf(c, "PUT /v1/workspaces/big HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatalf("send: %v", err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want %d", answer.StatusCode, http.StatusRequestEntityTooLarge)
	}
}
