package admin_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// saboteur makes one chosen call fail, or takes the whole system down at it, once it is armed.
type saboteur struct {
	call  string
	nth   int
	fault memory.Fault
	// dies takes everything down from that call on, until somebody revives it.
	dies bool

	mu    sync.Mutex
	armed bool
	seen  int
	dead  bool
}

func (s *saboteur) arm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = true
}

// revive starts the system again, if it is down.
func (s *saboteur) revive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = false
}

func (s *saboteur) hook(call string) memory.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return memory.FailBefore
	}
	if !s.armed || call != s.call {
		return memory.OK
	}
	if s.seen++; s.seen != s.nth {
		return memory.OK
	}
	s.dead = s.dies
	return s.fault
}

// TestNoChangeWithoutItsEntry breaks every call of every change once: it fails, it fails after it took effect, or everything dies at it. The client
// asks again until it sees its change made, and the entry is in the activity audit in the end, once by its id.
func TestNoChangeWithoutItsEntry(t *testing.T) {
	type request struct{ method, target, body string }
	for name, c := range map[string]struct {
		before []request
		change request
		// made are the answers that tell the client that its change stands, though its own request did not make it.
		made  map[int]bool
		event connection.Event
	}{
		"create a workspace": {nil, request{http.MethodPut, "/v1/workspaces/other", `{"kind":"standalone"}`}, nil, connection.WorkspaceCreated},
		"update a workspace": {nil, request{http.MethodPut, "/v1/workspaces/acme", `{"kind":"standalone","name":"New"}`}, nil, connection.WorkspaceUpdated},
		"delete a workspace": {
			[]request{{http.MethodDelete, "/v1/destinations/siem", ""}, {http.MethodDelete, "/v1/destinations/siem?purge=true", ""}}, request{http.MethodDelete, "/v1/workspaces/acme", ""},
			map[int]bool{http.StatusNotFound: true}, connection.WorkspaceDeleted,
		},
		"create a destination": {
			nil, request{http.MethodPut, "/v1/destinations/two?verify=false", `{"workspace_id":"acme","kind":"http","settings":{"url":"https://siem.example/"}}`},
			nil, connection.DestinationCreated,
		},
		"update a destination": {nil, request{http.MethodPatch, "/v1/destinations/siem?verify=false", `{"name":"New"}`}, nil, connection.DestinationUpdated},
		"delete a destination": {
			nil, request{http.MethodDelete, "/v1/destinations/siem", ""}, nil, connection.DestinationDeleted,
		},
		"restore a destination": {
			[]request{{http.MethodDelete, "/v1/destinations/siem", ""}}, request{http.MethodPost, "/v1/destinations/siem/restore?verify=false", ""},
			map[int]bool{http.StatusConflict: true}, connection.DestinationRestored,
		},
		"purge a destination": {
			[]request{{http.MethodDelete, "/v1/destinations/siem", ""}}, request{http.MethodDelete, "/v1/destinations/siem?purge=true", ""},
			map[int]bool{http.StatusNotFound: true}, connection.DestinationRemoved,
		},
		"make a destination where one is deleted": {
			[]request{{http.MethodDelete, "/v1/destinations/siem", ""}},
			request{http.MethodPut, "/v1/destinations/siem?verify=false", `{"workspace_id":"acme","kind":"http","settings":{"url":"https://siem.example/"}}`},
			nil, connection.DestinationCreated,
		},
		"disconnect": {
			nil, request{http.MethodPost, "/v1/destinations/siem/disconnect", ""}, map[int]bool{http.StatusConflict: true}, connection.DestinationDisconnected,
		},
		"reconnect": {
			[]request{{http.MethodPost, "/v1/destinations/siem/disconnect", ""}}, request{http.MethodPost, "/v1/destinations/siem/reconnect?verify=false", ""},
			map[int]bool{http.StatusConflict: true}, connection.DestinationReconnected,
		},
	} {
		eachFault(t, name, func(t *testing.T, s *saboteur) {
			w := newWorldWith(t, s.hook)
			w.seed(t)
			for _, r := range c.before {
				if got := w.call(t, r.method, r.target, r.body); got.status/100 != 2 {
					t.Fatalf("%s %s: %d %s", r.method, r.target, got.status, got.text)
				}
			}
			earlier := w.entries(t, c.event)
			s.arm()
			status := 0
			for range 4 {
				status = w.call(t, c.change.method, c.change.target, c.change.body).status
				w.minuteLater(t, s)
				if status/100 == 2 || c.made[status] {
					break
				}
			}
			if status/100 != 2 && !c.made[status] {
				t.Fatalf("the client got %d to the end", status)
			}
			w.minuteLater(t, s)
			if n := w.entries(t, c.event) - earlier; n != 1 || len(w.directory.Untold()) > 0 {
				t.Errorf("%d entries of %s, want one; %d left to tell", n, c.event, len(w.directory.Untold()))
			}
		})
	}
}

// TestNoRedriveWithoutItsEntry is the same for a redrive, which changes no record: each time that hints went, there is an entry.
func TestNoRedriveWithoutItsEntry(t *testing.T) {
	eachFault(t, "redrive", func(t *testing.T, s *saboteur) {
		w := newWorldWith(t, s.hook)
		w.seed(t)
		key := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: "l", AcceptedAt: noon.Add(-time.Hour)}
		for _, err := range w.cache.Save(t.Context(), []delivery.Delivery{{Key: key, NextAt: key.ExpiresAt(), Parked: true}}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		s.arm()
		asked := 0
		for status := 0; status != http.StatusOK; asked++ {
			status = w.call(t, http.MethodPost, "/v1/redrive", `{"destination_id":"siem"}`).status
			w.minuteLater(t, s)
		}
		w.minuteLater(t, s)
		hints := len(w.retries.Queue.Receive(10))
		entries := w.entries(t, connection.DeliveriesRedriven)
		if hints == 0 || entries < hints || entries > asked {
			t.Errorf("%d requests, %d hints and %d entries", asked, hints, entries)
		}
	})
}

// eachFault runs a story once for every way in which one of its calls can go wrong.
func eachFault(t *testing.T, name string, story func(t *testing.T, s *saboteur)) {
	calls := []string{
		memory.CallDestination, memory.CallPutDestination, memory.CallWorkspace, memory.CallPutWorkspace, memory.CallSendLog, memory.CallPublish,
		memory.CallKeep, memory.CallOutgoing, memory.CallTold, memory.CallSendHint,
	}
	for _, call := range calls {
		for nth := 1; nth <= 2; nth++ {
			for mode, s := range map[string]*saboteur{
				"fails before": {fault: memory.FailBefore},
				"fails after":  {fault: memory.FailAfter},
				"dies before":  {fault: memory.FailBefore, dies: true},
				"dies after":   {fault: memory.FailAfter, dies: true},
			} {
				s.call, s.nth = call, nth
				t.Run(fmt.Sprintf("%s/%s %d %s", name, call, nth, mode), func(t *testing.T) { story(t, s) })
			}
		}
	}
}

// minuteLater lets a minute pass and has requeue tell what is left over.
func (w *world) minuteLater(t *testing.T, s *saboteur) {
	t.Helper()
	s.revive()
	w.mu.Lock()
	w.now = w.now.Add(time.Minute)
	w.mu.Unlock()
	_ = w.outbox.Sweep(t.Context())
	s.revive()
}

// entries counts those of an event.
func (w *world) entries(t *testing.T, event connection.Event) (n int) {
	t.Helper()
	for _, l := range w.audit.lines(t) {
		if l.Event == event {
			n++
		}
	}
	return n
}
