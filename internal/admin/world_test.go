package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/sink"
	"github.com/auditrelay/auditrelay/internal/vault"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// world is an API over stores in memory, and a receiver.
type world struct {
	*admin.API
	handler   http.Handler
	directory *memory.Directory
	cache     *memory.Cache
	vault     *vault.Vault
	retries   *memory.RetryQueue
	audit     *auditLog
	notices   *noticed
	receiver  *httptest.Server
	answer    int // of the receiver
	bodies    []string
	faults    []string
	tests     []delivery.Entry // of destinations, as they were written down
	outbox    *connection.Outbox
	mu        sync.Mutex
	now       time.Time
}

// auditLog is an ingest queue and a bus, which keep what they are told.
type auditLog struct {
	hook memory.Hook

	mu      sync.Mutex
	entries []events.Log
	events  []events.Announcement
}

func (l *auditLog) Send(_ context.Context, log events.Log) error {
	return l.hook.Do(memory.CallSendLog, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.entries = append(l.entries, log)
		return nil
	})
}

func (l *auditLog) Publish(_ context.Context, a events.Announcement) error {
	return l.hook.Do(memory.CallPublish, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.events = append(l.events, a)
		return nil
	})
}

// line is what an entry of the audit says.
type line struct {
	Event     connection.Event
	Workspace string
	Name      string // of the workspace
	By        string
	Fields    []string
}

// lines are the entries so far, each once by its id, in the order of their first coming.
func (l *auditLog) lines(t testing.TB) (lines []line) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := make(map[string]bool)
	for _, e := range l.entries {
		if seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		var p struct {
			Event           connection.Event
			Timestamp       time.Time
			User, Workspace struct{ ID, Name string }
			Details         struct{ Activity struct{ Fields []string } }
		}
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			t.Fatal(err)
		}
		if p.Timestamp.IsZero() || p.Workspace.ID != e.WorkspaceID {
			t.Errorf("an entry without its time or workspace: %s", e.Payload)
		}
		lines = append(lines, line{p.Event, p.Workspace.ID, p.Workspace.Name, p.User.ID, p.Details.Activity.Fields})
	}
	return lines
}

type noTimers struct{}

func (noTimers) Set(context.Context, connection.Timer) error    { return nil }
func (noTimers) Cancel(context.Context, connection.Timer) error { return nil }

// noticed are the notices so far.
type noticed struct {
	mu   sync.Mutex
	list []directory.Notice
}

func (q *noticed) Notify(_ context.Context, n directory.Notice) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = append(q.list, n)
	return nil
}

type noAttempts struct{}

func (noAttempts) Attempts(_ context.Context, q admin.AttemptQuery) (admin.AttemptSearch, error) {
	return admin.AttemptSearch{Complete: true, SearchedUntil: q.Since}, nil
}

// credentials are those stored with a destination, "" for none.
func (w *world) credentials(t testing.TB, id string) string {
	t.Helper()
	d, err := w.directory.CurrentDestination(t.Context(), id)
	if errors.Is(err, directory.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.vault.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return string(c)
}

func newWorld(t testing.TB) *world { return newWorldWith(t, nil) }

// newWorldWith has a world whose stores and queues the hook can make fail.
func newWorldWith(t testing.TB, hook memory.Hook) *world {
	w := &world{directory: &memory.Directory{Hook: hook}, audit: &auditLog{hook: hook}, notices: &noticed{}, answer: http.StatusOK, now: noon}
	now := func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.now
	}
	keys := &memory.Keys{Hook: hook}
	w.vault = &vault.Vault{Keys: keys, Wrapper: keys, Now: now}
	w.cache = memory.NewCache(now)
	w.retries = &memory.RetryQueue{Queue: memory.Queue[delivery.Hint]{Now: now, Visibility: time.Minute}, Hook: hook}
	w.receiver = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.bodies = append(w.bodies, string(body))
		out.WriteHeader(w.answer)
	}))
	t.Cleanup(w.receiver.Close)
	fault := func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.faults = append(w.faults, err.Error())
	}
	w.outbox = &connection.Outbox{Store: w.directory, Logs: w.audit, Bus: w.audit, Notices: w.notices, Now: now, Fault: fault}
	w.API = &admin.API{
		Workspaces: w.directory, Destinations: w.directory, Listing: w.directory, Vault: w.vault,
		Connections: &connection.Service{Store: w.directory, Timers: noTimers{}, Notices: w.notices, Outbox: w.outbox, Now: now},
		Outbox:      w.outbox, Pending: w.cache, Failed: w.cache, Attempts: noAttempts{}, Retries: w.retries,
		Network: sink.Network{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true},
		Now:     now,
		Caller:  func(*http.Request) connection.Caller { return connection.Caller{Identity: "arn:aws:iam::1:user/ada"} },
		Journal: w,
		Fault:   fault,
	}
	w.handler = w.Handler()
	return w
}

// Record implements delivery.Journal.
func (w *world) Record(e delivery.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tests = append(w.tests, e)
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	text   string
}

// json reads a member of the body by its path, such as "health.state" or "items.0.id".
func (r reply) json(t testing.TB, path string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(r.text), &v); err != nil {
		t.Fatalf("%d %q is not JSON: %v", r.status, r.text, err)
	}
	for name := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(x) {
				return ""
			}
			v = x[i]
		default:
			return ""
		}
	}
	if s, ok := v.(string); ok {
		return s
	}
	text, _ := json.Marshal(v)
	return string(text)
}

func (w *world) call(t testing.TB, method, target, body string, headers ...string) reply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, bytes.NewBufferString(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	if !declared(t, r, out.Code) {
		t.Errorf("%s %s answers %d, which the document does not declare", method, target, out.Code)
	}
	return reply{out.Code, out.Header(), out.Body.String()}
}

// want calls and fails the test on another status.
func (w *world) want(t testing.TB, status int, method, target, body string, headers ...string) reply {
	t.Helper()
	got := w.call(t, method, target, body, headers...)
	if got.status != status {
		t.Fatalf("%s %s: %d %s, want %d; faults %v", method, target, got.status, got.text, status, w.faults)
	}
	return got
}

// purge deletes a destination for good.
func (w *world) purge(t testing.TB, id string) {
	t.Helper()
	w.want(t, http.StatusNoContent, http.MethodDelete, "/v1/destinations/"+id, "")
	w.want(t, http.StatusNoContent, http.MethodDelete, "/v1/destinations/"+id+"?purge=true", "")
}

// seed puts the workspace acme and the destination siem.
func (w *world) seed(t testing.TB) {
	t.Helper()
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/workspaces/acme", `{"name":"Acme","kind":"standalone","admins":["ada@acme.example"]}`)
	w.want(t, http.StatusCreated, http.MethodPut, "/v1/destinations/siem", w.siem(`"credentials":{"bearer":"s3cr3t-one"}`))
}

// siem is the destination's JSON with further members.
func (w *world) siem(more ...string) string {
	members := append([]string{fmt.Sprintf(`"name":"SIEM","workspace_id":"acme","kind":"http","settings":{"url":%q}`, w.receiver.URL)}, more...)
	return "{" + strings.Join(members, ",") + "}"
}
