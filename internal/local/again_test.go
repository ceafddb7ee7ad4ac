package local_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// got is one request at a receiver.
type got struct{ path, token, body string }

// again is a world with one destination, which is deleted and made again in the middle of a call.
type again struct {
	t     *testing.T
	world *local.World
	api   string
	to    string // the receiver
	owner string // of the second record

	// call and nth say in the middle of which call it happens.
	call string
	nth  int

	mu       sync.Mutex
	counts   map[string]int
	requests []got
	down     bool // the first record's address answers 500
	deleted  time.Time
	began    bool
	switched bool
}

func newAgain(t *testing.T, owner, call string, nth int) *again {
	a := &again{t: t, owner: owner, call: call, nth: nth, counts: make(map[string]int)}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.requests = append(a.requests, got{r.URL.Path, r.Header.Get("Authorization"), string(body)})
		if a.down && r.URL.Path == "/first" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(receiver.Close)
	a.to = receiver.URL
	a.world = local.NewWorld(monday, a.hook)
	a.world.SetSinks(&sink.Factory{
		Vault: a.world.Vault, Records: a.world.Directory, Network: local.Network(), Room: sink.NewRoom(sink.LeastRoom), Now: time.Now,
	})
	server := httptest.NewServer((&local.Server{World: a.world}).Handler())
	t.Cleanup(server.Close)
	a.api = server.URL
	for _, w := range []string{"a", "b"} {
		a.ask(http.MethodPut, "/v1/workspaces/"+w, `{"kind":"standalone","admins":["ada@`+w+`.example"]}`)
	}
	return a
}

// hook makes the switch in the middle of its call. The caller of that call waits meanwhile.
func (a *again) hook(call string) memory.Fault {
	a.mu.Lock()
	a.counts[call]++
	now := a.began && call == a.call && a.counts[call] == a.nth && a.deleted.IsZero()
	if now {
		a.deleted = a.world.Clock.Now()
	}
	a.mu.Unlock()
	if now {
		a.ask(http.MethodDelete, "/v1/destinations/siem", "")
		a.makeAgain()
	}
	return memory.OK
}

// makeAgain makes the second record, unless it is there or logs of the first one's owner wait.
func (a *again) makeAgain() {
	a.mu.Lock()
	due := !a.deleted.IsZero() && !a.switched
	a.mu.Unlock()
	if !due {
		return
	}
	status := a.put(a.owner, "second")
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.switched = status == http.StatusCreated; !a.switched && (status != http.StatusConflict || a.owner == "a") {
		a.t.Errorf("the destination is made again with status %d", status)
	}
}

func (a *again) put(owner, name string) int {
	return a.ask(http.MethodPut, "/v1/destinations/siem?verify=false", fmt.Sprintf(
		`{"workspace_id":%q,"kind":"http","settings":{"url":"%s/%s"},"credentials":{"bearer":"token-of-%s"}}`, owner, a.to, name, name))
}

func (a *again) ask(method, path, body string) int {
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.api+path, strings.NewReader(body))
	if err != nil {
		a.t.Error(err)
		return 0
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// whileFirst asks something of the first record, which nobody may ask of the second.
func (a *again) whileFirst(method, path string) {
	a.mu.Lock()
	first := a.deleted.IsZero()
	a.mu.Unlock()
	if first {
		a.ask(method, "/v1/destinations/siem"+path, "")
	}
}

func (a *again) setDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

// live goes through an outage, a recovery with its drain, a test, a disconnect with its timer and mail, and a reconnect;
// both workspaces send a log an hour.
func (a *again) live() {
	a.put("a", "first")
	a.mu.Lock()
	a.counts, a.began = make(map[string]int), true
	a.mu.Unlock()
	for hour := range 36 {
		switch hour {
		case 2:
			a.setDown(true)
		case 5:
			a.setDown(false)
		case 8:
			a.whileFirst(http.MethodPost, "/test")
			a.whileFirst(http.MethodPost, "/disconnect")
		case 20:
			a.whileFirst(http.MethodPost, "/reconnect?verify=false")
		}
		for _, w := range []string{"a", "b"} {
			a.world.Send(fmt.Appendf(nil, `{"id":"%s-%d","workspace_id":%q,"type":"job_summary","occurred_at":"2026-11-02T08:00:00Z","payload":{}}`, w, hour, w))
		}
		for range 2 {
			if err := a.world.Advance(a.t.Context(), 30*time.Minute); err != nil {
				a.t.Fatal(err)
			}
			a.makeAgain()
		}
	}
	if err := a.world.Advance(a.t.Context(), 8*24*time.Hour); err != nil {
		a.t.Fatal(err)
	}
	a.makeAgain()
	if err := a.world.Advance(a.t.Context(), time.Hour); err != nil { // the entry about it arrives
		a.t.Fatal(err)
	}
}

// check holds that nothing of one record has reached the other.
func (a *again) check() {
	a.t.Helper()
	a.mu.Lock()
	requests, deleted, switched := slices.Clone(a.requests), a.deleted, a.switched
	a.mu.Unlock()
	for _, r := range requests {
		name := strings.TrimPrefix(r.path, "/")
		of := map[string]string{"first": "a", "second": a.owner}[name]
		if r.token != "Bearer token-of-"+name {
			a.t.Errorf("%s was sent %q", r.path, r.token)
		}
		if strings.Contains(r.body, `"workspace_id":"`) && !strings.Contains(r.body, `"workspace_id":"`+of+`"`) {
			a.t.Errorf("%s, of workspace %s, was sent %s", r.path, of, r.body)
		}
	}
	if !switched {
		a.t.Fatalf("it was deleted at %v and never made again", deleted)
	}
	d, err := a.world.Directory.CurrentDestination(a.t.Context(), "siem")
	if err != nil {
		a.t.Fatal(err)
	}
	if d.WorkspaceID != a.owner || d.State != "connected" || d.Generation != 1 || d.Health.State != "healthy" || d.Draining {
		a.t.Errorf("the second record is %+v", d)
	}
	for _, m := range a.world.Mail.All() {
		if m.At.After(deleted) || slices.Contains(m.To, "ada@b.example") {
			a.t.Errorf("after the deletion of the first record at %v, %v was mailed at %v: %s", deleted, m.To, m.At, m.Subject)
		}
	}
	if l := a.world.Journal.Ledger(); l.Pending != 0 || l.Accepted != l.Delivered+l.Failed+l.Unrouted+l.Rejected+l.Repeated {
		a.t.Errorf("the ledger does not balance: %+v", l)
	}
}

// TestMadeAgainAtEveryStep deletes a destination in the middle of each kind of call, and makes another of its id, of the
// same and of another owner.
func TestMadeAgainAtEveryStep(t *testing.T) {
	calm := newAgain(t, "a", "", 0)
	calm.live()
	steps := 0
	for call, count := range calm.counts {
		if strings.HasPrefix(call, "keys.") || strings.HasPrefix(call, "kms.") {
			continue // a data key is no destination's, and the switch in the middle of reading it would wait for itself
		}
		for _, nth := range slices.Compact([]int{count/7 + 1, count/2 + 1, count}) {
			steps++
			for _, owner := range []string{"a", "b"} {
				t.Run(fmt.Sprintf("%s %d for %s", call, nth, owner), func(t *testing.T) {
					a := newAgain(t, owner, call, nth)
					a.put("a", "warm-up") // so that the first record has the counters of a second
					a.ask(http.MethodDelete, "/v1/destinations/siem", "")
					a.live()
					if a.deleted.IsZero() {
						return // with so many calls at once their number varies a little
					}
					a.check()
				})
			}
		}
	}
	if steps < 60 {
		t.Errorf("%d steps were tried; the story should make more kinds of calls", steps)
	}
}

// TestSettingsAndCredentialsChangeTogether changes a destination's address and token a thousand times under traffic: no
// request has the one of one version and the other of another.
func TestSettingsAndCredentialsChangeTogether(t *testing.T) {
	a := newAgain(t, "a", "", 0)
	names := []string{"first", "second"}
	a.put("a", names[0])
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		for i := range 1000 {
			if status := a.put("a", names[(i+1)%2]); status != http.StatusOK {
				t.Errorf("change %d: status %d", i, status)
			}
		}
	}()
	sent := 0
	for changing := true; changing; {
		select {
		case <-changed:
			changing = false
		default:
		}
		for range 20 {
			a.world.Send(fmt.Appendf(nil, `{"id":"a-%d","workspace_id":"a","type":"job_summary","occurred_at":"2026-11-02T08:00:00Z","payload":{}}`, sent))
			sent++
		}
		if err := a.world.Advance(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	at := make(map[string]int)
	for _, r := range a.requests {
		name := strings.TrimPrefix(r.path, "/")
		if at[name]++; r.token != "Bearer token-of-"+name {
			t.Errorf("%s was sent %q", r.path, r.token)
		}
	}
	if at["first"] == 0 || at["second"] == 0 || at["first"]+at["second"] < sent {
		t.Errorf("%d logs were sent, in requests %v", sent, at)
	}
}
