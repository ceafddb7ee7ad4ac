package delivery_test

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/local"
)

// TestRetryAfterHoldsTheDestination has a destination ask for two minutes of rest: no log is tried before, also none that came later, and then
// all arrive.
func TestRetryAfterHoldsTheDestination(t *testing.T) {
	asked := false
	w, r := newWorld(nil, func(time.Time, string) error {
		if !asked {
			asked = true
			return &failure.Error{Code: failure.HTTPThrottled, Detail: "HTTP 429", RetryAfter: 2 * time.Minute}
		}
		return nil
	})
	w.Send(message("first"))
	advance(t, w, time.Second)
	w.Send(message("second"))
	advance(t, w, 2*time.Minute-2*time.Second)
	if len(r.held) != 0 || count(w, delivery.EventAttempted) != 1 || count(w, delivery.EventHeld) != 1 {
		t.Errorf("within the two minutes: %d arrived, %d attempts, %d held; want 0, 1, 1",
			len(r.held), count(w, delivery.EventAttempted), count(w, delivery.EventHeld))
	}
	advance(t, w, time.Minute)
	if r.held["first"] != 1 || r.held["second"] != 1 {
		t.Errorf("after it: %v arrived, want both, once", r.held)
	}
}

func throttled(pause time.Duration) error {
	return &failure.Error{Code: failure.HTTPThrottled, Detail: "HTTP 429", RetryAfter: pause}
}

// TestAPauseIsProbed has a destination ask for a pause, in a mistake or not: it is left alone for it, but for one log an hour, and never for more than a day.
func TestAPauseIsProbed(t *testing.T) {
	const day, hour = 24 * time.Hour, time.Hour
	for name, tt := range map[string]struct {
		// answer is the destination's, by the time since its first request and the log.
		answer func(since time.Duration, id string) error
		fresh  time.Duration // a log comes each so often
		// attempts are when it may be tried before it takes logs, after the first: at each of these times and in the minutes after.
		attempts []time.Duration
		// well is by when all that waited has arrived.
		well time.Duration
	}{
		"forty minutes, which it means": {answer: asks(40*time.Minute, 40*time.Minute), attempts: []time.Duration{40 * time.Minute}, well: 45 * time.Minute},
		"seven days by mistake":         {answer: asks(600_000*time.Second, 0), attempts: []time.Duration{hour}, well: hour + 10*time.Minute},
		"seven days by mistake, while a log comes each minute": {answer: asks(600_000*time.Second, 0), fresh: time.Minute, attempts: []time.Duration{hour},
			well: hour + 10*time.Minute},
		"three and a half hours, which it means": {answer: asks(210*time.Minute, 210*time.Minute), fresh: 7 * time.Minute,
			attempts: []time.Duration{hour, 2 * hour, 3 * hour, 210 * time.Minute}, well: 220 * time.Minute},
		"a day again and again": {answer: func(since time.Duration, _ string) error {
			if since < 5*hour+30*time.Minute {
				return throttled(day)
			}
			return nil
		}, attempts: []time.Duration{hour, 2 * hour, 3 * hour, 4 * hour, 5 * hour, 6 * hour}, well: 6*hour + 20*time.Minute},
		"a week, and a minute when it is asked again": {answer: func(since time.Duration, _ string) error {
			switch {
			case since < time.Minute:
				return throttled(7*day - 1)
			case since < hour+30*time.Second:
				return throttled(90 * time.Second)
			}
			return nil
		}, attempts: []time.Duration{hour, hour + 90*time.Second}, well: hour + 10*time.Minute},
		"a day for the oldest log, all others are taken": {answer: func(since time.Duration, id string) error {
			if id == "log-000" && since < 20*hour {
				return throttled(day)
			}
			return nil
		}, attempts: []time.Duration{hour}, well: hour + 10*time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w *local.World
			var r *receiver
			var tried []time.Duration
			taken := false
			w, r = newWorld(nil, func(now time.Time, id string) error {
				since := now.Sub(start)
				err := tt.answer(since, id)
				if !taken && since > 0 {
					tried = append(tried, since)
				}
				taken = taken || err == nil
				return err
			})
			w.Send(message("log-000"))
			advance(t, w, time.Minute)
			sent := 1
			for w.Clock.Now().Sub(start) < tt.well {
				if step := tt.fresh; step > 0 || sent < 20 { // some come at once, so that logs are parked
					w.Send(message(fmt.Sprintf("log-%03d", sent)))
					sent++
				}
				advance(t, w, cmp.Or(tt.fresh, time.Minute))
			}
			var at []time.Duration // the attempts before the first that succeeded, by the time at which it may be tried
			for _, since := range tried {
				place := len(tt.attempts) - 1
				for place >= 0 && since < tt.attempts[place] {
					place--
				}
				if place < 0 || since > tt.attempts[place]+8*time.Minute {
					t.Errorf("it was tried after %v", since)
				} else if len(at) == 0 || at[len(at)-1] != tt.attempts[place] {
					at = append(at, tt.attempts[place])
				} else if tt.attempts[place]%hour == 0 {
					t.Errorf("it was tried twice in the hour from %v on", tt.attempts[place])
				}
			}
			if diff := gocmp.Diff(tt.attempts, at); diff != "" {
				t.Errorf("tried after (-want +got):\n%s", diff)
			}
			late := 0
			for _, d := range w.Cache.All() {
				if tt.answer(w.Clock.Now().Sub(start), d.LogID) == nil && w.Clock.Now().Sub(d.AcceptedAt) > tt.fresh+time.Minute {
					late++
				}
			}
			if late > 0 || len(r.held) == 0 {
				t.Errorf("after %v %d logs wait that it takes, %d have arrived", tt.well, late, len(r.held))
			}
		})
	}
}

// asks answers a pause for so long, and takes everything after the given time, or after its first answer.
func asks(pause, until time.Duration) func(time.Duration, string) error {
	return func(since time.Duration, _ string) error {
		switch {
		case since == 0:
			return throttled(pause)
		case since < until:
			return throttled(until - since)
		}
		return nil
	}
}

// TestOneThrottledLogOfMany has a destination ask for a pause for some logs of a batch: it is left alone if it dealt with fewer in the same moment.
func TestOneThrottledLogOfMany(t *testing.T) {
	for _, tt := range []struct {
		throttled, taken, refused int
		paused                    bool
	}{
		{1, 0, 0, true}, {1, 9, 0, false}, {5, 5, 0, false}, {6, 4, 0, true}, {10, 0, 0, true}, {3, 0, 3, false}, {4, 2, 1, true}, {1, 1, 0, false},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			n := 0
			s := newStage(t, func(time.Time, string) error {
				switch n++; {
				case n <= tt.throttled:
					return throttled(6 * 24 * time.Hour)
				case n <= tt.throttled+tt.refused:
					return errLogRefused
				}
				return nil
			})
			s.accept(t, names("log", tt.throttled+tt.taken+tt.refused)...)
			d := s.record(t)
			if paused := s.now().Before(d.Health.Until); paused != tt.paused || paused != (d.Health.State == directory.Failing) {
				t.Errorf("its health is %+v, want a pause: %v", d.Health, tt.paused)
			}
			until := s.now().Add(24 * time.Hour) // the longest pause
			if tt.paused && !d.Health.Until.Equal(until) {
				t.Errorf("it is left alone until %v, want %v", d.Health.Until, until)
			}
			for _, w := range s.cache.All() {
				if w.Code == failure.HTTPThrottled && !w.NextAt.Equal(until) {
					t.Errorf("log %s is tried at %v, want %v", w.LogID, w.NextAt, until)
				}
			}
			if s.accept(t, "another"); !tt.paused && s.receiver.held["another"] == 0 {
				t.Error("another log was not taken in the next moment")
			}
		})
	}
}

// TestAFreshLogProbesAPause has fresh logs come in a pause, and no run of the watch: one of them is tried in each hour after the first.
func TestAFreshLogProbesAPause(t *testing.T) {
	s := newStage(t, func(time.Time, string) error { return throttled(5 * time.Hour) })
	for i, want := range []int{1, 1, 2, 2, 3, 3} { // attempts after each half of an hour
		s.accept(t, fmt.Sprintf("log-%03d", i))
		s.to(s.now().Add(2 * time.Second))
		s.hints(t)
		s.accept(t, fmt.Sprintf("log-%03d-second", i))
		s.to(s.now().Add(2 * time.Second))
		s.hints(t)
		n := 0
		for _, attempts := range s.attempts() {
			n += attempts
		}
		if n != want {
			t.Errorf("%d attempts after half hour %d, want %d", n, i, want)
		}
		s.to(s.now().Add(30 * time.Minute))
	}
}
