package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/doctor"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/notice"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// patient is a whole deployment in memory, as a canary sees it, with the faults that it has.
type patient struct {
	world *local.World
	fault string
	alone time.Duration // that passed while the deployment stood still

	mu     sync.Mutex
	server *httptest.Server
	takes  string
	taken  []string
}

// is says whether it has a fault.
func (p *patient) is(fault string) error {
	if p.fault == fault {
		return errors.New(fault)
	}
	return nil
}

// refused is an answer of the API that is no success.
type refused struct {
	status int
	detail string
}

func (r *refused) Error() string  { return r.detail }
func (r *refused) NotThere() bool { return r.status == http.StatusNotFound }

// Call implements doctor.API.
func (p *patient) Call(ctx context.Context, method, path string, query url.Values, body, into any) error {
	switch {
	case p.fault == "the API refuses":
		return &refused{http.StatusForbidden, "the API refuses"}
	case p.fault == "no workspace" && method == http.MethodPut, p.fault == "no removal" && method == http.MethodDelete,
		p.fault == "no attempts" && path == "/v1/attempts", p.fault == "no disconnect" && strings.HasSuffix(path, "/disconnect"):
		return errors.New(p.fault)
	}
	var text strings.Builder
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return err
		}
	}
	r := httptest.NewRequestWithContext(ctx, method, path+"?"+query.Encode(), strings.NewReader(text.String()))
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	(&local.Server{World: p.world}).Handler().ServeHTTP(rec, r)
	if rec.Code >= http.StatusMultipleChoices {
		return &refused{rec.Code, rec.Body.String()}
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(rec.Body.Bytes(), into)
}

// Send implements doctor.Ingest.
func (p *patient) Send(_ context.Context, l events.Log) error {
	if err := p.is("the queue refuses"); err != nil {
		return err
	}
	message, err := l.Message()
	if err == nil {
		p.world.Send(message)
	}
	return err
}

// Open implements doctor.Receiver.
func (p *patient) Open(context.Context) error {
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		second := strings.Contains(string(body), `"log":2`)
		if string(body) != p.takes || p.fault == "nothing is taken" || p.fault == "the second is never taken" && second {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if p.fault == "it is changed" {
			body = append(body, ' ')
		}
		p.taken = append(p.taken, string(body))
	}))
	return p.is("no receiver")
}

// Close implements doctor.Receiver.
func (p *patient) Close(context.Context) error {
	p.server.Close()
	return nil
}

// Taking implements doctor.Receiver.
func (p *patient) Taking(_ context.Context, document []byte) (settings, credentials any, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.takes = string(document)
	return map[string]any{"url": p.server.URL, "format": "single"}, map[string]any{"bearer": "signature"}, nil
}

// Received implements doctor.Receiver.
func (p *patient) Received(context.Context) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.taken
	p.taken = nil
	return list, p.is("the receiver cannot be read")
}

// Mailed implements doctor.Traces.
func (p *patient) Mailed(context.Context, string, time.Time) (bool, error) {
	if err := p.is("no log group"); err != nil {
		return false, err
	}
	return slices.ContainsFunc(p.world.Mail.All(), func(m memory.SentMail) bool { return slices.Contains(m.To, doctor.Simulator) }), nil
}

// Timers implements doctor.Traces.
func (p *patient) Timers(_ context.Context, _, incarnation string) ([]time.Time, error) {
	if incarnation == "" {
		return nil, errors.New("the destination has no incarnation")
	}
	at, set := p.world.Timers.Next()
	switch {
	case p.fault == "no timer", !set && p.fault != "the timer stays":
		return nil, nil
	case p.fault == "the timer is wrong":
		at = at.Add(time.Hour)
	}
	return []time.Time{at}, p.is("no schedules")
}

// wait is the passing of time, in which the deployment works, if it does.
func (p *patient) wait(ctx context.Context, d time.Duration) {
	if p.fault == "nothing runs" {
		p.alone += d
		return
	}
	_ = p.world.Advance(ctx, d)
}

func (p *patient) now() time.Time { return p.world.Clock.Now().Add(p.alone) }

// TestCanaryOfDoctor lets a canary through a deployment in memory: a sound one, and one with each fault.
func TestCanaryOfDoctor(t *testing.T) {
	well := []string{"ok api", "ok canary", "ok arrival", "ok failure", "ok mail", "ok retry", "ok timer", "ok removal"}
	for fault, want := range map[string][]string{
		"":                            well,
		"the API refuses":             {"failing api: the API refuses"},
		"no receiver":                 {"ok api", "failing canary: the receiver could not be made: no receiver", "ok removal"},
		"no workspace":                {"ok api", "failing canary: the workspace could not be made: no workspace", "ok removal"},
		"the queue refuses":           {"ok api", "ok canary", "failing arrival: the queue ingest does not take the log: the queue refuses", "ok removal"},
		"nothing runs":                {"ok api", "ok canary", "failing arrival: it did not arrive within 2m0s: no attempt was made", "ok removal"},
		"nothing is taken":            {"ok api", "ok canary", "failing arrival: it did not arrive within 2m0s: 2 attempts, the last failed http.forbidden", "ok removal"},
		"it is changed":               {"ok api", "ok canary", "failing arrival: something arrived that is not what was sent", "ok removal"},
		"the receiver cannot be read": {"ok api", "ok canary", "failing arrival: the receiver cannot be read: the receiver cannot be read", "ok removal"},
		"no attempts":                 {"ok api", "ok canary", "ok arrival", "failing failure: attempts cannot be listed: no attempts", "ok removal"},
		"no mail":                     {"ok api", "ok canary", "ok arrival", "ok failure", "failing mail: no mail left within 2m0s", "ok retry", "ok timer", "ok removal"},
		"no log group":                {"ok api", "ok canary", "ok arrival", "ok failure", "failing mail: the log group of notify cannot be read: no log group", "ok retry", "ok timer", "ok removal"},
		"the second is never taken":   {"ok api", "ok canary", "ok arrival", "ok failure", "ok mail", "failing retry: it did not arrive within 2m0s: 3 attempts, the last failed http.forbidden", "ok timer", "ok removal"},
		"no disconnect":               {"ok api", "ok canary", "ok arrival", "ok failure", "ok mail", "ok retry", "failing timer: the destination cannot be disconnected: no disconnect", "ok removal"},
		"no timer":                    {"ok api", "ok canary", "ok arrival", "ok failure", "ok mail", "ok retry", "failing timer: a disconnect has set no timer", "ok removal"},
		"no schedules":                {"ok api", "ok canary", "ok arrival", "ok failure", "ok mail", "ok retry", "failing timer: schedules cannot be listed: no schedules", "ok removal"},
		"the timer is wrong":          {"ok api", "ok canary", "ok arrival", "ok failure", "ok mail", "ok retry", "failing timer: a disconnect has set timers", "ok removal"},
		"the timer stays":             {"ok api", "ok canary", "ok arrival", "ok failure", "ok mail", "ok retry", "failing timer: a reconnect has left the timer", "ok removal"},
		"no removal":                  append(slices.Clone(well[:7]), "failing removal: something of the canary is left: no removal; no removal"),
	} {
		t.Run(fault, func(t *testing.T) {
			p := &patient{world: local.NewWorld(monday, nil), fault: fault}
			p.world.SetSinks(&sink.Factory{Vault: p.world.Vault, Records: p.world.Directory, Network: local.Network(), Now: time.Now})
			if fault == "no mail" {
				p.world.Mail.Refuse = func(notice.Mail) *notice.Refusal { return &notice.Refusal{Reason: "no"} }
			}
			var told int
			c := doctor.Canary{
				API: p, Ingest: p, Receiver: p, Traces: p, Now: p.now, Wait: p.wait, ID: "doctor-1", Tell: func(doctor.Finding) { told++ },
			}
			var got []string
			for i, f := range c.Run(t.Context()) {
				line := string(f.Status) + " " + f.Check
				if f.Status != doctor.OK {
					line += ": " + f.Found
					if f.Do == "" {
						t.Errorf("%s: nothing to do is said", line)
					}
				}
				if i < len(want) && f.Found != "" && strings.HasPrefix(line, want[i]) {
					line = want[i]
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(want, got); diff != "" || told != len(got) {
				t.Errorf("told %d (-want +got):\n%s", told, diff)
			}
			if fault == "no removal" {
				return
			}
			for path, want := range map[string]string{"/v1/workspaces": `{"items":[],"next":null}`, "/v1/destinations": `{"items":[],"next":null}`} {
				if _, left := call(t, p.world, http.MethodGet, path, ""); strings.TrimSpace(left) != want {
					t.Errorf("%s after it: %s", path, left)
				}
			}
		})
	}
}

// TestInterruptedCanary holds that Ctrl-C leaves nothing behind.
func TestInterruptedCanary(t *testing.T) {
	p := &patient{world: local.NewWorld(monday, nil), fault: "nothing runs"}
	p.world.SetSinks(&sink.Factory{Vault: p.world.Vault, Records: p.world.Directory, Network: local.Network(), Now: time.Now})
	ctx, interrupt := context.WithCancel(t.Context())
	c := doctor.Canary{API: p, Ingest: p, Receiver: p, Traces: p, Now: p.now, ID: "doctor-1", Wait: func(context.Context, time.Duration) { interrupt() }}
	findings := c.Run(ctx)
	if last := findings[len(findings)-1]; last.Check != "removal" || last.Status != doctor.OK {
		t.Errorf("the last finding is %+v", last)
	}
	if _, left := call(t, p.world, http.MethodGet, "/v1/workspaces", ""); !strings.Contains(left, `"items":[]`) {
		t.Errorf("workspaces after it: %s", left)
	}
}
