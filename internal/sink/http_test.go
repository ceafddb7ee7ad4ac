package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/gzip"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// httpTarget runs the conformance suite over one form of the HTTP kind.
type httpTarget struct {
	settings map[string]any
}

func (httpTarget) Codes() map[sinktest.Scenario]failure.Code {
	return map[sinktest.Scenario]failure.Code{
		sinktest.BadCredentials: failure.HTTPUnauthorized,
		sinktest.NoPermission:   failure.HTTPForbidden,
		sinktest.Missing:        failure.HTTPNotFound,
		sinktest.Throttled:      failure.HTTPThrottled,
		sinktest.Broken:         failure.HTTPServerError,
	}
}

func (httpTarget) Deviations() []sinktest.Deviation { return nil }

func (target httpTarget) Open(t *testing.T, s sinktest.Scenario) sinktest.Receiver {
	var held deduplicating
	url := scripted(t, s, map[sinktest.Scenario]answer{
		sinktest.BadCredentials: {status: 401, body: "token tok-1234567890 is unknown"},
		sinktest.NoPermission:   {status: 403},
		sinktest.Missing:        {status: 404},
		sinktest.Throttled:      {status: 429, header: map[string]string{"Retry-After": "7"}},
		sinktest.Broken:         {status: 503},
	}, &held)
	settings := map[string]any{"url": url + "/intake?key=query-secret"}
	for name, value := range target.settings {
		settings[name] = value
	}
	return sinktest.Receiver{
		Sink:    httpFor(t, settings, map[string]any{"bearer": "tok-1234567890"}),
		Held:    held.copies,
		Secrets: []string{"tok-1234567890", "query-secret", url},
	}
}

func TestHTTPConformance(t *testing.T) {
	for name, settings := range map[string]map[string]any{
		"single":     {"concurrency": 4},
		"ndjson":     {"format": "ndjson", "max_batch": 10},
		"json_array": {"format": "json_array", "max_batch": 10, "gzip": true},
	} {
		t.Run(name, func(t *testing.T) { sinktest.Run(t, httpTarget{settings: settings}) })
	}
}

// httpFor makes an HTTP sink that may connect to servers of the test.
func httpFor(t *testing.T, settings, credentials map[string]any) *httpSink {
	t.Helper()
	s, err := newHTTP(asJSON(t, settings), asJSON(t, credentials), localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	h := s.(*httpSink)
	t.Cleanup(h.transport.(bounded).next.CloseIdleConnections)
	return h
}

// deduplicating is a receiver that knows repeated requests by their webhook-id, as ours are told to.
type deduplicating struct {
	mu   sync.Mutex
	seen map[string]bool
	held map[string]int
}

func (d *deduplicating) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ids, err := idsIn(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch id := r.Header.Get("Webhook-Id"); {
	case err != nil:
		http.Error(w, err.Error(), http.StatusTeapot)
	case !d.seen[id]:
		if d.seen == nil {
			d.seen, d.held = make(map[string]bool), make(map[string]int)
		}
		d.seen[id] = true
		for _, log := range ids {
			d.held[log]++
		}
	}
}

func (d *deduplicating) copies(*testing.T) map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	copied := make(map[string]int, len(d.held))
	for id, n := range d.held {
		copied[id] = n
	}
	return copied
}

// idsIn reads the ids of the logs in a request, in any of the formats.
func idsIn(r *http.Request) ([]string, error) {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		zipped, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		in = zipped
	}
	body, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	type log struct {
		ID string `json:"id"`
	}
	var logs []log
	if bytes.HasPrefix(body, []byte("[")) {
		if err := json.Unmarshal(body, &logs); err != nil {
			return nil, err
		}
	} else {
		for d := json.NewDecoder(bytes.NewReader(body)); ; {
			var one log
			if err := d.Decode(&one); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, err
			}
			logs = append(logs, one)
		}
	}
	var ids []string
	for _, l := range logs {
		ids = append(ids, l.ID)
	}
	return ids, nil
}

// serve starts a receiver.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// codes gives the code of each result, empty for a delivered log, and "not tried".
func codes(results []delivery.Result) []string {
	got := make([]string, len(results))
	for i, r := range results {
		switch {
		case errors.Is(r.Err, delivery.ErrNotTried):
			got[i] = "not tried"
		case r.Err != nil:
			got[i] = string(failure.Of(r.Err).Code)
		}
	}
	return got
}

func TestHTTPStatus(t *testing.T) {
	for _, c := range []struct {
		status int
		want   failure.Code
	}{
		{200, ""}, {201, ""}, {202, ""}, {204, ""},
		{203, failure.HTTPUnexpectedReply}, {205, failure.HTTPUnexpectedReply}, {206, failure.HTTPUnexpectedReply},
		{207, failure.HTTPUnexpectedReply}, {226, failure.HTTPUnexpectedReply}, {260, failure.HTTPUnexpectedReply}, {299, failure.HTTPUnexpectedReply},
		{301, failure.HTTPRedirect}, {302, failure.HTTPRedirect}, {304, failure.HTTPRedirect}, {307, failure.HTTPRedirect}, {308, failure.HTTPRedirect},
		{400, failure.HTTPLogRefused}, {401, failure.HTTPUnauthorized}, {403, failure.HTTPForbidden}, {404, failure.HTTPNotFound},
		{405, failure.HTTPUnexpectedReply}, {408, failure.HTTPTimeout}, {409, failure.HTTPUnexpectedReply}, {410, failure.HTTPNotFound},
		{413, failure.HTTPLogTooLarge}, {415, failure.HTTPUnexpectedReply}, {422, failure.HTTPLogRefused}, {429, failure.HTTPThrottled},
		{500, failure.HTTPServerError}, {502, failure.HTTPServerError}, {503, failure.HTTPServerError}, {599, failure.HTTPServerError}, {600, failure.HTTPUnexpectedReply},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			var requests atomic.Int32
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
			})
			err := httpFor(t, map[string]any{"url": server.URL}, nil).Send(t.Context(), sinktest.Logs(1, 10))[0].Err
			var got failure.Error
			if err != nil {
				got = failure.Error{Code: failure.Of(err).Code, Detail: failure.Of(err).Detail}
			}
			want := failure.Error{Code: c.want}
			if c.want != "" {
				want.Detail = fmt.Sprintf("HTTP %d", c.status)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(failure.Error{}, "Err")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if requests.Load() != 1 {
				t.Errorf("%d requests, want 1: a redirect is not followed, a failure not repeated", requests.Load())
			}
		})
	}
}

func TestHTTPRetryAfterDate(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "Mon, 02 Nov 2026 09:30:00 GMT") // a clock of its own
		w.Header().Set("Retry-After", "Mon, 02 Nov 2026 09:32:00 GMT")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	err := httpFor(t, map[string]any{"url": server.URL}, nil).Send(t.Context(), sinktest.Logs(1, 10))[0].Err
	if got := failure.Of(err).RetryAfter; got != 2*time.Minute {
		t.Errorf("got %v, want 2m by the receiver's own clock", got)
	}
}

func TestHTTPSingleRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	})
	s := httpFor(t, map[string]any{"url": server.URL + "/a/b?c=d", "headers": map[string]string{"x-team": "sec"}},
		map[string]any{"basic": map[string]string{"username": "u", "password": "p:w"}, "headers": map[string]string{"X-Api-Key": "k"}})
	doc := sinktest.Logs(1, 10)[0]
	if err := s.Send(t.Context(), []auditlog.Document{doc})[0].Err; err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"Authorization":  {"Basic dTpwOnc="},
		"Content-Length": {fmt.Sprint(len(doc.JSON))},
		"Content-Type":   {"application/json"},
		"User-Agent":     {"auditrelay"},
		"Webhook-Id":     {"ws-1:log-000:" + doc.Hash()},
		"X-Api-Key":      {"k"},
		"X-Team":         {"sec"},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if got.Method != http.MethodPost || got.URL.String() != "/a/b?c=d" || string(body) != string(doc.JSON) {
		t.Errorf("got %s %s %s", got.Method, got.URL, body)
	}
}

// A request is known again by its logs' workspaces, ids and contents, and by nothing else. No id of a producer's brings a dot into it, which
// separates what is signed.
func TestMessageIDs(t *testing.T) {
	var ids []string
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) { ids = append(ids, r.Header.Get("Webhook-Id")) })
	send := func(format string, docs ...auditlog.Document) string {
		ids = nil
		s := httpFor(t, map[string]any{"url": server.URL, "format": format}, nil)
		for range 2 {
			if err := s.Send(t.Context(), docs)[0].Err; err != nil {
				t.Fatal(err)
			}
		}
		if len(ids) != 2 || ids[0] != ids[1] || strings.Contains(ids[0], ".") {
			t.Errorf("sent twice, it came as %v", ids)
		}
		return ids[0]
	}
	seen := make(map[string]string)
	different := func(name, id string) {
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s are both %s", name, other, id)
		}
		seen[id] = name
	}
	const at = "2026-11-02T09:30:00Z"
	one := logDocument(t, "acme", "user_activity", "a-1", at, `{"stage":"request"}`)
	two := logDocument(t, "acme", "user_activity", "a-1", at, `{"stage":"response"}`)
	other := logDocument(t, "bolt", "user_activity", "a-1", at, `{"stage":"request"}`)
	different("one", send("", one))
	different("two", send("", two))
	different("other", send("", other))
	different("an id with dots", send("", logDocument(t, "ac.me", "user_activity", "a.1.", at, `{}`)))
	different("one and two", send("ndjson", one, two))
	different("two and one", send("ndjson", two, one))
	different("one and other", send("ndjson", one, other))
	different("one alone in a batch of two", send("ndjson", one, one))
}

func TestHTTPNotTried(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	docs := sinktest.Logs(4, 10)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // only then does the server notice that the client has gone
		if r.Header.Get("Webhook-Id") == docs[1].Identity() {
			cancel()
			<-r.Context().Done()
		}
	})
	s := httpFor(t, map[string]any{"url": server.URL, "concurrency": 1}, nil)
	got := codes(s.Send(ctx, docs))
	if diff := cmp.Diff([]string{"", string(failure.NetInterrupted), "not tried", "not tried"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHTTPOwnTimeout(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		<-r.Context().Done()
	})
	s := httpFor(t, map[string]any{"url": server.URL, "timeout": "30ms"}, nil)
	if diff := cmp.Diff([]string{string(failure.NetTimeout)}, codes(s.Send(t.Context(), sinktest.Logs(1, 10)))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The header says what became of the logs. A body that goes on without end takes nothing back of it; one that breaks off may come from something
// between, which never passed the request on.
func TestHTTPAnswerWithoutEnd(t *testing.T) {
	for name, body := range map[string]string{
		"nothing after the header": "Content-Length: 2\r\n\r\n",
		"half a body":              "Content-Length: 20\r\n\r\nok",
		"chunks":                   "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
		"until the end":            "\r\nok",
		"more than is read":        "\r\n" + strings.Repeat("ok", maxAnswer),
	} {
		t.Run(name, func(t *testing.T) {
			for status, want := range map[string]string{"200 OK": "", "503 Service Unavailable": string(failure.HTTPServerError)} {
				s := httpFor(t, map[string]any{"url": hanging(t, "HTTP/1.1 "+status+"\r\n"+body), "timeout": "50ms"}, nil)
				if diff := cmp.Diff([]string{want}, codes(s.Send(t.Context(), sinktest.Logs(1, 10)))); diff != "" {
					t.Errorf("%s (-want +got):\n%s", status, diff)
				}
			}
		})
	}
}

func TestHTTPConnections(t *testing.T) {
	var mu sync.Mutex
	from := make(map[string]bool)
	hangUpNext := false
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if hangUpNext {
			hangUpNext = false
			connection, _, _ := http.NewResponseController(w).Hijack()
			_ = connection.Close()
			return
		}
		from[r.RemoteAddr] = true
		_, _ = io.WriteString(w, strings.Repeat("thanks ", 1000))
	})
	s := httpFor(t, map[string]any{"url": server.URL, "concurrency": 1}, nil)
	send := func() {
		for i, code := range codes(s.Send(t.Context(), sinktest.Logs(5, 10))) {
			if code != "" {
				t.Errorf("log %d: %s", i, code)
			}
		}
	}
	send()
	send()
	if len(from) != 1 {
		t.Errorf("%d connections for ten logs in two calls, want 1", len(from))
	}
	mu.Lock()
	hangUpNext = true
	mu.Unlock()
	send() // a kept connection that the receiver closes is no failure: the request is repeated on a new one
}

func TestHTTPOddAnswers(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		want      failure.Code
	}{
		{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", failure.HTTPUnexpectedReply},
		{"cut in the header", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", failure.NetReset},
		{"cut in the body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", failure.NetReset},
		{"nothing", "", failure.NetReset},
		{"a header without end", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 80<<10), failure.HTTPUnexpectedReply},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadAll(r.Body)
				connection, _, _ := http.NewResponseController(w).Hijack()
				_, _ = io.WriteString(connection, c.raw)
				_ = connection.Close()
			})
			s := httpFor(t, map[string]any{"url": server.URL}, nil)
			f := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err)
			if f.Code != c.want {
				t.Errorf("got %s, want %s (%v)", f.Code, c.want, f.Err)
			}
		})
	}
}
