package local_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// pour sends logs of a type that have ids of their own, and lets a second pass.
func (s *surface) pour(logType, prefix string, n int) {
	s.t.Helper()
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, `{"id":"%s-%d","workspace_id":"acme","type":%q,"occurred_at":"2026-11-02T08:59:58Z","payload":{}}`+"\n", prefix, i, logType)
	}
	s.ask(http.MethodPost, "/ingest", lines.String(), nil)
	s.advance("1s")
}

// TestStoryOfALogThatNobodyWants: ten thousand logs of a type come over five days that the destination leaves out, and nothing is delivered. Its admins get
// one mail; one more when the change that was to help is misspelt; none when it helps.
func TestStoryOfALogThatNobodyWants(t *testing.T) {
	s := open(t)
	asks := func(types string) {
		s.ask(http.MethodPatch, "/v1/destinations/siem?verify=false", `{"log_types":[`+types+`]}`, nil)
		s.advance("1m")
	}
	asks(`"job_summary"`)
	for day := range 5 {
		s.pour("job_details", fmt.Sprint("day", day), 2000)
		s.advance("1d")
	}
	mails := s.mails("unrouted")
	if len(mails) != 1 || !strings.Contains(mails[0].Text, "none asks for their types: job_details.") {
		t.Fatalf("mails: %+v", mails)
	}
	if diff := cmp.Diff([]string{"ada@acme.example"}, mails[0].To); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	var ledger struct{ Accepted, Delivered, Unrouted int }
	s.ask(http.MethodGet, "/ledger", "", &ledger)
	if ledger.Delivered != 0 || ledger.Unrouted < 10_000 {
		t.Errorf("ledger %+v, want ten thousand unrouted and none delivered", ledger)
	}
	asks(`"job_summary","job_detail"`)
	s.pour("job_details", "misspelt", 10)
	if n := len(s.mails("unrouted")); n != 2 {
		t.Errorf("%d mails after the misspelt change, want 2", n)
	}
	asks(`"job_summary","job_details"`)
	s.pour("job_details", "wanted", 10)
	s.advance("40d")
	if n := len(s.mails("unrouted")); n != 2 {
		t.Errorf("%d mails after the change that helped, want 2", n)
	}
	if got := s.outcomes("wanted-0")["delivered"]; got != 1 {
		t.Errorf("delivered %d times, want once", got)
	}
}

// TestUnroutedAmongFaults has one call in three to a queue or to the mail service fail, with or without its effect: the mail goes out once, or nobody
// knows whether it did, which the journal says.
func TestUnroutedAmongFaults(t *testing.T) {
	for seed := range uint64(40) {
		var mu sync.Mutex
		chance := rand.New(rand.NewPCG(seed, 7))
		hook := func(call string) memory.Fault {
			mu.Lock()
			defer mu.Unlock()
			switch call {
			case memory.CallNotify, memory.CallMail, memory.CallAck:
				return memory.Fault(max(0, chance.IntN(6)-3))
			}
			return memory.OK
		}
		w := local.NewWorld(monday, hook)
		w.SetSinks(&sink.Factory{Vault: w.Vault, Records: w.Directory, Network: local.Network(), Now: time.Now})
		sample := local.Sample("http://127.0.0.1:9/")
		sample.Destinations[0].LogTypes = []string{"job_summary"}
		if err := w.Apply(t.Context(), sample); err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer((&local.Server{World: w}).Handler())
		s := &surface{t: t, url: server.URL}
		for batch := range 12 {
			s.pour("job_details", fmt.Sprint("b", batch), 20)
			s.advance("1h")
		}
		mails, unsure := len(s.mails("unrouted")), 0
		for _, e := range w.MailJournal.Entries() {
			if e.Event == "mail.uncertain" {
				unsure++
			}
		}
		server.Close()
		if mails > 1 || mails == 0 && unsure == 0 {
			t.Errorf("seed %d: %d mails, %d of which nobody knows", seed, mails, unsure)
		}
	}
}
