package local_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// TestJSON takes every JSON text of the table through ingest, a failure, the cache and a retry to three
// destinations, one of the document itself and two with message templates, as an ordinary log and as one of
// zero retention. Each token arrives as it was sent. What is no JSON is rejected, and disturbs nothing.
func TestJSON(t *testing.T) {
	cases := allJSONCases()
	intake := &jsonIntake{got: make(map[string]map[string]string)}
	server := httptest.NewServer(intake)
	defer server.Close()
	w := local.NewWorld(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), nil)
	w.SetSinks(&sink.Factory{Vault: w.Vault, Records: w.Directory, Network: local.Network(), Now: time.Now})
	templates := map[string]string{"plain": "", "object": `{"m":{{{log_message}}},"at":{{{now_utc}}}}`, "text": `{"s":"<{{{log_message_str}}}>"}`}
	var destinations []directory.Destination
	for id, template := range templates {
		settings, err := json.Marshal(map[string]string{"url": server.URL + "/" + id, "template": template})
		if err != nil {
			t.Fatal(err)
		}
		destinations = append(destinations, directory.Destination{
			ID: id, WorkspaceID: "acme", Kind: directory.HTTP, Settings: settings, State: directory.Connected,
			Health: directory.Health{State: directory.Healthy}, Version: 1,
		})
	}
	err := w.Apply(t.Context(), local.Directory{Workspaces: []directory.Workspace{{ID: "acme", Kind: directory.Standalone}}, Destinations: destinations})
	if err != nil {
		t.Fatal(err)
	}

	texts := make(map[string]string) // by log id
	send := func(kind string, some map[string]string) {
		for i, name := range slices.Sorted(maps.Keys(some)) {
			for _, zeroRetention := range []bool{false, true} {
				id := fmt.Sprintf("%s-%d-%t", kind, i, zeroRetention)
				texts[id] = some[name]
				w.Send(fmt.Appendf(nil, `{"id":%q,"workspace_id":"acme","type":"job_details","occurred_at":"2026-11-02T08:59:58Z","zero_retention":%t,"payload":{"v":%s}}`,
					id, zeroRetention, some[name]))
			}
			w.Send([]byte(some[name])) // as a message of its own it is no log
		}
	}
	send("valid", cases.valid)
	send("taken", cases.taken)
	arrive := len(texts)
	send("invalid", cases.invalid)
	send("refused", cases.refused)
	all := len(cases.valid) + len(cases.taken) + len(cases.invalid) + len(cases.refused)

	advance := func(d time.Duration) {
		t.Helper()
		if err := w.Advance(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	advance(10 * time.Minute)
	if got, want := w.Cache.Len(), arrive*len(templates); got != want {
		t.Errorf("%d deliveries wait in the cache, want %d", got, want)
	}
	intake.recover()
	advance(24 * time.Hour)

	rejected := len(texts) - arrive + all
	want := memory.Ledger{Accepted: arrive*len(templates) + rejected, Delivered: arrive * len(templates), Rejected: rejected}
	if diff := cmp.Diff(want, w.Journal.Ledger()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	for id, text := range texts {
		for destination := range templates {
			got, arrived := intake.got[destination][id]
			if kind, _, _ := strings.Cut(id, "-"); kind == "invalid" || kind == "refused" {
				if arrived {
					t.Errorf("%s: %.100q was delivered to %s", id, text, destination)
				}
				continue
			}
			if diff := cmp.Diff(tokens(text), tokens(sentAs(t, destination, got))); diff != "" {
				t.Errorf("%s: tokens of %.100q at %s (-sent +got):\n%.1000s", id, text, destination, diff)
			}
		}
	}
}

// jsonIntake is a receiver that refuses every log until it recovers, and keeps the bodies by path and log
// id.
type jsonIntake struct {
	mu  sync.Mutex
	up  bool
	got map[string]map[string]string
}

func (i *jsonIntake) recover() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.up = true
}

func (i *jsonIntake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil || !i.up {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/")
	if i.got[path] == nil {
		i.got[path] = make(map[string]string)
	}
	identity := strings.Split(r.Header.Get("Webhook-Id"), ":")
	i.got[path][identity[1]] = string(body)
}

// sentAs takes the value that was tried out of what a destination got. It cuts text rather than parse it:
// some of the texts are as deep as a reader goes.
func sentAs(t *testing.T, destination, got string) string {
	t.Helper()
	const before, after = `"payload":{"v":`, "}}"
	switch destination {
	case "object":
		got = strings.TrimPrefix(got, `{"m":`)
		got = got[:max(0, strings.LastIndex(got, `,"at":`))]
	case "text":
		var text struct{ S string }
		if err := json.Unmarshal([]byte(got), &text); err != nil {
			t.Fatalf("%.200q: %v", got, err)
		}
		got = strings.TrimSuffix(strings.TrimPrefix(text.S, "<"), ">")
	}
	_, value, found := strings.Cut(got, before)
	if !found || !strings.HasSuffix(value, after) {
		t.Errorf("%s got %.200q", destination, got)
	}
	return strings.TrimSuffix(value, after)
}

// tokens takes a JSON text apart, each token as it is written.
func tokens(text string) []string {
	in := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	var list []string
	for {
		switch in.PeekKind() {
		case '{', '[', '}', ']':
			token, err := in.ReadToken()
			if err != nil {
				return append(list, err.Error())
			}
			list = append(list, token.String())
		case 0:
			if _, err := in.ReadToken(); !errors.Is(err, io.EOF) {
				return append(list, fmt.Sprint(err))
			}
			return list
		default:
			value, err := in.ReadValue()
			if err != nil {
				return append(list, err.Error())
			}
			list = append(list, string(value))
		}
	}
}
