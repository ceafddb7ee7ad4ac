package local_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// Monday, 09:00.
var monday = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// surface is the local runner, used by nothing but its HTTP interface.
type surface struct {
	t        *testing.T
	url      string
	receiver *local.Receiver
}

func open(t *testing.T) *surface {
	t.Helper()
	receiver, err := local.StartReceiver()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = receiver.Close() })
	w := local.NewWorld(monday, nil)
	w.SetSinks(&sink.Factory{Vault: w.Vault, Records: w.Directory, Network: local.Network(), Now: time.Now})
	if err := w.Apply(t.Context(), local.Sample(receiver.URL())); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer((&local.Server{World: w}).Handler())
	t.Cleanup(server.Close)
	return &surface{t: t, url: server.URL, receiver: receiver}
}

// ask makes one request and reads its answer into v, if v is not nil.
func (s *surface) ask(method, path, body string, v any) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		s.t.Fatalf("%s %s: %s: %s", method, path, resp.Status, text.String())
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(text.Bytes(), v); err != nil {
		s.t.Fatalf("%s %s: %v: %s", method, path, err, text.String())
	}
}

func (s *surface) send(ids ...string) {
	s.t.Helper()
	var lines strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&lines, `{"id":%q,"workspace_id":"acme","type":"user_activity","occurred_at":"2026-11-02T08:59:58Z","payload":{}}`+"\n", id)
	}
	s.ask(http.MethodPost, "/ingest", lines.String(), nil)
	s.advance("1s")
}

func (s *surface) advance(by string) {
	s.t.Helper()
	s.ask(http.MethodPost, "/clock/advance", fmt.Sprintf(`{"by":%q}`, by), nil)
}

type sentMail struct {
	Kind string
	At   time.Time
	To   []string
	Text string
}

func (s *surface) mails(kind string) (mails []sentMail) {
	s.t.Helper()
	var all []sentMail
	s.ask(http.MethodGet, "/mail", "", &all)
	for _, m := range all {
		if m.Kind == kind {
			mails = append(mails, m)
		}
	}
	return mails
}

func (s *surface) state() (state string) {
	s.t.Helper()
	var d struct{ State string }
	s.ask(http.MethodGet, "/v1/destinations/siem", "", &d)
	return d.State
}

// outcomes counts the attempts of a log by their outcome.
func (s *surface) outcomes(logID string) map[string]int {
	s.t.Helper()
	var attempts []struct{ Outcome string }
	s.ask(http.MethodGet, "/attempts?log_id="+logID, "", &attempts)
	counts := make(map[string]int)
	for _, a := range attempts {
		counts[a.Outcome]++
	}
	return counts
}

// TestStoryOfADisconnect: an admin disconnects; for eight hours it can be taken back, then the destination is disabled, with one mail. All the
// while logs wait, and whoever reconnects within seven days gets every one.
func TestStoryOfADisconnect(t *testing.T) {
	s := open(t)
	s.ask(http.MethodPost, "/v1/destinations/siem/disconnect", "", nil)
	s.send("first-hour")
	s.advance("7h58m58s")
	if got := s.state(); got != "disconnected" || len(s.mails("voluntary")) != 0 {
		t.Fatalf("at 7 h 59 m: %s, %d mails; want disconnected and none", got, len(s.mails("voluntary")))
	}
	s.advance("1m1s")
	if got := s.state(); got != "disabled" || len(s.mails("voluntary")) != 1 {
		t.Fatalf("at 8 h: %s, %d mails; want disabled and one", got, len(s.mails("voluntary")))
	}
	s.advance("2d")
	s.send("third-day")
	s.advance("4d")
	if s.outcomes("first-hour")["delivered"] != 0 || s.outcomes("third-day")["delivered"] != 0 {
		t.Error("a log was delivered to a disabled destination")
	}
	s.ask(http.MethodPost, "/v1/destinations/siem/reconnect", "", nil)
	s.advance("5m")
	for _, id := range []string{"first-hour", "third-day"} {
		if diff := cmp.Diff(map[string]int{"held": 1, "delivered": 1}, s.outcomes(id)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	s.ask(http.MethodPost, "/v1/destinations/siem/disconnect", "", nil)
	s.send("never")
	s.advance("8d")
	var failed []struct {
		LogID    string    `json:"log_id"`
		FailedAt time.Time `json:"failed_at"`
		Attempts int
	}
	s.ask(http.MethodGet, "/failed", "", &failed)
	n := 0
	for _, f := range failed {
		if f.LogID == "never" {
			n++
		}
	}
	// The log and the entry of the second disconnect are lost eight hours before the entry that it was disabled.
	if got := len(s.mails("expiry_warning")); got != 3 {
		t.Errorf("%d mails warn of logs that expire, want one for the first disconnect and one a day for the second", got)
	}
	if n != 1 || len(s.mails("voluntary")) != 2 {
		t.Errorf("the log of the second disconnect is %d failed events, and there are %d mails; want one and two", n, len(s.mails("voluntary")))
	}
}

// TestStoryOfASecondLife deletes a destination for which logs wait and creates it again under its id: it gets them, and its disconnect has a mail of its
// own, though it is of the same generation as the first one's.
func TestStoryOfASecondLife(t *testing.T) {
	s := open(t)
	create := fmt.Sprintf(`{"name":"Acme SIEM","workspace_id":"acme","kind":"http","settings":{"url":%q}}`, s.receiver.URL())
	s.ask(http.MethodDelete, "/v1/destinations/siem", "", nil)
	s.ask(http.MethodPut, "/v1/destinations/siem", create, nil)
	for life := 1; life <= 2; life++ {
		s.ask(http.MethodPost, "/v1/destinations/siem/disconnect", "", nil)
		s.advance("9h")
		if got := len(s.mails("voluntary")); got != life {
			t.Errorf("%d mails tell of %d disconnects", got, life)
		}
		id := fmt.Sprintf("life-%d", life)
		s.send(id)
		s.ask(http.MethodDelete, "/v1/destinations/siem", "", nil)
		s.advance("1d")
		s.ask(http.MethodPut, "/v1/destinations/siem", create, nil)
		s.advance("5m")
		if diff := cmp.Diff(map[string]int{"held": 1, "delivered": 1}, s.outcomes(id)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}

// TestStoryOfAnAnswerWithoutACode: the catalogue has one code for all faults of a receiver, and the mail says which it is.
func TestStoryOfAnAnswerWithoutACode(t *testing.T) {
	s := open(t)
	s.receiver.Behave("502")
	for _, id := range []string{"a", "b", "c"} {
		s.send(id)
	}
	s.advance("3h")
	mails := s.mails("involuntary")
	if len(mails) != 1 || !strings.Contains(mails[0].Text, `fails with "HTTP 502"`) || !strings.Contains(mails[0].Text, "http.server_error") {
		t.Fatalf("%d mails, want one that names the answer: %+v", len(mails), mails)
	}
	var d struct{ Health struct{ Code, Answer string } }
	s.ask(http.MethodGet, "/v1/destinations/siem", "", &d)
	if d.Health.Code != "http.server_error" || d.Health.Answer != "HTTP 502" {
		t.Errorf("the API says %+v", d)
	}
	s.receiver.Behave("200")
	s.advance("1d")
	d.Health.Answer = ""
	s.ask(http.MethodGet, "/v1/destinations/siem", "", &d)
	if d.Health.Answer != "" {
		t.Errorf("a healthy destination tells %q", d.Health.Answer)
	}
}

// TestStoryOfAnInvalidToken: on Monday at nine the token is invalid, on Wednesday it is put right.
func TestStoryOfAnInvalidToken(t *testing.T) {
	s := open(t)
	s.receiver.Behave("401")
	s.send("monday")
	mails := s.mails("involuntary")
	if len(mails) != 1 || !strings.Contains(mails[0].Text, "401 Unauthorized") || !strings.Contains(mails[0].Text, "http.unauthorized") {
		t.Fatalf("at once: %d mails, want one that names the error: %+v", len(mails), mails)
	}
	for range 4 {
		s.send("log-" + fmt.Sprint(len(s.mails("involuntary"))))
		s.advance("12h")
	}
	mails = s.mails("involuntary")
	for i := 1; i < len(mails); i++ {
		if pause := mails[i].At.Sub(mails[i-1].At); pause < 24*time.Hour {
			t.Errorf("mail %d came %v after the one before", i+1, pause)
		}
	}
	if len(mails) != 2 && len(mails) != 3 {
		t.Errorf("%d mails in two days, want one a day", len(mails))
	}
	s.receiver.Behave("200")
	s.advance("4d")
	if n := len(s.mails("involuntary")); n != len(mails) && n != len(mails)+1 {
		t.Errorf("%d mails more after it was put right", n-len(mails))
	}
	if n := len(s.mails("recovered")); n != 1 {
		t.Errorf("%d mails tell of the recovery, want one", n)
	}
	var ledger struct{ Accepted, Delivered, Pending int }
	s.ask(http.MethodGet, "/ledger", "", &ledger)
	if ledger.Pending != 0 || ledger.Delivered != ledger.Accepted {
		t.Errorf("the backlog is not delivered: %+v", ledger)
	}
}
