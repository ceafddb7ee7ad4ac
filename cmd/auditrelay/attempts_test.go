package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/admin"
)

var nine = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// attemptAPI answers GET /v1/attempts from a list, the newest first, as the management API does.
type attemptAPI struct {
	made []admin.Attempt // the newest first
	// reach, if set, is how far back a search comes before its time is over.
	reach time.Duration
	asked []url.Values
}

func (a *attemptAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if r.URL.Path == "/clock" {
		_ = json.NewEncoder(w).Encode(map[string]any{"now": nine})
		return
	}
	a.asked = append(a.asked, q)
	at := func(name string, otherwise time.Time) time.Time {
		if t, err := time.Parse(time.RFC3339Nano, q.Get(name)); err == nil {
			return t
		}
		return otherwise
	}
	since, until := at("since", time.Time{}), at("until", nine)
	limit, _ := strconv.Atoi(q.Get("limit"))
	page := admin.AttemptPage{Items: []admin.Attempt{}, Complete: true, SearchedUntil: since}
	if end := until.Add(-a.reach); a.reach > 0 && end.After(since) {
		page.Complete, page.SearchedUntil, since = false, end, end
	}
	for _, m := range a.made {
		if m.At.Before(since) || m.At.After(until) {
			continue
		}
		if len(page.Items) == limit {
			page.Complete, page.SearchedUntil = false, page.Items[limit-1].At
			break
		}
		page.Items = append(page.Items, m)
	}
	_ = json.NewEncoder(w).Encode(page)
}

func madeEvery(d time.Duration, n int) (made []admin.Attempt) {
	for i := range n {
		next := nine
		made = append(made, admin.Attempt{LogID: fmt.Sprintf("log-%d", i), DestinationID: "siem", Attempt: 1,
			Outcome: "delivered", At: nine.Add(-time.Duration(i) * d), NextAttemptAt: &next})
	}
	return made
}

// TestAttemptsSayHowFarTheyLooked holds that no answer reads as "there were none" unless there were none.
func TestAttemptsSayHowFarTheyLooked(t *testing.T) {
	const none = "there were no attempts in that time\n"
	for name, c := range map[string]struct {
		api      attemptAPI
		args     []string
		lines    int // of the table, without its heading
		out, err string
	}{
		"none": {attemptAPI{}, nil, 0, none, ""},
		"all":  {attemptAPI{made: madeEvery(time.Minute, 3)}, nil, 3, "", ""},
		"the newest": {attemptAPI{made: madeEvery(time.Minute, 3)}, []string{"--limit", "2"}, 2, "",
			"these are the newest 2; for older ones go on with --until 2026-11-02T08:59:00Z\n"},
		"out of time": {attemptAPI{made: madeEvery(time.Hour, 5), reach: 90 * time.Minute}, nil, 2, "",
			"the search ran out of time: what is older than 2026-11-02T07:30:00Z was not looked at; go on with --until 2026-11-02T07:30:00Z, or name --log or --destination, or a shorter --since\n"},
		"out of time before the first": {attemptAPI{made: madeEvery(time.Hour, 5)[3:],
			reach: 90 * time.Minute}, nil, 0, "",
			"the search ran out of time: what is older than 2026-11-02T07:30:00Z was not looked at; go on with --until 2026-11-02T07:30:00Z, or name --log or --destination, or a shorter --since\n"},
		"gone on with": {attemptAPI{made: madeEvery(time.Hour, 5), reach: 90 * time.Minute},
			[]string{"--until", "2026-11-02T07:30:00Z", "--since", "1h"}, 1, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(&c.api)
			defer server.Close()
			args := append([]string{"attempts", "--local=" + server.URL}, c.args...)
			out, errs := runWith(t, args)
			if c.lines > 0 {
				if got := strings.Count(out, "\n") - 1; got != c.lines || !strings.HasPrefix(out, "TIME") {
					t.Errorf("%d lines, want %d:\n%s", got, c.lines, out)
				}
				out = ""
			}
			if diff := cmp.Diff([2]string{c.out, c.err}, [2]string{out, errs}); diff != "" {
				t.Errorf("what is said (-want +got):\n%s", diff)
			}
			out, errs = runWith(t, append(args, "-o", "json"))
			var page admin.AttemptPage
			if err := json.Unmarshal([]byte(out), &page); err != nil {
				t.Fatal(err)
			}
			if len(page.Items) != c.lines || page.Complete != (c.err == "") || page.SearchedUntil.IsZero() || errs != c.err {
				t.Errorf("as JSON: %s%s", out, errs)
			}
		})
	}
}

// TestTailTellsEachAttemptOnce follows an API that has more new attempts than a page, and later some again.
func TestTailTellsEachAttemptOnce(t *testing.T) {
	for name, c := range map[string]struct {
		made   []admin.Attempt
		reach  time.Duration
		told   int
		warned bool
	}{
		"a few":              {madeEvery(time.Second, 5), 0, 5, false},
		"several pages":      {madeEvery(10*time.Millisecond, 3500), 0, 3500, false},
		"many at one moment": {madeEvery(0, 900), 0, 900, false},
		"too many": {madeEvery(time.Millisecond, 11_000), 0, 9_991,
			true}, // ten pages, of which nine begin where the one before ended
		"a slow search":       {madeEvery(time.Second, 50), 20 * time.Second, 50, false},
		"a search that hangs": {madeEvery(time.Second, 50), time.Nanosecond, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			api := attemptAPI{made: c.made, reach: c.reach}
			server := httptest.NewServer(&api)
			defer server.Close()
			client, err := newClient("--local", server.URL)
			if err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			f := tail{client: client, json: true, out: &out, errors: &errs, from: nine.Add(-time.Minute),
				told: make(map[admin.Attempt]bool)}
			for range 2 {
				if err := f.look(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			var last time.Time
			told := make(map[string]int)
			for line := range strings.Lines(out.String()) {
				var a admin.Attempt
				if err := json.Unmarshal([]byte(line), &a); err != nil {
					t.Fatal(err)
				}
				if told[a.LogID]++; told[a.LogID] > 1 || a.At.Before(last) {
					t.Errorf("%s of %v was told %d times, after %v", a.LogID, a.At, told[a.LogID], last)
				}
				last = a.At
			}
			if len(told) != c.told || strings.Contains(errs.String(), "some are not shown") != c.warned {
				t.Errorf("%d were told, want %d; said %q", len(told), c.told, errs.String())
			}
		})
	}
}
