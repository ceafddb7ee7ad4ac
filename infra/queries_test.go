package infra

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// logLine is a line of a function's log group, by its fields.
type logLine map[string]any

// refusing is a destination that takes no log.
type refusing struct{}

func (refusing) Sink(context.Context, directory.Destination) (delivery.Sink, error) {
	return refusing{}, nil
}

func (refusing) Send(_ context.Context, logs []auditlog.Document) []delivery.Result {
	results := make([]delivery.Result, len(logs))
	for i := range results {
		results[i].Err = &failure.Error{Code: failure.HTTPUnauthorized, Detail: "HTTP 401"}
	}
	return results
}

// eightDays are the lines of a week and a day in which everything happens that a line tells of: a destination
// fails, its logs are given up, mails are sent, messages are no logs or go nowhere, and a write of our own
// fails.
func eightDays(t *testing.T) (lines []logLine) {
	t.Helper()
	saves := 0
	w := local.NewWorld(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), func(call string) memory.Fault {
		if call == memory.CallSave {
			if saves++; saves == 2 {
				return memory.FailBefore
			}
		}
		return memory.OK
	})
	var out bytes.Buffer
	w.Journal.Next, w.MailJournal.Next = delivery.NewLines(&out, "test"), notice.NewLines(&out, "test")
	w.SetSinks(refusing{})
	refused := 0
	w.Mail.Refuse = func(notice.Mail) *notice.Refusal {
		if refused++; refused == 1 {
			return &notice.Refusal{Reason: "TooManyRequestsException"}
		}
		return nil
	}
	err := w.Apply(t.Context(), local.Directory{
		Workspaces: []directory.Workspace{{ID: "acme", Kind: directory.Standalone,
			Admins: []string{"ada@acme.example"}}},
		Destinations: []directory.Destination{{ID: "siem", WorkspaceID: "acme", Kind: directory.HTTP,
			State:    directory.Connected,
			LogTypes: []string{"user_activity"}, Health: directory.Health{State: directory.Healthy}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		`{"id":"a","workspace_id":"acme","type":"user_activity","occurred_at":"2026-11-02T08:59:58Z","payload":{}}`,
		`{"id":"b","workspace_id":"acme","type":"job_details","occurred_at":"2026-11-02T08:59:58Z","payload":{}}`,
		`{"id":"c"}`,
	} {
		w.Send([]byte(body))
	}
	if err := w.Advance(t.Context(), 8*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	for text := range bytes.Lines(out.Bytes()) {
		var l logLine
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// TestTheWeekIsTheCores: the stack's alarms and the bucket's lifecycle go by what the core keeps a log for.
func TestTheWeekIsTheCores(t *testing.T) {
	if lifetime != delivery.Lifetime {
		t.Errorf("the stack takes a log to be kept %v, and it is %v", lifetime, delivery.Lifetime)
	}
}

// TestQueriesAskForWhatIsWritten holds that each field which a saved query names stands in lines that its
// filter lets through.
func TestQueriesAskForWhatIsWritten(t *testing.T) {
	lines := eightDays(t)
	for _, q := range savedQueries() {
		t.Run(q.name, func(t *testing.T) {
			filter := joined(q.text.FilterStatements)
			passed := slices.DeleteFunc(slices.Clone(lines),
				func(l logLine) bool { return !passes(l, filter) })
			if len(passed) == 0 {
				t.Fatal("no line passes its filter")
			}
			names := named(joined(q.text.Fields) + " " + filter + " " + joined(q.text.StatsStatements) + " " + joined(sorting(q)))
			if len(names) == 0 {
				t.Fatal("it names no field")
			}
			for _, name := range names {
				if !slices.ContainsFunc(passed, func(l logLine) bool { _, ok := l[name]; return ok }) {
					t.Errorf("no line has the field %s", name)
				}
			}
		})
	}
}

func joined(statements *[]*string) string {
	if statements == nil {
		return ""
	}
	var all []string
	for _, s := range *statements {
		all = append(all, *s)
	}
	return strings.Join(all, " ")
}

// sorting is a query's order as a list of statements, as its other parts are.
func sorting(q savedQuery) *[]*string {
	if q.text.Sort == nil {
		return nil
	}
	return &[]*string{q.text.Sort}
}

var (
	quoted  = regexp.MustCompile(`'[^']*'|/[^/]*/`)
	aliases = regexp.MustCompile(`\bas (\w+)`)
	words   = regexp.MustCompile(`(^|[^\w@])([a-z_]+)\b(\()?`)
	place   = regexp.MustCompile(`(\w+) = '[A-Z_]+'`)
	message = regexp.MustCompile(`\bmsg (?:= ('[^']*')|in \[([^\]]*)\]|like /((?:\\.|[^/])*)/)`)
)

// named are the fields in a query's text: words that are no text, function, keyword or name that the query
// gives.
func named(query string) (names []string) {
	own := []string{"and", "or", "in", "like", "as", "by", "asc", "desc"}
	for _, a := range aliases.FindAllStringSubmatch(query, -1) {
		own = append(own, a[1])
	}
	// A word ends where the next begins, so the text is spread.
	spread := strings.ReplaceAll(quoted.ReplaceAllString(query, " "), " ", "  ")
	for _, w := range words.FindAllStringSubmatch(spread, -1) {
		if w[3] == "" && !slices.Contains(own, w[2]) && !slices.Contains(names, w[2]) {
			names = append(names, w[2])
		}
	}
	return names
}

// passes says whether a filter lets a line through, as far as its event and the fields in which a person puts
// an id go.
func passes(l logLine, filter string) bool {
	for _, p := range place.FindAllStringSubmatch(filter, -1) {
		if _, ok := l[p[1]]; !ok {
			return false
		}
	}
	events := message.FindAllStringSubmatch(filter, -1)
	for _, e := range events {
		if msg, _ := l["msg"].(string); e[3] != "" {
			if regexp.MustCompile(e[3]).MatchString(msg) {
				return true
			}
		} else if msg != "" && strings.Contains(e[1]+e[2], "'"+msg+"'") {
			return true
		}
	}
	return len(events) == 0
}
