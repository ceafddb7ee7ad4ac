package delivery_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// looker is the watch over one failing destination and the deliveries that wait for it. It notes the turns that are given.
type looker struct {
	destination directory.Destination
	cache       *memory.Cache
	turns       *memory.Turns
	now         time.Time
	given       []delivery.Ride
}

func newLooker(t *testing.T, waiting []delivery.Delivery) *looker {
	t.Helper()
	l := &looker{turns: &memory.Turns{}, now: noon}
	l.cache = memory.NewCache(func() time.Time { return l.now })
	l.destination = directory.Destination{ID: "siem", State: directory.Connected,
		Health: directory.Health{State: directory.Failing, Since: noon.Add(-10 * day), Code: errUnavailable.Code}}
	for _, err := range l.cache.Save(t.Context(), waiting) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func (l *looker) Attention(context.Context) iter.Seq2[directory.Destination, error] {
	return func(yield func(directory.Destination, error) bool) { yield(l.destination, nil) }
}

func (l *looker) Send(_ context.Context, rides []delivery.Ride) []error {
	for _, r := range rides {
		if r.Why == delivery.WhyTurn {
			l.given = append(l.given, r)
		}
	}
	return make([]error, len(rides))
}

func (l *looker) Notify(context.Context, directory.Notice) error { return nil }

// look runs the watch of a process that has just begun, and gives the logs that have a turn.
func (l *looker) look(t *testing.T) []string {
	t.Helper()
	w := &delivery.Watch{Attention: l, Backlog: l.cache, Retries: l, Notices: l, Progress: l.turns, Now: func() time.Time { return l.now }, AtOnce: 8,
		Budget: time.Minute, Sweep: nothingLeft}
	l.given = nil
	if err := w.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, r := range l.given {
		ids = append(ids, r.LogID)
	}
	return ids
}

// aged is a parked delivery of some age at noon.
func aged(id string, age time.Duration, attempts int) delivery.Delivery {
	k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: id, AcceptedAt: noon.Add(-age)}
	return delivery.Delivery{Key: k, Attempts: attempts, NextAt: k.ExpiresAt(), Parked: true}
}

// TestWhoHasATurn holds which logs a look gives a turn: those that have come to 21 hours or a multiple, with no more attempts than turns so far, and at the last one,
// five minutes into the last hour, those that were not tried in that hour. The oldest go first.
func TestWhoHasATurn(t *testing.T) {
	last := delivery.Lifetime - 55*time.Minute
	timed := aged("at its own time", 30*time.Hour, 1)
	timed.Parked, timed.NextAt = false, noon.Add(time.Hour)
	tried, untried := aged("tried in its last hour", last+time.Minute, 9), aged("not tried in its last hour", last+2*time.Minute, 9)
	tried.Tried, untried.Tried = noon.Add(-3*time.Minute), noon.Add(-57*time.Minute-time.Second)
	l := newLooker(t, []delivery.Delivery{
		timed, tried, untried,
		aged("too young", 21*time.Hour-time.Second, 0), aged("first turn", 21*time.Hour, 0), aged("first turn, tried once", 41*time.Hour, 1),
		aged("first turn, tried twice", 40*time.Hour, 2), aged("second turn, tried twice", 42*time.Hour, 2), aged("second turn, tried thrice", 43*time.Hour, 3),
		aged("seventh turn", 7*21*time.Hour, 7), aged("almost the last", last-time.Second, 7), aged("over", delivery.Lifetime+time.Second, 0),
	})
	want := []string{"not tried in its last hour", "almost the last", "seventh turn", "second turn, tried twice", "first turn, tried once", "first turn"}
	if diff := cmp.Diff(want, l.look(t)); diff != "" {
		t.Errorf("turns (-want +got):\n%s", diff)
	}
	l.now = noon.Add(5 * time.Minute) // another process, too soon
	if diff := cmp.Diff([]string{}, l.look(t)); diff != "" {
		t.Errorf("turns five minutes later (-want +got):\n%s", diff)
	}
	l.now = noon.Add(10 * time.Minute)
	if diff := cmp.Diff([]string{"almost the last", "too young"}, l.look(t)); diff != "" {
		t.Errorf("turns ten minutes later (-want +got):\n%s", diff)
	}
	l.now, l.destination.Health.Since = noon.Add(20*time.Minute), noon.Add(19*time.Minute)
	want = []string{"not tried in its last hour", "almost the last", "seventh turn", "second turn, tried twice", "first turn, tried once", "first turn", "too young"}
	if diff := cmp.Diff(want, l.look(t)); diff != "" {
		t.Errorf("turns in another failure (-want +got):\n%s", diff)
	}
	l.now, l.destination.Health.Until = noon.Add(40*time.Minute), noon.Add(time.Hour)
	l.destination.Health.Since = noon.Add(39 * time.Minute)
	if diff := cmp.Diff([]string{}, l.look(t)); diff != "" {
		t.Errorf("turns in a pause that it asked for (-want +got):\n%s", diff)
	}
}

// TestHowManyTurns holds the bounds of a look: few turns ask the budget for their place, more have their own; and how they are spread over the ten minutes.
func TestHowManyTurns(t *testing.T) {
	for name, tt := range map[string]struct {
		logs     int
		code     failure.Code
		settings string
		want     int
		reserved bool
	}{
		"as many as the budget has places for": {logs: 80, want: 80},
		"one more":                             {logs: 81, want: 81, reserved: true},
		"at the bound":                         {logs: 6100, want: 6000, reserved: true},
		"requests time out":                    {logs: 700, code: failure.NetTimeout, want: 600, reserved: true},
		"a rate of one a second":               {logs: 700, settings: `{"rate":1}`, want: 600, reserved: true},
	} {
		t.Run(name, func(t *testing.T) {
			var waiting []delivery.Delivery
			for i := range tt.logs {
				waiting = append(waiting, aged(fmt.Sprintf("log-%04d", tt.logs-i), 22*time.Hour+time.Duration(i)*time.Millisecond, 0))
			}
			l := newLooker(t, waiting)
			l.destination.Settings = []byte(tt.settings)
			if tt.code != "" {
				l.destination.Health.Code = tt.code
			}
			if got := len(l.look(t)); got != tt.want {
				t.Errorf("%d turns, want %d", got, tt.want)
			}
			perMinute := make(map[time.Duration]int)
			for _, r := range l.given {
				perMinute[r.Delay/time.Minute]++
				if r.Reserved != tt.reserved || !r.Drain {
					t.Fatalf("a turn is the hint %+v, want one reserved: %v", r.Hint, tt.reserved)
				}
			}
			for minute := range time.Duration(10) {
				if n := perMinute[minute]; n < tt.want/10 || n > tt.want/10+1 {
					t.Errorf("%d turns in minute %d", n, minute)
				}
			}
			l.now = noon.Add(10 * time.Minute)
			if got, rest := len(l.look(t)), tt.logs-tt.want; got != rest {
				t.Errorf("%d turns at the next look, want the %d that are left", got, rest)
			}
		})
	}
}

// TestATurnLeavesALogParked has turns taken and refused, and one that comes when the log is no longer parked.
func TestATurnLeavesALogParked(t *testing.T) {
	up := false
	s := newStage(t, func(time.Time, string) error {
		if up {
			return nil
		}
		return errUnavailable
	})
	s.fail(t)
	k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: "log", AcceptedAt: start.Add(-22 * time.Hour)}
	parked := delivery.Delivery{Key: k, NextAt: k.ExpiresAt(), Parked: true, Document: auditlog.Document{ID: "log", WorkspaceID: "acme", JSON: []byte(`{}`)}}
	if err := s.cache.Save(t.Context(), []delivery.Delivery{parked})[0]; err != nil {
		t.Fatal(err)
	}
	turn := []delivery.HintMessage{{ID: "m", Hint: delivery.Hint{Key: k, At: k.ExpiresAt(), Drain: true, Why: delivery.WhyTurn, Reserved: true}}}
	for n := 1; n <= 2; n++ {
		s.deliver.Retry(t.Context(), turn)
		want := parked
		want.Attempts, want.Tried, want.Code, want.Revision = n, s.now(), errUnavailable.Code, n+1
		if diff := cmp.Diff([]delivery.Delivery{want}, s.cache.All()); diff != "" || s.retries.Queue.Len() != 0 {
			t.Errorf("after turn %d there are %d hints; the delivery (-want +got):\n%s", n, s.retries.Queue.Len(), diff)
		}
		s.to(s.now().Add(21 * time.Hour))
	}
	probe := turn[0]
	probe.Hint.Why = delivery.WhyProbe
	s.deliver.Retry(t.Context(), []delivery.HintMessage{probe}) // from here on it has times of its own
	s.deliver.Retry(t.Context(), turn)
	if d := s.cache.All()[0]; d.Parked || d.Attempts != 3 {
		t.Errorf("after a probe and a turn that comes late it is %+v, want three attempts", d)
	}
	up = true
	if s.deliver.Retry(t.Context(), []delivery.HintMessage{probe}); s.receiver.held["log"] != 1 || s.cache.Len() != 0 {
		t.Errorf("it was delivered %d times, %d are cached", s.receiver.held["log"], s.cache.Len())
	}
}
