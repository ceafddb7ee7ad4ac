package notice_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// office is notify with everything around it.
type office struct {
	notice.Notify
	t         *testing.T
	directory *memory.Directory
	mailer    *memory.Mailer
	journal   *memory.MailJournal
	now       time.Time
	messages  int
}

// newOffice has one failing destination, of an owner with these admins.
func newOffice(t *testing.T, hook memory.Hook, admins ...string) *office {
	t.Helper()
	templates, err := notice.Templates()
	if err != nil {
		t.Fatal(err)
	}
	renderer, err := notice.NewRenderer(templates, "en", "Acme", "<notices.acme.example>")
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, directory: new(memory.Directory), journal: new(memory.MailJournal), now: start}
	now := func() time.Time { return o.now }
	o.mailer = &memory.Mailer{Hook: hook, Now: now}
	o.Notify = notice.Notify{Directory: o.directory, Claims: &memory.Claims{Hook: hook}, Mailer: o.mailer, Renderer: renderer, Journal: o.journal, Now: now}
	if err := o.directory.PutWorkspace(t.Context(), directory.Workspace{ID: "acme", Name: "Acme", Admins: admins}); err != nil {
		t.Fatal(err)
	}
	o.put(failing(start))
	return o
}

func failing(since time.Time) directory.Destination {
	return directory.Destination{
		ID: "siem", WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Connected, Generation: 1,
		Health: directory.Health{State: directory.Failing, Since: since, Code: failure.HTTPUnauthorized},
	}
}

func (o *office) put(d directory.Destination) {
	o.t.Helper()
	if current, err := o.directory.CurrentDestination(o.t.Context(), d.ID); err == nil {
		d.Revision = current.Revision
	}
	if _, err := o.directory.PutDestination(o.t.Context(), d); err != nil {
		o.t.Fatal(err)
	}
}

// message is a new message of the queue.
func (o *office) message(n directory.Notice) notice.Message {
	o.messages++
	return notice.Message{ID: fmt.Sprintf("m-%03d", o.messages), Receives: 1, Notice: n}
}

func (o *office) involuntary() directory.Notice {
	return directory.Notice{Kind: directory.Involuntary, DestinationID: "siem", Since: start, Code: failure.HTTPUnauthorized, At: o.now}
}

// handle takes a message until it is settled, at most so often, and says at which receive it was; 0 for never.
func (o *office) handle(m notice.Message, atMost int) int {
	for m.Receives = 1; m.Receives <= atMost; m.Receives++ {
		if len(o.Handle(o.t.Context(), []notice.Message{m})) == 0 {
			return m.Receives
		}
		o.now = o.now.Add(3 * time.Minute)
	}
	return 0
}

func (o *office) want(what string, got, want any) {
	o.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		o.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (o *office) events() []notice.Event {
	var list []notice.Event
	for _, e := range o.journal.Entries() {
		list = append(list, e.Event)
	}
	return list
}

func (o *office) kinds() []directory.NoticeKind {
	var list []directory.NoticeKind
	for _, m := range o.mailer.All() {
		list = append(list, m.Kind)
	}
	return list
}

func (o *office) told() []string {
	var list []string
	for _, m := range o.mailer.All() {
		list = append(list, strings.Join(m.To, " "))
	}
	return list
}

const duplicates = 100

// gate holds claims back until all receivers are at the point of writing theirs: each has read that there is none.
type gate struct {
	awaited atomic.Int32
	all     chan struct{}
}

func (g *gate) hook(call string) memory.Fault {
	if call == memory.CallSaveClaim && g.awaited.Load() > 0 {
		if g.awaited.Add(-1) == 0 {
			close(g.all)
		}
		<-g.all
	}
	return memory.OK
}

// TestDuplicates hands a hundred duplicates of every kind of notice to a hundred receivers at once, as messages of their own and as one message that
// the queue handed out often: each time one mail goes out.
func TestDuplicates(t *testing.T) {
	disabled, recovered := failing(start), failing(start)
	disabled.State, disabled.Generation = directory.Disabled, 3
	recovered.Health = directory.Health{State: directory.Healthy}
	for _, c := range []struct {
		notice directory.Notice
		d      directory.Destination
	}{
		{directory.Notice{Kind: directory.Involuntary, Since: start}, failing(start)},
		{directory.Notice{Kind: directory.Voluntary, Generation: 2}, disabled},
		{directory.Notice{Kind: directory.Recovered, Since: start}, recovered},
		{directory.Notice{Kind: directory.ExpiryWarning, Since: start}, failing(start)},
		{unrouted("orbit", "1"), picky()},
	} {
		for _, sameMessage := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, one message %v", c.notice.Kind, sameMessage), func(t *testing.T) {
				gate := &gate{all: make(chan struct{})}
				o := newOffice(t, gate.hook, "ada@acme.example")
				if c.notice.Kind == directory.Recovered {
					o.handle(o.message(o.involuntary()), 1)
				}
				before := len(o.mailer.All())
				o.put(c.d)
				c.notice.DestinationID, c.notice.At = "siem", start
				var wg sync.WaitGroup
				gate.awaited.Store(duplicates)
				for i := range duplicates {
					m := notice.Message{ID: fmt.Sprint(i), Receives: 1, Notice: c.notice}
					if sameMessage {
						m.ID, m.Receives = "one", i
					}
					wg.Go(func() {
						if unsettled := o.Handle(t.Context(), []notice.Message{m}); len(unsettled) > 0 {
							t.Errorf("%s is unsettled", m.ID)
						}
					})
				}
				wg.Wait()
				if got := len(o.mailer.All()) - before; got != 1 {
					t.Errorf("%d mails, want 1", got)
				}
			})
		}
	}
}

// TestLimits sends a notice of every kind each hour for ten days, of one outage and one disconnect.
func TestLimits(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example")
	for range 10 * 24 {
		o.handle(o.message(o.involuntary()), 1)
		o.handle(o.message(directory.Notice{Kind: directory.ExpiryWarning, DestinationID: "siem", Since: start, At: o.now}), 1)
		o.now = o.now.Add(time.Hour)
	}
	o.put(directory.Destination{ID: "siem", WorkspaceID: "acme", State: directory.Connected, Health: directory.Health{State: directory.Healthy}})
	for range 48 {
		o.handle(o.message(directory.Notice{Kind: directory.Recovered, DestinationID: "siem", Since: start, At: o.now}), 1)
		o.now = o.now.Add(time.Hour)
	}
	counts := make(map[directory.NoticeKind]int)
	last := make(map[directory.NoticeKind]time.Time)
	for _, m := range o.mailer.All() {
		counts[m.Kind]++
		if m.At.Sub(last[m.Kind]) < 24*time.Hour {
			t.Errorf("two %s mails within %v", m.Kind, m.At.Sub(last[m.Kind]))
		}
		last[m.Kind] = m.At
	}
	o.want("mails", counts, map[directory.NoticeKind]int{directory.Involuntary: 10, directory.ExpiryWarning: 10, directory.Recovered: 1})
}

// TestLimitToTheMillisecond holds the border of the 24 hours.
func TestLimitToTheMillisecond(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example")
	for _, step := range []struct {
		at   time.Duration
		want int
	}{{0, 1}, {24*time.Hour - time.Millisecond, 1}, {24 * time.Hour, 2}, {48*time.Hour - time.Millisecond, 2}, {48 * time.Hour, 3}} {
		o.now = start.Add(step.at)
		o.handle(o.message(o.involuntary()), 1)
		if got := len(o.mailer.All()); got != step.want {
			t.Errorf("%v after the first: %d mails, want %d", step.at, got, step.want)
		}
	}
}

// TestSecondOutageOfADay is an outage of which nobody is told, because the mail of the day has gone: so nobody is told of its end, and all know of the
// end of the first.
func TestSecondOutageOfADay(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example")
	healthy := directory.Destination{ID: "siem", WorkspaceID: "acme", State: directory.Connected, Health: directory.Health{State: directory.Healthy}}
	for i, since := range []time.Time{start, start.Add(5 * time.Hour)} {
		o.now = since
		o.put(failing(since))
		n := o.involuntary()
		n.Since = since
		o.handle(o.message(n), 1)
		o.now = since.Add(time.Hour)
		o.put(healthy)
		n.Kind = directory.Recovered
		o.handle(o.message(n), 1)
		o.want(fmt.Sprintf("kinds after %d", i+1), o.kinds(), []directory.NoticeKind{directory.Involuntary, directory.Recovered})
	}
}

// TestAnswers takes a notice through everything that a mail service can say.
func TestAnswers(t *testing.T) {
	throttled := &notice.Refusal{Reason: "TooManyRequestsException"}
	rejected := &notice.Refusal{Reason: "MessageRejected", Address: true}
	var first bool
	for name, c := range map[string]struct {
		admins  []string
		answer  func(m notice.Mail) *notice.Refusal
		off     bool
		settled int // at which receive
		told    []string
		events  []notice.Event
	}{
		"taken": {
			admins: []string{"a@x.example", "b@x.example"}, settled: 1, told: []string{"a@x.example", "b@x.example"}, events: []notice.Event{notice.EventSent},
		},
		"refused at first": {
			admins: []string{"a@x.example"}, settled: 2, told: []string{"a@x.example"}, events: []notice.Event{notice.EventRefused, notice.EventSent},
			answer: func(notice.Mail) *notice.Refusal {
				if first = !first; first {
					return throttled
				}
				return nil
			},
		},
		"refused forever": {
			admins: []string{"a@x.example"}, events: []notice.Event{notice.EventRefused, notice.EventRefused, notice.EventRefused},
			answer: func(notice.Mail) *notice.Refusal { return throttled },
		},
		"one bad address among others": {
			admins: []string{"a@x.example", "bad@x.example", "c@x.example"}, settled: 1, told: []string{"a@x.example", "c@x.example"},
			events: []notice.Event{notice.EventSent, notice.EventAddressRefused},
			answer: func(m notice.Mail) *notice.Refusal {
				if slices.Contains(m.To, "bad@x.example") {
					return rejected
				}
				return nil
			},
		},
		"nothing but bad addresses": {
			admins: []string{"a@x.example", "b@x.example"}, events: []notice.Event{notice.EventRefused, notice.EventRefused, notice.EventRefused},
			answer: func(notice.Mail) *notice.Refusal { return rejected },
		},
		"what is no address is left out": {
			admins: []string{"a@x.example", "no address"}, settled: 1, told: []string{"a@x.example"},
			events: []notice.Event{notice.EventSent, notice.EventAddressRefused},
		},
		"nobody to tell": {settled: 1, events: []notice.Event{notice.EventNoRecipient}},
		"switched off":   {admins: []string{"a@x.example"}, off: true, settled: 1, events: []notice.Event{notice.EventDropped}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, nil, c.admins...)
			o.mailer.Refuse = c.answer
			o.Off = map[directory.NoticeKind]bool{directory.Involuntary: c.off}
			o.want("settled at", o.handle(o.message(o.involuntary()), 3), c.settled)
			o.want("told", o.told(), c.told)
			o.want("events", o.events(), c.events)
			if c.settled == 0 {
				return
			}
			o.handle(o.message(o.involuntary()), 3) // another notice of the same day changes nothing
			o.want("told after another notice", o.told(), c.told)
		})
	}
}

// TestRefusedWhileReceivedAgain refuses a mail after another receive of the same message has come and found it being sent.
func TestRefusedWhileReceivedAgain(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example")
	m := o.message(o.involuntary())
	sending := true
	o.mailer.Refuse = func(notice.Mail) *notice.Refusal {
		if !sending {
			return nil
		}
		sending = false
		again := m
		again.Receives++
		o.want("unsettled by the other", o.Handle(t.Context(), []notice.Message{again}), []string(nil))
		return &notice.Refusal{Reason: "TooManyRequestsException"}
	}
	o.want("settled at", o.handle(m, 3), 2)
	o.want("told", o.told(), []string{"ada@acme.example"})
}

func TestNothingToTellOf(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example")
	n := o.involuntary()
	n.DestinationID = "deleted"
	o.want("settled at", o.handle(o.message(n), 1), 1)
	orphan := failing(start)
	orphan.ID, orphan.WorkspaceID = "orphan", "deleted"
	o.put(orphan)
	n.DestinationID = "orphan"
	o.want("settled at", o.handle(o.message(n), 1), 1)
	o.want("events", o.events(), []notice.Event{notice.EventDropped, notice.EventNoRecipient})
}

// TestCrash breaks each call of notify once, at each of its places: it fails, it fails after it took effect, or everything dies at it. Without a death
// exactly one mail goes out; a death may cost it only between the claim and the mail service's answer, and then that is said.
func TestCrash(t *testing.T) {
	for _, call := range []string{memory.CallClaim, memory.CallSaveClaim, memory.CallMail} {
		for nth := 1; nth <= 4; nth++ {
			for _, fault := range []memory.Fault{memory.FailBefore, memory.FailAfter} {
				for _, dies := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s %d, fault %d, dies %v", call, nth, fault, dies), func(t *testing.T) {
						seen, dead := 0, false
						o := newOffice(t, func(c string) memory.Fault {
							if dead {
								return memory.FailBefore
							}
							if c != call {
								return memory.OK
							}
							if seen++; seen != nth {
								return memory.OK
							}
							dead = dies
							return fault
						}, "ada@acme.example")
						m := o.message(o.involuntary())
						for m.Receives = 1; m.Receives <= 4; m.Receives++ {
							o.Handle(t.Context(), []notice.Message{m})
							dead = false
							o.now = o.now.Add(3 * time.Minute)
						}
						got, uncertain := len(o.mailer.All()), slices.Contains(o.events(), notice.EventUncertain)
						if lost := got == 0 && (!dies || !uncertain); lost || got > 1 {
							t.Errorf("%d mails, uncertain %v", got, uncertain)
						}
					})
				}
			}
		}
	}
}

// TestADoubtIsSaidWhateverFails leaves a mail whose receiver died at it, and breaks each call of the receives that find it, in the four modes. That
// nobody knows of the mail is said: once, or again if the close of its claim and the look for it had no answer.
func TestADoubtIsSaidWhateverFails(t *testing.T) {
	for _, call := range []string{memory.CallClaim, memory.CallSaveClaim, memory.CallMail} {
		for nth := 1; nth <= 4; nth++ {
			for _, fault := range []memory.Fault{memory.FailBefore, memory.FailAfter} {
				for _, dies := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s %d, fault %d, dies %v", call, nth, fault, dies), func(t *testing.T) {
						doubtful, seen, dead := false, 0, false
						o := newOffice(t, func(c string) memory.Fault {
							switch {
							case dead:
								return memory.FailBefore
							case !doubtful:
								dead = c == memory.CallMail
								return memory.OK
							case c != call:
								return memory.OK
							}
							if seen++; seen != nth {
								return memory.OK
							}
							dead = dies
							return fault
						}, "ada@acme.example")
						m := o.message(o.involuntary())
						o.Handle(t.Context(), []notice.Message{m})
						doubtful, dead = true, false
						for m.Receives = 2; m.Receives <= 5; m.Receives++ {
							o.now = o.now.Add(3 * time.Minute)
							o.Handle(t.Context(), []notice.Message{m})
							dead = false
						}
						said := 0
						for _, e := range o.events() {
							if e == notice.EventUncertain {
								said++
							}
						}
						most := 1
						if dies && call == memory.CallSaveClaim && fault == memory.FailBefore && nth == 1 {
							most = 2
						}
						if said < 1 || said > most || len(o.mailer.All()) > 1 {
							t.Errorf("said %d times, of %d mails: %v", said, len(o.mailer.All()), o.events())
						}
					})
				}
			}
		}
	}
}

// TestLine holds the form of a line and its metric.
func TestLine(t *testing.T) {
	var out strings.Builder
	lines := notice.NewLines(&out, "auditrelay-test")
	lines.Record(notice.Entry{
		Event: notice.EventNoRecipient, At: start, Kind: directory.Involuntary, DestinationID: "siem", WorkspaceID: "acme", Code: failure.HTTPUnauthorized, Reason: "why",
	})
	want := `{"time":"2026-11-02T09:00:00Z","level":"WARN","msg":"mail.no_recipient","kind":"involuntary","destination_id":"siem","workspace_id":"acme",` +
		`"code":"http.unauthorized","reason":"why","MailsWithoutRecipient":1,"_aws":{"CloudWatchMetrics":[{"Dimensions":[[]],` +
		`"Metrics":[{"Name":"MailsWithoutRecipient","Unit":"Count"}],"Namespace":"auditrelay-test"}],"Timestamp":1793610000000}}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestRefusalSaysWhy(t *testing.T) {
	err := fmt.Errorf("send: %w", &notice.Refusal{Reason: "MessageRejected"})
	if r, ok := errors.AsType[*notice.Refusal](err); !ok || r.Error() != "the mail service refused the mail: MessageRejected" {
		t.Errorf("got %v", err)
	}
}

// TestACutOffIsMailedOnceADay has a child's destination taken back and forth: the parent's admins get one mail a day about each child.
func TestACutOffIsMailedOnceADay(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example")
	about := func(child string) notice.Message {
		return o.message(directory.Notice{Kind: directory.CutOffNotice, DestinationID: "siem", Since: o.now, At: o.now, Child: &directory.Child{ID: child}})
	}
	for range 5 {
		o.handle(about("orbit"), 1)
		o.handle(about("comet"), 1)
		o.now = o.now.Add(time.Hour)
	}
	o.want("mails", len(o.mailer.All()), 2)
	o.now = start.Add(24 * time.Hour)
	o.handle(about("orbit"), 1)
	o.want("mails of the next day", len(o.mailer.All()), 3)
}

// picky is a destination that wants logs of one type.
func picky() directory.Destination {
	d := failing(start)
	d.Health, d.LogTypes = directory.Health{State: directory.Healthy}, []string{"user_activity"}
	return d
}

// unrouted is a notice about logs of a child that nobody wants, while certain types are asked for.
func unrouted(child, asked string) directory.Notice {
	return directory.Notice{Kind: directory.UnroutedNotice, DestinationID: "siem", Since: start, At: start,
		Unrouted: &directory.Unrouted{WorkspaceID: child, OwnerID: "acme", Logs: 7, LogTypes: []string{"job_details"}, Asked: asked}}
}

// TestUnroutedIsMailedOnce has notices come each hour for four weeks, about several children and from several processes: the admins get one mail, another when
// other types are asked for, and the first again after the four weeks.
func TestUnroutedIsMailedOnce(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example", "bob@acme.example")
	o.put(picky())
	for range 28 * 24 {
		o.handle(o.message(unrouted("orbit", "1")), 1)
		o.handle(o.message(unrouted("comet", "1")), 1)
		o.now = o.now.Add(time.Hour)
	}
	o.want("mails", o.told(), []string{"ada@acme.example", "bob@acme.example"})
	o.handle(o.message(unrouted("orbit", "2")), 1)
	o.want("mails when other types are asked for", len(o.mailer.All()), 4)
	o.handle(o.message(unrouted("orbit", "1")), 1)
	o.want("mails after four weeks", len(o.mailer.All()), 6)
}

// TestUnroutedIsSwitchable has the kind switched off, and no other.
func TestUnroutedIsSwitchable(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example")
	o.Off = map[directory.NoticeKind]bool{directory.UnroutedNotice: true}
	o.put(picky())
	for range 100 {
		o.want("settled at", o.handle(o.message(unrouted("orbit", "1")), 1), 1)
	}
	o.put(failing(start))
	o.handle(o.message(o.involuntary()), 1)
	o.want("mails", o.kinds(), []directory.NoticeKind{directory.Involuntary})
}

// TestUnroutedIsNotTrueAnyMore has the types wanted by the time that the notice comes.
func TestUnroutedIsNotTrueAnyMore(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example")
	d := picky()
	d.LogTypes = append(d.LogTypes, "job_details")
	o.put(d)
	o.want("settled at", o.handle(o.message(unrouted("orbit", "1")), 1), 1)
	o.want("mails", o.told(), []string(nil))
	o.want("events", o.events(), []notice.Event{notice.EventDropped})
}
