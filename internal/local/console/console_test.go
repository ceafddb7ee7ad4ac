package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/local/console"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// stage is a console over a world that the test writes itself.
type stage struct {
	console.Console
	now      time.Time
	advanced time.Duration
	answers  string
	asked    []string // what the API was asked
	handler  http.Handler
}

func newStage(t testing.TB, destinations ...directory.Destination) *stage {
	s := &stage{now: start, answers: "200"}
	now := func() time.Time { return s.now }
	s.Console = console.Console{
		Journal: &memory.Journal{}, Directory: &memory.Directory{}, Cache: memory.NewCache(now), Mail: &memory.Mailer{Now: now},
		Timers: &memory.Timers{}, Rejected: &memory.RejectedQueue{}, Now: now,
		Advance: func(_ context.Context, by time.Duration) error {
			s.advanced += by
			return nil
		},
		API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.asked = append(s.asked, r.Method+" "+r.URL.Path)
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"detail":"it is <connected> already"}`)
		}),
	}
	s.Demo = &console.Demo{
		Receivers: []console.Receiver{{
			DestinationID: "siem", Answers: func() string { return s.answers }, Answer: func(a string) { s.answers = a },
			Log: func(id, _ string) json.RawMessage { return json.RawMessage(`{"id":"` + id + `","taken":true}`) },
		}},
		Examples: func(rounds int) (int, error) { return rounds, nil },
	}
	if err := s.Directory.PutWorkspace(t.Context(), directory.Workspace{ID: "acme", Name: "Acme"}); err != nil {
		t.Fatal(err)
	}
	for _, d := range destinations {
		if _, err := s.Directory.PutDestination(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	s.handler = s.Handler()
	return s
}

func destination(change func(*directory.Destination)) directory.Destination {
	d := directory.Destination{
		ID: "siem", Name: "SIEM", WorkspaceID: "acme", Kind: directory.HTTP, Settings: json.RawMessage(`{}`), State: directory.Connected,
		StateSince: start, Health: directory.Health{State: directory.Healthy}, Version: 1,
	}
	if change != nil {
		change(&d)
	}
	return d
}

func (s *stage) get(t testing.TB, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer
}

// text is a page's main part without its markup.
func text(page string) string {
	if _, main, ok := strings.Cut(page, "<main"); ok {
		page = main
	}
	words := strings.Fields(html.UnescapeString(regexp.MustCompile(`(?s)<[^>]*>`).ReplaceAllString(page, " ")))
	return strings.NewReplacer(" .", ".", " ,", ",").Replace(strings.Join(words, " "))
}

func key(log string) delivery.Key {
	return delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: log, AcceptedAt: start}
}

// accepted, tried and gaveUp are the entries of a delivery's life.
func accepted(log string) delivery.Entry {
	return delivery.Entry{Event: delivery.EventAccepted, At: start, Key: key(log), Type: "user_activity", MessageID: "m-" + log}
}

func tried(log string, attempt int, after time.Duration, code failure.Code, next time.Duration) delivery.Entry {
	e := delivery.Entry{Event: delivery.EventAttempted, At: start.Add(after), Key: key(log), Attempt: attempt, Outcome: delivery.Delivered}
	if code != "" {
		e.Outcome, e.Code, e.NextAt = delivery.Failed, code, start.Add(next)
	}
	return e
}

func gaveUp(log string) delivery.Entry {
	return delivery.Entry{Event: delivery.EventFailed, At: key(log).ExpiresAt(), Key: key(log), Attempt: 9, Code: failure.HTTPServerError}
}

func TestADestinationIsShownInEveryState(t *testing.T) {
	tests := map[string]struct {
		change func(*directory.Destination)
		later  time.Duration
		parked bool
		want   []string
	}{
		"healthy": {nil, 0, false, []string{"healthy", "Logs get through.", "Next attempt in 1 min"}},
		"failing": {func(d *directory.Destination) {
			d.Health = directory.Health{State: directory.Failing, Since: start, Code: failure.HTTPUnauthorized}
		}, 30 * time.Minute, false, []string{"failing", "401 Unauthorized since 2 Nov 09:00:00 (30 min ago)", "http.unauthorized"}},
		"held back": {func(d *directory.Destination) {
			d.Health = directory.Health{State: directory.Failing, Since: start, Code: failure.NetTimeout}
		}, 0, true, []string{"Timeout since", "Next attempt a few each minute"}},
		"unknown code": {func(d *directory.Destination) {
			d.Health = directory.Health{State: directory.Failing, Since: start, Code: "new.code"}
		}, 0, false, []string{"Unknown error", "new.code"}},
		"refusing": {func(d *directory.Destination) {
			d.Health.TakenAt = start.Add(2 * time.Hour)
			d.Health.Refused = directory.Refusals{Since: start, Code: failure.HTTPLogRefused}
		}, 3 * time.Hour, false, []string{"healthy", "Logs wait that it refused, since 2 Nov 09:00:00, the first with 400 Bad Request",
			"it takes others, as it did 1 h ago.",
			"http.log_refused"}},
		"draining":      {func(d *directory.Destination) { d.Draining = true }, 0, false, []string{"draining", "The backlog is being sent."}},
		"disconnected":  {func(d *directory.Destination) { d.State = directory.Disconnected }, time.Hour, false, []string{"disconnected", "Disconnected by an admin 1 h ago.", "it is disabled in 7 h", "Next attempt after a reconnect"}},
		"misspelt":      {func(d *directory.Destination) { d.LogTypes = []string{"jon_summary"} }, 0, false, []string{"The log type jon_summary is not a published one; job_summary may be meant."}},
		"deleted":       {func(d *directory.Destination) { d.State = directory.Deleted }, time.Hour, false, []string{"deleted", "Deleted by an admin 1 h ago.", "it is removed in 7 h unless it is restored", "Next attempt after a restore"}},
		"disabled":      {func(d *directory.Destination) { d.State = directory.Disabled }, time.Hour, false, []string{"disabled", "Disabled 1 h ago, eight hours after"}},
		"without state": {func(d *directory.Destination) { d.Health = directory.Health{} }, 0, false, []string{"healthy"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, destination(test.change))
			s.now = start.Add(test.later)
			s.Journal.Record(accepted("l-1"))
			s.Journal.Record(tried("l-1", 1, 0, failure.HTTPUnauthorized, test.later+time.Minute))
			if errs := s.Cache.Save(t.Context(), []delivery.Delivery{{Key: key("l-1"), Attempts: 1, NextAt: key("l-1").ExpiresAt(), Parked: test.parked}}); errs[0] != nil {
				t.Fatal(errs[0])
			}
			for _, path := range []string{"/", "/destinations/siem", "/logs/siem/acme/l-1"} {
				answer := s.get(t, path)
				if answer.Code != http.StatusOK {
					t.Fatalf("%s answers %d: %s", path, answer.Code, answer.Body)
				}
				shown := text(answer.Body.String())
				for _, want := range test.want {
					if path[1:] != "logs/siem/acme/l-1" && !strings.Contains(shown, want) {
						t.Errorf("%s does not say %q:\n%s", path, want, shown)
					}
				}
			}
		})
	}
}

// TestThePageSaysWhyLogsWait has logs wait for several reasons.
func TestThePageSaysWhyLogsWait(t *testing.T) {
	s := newStage(t, destination(nil))
	for i, code := range []failure.Code{failure.HTTPLogRefused, "", failure.HTTPLogRefused, failure.NetTimeout} {
		log := fmt.Sprintf("l-%d", i)
		s.Journal.Record(accepted(log))
		if errs := s.Cache.Save(t.Context(), []delivery.Delivery{{Key: key(log), Code: code, NextAt: key(log).ExpiresAt()}}); errs[0] != nil {
			t.Fatal(errs[0])
		}
	}
	s.now = start.Add(6 * 24 * time.Hour)
	const want = "Of 4: 2 failed with 400 Bad Request ( http.log_refused ), 1 not tried yet, 1 failed with Timeout ( net.timeout ). The first is lost in 1 d unless it is taken."
	if shown := text(s.get(t, "/destinations/siem").Body.String()); !strings.Contains(shown, want) {
		t.Errorf("the page does not say %q:\n%s", want, shown)
	}
}

func TestADestinationWithARoleShowsTheExternalID(t *testing.T) {
	s := newStage(t, destination(func(d *directory.Destination) { d.Kind, d.ExternalID = directory.S3, "EXT7" }))
	shown := text(s.get(t, "/destinations/siem").Body.String())
	if !strings.Contains(shown, "owned by Acme, whose external id is EXT7") {
		t.Errorf("the page does not tell of the external id:\n%s", shown)
	}
}

func TestTheLedgerAndTheFiguresAgree(t *testing.T) {
	s := newStage(t, destination(nil))
	for _, e := range []delivery.Entry{
		accepted("arrives"), tried("arrives", 1, time.Second, "", 0),
		accepted("waits"), tried("waits", 1, time.Second, failure.HTTPServerError, 64*time.Minute),
		accepted("ends"), tried("ends", 1, time.Second, failure.HTTPServerError, delivery.Lifetime), gaveUp("ends"),
		accepted("arrives"), // a message that came twice
		{Event: delivery.EventUnrouted, At: start, MessageID: "m-x"},
		{Event: delivery.EventRejected, At: start, MessageID: "m-y", Reason: "no JSON"},
	} {
		s.Journal.Record(e)
	}
	got := text(s.get(t, "/").Body.String())
	for _, want := range []string{
		"accepted 5 delivered 1 pending 1 failed 1 unrouted 1 rejected 1 repeated 0",
		"Delivered 1 Pending 1 Failed 1 Oldest that waits none Next attempt in 1 h 4 min",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the overview does not say %q:\n%s", want, got)
		}
	}
}

func TestALogTellsItsLife(t *testing.T) {
	s := newStage(t, destination(nil))
	for _, e := range []delivery.Entry{
		accepted("l-1"), tried("l-1", 1, time.Second, failure.HTTPServerError, 65*time.Second),
		{Event: delivery.EventHeld, At: start.Add(time.Minute), Key: key("l-1"), NextAt: key("l-1").ExpiresAt()},
		tried("l-1", 2, 2*time.Hour, "", 0),
	} {
		s.Journal.Record(e)
	}
	s.now = start.Add(3 * time.Hour)
	got := text(s.get(t, "/logs/siem/acme/l-1").Body.String())
	for _, want := range []string{
		"2 Nov 09:00:00 Accepted as user_activity. It has until 9 Nov 09:00:00.",
		"Attempt 1 failed: 5xx", "http.server_error", "Next attempt 2 Nov 09:01:05, 1 min 4 s later.",
		"Held back, unattempted.", "2 Nov 11:00:00 + 2 h Delivered at attempt 2",
		"As the built-in receiver got it.", `"taken": true`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the log's page does not say %q:\n%s", want, got)
		}
	}
	found := s.get(t, "/logs?id=l-1")
	if diff := cmp.Diff("/logs/siem/acme/l-1", found.Header().Get("Location")); diff != "" {
		t.Errorf("the search leads elsewhere:\n%s", diff)
	}
	for _, path := range []string{"/logs?id=l-2", "/logs/siem/acme/l-2", "/destinations/other", "/console/mail/1"} {
		if answer := s.get(t, path); answer.Code != http.StatusNotFound {
			t.Errorf("%s answers %d, not 404", path, answer.Code)
		}
	}
}

func TestHostileTextStaysText(t *testing.T) {
	const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>`
	s := newStage(t, destination(func(d *directory.Destination) {
		d.Name, d.LogTypes = hostile, []string{hostile}
		d.Settings, _ = json.Marshal(map[string]any{
			"url": "https://user:password@host.example/path?sig=secret", "headers": map[string]string{"X-Token": "secret"}, "note": hostile,
		})
		d.Health = directory.Health{State: directory.Failing, Since: start, Code: hostile}
	}))
	e := accepted("l-1")
	e.Type = hostile
	s.Journal.Record(e)
	e = tried("l-1", 1, 0, hostile, time.Hour)
	e.Detail = hostile
	s.Journal.Record(e)
	_ = s.Rejected.Reject(t.Context(), []delivery.Rejection{{Message: delivery.Message{ID: hostile}, Reason: hostile}})
	if err := s.Mail.Send(t.Context(), notice.Mail{To: []string{hostile}, Subject: hostile, Text: hostile, HTML: hostile, DestinationID: hostile}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/", "/destinations/siem", "/logs/siem/acme/l-1", "/mailbox", "/logs?id=" + url.QueryEscape(hostile), "/destinations/" + url.PathEscape(hostile),
	} {
		answer := s.get(t, path)
		body := answer.Body.String()
		for _, never := range []string{"<script>alert", "<img src=x", "secret", "password"} {
			if strings.Contains(body, never) {
				t.Errorf("%s has %q in it", path, never)
			}
		}
		policy := answer.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s has the policy %q", path, policy)
		}
	}
	mail := s.get(t, "/console/mail/1")
	if policy := mail.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "sandbox") || strings.Contains(policy, "script-src") {
		t.Errorf("a mail's HTML has the policy %q", policy)
	}
	if !strings.Contains(s.get(t, "/mailbox").Body.String(), `<iframe sandbox src="/console/mail/1"`) {
		t.Error("the mail is not in a sandboxed frame")
	}
}

func TestForms(t *testing.T) {
	waitsAnHour := func(s *stage) {
		s.Journal.Record(accepted("l-1"))
		s.Journal.Record(tried("l-1", 1, 0, failure.HTTPServerError, time.Hour))
	}
	type outcome struct {
		Advanced time.Duration
		Answers  string
		Asked    []string
		Told     string
	}
	tests := map[string]struct {
		path, form string
		before     func(*stage)
		want       outcome
	}{
		"a step":               {"/console/advance", "by=15m", nil, outcome{15 * time.Minute, "200", nil, "The clock moved on by 15 min: no attempt was made."}},
		"the next event":       {"/console/advance", "by=next", waitsAnHour, outcome{time.Hour + time.Second, "200", nil, "The clock moved on by 1 h: no attempt was made."}},
		"no event":             {"/console/advance", "by=next", nil, outcome{0, "200", nil, "Nothing waits: no log has a next attempt and no timer runs."}},
		"a step of one's own":  {"/console/advance", "by=87600h", nil, outcome{0, "200", nil, "The clock has no such step."}},
		"a fault":              {"/console/receivers/siem", "answer=503", nil, outcome{0, "503", nil, "The receiver of SIEM now answers: 503 Unavailable."}},
		"no such fault":        {"/console/receivers/siem", "answer=600", nil, outcome{0, "200", nil, "There is no such receiver or fault."}},
		"no such receiver":     {"/console/receivers/other", "answer=503", nil, outcome{0, "200", nil, "There is no such receiver or fault."}},
		"examples":             {"/console/examples", "rounds=100", nil, outcome{0, "200", nil, "100 logs sent to the ingest queue."}},
		"too many examples":    {"/console/examples", "rounds=1000000", nil, outcome{0, "200", nil, "Example logs are sent one to a thousand times, and only without a configuration file."}},
		"reconnect":            {"/console/destinations/siem/reconnect", "", nil, outcome{0, "200", []string{"POST /v1/destinations/siem/reconnect"}, "Refused: it is <connected> already."}},
		"restore":              {"/console/destinations/siem/restore", "", nil, outcome{0, "200", []string{"POST /v1/destinations/siem/restore"}, "Refused: it is <connected> already."}},
		"redrive":              {"/console/destinations/siem/redrive", "", nil, outcome{0, "200", []string{"POST /v1/redrive"}, "Refused: it is <connected> already."}},
		"no action of the API": {"/console/destinations/siem/delete", "", nil, outcome{0, "200", nil, "There is no such action."}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, destination(nil))
			if test.before != nil {
				test.before(s)
			}
			answer := s.post(test.path, test.form, "")
			var told struct{ Message string }
			if err := json.Unmarshal(answer.Body.Bytes(), &told); err != nil {
				t.Fatalf("the answer is no JSON: %s", answer.Body)
			}
			if diff := cmp.Diff(test.want, outcome{s.advanced, s.answers, s.asked, told.Message}); diff != "" {
				t.Error(diff)
			}
			s = newStage(t, destination(nil))
			if foreign := s.post(test.path, test.form, "https://elsewhere.example"); foreign.Code != http.StatusForbidden || s.advanced != 0 || s.answers != "200" || s.asked != nil {
				t.Errorf("a page from elsewhere was answered %d", foreign.Code)
			}
		})
	}
}

func (s *stage) post(path, form, origin string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if origin != "" {
		r.Header.Set("Origin", origin)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, r)
	return answer
}

func TestNoPageHasScriptOrStyleOfItsOwn(t *testing.T) {
	entries, err := os.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script>|https?://`)
	for _, e := range entries {
		source, err := os.ReadFile("templates/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if found := inline.Find(source); found != nil {
			t.Errorf("%s has %q in it, which the policy forbids", e.Name(), found)
		}
	}
}

// tenThousand is a destination with 10,000 logs, of which one in ten still waits after three attempts.
func tenThousand(tb testing.TB) *stage {
	s := newStage(tb, destination(nil))
	var waits []delivery.Delivery
	for i := range 10_000 {
		log := fmt.Sprintf("l-%d", i)
		s.Journal.Record(accepted(log))
		if i%10 > 0 {
			s.Journal.Record(tried(log, 1, time.Duration(i)*time.Second, "", 0))
			continue
		}
		for n := 1; n <= 3; n++ {
			s.Journal.Record(tried(log, n, time.Duration(n*i)*time.Second, failure.HTTPServerError, 100*time.Hour))
		}
		waits = append(waits, delivery.Delivery{Key: key(log), Attempts: 3, NextAt: start.Add(100 * time.Hour)})
	}
	s.Cache.Save(tb.Context(), waits)
	s.now = start.Add(9 * time.Hour)
	return s
}

func BenchmarkPagesWithTenThousandLogs(b *testing.B) {
	s := tenThousand(b)
	for _, path := range []string{"/", "/destinations/siem", "/logs/siem/acme/l-10"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				if answer := s.get(b, path); answer.Code != http.StatusOK {
					b.Fatal(answer.Code)
				}
			}
		})
	}
}

func TestTenThousandLogsDoNotSlowAPage(t *testing.T) {
	s := tenThousand(t)
	for _, path := range []string{"/", "/destinations/siem"} {
		s.get(t, path) // the first one reads the journal
		best := time.Hour
		for range 5 {
			began := time.Now()
			s.get(t, path)
			best = min(best, time.Since(began))
		}
		if best > 50*time.Millisecond {
			t.Errorf("%s takes %v", path, best)
		}
	}
}
