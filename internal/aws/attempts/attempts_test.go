package attempts_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/aws/attempts"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// logService plays FilterLogEvents as its reference describes it: newest first if it is asked to, pages that
// may be empty, and no such order for a start before 2024.
type logService struct {
	t *testing.T
	// lines by their time in milliseconds.
	lines map[int64][]string
	// page is how many lines one call looks through.
	page int
	// gone says that the log group is not there.
	gone bool
	// hangs is the call that is not answered, counted from 1; 0 for none.
	hangs int

	mu    sync.Mutex
	calls []asked
}

type asked struct {
	LogGroupName, FilterPattern, NextToken string
	StartTime, EndTime                     int64
	Limit                                  int
	StartFromHead                          bool
}

// ServeHTTP answers one call. What does not belong to an attempt is looked through like the rest.
func (s *logService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in asked
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	s.calls = append(s.calls, in)
	n := len(s.calls)
	s.mu.Unlock()
	if n == s.hangs {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if s.gone {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"ResourceNotFoundException"}`)
		return
	}
	if !in.StartFromHead && in.StartTime < time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"InvalidParameterException"}`)
		return
	}
	events, next := s.look(in)
	answer := map[string]any{"events": events}
	if next > 0 {
		answer["nextToken"] = strconv.Itoa(next)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

type event struct {
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
}

// look goes through a page, the newest first, and gives what the pattern's log id and event match.
func (s *logService) look(in asked) (found []event, next int) {
	var all []event
	for at, lines := range s.lines {
		for _, l := range lines {
			if at >= in.StartTime && at <= in.EndTime {
				all = append(all, event{at, l})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b event) int { return int(b.Timestamp - a.Timestamp) })
	from, _ := strconv.Atoi(in.NextToken)
	for i := from; i < len(all); i++ {
		if i-from == s.page || len(found) == in.Limit {
			return found, i
		}
		if strings.Contains(all[i].Message, `"msg":"delivery.`) {
			found = append(found, all[i])
		}
	}
	return found, 0
}

// Do makes it the client's way to the network, so that time in a test stands still while nothing hangs.
func (s *logService) Do(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, r)
	return answer.Result(), r.Context().Err()
}

func (s *logService) reader() *attempts.Reader {
	return &attempts.Reader{Group: "/auditrelay/dev/deliver", TimeLimit: 20 * time.Second,
		Client: cloudwatchlogs.New(cloudwatchlogs.Options{
			HTTPClient: s, Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b",
				""),
		})}
}

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// attempt is one made so long before noon, as a record and as the line of it.
func attempt(before time.Duration) (admin.AttemptRecord, string) {
	at := noon.Add(-before)
	e := delivery.Entry{
		Event: delivery.EventAttempted, At: at, Type: "user_activity", Kind: directory.HTTP, Attempt: 1, Outcome: delivery.Failed,
		Key: delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: "log-" + before.String(),
			AcceptedAt: at.Add(-time.Minute)},
		Code: failure.HTTPServerError, Took: 12 * time.Millisecond, NextAt: at.Add(time.Minute),
		Why: delivery.WhyProbe, MessageID: "m-1", Receives: 2,
	}
	var line bytes.Buffer
	delivery.NewLines(&line, "test").Record(e)
	return admin.AttemptRecord{Key: e.Key, Kind: e.Kind, Attempt: 1, Outcome: e.Outcome, Code: e.Code, At: at,
		Took: e.Took, NextAt: e.NextAt, Why: e.Why, MessageID: e.MessageID, Receives: e.Receives}, line.String()
}

// arrives is how long after its attempt a line comes to the log service.
const arrives = 40 * time.Millisecond

// TestSearch looks for attempts that were made so long before noon.
func TestSearch(t *testing.T) {
	const h = time.Hour
	other := `{"msg":"relay.fault"}`
	minutes := func(n int) (made []time.Duration) {
		for i := range n {
			made = append(made, time.Duration(i+1)*time.Minute)
		}
		return made
	}
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	for name, c := range map[string]struct {
		made         []time.Duration
		others       int // lines of something else, one a second
		page         int // lines that a call looks through
		hangs        int
		since, until time.Duration
		limit        int
		want         []time.Duration
		complete     bool
		back         time.Time // how far back it says it looked
	}{
		"none": {page: 100, since: 168 * h, limit: 10, complete: true, back: ago(168 * h)},
		"some of a week": {made: []time.Duration{time.Minute, 3 * h, 167 * h}, page: 100, since: 168 * h,
			limit: 10, want: []time.Duration{time.Minute, 3 * h,
				167 * h}, complete: true, back: ago(168 * h)},
		"outside the time": {made: []time.Duration{time.Minute, 3 * h, 30 * h}, page: 100, since: 4 * h,
			until: h, limit: 10, want: []time.Duration{3 * h}, complete: true, back: ago(4 * h)},
		"exactly as many": {made: minutes(10), page: 100, since: h, limit: 10, want: minutes(10),
			complete: true, back: ago(h)},
		"more than wanted": {made: minutes(11), page: 100, since: h, limit: 10, want: minutes(10),
			back: ago(10 * time.Minute).Add(arrives)},
		"many pages": {made: minutes(12), page: 1, since: h, limit: 100, want: minutes(12),
			complete: true, back: ago(h)},
		"empty pages": {made: []time.Duration{10 * time.Minute}, others: 500, page: 50, since: h,
			limit: 5, want: []time.Duration{10 * time.Minute}, complete: true, back: ago(h)},
		"before all order": {made: minutes(1), page: 100, since: 30 * 365 * 24 * h, limit: 5,
			want: minutes(1), complete: true, back: ago(30 * 365 * 24 * h)},
		"an end in between": {made: minutes(3), page: 100, since: h, until: 2*time.Minute - arrives,
			limit: 5, want: minutes(3)[1:], complete: true, back: ago(h)},
		"until before since": {made: minutes(3), page: 100, since: time.Minute, until: h, limit: 5,
			complete: true, back: ago(time.Minute)},

		"no time at all": {made: minutes(3), page: 100, hangs: 1, since: h, limit: 5, back: noon},
		"time for the first": {made: minutes(3), page: 2, hangs: 2, since: h, limit: 5, want: minutes(2),
			back: ago(2 * time.Minute).Add(arrives)},
		"time for a short span": {made: []time.Duration{3 * h}, page: 100, hangs: 2, since: 168 * h,
			limit: 5, back: ago(15*time.Minute - time.Millisecond)},
		"time for two spans": {made: []time.Duration{time.Minute, 3 * h}, page: 100, hangs: 3,
			since: 168 * h, limit: 5, want: minutes(1), back: ago(75*time.Minute - time.Millisecond)},
		"time for nothing found": {others: 500, page: 50, hangs: 2, since: h, limit: 5, back: noon},
	} {
		t.Run(name, func(t *testing.T) {
			s := &logService{t: t, lines: make(map[int64][]string), page: c.page, hangs: c.hangs}
			for _, d := range c.made {
				_, line := attempt(d)
				at := noon.Add(-d).Add(arrives).UnixMilli()
				s.lines[at] = append(s.lines[at], line)
			}
			for i := range c.others {
				at := noon.Add(-time.Duration(i) * time.Second).UnixMilli()
				s.lines[at] = append(s.lines[at], other)
			}
			q := admin.AttemptQuery{Since: noon.Add(-c.since), Until: noon.Add(-c.until), Limit: c.limit}
			var got admin.AttemptSearch
			synctest.Test(t, func(t *testing.T) {
				var err error
				if got, err = s.reader().Attempts(t.Context(), q); err != nil {
					t.Fatal(err)
				}
			})
			want := admin.AttemptSearch{Records: []admin.AttemptRecord{}, Complete: c.complete,
				SearchedUntil: c.back}
			for _, d := range c.want {
				record, _ := attempt(d)
				want.Records = append(want.Records, record)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the search (-want +got):\n%s\nafter %d calls", diff, len(s.calls))
			}
		})
	}
}

// TestSearchGoesOn asks for a long list in parts, each from where the one before says it ends, as the command
// line advises.
func TestSearchGoesOn(t *testing.T) {
	s := &logService{t: t, lines: make(map[int64][]string), page: 7}
	var want []string
	for i := range 100 {
		record, line := attempt(time.Duration(i/3) * time.Second) // three in a millisecond
		record.LogID = fmt.Sprintf("log-%d", i)
		want = append(want, record.LogID)
		at := record.At.UnixMilli()
		s.lines[at] = append(s.lines[at], strings.Replace(line,
			`"log_id":"log-`+(time.Duration(i/3)*time.Second).String(), `"log_id":"`+record.LogID, 1))
	}
	reader, until := s.reader(), noon
	got := make(map[string]bool)
	for range 100 {
		part, err := reader.Attempts(t.Context(), admin.AttemptQuery{Since: noon.Add(-time.Hour),
			Until: until, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range part.Records {
			got[r.LogID] = true
		}
		if part.Complete {
			break
		}
		until = part.SearchedUntil
	}
	for _, id := range want {
		if !got[id] {
			t.Errorf("%s is in no part", id)
		}
	}
}

func TestWhatIsAsked(t *testing.T) {
	s := &logService{t: t, page: 100}
	_, err := s.reader().Attempts(t.Context(), admin.AttemptQuery{LogID: "log-1", DestinationID: "siem",
		Since: noon.Add(-time.Minute), Until: noon, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	want := []asked{{
		LogGroupName: "/auditrelay/dev/deliver", StartTime: noon.Add(-time.Minute).UnixMilli(), EndTime: noon.UnixMilli(), Limit: 11,
		FilterPattern: `{ ($.msg = "delivery.attempted" || $.msg = "delivery.held") && $.log_id = "log-1" && $.destination_id = "siem" }`,
	}}
	if diff := cmp.Diff(want, s.calls); diff != "" {
		t.Errorf("the calls (-want +got):\n%s", diff)
	}
}

func TestErrorsOfTheServiceAreErrors(t *testing.T) {
	s := &logService{t: t, gone: true}
	q := admin.AttemptQuery{Since: noon.Add(-time.Hour), Until: noon, Limit: 10}
	if got, err := s.reader().Attempts(t.Context(), q); err == nil || got.Complete {
		t.Errorf("a log group that is not there gives %+v, %v", got, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.gone = false
	if got, err := s.reader().Attempts(ended, q); err == nil || got.Complete {
		t.Errorf("a request that has ended gives %+v, %v", got, err)
	}
}
