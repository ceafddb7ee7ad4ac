package connection_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

const day = 24 * time.Hour

// monday is when every story begins.
var monday = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

var maria = connection.Caller{
	Identity: "arn:aws:sts::111122223333:assumed-role/platform-admin/maria@acme.example", IPAddress: "203.0.113.24", UserAgent: "auditrelay/1.0",
}

// receiver is a destination that counts each log, and refuses all while it has a failure.
type receiver struct {
	mu   sync.Mutex
	fail failure.Code
	held map[string]int
	text map[string]string // what each log says
}

func (r *receiver) Sink(context.Context, directory.Destination) (delivery.Sink, error) { return r, nil }

func (r *receiver) Send(_ context.Context, logs []auditlog.Document) []delivery.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	results := make([]delivery.Result, len(logs))
	for i, log := range logs {
		if r.fail != "" {
			results[i].Err = &failure.Error{Code: r.fail}
			continue
		}
		r.held[log.ID]++
		r.text[log.ID] = string(log.JSON)
	}
	return results
}

func (r *receiver) answer(code failure.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = code
}

// producer's logs, without the system's own.
func (r *receiver) logs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(r.held)), func(id string) bool { return strings.HasPrefix(id, "activity-") })
}

type world struct {
	*local.World
	t    *testing.T
	siem *receiver
	sent []string
}

// newWorld has one workspace with one destination, an hour old.
func newWorld(t *testing.T, hook memory.Hook) *world {
	t.Helper()
	w := &world{World: local.NewWorld(monday.Add(-time.Hour), hook), t: t, siem: &receiver{held: make(map[string]int), text: make(map[string]string)}}
	w.SetSinks(w.siem)
	if err := w.Apply(t.Context(), local.Directory{
		Workspaces: []directory.Workspace{{
			ID: "acme", Name: "Acme Corp", Kind: directory.Standalone, Admins: []string{"ada@acme.example"}, ErrorRecipients: []string{"ops@acme.example"},
		}},
		Destinations: []directory.Destination{{
			ID: "siem", Name: "Acme SIEM", WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Connected, Generation: 1,
			Health: directory.Health{State: directory.Healthy},
		}},
	}); err != nil {
		t.Fatal(err)
	}
	w.until(0)
	return w
}

// until moves the clock to that time after the Monday.
func (w *world) until(d time.Duration) {
	w.t.Helper()
	if err := w.Advance(w.t.Context(), monday.Add(d).Sub(w.Clock.Now())); err != nil {
		w.t.Fatal(err)
	}
}

// send puts a log on the ingest queue at that time after the Monday.
func (w *world) send(d time.Duration) {
	w.t.Helper()
	w.until(d)
	id := fmt.Sprintf("log-%03d", len(w.sent))
	body, err := json.Marshal(events.Log{ID: id, WorkspaceID: "acme", Type: events.JobSummary, OccurredAt: monday, Payload: json.RawMessage("{}")})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Send(body)
	w.sent = append(w.sent, id)
}

func (w *world) destination() directory.Destination {
	w.t.Helper()
	for d := range w.Directory.Destinations(w.t.Context()) { // a listing, which no saboteur breaks
		return d
	}
	w.t.Fatal("the destination is gone")
	return directory.Destination{}
}

func (w *world) disconnect() {
	w.t.Helper()
	if _, err := w.Connections.Disconnect(w.t.Context(), "siem", maria); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) reconnect() {
	w.t.Helper()
	if _, err := w.Connections.Reconnect(w.t.Context(), "siem", maria); err != nil {
		w.t.Fatal(err)
	}
}

// recipients are those whom mails about the destination go to.
var recipients = []string{"ada@acme.example", "ops@acme.example"}

// mails are the kinds of the mails that the first recipient got so far, each with its time after the Monday.
func (w *world) mails() []string { return w.mailsTo(recipients[0]) }

func (w *world) mailsTo(address string) []string {
	var list []string
	for _, m := range w.Mail.All() {
		if slices.Contains(m.To, address) {
			list = append(list, fmt.Sprintf("%s at %v", m.Kind, m.At.Sub(monday)))
		}
	}
	return list
}

// announced are the detail-types on the bus so far.
func (w *world) announced() []string {
	var list []string
	for _, a := range w.Bus.All() {
		list = append(list, a.DetailType)
	}
	return list
}

// audited counts the system's own logs of an event, wherever they are now: each log once.
func (w *world) audited(event connection.Event) int {
	w.siem.mu.Lock()
	defer w.siem.mu.Unlock()
	texts := maps.Clone(w.siem.text)
	for _, d := range w.Cache.All() {
		texts[d.LogID] = string(d.Document.JSON)
	}
	n := 0
	for _, text := range texts {
		if strings.Contains(text, `"event":"`+string(event)+`"`) {
			n++
		}
	}
	return n
}

// checkTold holds that each of these is one entry of the activity audit, that the bus was told of each, and that nothing is left to tell.
func (w *world) checkTold(activities ...connection.Event) {
	w.t.Helper()
	for _, event := range activities {
		w.want("audit entries of "+string(event), w.audited(event), 1)
		a := connection.Activity{Event: event}
		if announcement, ok := a.Announcement(); !ok || !slices.Contains(w.announced(), announcement.DetailType) {
			w.t.Errorf("the bus heard %v, and nothing of %s", w.announced(), event)
		}
	}
	w.want("left to tell", len(w.Directory.Untold()), 0)
}

func (w *world) want(what string, got, want any) {
	w.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%v after the start: %s (-want +got):\n%s", w.Clock.Now().Sub(monday), what, diff)
	}
}

// TestDisconnectedForDays lives through a voluntary disconnect: eight hours of nothing, one mail, and on day six a reconnect that delivers all.
func TestDisconnectedForDays(t *testing.T) {
	w := newWorld(t, nil)
	w.disconnect()
	w.send(time.Hour)
	w.until(8*time.Hour - time.Minute)
	w.want("state", w.destination().State, directory.Disconnected)
	w.want("mails", w.mails(), []string(nil))

	w.until(8 * time.Hour)
	w.want("state", w.destination().State, directory.Disabled)
	w.want("since", w.destination().StateSince, monday.Add(8*time.Hour))
	w.want("mails", w.mails(), []string{"voluntary at 8h0m0s"})
	w.want("mails to the error list", w.mailsTo(recipients[1]), w.mails())
	w.want("announced", w.announced(), []string{events.DestinationDisconnected, events.DestinationDisabled})
	w.want("audit entries", []int{w.audited(connection.DestinationDisconnected), w.audited(connection.DestinationDisabled)}, []int{1, 1})

	for at := 12 * time.Hour; at < 6*day; at += 12 * time.Hour {
		w.send(at)
	}
	w.until(6 * day)
	w.want("delivered", w.siem.logs(), []string(nil))
	w.reconnect()
	w.until(6*day + time.Hour)
	w.want("delivered", w.siem.logs(), w.sent)
	w.until(20 * day)
	w.want("mails", w.mails(), []string{"voluntary at 8h0m0s"})
	w.want("failed events", len(w.Cache.FailedEvents()), 0)
	w.want("announced", w.announced(), []string{events.DestinationDisconnected, events.DestinationDisabled, events.DestinationReconnected})
}

// TestReconnectedOnDayEight finds the older logs failed, each once, and delivers the younger.
func TestReconnectedOnDayEight(t *testing.T) {
	w := newWorld(t, nil)
	w.disconnect()
	for at := 12 * time.Hour; at < 8*day; at += 12 * time.Hour {
		w.send(at)
	}
	w.until(8 * day)
	w.reconnect()
	w.until(9 * day)
	var failed []string
	for _, e := range w.Cache.FailedEvents() {
		if !strings.HasPrefix(e.LogID, "activity-") {
			failed = append(failed, e.LogID)
		}
	}
	slices.Sort(failed)
	w.want("failed events", failed, w.sent[:2]) // of 12 h and of 24 h
	w.want("delivered", w.siem.logs(), w.sent[2:])
	w.want("mails", w.mails(), append([]string{"voluntary at 8h0m0s"}, daily("expiry_warning", 145, 8*24)...))
}

// daily are mails of a kind, one each day from an hour on, before another.
func daily(kind string, from, to int) (mails []string) {
	for h := from; h < to; h += 24 {
		mails = append(mails, fmt.Sprintf("%s at %dh0m0s", kind, h))
	}
	return mails
}

// TestDisabledForGood is warned a day before the first log is lost, and each day as long as further logs are; a second disconnect is warned of anew.
func TestDisabledForGood(t *testing.T) {
	w := newWorld(t, nil)
	w.disconnect()
	for at := day; at < 70*day; at += day {
		w.send(at)
	}
	first := append([]string{"voluntary at 8h0m0s"}, daily("expiry_warning", 145, 69*24)...)
	w.want("mails", w.mails(), first)
	w.reconnect()
	w.until(70*day + time.Hour)
	w.disconnect()
	w.until(90 * day)
	w.want("mails", w.mails(), append(first, "voluntary at 1689h0m0s", "expiry_warning at 1826h0m0s", "expiry_warning at 1850h0m0s"))
}

// TestReconnectedInTime takes a disconnect back: the timer is gone, nothing is mailed, and the next disconnect has eight hours of its own.
func TestReconnectedInTime(t *testing.T) {
	w := newWorld(t, nil)
	w.disconnect()
	w.until(5 * time.Hour)
	w.reconnect()
	w.want("timers", w.Timers.Len(), 0)
	w.until(6 * time.Hour)
	w.disconnect()
	w.until(14*time.Hour - time.Second)
	w.want("state", w.destination().State, directory.Disconnected)
	w.want("mails", w.mails(), []string(nil))
	w.until(30 * time.Hour)
	w.want("state", w.destination().State, directory.Disabled)
	w.want("mails", w.mails(), []string{"voluntary at 14h0m0s"})
}

// TestInvalidToken lives through an involuntary disconnect: mails a day apart, and one when it is over.
func TestInvalidToken(t *testing.T) {
	w := newWorld(t, nil)
	w.siem.answer(failure.HTTPUnauthorized)
	w.send(0)
	w.until(time.Second)
	w.want("mails", w.mails(), []string{"involuntary at 0s"})
	if text := w.Mail.All()[0].Text; !strings.Contains(text, "401 Unauthorized") || !strings.Contains(text, string(failure.HTTPUnauthorized)) {
		t.Errorf("the mail is not granular:\n%s", text)
	}
	for at := time.Hour; at < 50*time.Hour; at += time.Hour {
		w.send(at)
	}
	w.siem.answer("")
	w.until(8 * day)
	w.want("delivered", w.siem.logs(), w.sent)
	mails := w.Mail.All()
	var kinds []directory.NoticeKind
	var last time.Time
	for _, m := range mails {
		if m.To[0] != recipients[0] {
			continue
		}
		kinds = append(kinds, m.Kind)
		if m.Kind != directory.Involuntary {
			continue
		}
		if pause := m.At.Sub(last); pause < day || (!last.IsZero() && pause > day+time.Hour) {
			t.Errorf("an involuntary mail came %v after the one before", pause)
		}
		last = m.At
	}
	w.want("mails", kinds, []directory.NoticeKind{directory.Involuntary, directory.Involuntary, directory.Involuntary, directory.Recovered})
}

// TestOutageOfAnHour mails nothing about a passing failure, and so no recovery either.
func TestOutageOfAnHour(t *testing.T) {
	w := newWorld(t, nil)
	w.siem.answer(failure.HTTPServerError)
	for at := time.Duration(0); at < 50*time.Minute; at += 5 * time.Minute {
		w.send(at)
	}
	w.until(50 * time.Minute)
	w.want("health", w.destination().Health.State, directory.Failing)
	w.siem.answer("")
	w.until(2 * day)
	w.want("mails", w.mails(), []string(nil))
	w.want("delivered", w.siem.logs(), w.sent)
	dropped := 0
	for _, e := range w.MailJournal.Entries() {
		if e.Event == notice.EventDropped {
			dropped++
		}
	}
	w.want("dropped notices", dropped, 1)
}
