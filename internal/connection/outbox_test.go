package connection_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// ears are an ingest queue and a bus.
type ears struct {
	deaf bool // the bus takes nothing
	logs []events.Log
	bus  []events.Announcement
}

func (e *ears) Send(_ context.Context, l events.Log) error {
	e.logs = append(e.logs, l)
	return nil
}

func (e *ears) Publish(_ context.Context, a events.Announcement) error {
	if e.deaf {
		return errors.New("the bus is down")
	}
	e.bus = append(e.bus, a)
	return nil
}

// TestOutbox follows a change whose event the bus does not take: its log is the same each time, nobody else's turn is taken before a minute has
// passed, and the event follows.
func TestOutbox(t *testing.T) {
	activity := disconnected()
	tell, err := activity.Outgoing()
	if err != nil {
		t.Fatal(err)
	}
	log, _ := activity.Log()
	event, _ := activity.Announcement()
	if diff := cmp.Diff(directory.Outgoing{ID: activity.ID(), At: monday, Log: &log, Event: &event}, tell); diff != "" {
		t.Errorf("what is to be told (-want +got):\n%s", diff)
	}

	heard, store, now := &ears{deaf: true}, &memory.Directory{}, monday
	var faults []error
	o := &connection.Outbox{
		Store: store, Logs: heard, Bus: heard, Now: func() time.Time { return now }, Fault: func(err error) { faults = append(faults, err) },
	}
	if err := o.Keep(t.Context(), tell); err != nil {
		t.Fatal(err)
	}
	o.Tell(t.Context(), tell)
	if len(faults) != 1 || len(store.Untold()) != 1 {
		t.Errorf("the bus is down: faults %v, %d left to tell; want one and one", faults, len(store.Untold()))
	}
	sweep := func(after time.Duration, left int) {
		t.Helper()
		now = monday.Add(after)
		if err := o.Sweep(t.Context()); (err != nil) != (left > 0 && after >= time.Minute) {
			t.Errorf("after %v: %v", after, err)
		}
		if len(store.Untold()) != left {
			t.Errorf("after %v: %d left to tell, want %d", after, len(store.Untold()), left)
		}
	}
	sweep(59*time.Second, 1)
	sweep(time.Minute, 1)
	heard.deaf = false
	sweep(time.Minute+time.Second, 0)
	sweep(time.Hour, 0)
	if diff := cmp.Diff(ears{logs: []events.Log{log, log, log}, bus: []events.Announcement{event}}, *heard, cmp.AllowUnexported(ears{})); diff != "" {
		t.Errorf("what was told (-want +got):\n%s", diff)
	}
}
