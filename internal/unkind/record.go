package unkind

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/aws/dynamo/dynamotest"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// record is everything that happened, as somebody who sees all would write it down.
type record struct {
	mu        sync.Mutex
	schedules map[string]chan struct{}
	cancelled map[string]bool
	changed   chan struct{} // the stream has something new

	logs      map[logName]*sentLog
	order     []*sentLog
	produced  int
	states    map[string][]state // of destinations, by id
	entries   []entry
	letters   []letter
	notes     []notice.Entry
	told      []events.Announcement
	refusals  []delivery.Rejection
	hints     map[time.Time]int // by the hour
	mailTries int
	faults    map[string]int

	tracing sync.Mutex
	trace   func(string)
}

// sentLog is a log that a producer sent.
type sentLog struct {
	logName
	kind string
	// sentAt is when the queue took it first, as it says; came is when that was in truth.
	sentAt, came time.Time
	times        int
	// about and became are what an entry of the activity audit says: which destination came into which state.
	about  string
	became directory.State
}

// state is a destination's record from a time on; gone if it was removed.
type state struct {
	at   time.Time
	gone bool
	directory.Destination
}

// entry is a line of the journal and when it was written, by the true clock.
type entry struct {
	at time.Time
	delivery.Entry
}

// letter is a mail that the mail service took.
type letter struct {
	at time.Time
	notice.Mail
}

// open makes the record an empty one.
func (r *record) open() {
	r.schedules, r.cancelled, r.changed = make(map[string]chan struct{}), make(map[string]bool), make(chan struct{}, 1)
	r.logs, r.states, r.hints, r.faults = make(map[logName]*sentLog), make(map[string][]state), make(map[time.Time]int), make(map[string]int)
}

func (w *World) note(format string, arguments ...any) {
	if w.trace != nil {
		w.tracing.Lock()
		defer w.tracing.Unlock()
		w.trace(fmt.Sprintf("%s  ", time.Since(w.start).Round(time.Millisecond)) + fmt.Sprintf(format, arguments...))
	}
}

func (w *World) sent(l events.Log, body []byte, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := nameOf(body)
	if known := w.logs[name]; known != nil {
		known.times++
		return
	}
	w.logs[name] = &sentLog{logName: name, kind: l.Type, sentAt: at, came: time.Now(), times: 1}
	if l.Type == events.UserActivity {
		w.logs[name].about, w.logs[name].became = activity(l.Payload)
	}
	w.order = append(w.order, w.logs[name])
}

// activity reads which destination came into which state.
func activity(payload json.RawMessage) (id string, became directory.State) {
	var p struct {
		Resource struct{ ID string }
		Details  struct {
			Activity struct{ State directory.State }
		}
	}
	_ = json.Unmarshal(payload, &p) // logs of producers say nothing of this
	return p.Resource.ID, p.Details.Activity.State
}

// wrote is told each write of the tables, which are locked.
func (w *World) wrote(table string, before, after dynamotest.Item) {
	pk := dynamotest.Text(either(after, before), "pk")
	if table == "deliveries" {
		if strings.HasPrefix(pk, "F#") || after == nil {
			select {
			case w.changed <- struct{}{}:
			default:
			}
		}
		return
	}
	id, ok := strings.CutPrefix(pk, "D#")
	if !ok {
		return
	}
	s := state{at: time.Now(), gone: after == nil}
	if after != nil {
		reader := &dynamo.Directory{Client: dynamotest.Single{Item: after}, Table: table}
		d, err := reader.CurrentDestination(context.Background(), id)
		if err != nil {
			panic(err)
		}
		s.Destination = d
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.states[id] = append(w.states[id], s)
	w.note("record of %s: %s generation %d version %d revision %d, %s %s, draining %v", id, s.State, s.Generation, s.Version, s.Revision, s.Health.State, s.Health.Code, s.Draining)
}

func either(a, b dynamotest.Item) dynamotest.Item {
	if a != nil {
		return a
	}
	return b
}

// at is a destination's record as of a time; ok is false if there was none.
func (w *World) stateAt(id string, at time.Time) (s state, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, later := range w.states[id] {
		if later.at.After(at) {
			break
		}
		s, ok = later, !later.gone
	}
	return s, ok
}

func (w *World) hinted(h delivery.Hint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hints[time.Now().Truncate(time.Hour)]++
	w.note("hint of %s to %s for %s, drain %v", h.LogID, h.DestinationID, h.At.Sub(w.start).Round(time.Second), h.Drain)
}

func (w *World) write(by *environment, e delivery.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entries = append(w.entries, entry{time.Now(), e})
	w.note("%s: %s %s of %s -> %s attempt %d %s %s next %s %s", by.id, e.Event, e.LogID, e.AcceptedAt.Sub(w.start).Round(time.Millisecond), e.DestinationID, e.Attempt, e.Outcome, e.Code,
		e.NextAt.Sub(w.start).Round(time.Second), e.Reason)
}

func (w *World) mailEntry(e *environment, entry notice.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, entry)
	w.note("%s: %s %s about %s: %s", e.id, entry.Event, entry.Kind, entry.DestinationID, entry.Reason)
}

func (w *World) fault(e *environment, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults[err.Error()]++
	w.note("%s: fault: %v", e.id, err)
}

// mailed counts the tries to send a mail.
func (w *World) mailed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mailTries++
	return w.mailTries
}

func (w *World) mail(m notice.Mail) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.letters = append(w.letters, letter{time.Now(), m})
	w.note("mail %s about %s to %v", m.Kind, m.DestinationID, m.To)
}

func (w *World) published(a events.Announcement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, a)
}

func (w *World) rejected(r delivery.Rejection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusals = append(w.refusals, r)
}

func (w *World) asked(r *receiver, a asked) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note("%s asks %s (version %d) to take %s: %s", a.by, r.id, a.version, a.log.id, orTaken(a.code))
}

func orTaken(c failure.Code) string {
	if c == "" {
		return "taken"
	}
	return string(c)
}
