package connection_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
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

// hanging is a bus that never answers for some events, and a queue that takes logs.
type hanging struct {
	answers func(a events.Announcement) bool

	mu   sync.Mutex
	told []string
}

func (h *hanging) Send(_ context.Context, l events.Log) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, l.ID)
	return nil
}

func (h *hanging) Publish(ctx context.Context, a events.Announcement) error {
	if !h.answers(a) {
		<-ctx.Done()
		return ctx.Err()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, a.DetailType)
	return nil
}

// TestASweepIsBounded has a bus answer for nothing, or for the last entry only, while many are left over: a sweep ends with its caller's time, what the bus
// has no part in is told, and so is what it answers for, within some minutes.
func TestASweepIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		entries int
		answers bool // for the event of the last entry
		minutes int
		want    []string
	}{
		"twenty events": {entries: 20, minutes: 1, want: []string{"audit"}},
		"a thousand events, the last is answered":    {entries: 1000, answers: true, minutes: 20, want: []string{"audit", "last"}},
		"some events, the last is answered at once":  {entries: 60, answers: true, minutes: 1, want: []string{"audit", "last"}},
		"nothing but an entry of the activity audit": {minutes: 1, want: []string{"audit"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, began := &memory.Directory{}, time.Now()
				keep := func(o directory.Outgoing) {
					if err := store.Keep(t.Context(), o); err != nil {
						t.Fatal(err)
					}
				}
				for i := range tt.entries {
					a := events.Announcement{DetailType: "hangs"}
					if tt.answers && i == tt.entries-1 {
						a.DetailType = "last"
					}
					keep(directory.Outgoing{ID: fmt.Sprintf("o-%04d", i), At: began.Add(time.Duration(i-3_600_000) * time.Millisecond), Event: &a})
				}
				keep(directory.Outgoing{ID: "audit", At: began.Add(-2 * time.Hour), Log: &events.Log{ID: "audit"}})
				h := &hanging{answers: func(a events.Announcement) bool { return a.DetailType == "last" }}
				o := &connection.Outbox{Store: store, Logs: h, Bus: h, Now: time.Now, Fault: func(error) {}}
				for range tt.minutes {
					minute := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
					err := o.Sweep(ctx)
					cancel()
					if took := time.Since(minute); took > 50*time.Second || (err != nil) != (tt.entries > 0) {
						t.Fatalf("a sweep took %v and ended with %.100v", took, err)
					}
					time.Sleep(time.Until(minute.Add(time.Minute)))
				}
				slices.Sort(h.told)
				if diff := cmp.Diff(tt.want, h.told); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestManyEndsHoldUpNoChange keeps 25,000 ends of logs while the bus is away, and a change each minute: the entries of the activity audit are told in
// their minute all the same, a sweep makes few calls, and when the bus is back all ends are told within minutes, each once.
func TestManyEndsHoldUpNoChange(t *testing.T) {
	const ends, away = 25_000, 10
	for name, hangs := range map[string]bool{"it refuses": false, "it hangs": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, began := &memory.Directory{}, time.Now()
				keep := func(o directory.Outgoing) {
					if err := store.Keep(t.Context(), o); err != nil {
						t.Fatal(err)
					}
				}
				for i := range ends {
					a := events.Announcement{DetailType: events.LogDeliveryFailed, Detail: events.LogDeliveryFailedDetail{LogID: fmt.Sprint(i)}}
					keep(directory.Outgoing{ID: fmt.Sprintf("end-%05d", i), At: began.Add(-time.Hour), Event: &a})
				}
				bus := &busy{away: true, hangs: hangs, told: make(map[string]int)}
				audit := &ears{}
				o := &connection.Outbox{Store: store, Logs: audit, Bus: bus, Now: time.Now, Fault: func(error) {}}
				for minute := range away + 3 {
					next := time.Now().Add(time.Minute)
					bus.set(minute < away)
					keep(directory.Outgoing{ID: fmt.Sprint("change-", minute), At: time.Now().Add(-time.Minute), Log: &events.Log{ID: fmt.Sprint(minute)}})
					ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
					err := o.Sweep(ctx)
					cancel()
					if minute < away && err == nil {
						t.Error("nobody is told that the bus is away")
					}
					if len(audit.logs) != minute+1 {
						t.Errorf("minute %d: %d entries of the activity audit", minute, len(audit.logs))
					}
					if calls := bus.calls(); minute < away && calls > 100 {
						t.Errorf("minute %d: %d calls of a bus that is away", minute, calls)
					}
					time.Sleep(time.Until(next))
				}
				if left := len(store.Untold()); left > 0 || len(bus.told) != ends {
					t.Errorf("%d are still to be told, the bus has heard of %d of %d", left, len(bus.told), ends)
				}
				for id, n := range bus.told {
					if n != 1 {
						t.Fatalf("log %s was announced %d times", id, n)
					}
				}
			})
		})
	}
}

// busy is a bus that is away for a while.
type busy struct {
	mu    sync.Mutex
	away  bool
	hangs bool
	asked int
	told  map[string]int
}

func (b *busy) set(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away, b.asked = away, 0
}

func (b *busy) calls() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

func (b *busy) Publish(ctx context.Context, a events.Announcement) error {
	b.mu.Lock()
	b.asked++
	away := b.away
	if !away {
		b.told[a.Detail.(events.LogDeliveryFailedDetail).LogID]++
	}
	b.mu.Unlock()
	switch {
	case away && b.hangs:
		<-ctx.Done()
		return ctx.Err()
	case away:
		return errors.New("it is away")
	}
	time.Sleep(20 * time.Millisecond)
	return nil
}
