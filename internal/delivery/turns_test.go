package delivery_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// stream is the backlog of a destination that is dead, for which a log comes each step. All are parked, and none is ever taken.
type stream struct {
	code  failure.Code
	step  time.Duration
	begin time.Time
	now   time.Time
	// ends is when logs cease to come; zero if they do not.
	ends time.Time
	// attempts and tried are by the place of a log in the stream.
	attempts []int
	tried    []time.Time
	rides    []delivery.Ride
	reads    int
}

func (s *stream) key(i int) delivery.Key {
	return delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: fmt.Sprintf("%07d", i), AcceptedAt: s.begin.Add(time.Duration(i) * s.step)}
}

// count is how many logs have come by now.
func (s *stream) count() int {
	until := s.now
	if !s.ends.IsZero() && s.ends.Before(until) {
		until = s.ends
	}
	return int(until.Sub(s.begin)/s.step) + 1
}

func (s *stream) Attention(context.Context) iter.Seq2[directory.Destination, error] {
	return func(yield func(directory.Destination, error) bool) {
		yield(directory.Destination{ID: "siem", State: directory.Connected, Health: directory.Health{State: directory.Failing, Since: s.begin, Code: s.code}}, nil)
	}
}

func (s *stream) Waiting(_ context.Context, _ string, after delivery.Key, limit int) ([]delivery.Waiting, error) {
	s.reads++
	first := max(0, int((s.now.Add(-delivery.Lifetime).Sub(s.begin)+s.step-1)/s.step)) // older ones have ended
	if i := int((after.AcceptedAt.Sub(s.begin) + s.step - 1) / s.step); after.AcceptedAt.After(s.key(first).AcceptedAt) || after.LogID != "" {
		if first = i; after.LogID != "" {
			first = i + 1
		}
	}
	var page []delivery.Waiting
	for i := first; i < s.count() && len(page) < limit; i++ {
		w := delivery.Waiting{Hint: delivery.Hint{Key: s.key(i)}, Parked: true}
		if i < len(s.attempts) {
			w.Attempts, w.Tried = s.attempts[i], s.tried[i]
		}
		page = append(page, w)
	}
	return page, nil
}

func (s *stream) Send(_ context.Context, rides []delivery.Ride) []error {
	for _, r := range rides {
		if r.Why == delivery.WhyTurn {
			s.rides = append(s.rides, r)
		}
	}
	return make([]error, len(rides))
}

func (s *stream) Notify(context.Context, directory.Notice) error { return nil }

// try makes the attempts of the turns that were given.
func (s *stream) try() {
	for _, r := range s.rides {
		i := int(r.AcceptedAt.Sub(s.begin) / s.step)
		for len(s.attempts) <= i {
			s.attempts, s.tried = append(s.attempts, 0), append(s.tried, time.Time{})
		}
		s.attempts[i]++
		s.tried[i] = s.now.Add(r.Delay)
	}
	s.rides = s.rides[:0]
}

// TestParkedLogsHaveTheirTurns has logs come to a dead destination, and none of them ever find room in its budget: turns alone have them tried. Runs of the watch come
// late, some not at all, and processes lose what they remember.
func TestParkedLogsHaveTheirTurns(t *testing.T) {
	for name, tt := range map[string]struct {
		step time.Duration
		code failure.Code
		span time.Duration // in which logs come
		// least and most are the attempts of a log that lives to its end, last the share of logs that have one in their last hour.
		least, most int
		last        float64
	}{
		"a log a minute":                          {step: time.Minute, least: 8, most: 8, last: 1},
		"a log in ten seconds":                    {step: 10 * time.Second, least: 8, most: 8, last: 1},
		"a log a second":                          {step: time.Second, least: 8, most: 8, last: 1},
		"ten logs a second":                       {step: 100 * time.Millisecond, span: 6 * time.Hour, least: 4, most: 8, last: 0.99},
		"a hundred thousand in a day":             {step: 864 * time.Millisecond, span: day, least: 8, most: 8, last: 1},
		"a burst of a thousand":                   {step: time.Millisecond, span: time.Second, least: 8, most: 8, last: 1},
		"a burst of a hundred thousand":           {step: time.Millisecond, span: 100 * time.Second, least: 7, most: 8, last: 0.25},
		"a log in ten seconds, all time out":      {step: 10 * time.Second, code: failure.NetTimeout, least: 8, most: 8, last: 1},
		"a log a second, all time out":            {step: time.Second, code: failure.NetTimeout, span: 24 * time.Hour, least: 1, most: 8, last: 0.9},
		"a burst of a thousand that all time out": {step: time.Millisecond, code: failure.NetTimeout, span: time.Second, least: 8, most: 8, last: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &stream{code: errUnavailable.Code, step: tt.step, begin: start, now: start}
			if tt.code != "" {
				s.code = tt.code
			}
			end := start.Add(delivery.Lifetime + 6*time.Hour)
			if tt.span > 0 {
				s.ends, end = start.Add(tt.span), start.Add(delivery.Lifetime+tt.span)
			}
			progress, chance := &memory.Turns{}, rand.New(rand.NewPCG(1, 2))
			var w *delivery.Watch
			for minute := start; minute.Before(end); minute = minute.Add(time.Minute) {
				s.now = minute.Add(time.Duration(chance.IntN(8000)) * time.Millisecond)
				if w == nil || chance.IntN(300) == 0 {
					w = &delivery.Watch{Attention: s, Backlog: s, Retries: s, Notices: s, Progress: progress, Now: func() time.Time { return s.now }, AtOnce: 8,
						Budget: time.Minute, Sweep: nothingLeft}
				}
				if chance.IntN(8) == 0 {
					continue
				}
				if err := w.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.try()
			}
			ended := int(end.Add(-delivery.Lifetime).Sub(start) / tt.step) // the logs whose end has come
			least, most, sum, last := 99, 0, 0, 0
			for i := range ended {
				n := 0
				if i < len(s.attempts) {
					n = s.attempts[i]
					if !s.tried[i].Before(s.key(i).ExpiresAt().Add(-time.Hour)) && s.tried[i].Before(s.key(i).ExpiresAt()) {
						last++
					}
				}
				least, most, sum = min(least, n), max(most, n), sum+n
			}
			t.Logf("%d logs: %d to %d attempts, %.2f on average; %.0f %% had one in their last hour; %d reads", ended, least, most, float64(sum)/float64(ended), 100*float64(last)/float64(ended), s.reads)
			if least < tt.least || most > tt.most || float64(last) < tt.last*float64(ended) {
				t.Errorf("%d to %d attempts, want %d to %d; %d of %d had one in their last hour", least, most, tt.least, tt.most, last, ended)
			}
		})
	}
}

// TestWaitingLogsFindRoomBesideFreshOnes has logs come far faster than a failing destination is tried, at various moments of the minute: those that wait have half of
// its attempts at least, the oldest of them first, and the fresh ones what they leave.
func TestWaitingLogsFindRoomBesideFreshOnes(t *testing.T) {
	for _, tt := range []struct {
		phase time.Duration // of the batches within the minute
		gap   time.Duration // between them
		batch int
	}{
		{0, 5 * time.Second, 12}, {59500 * time.Millisecond, 5 * time.Second, 12}, {30 * time.Second, time.Minute, 60}, {58 * time.Second, 15 * time.Second, 100},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			t.Parallel()
			w, _ := newWorld(nil, downFor(30*day))
			const hours = 2
			sendLogs(w, 60)
			advance(t, w, tt.phase+time.Minute)
			sent, from := 0, w.Clock.Now()
			for w.Clock.Now().Before(from.Add(hours * time.Hour)) {
				for range tt.batch {
					w.Send(message(fmt.Sprintf("new-%07d", sent)))
					sent++
				}
				advance(t, w, tt.gap)
			}
			old, fresh, waiting := make(map[string]int), 0, 0
			for _, e := range w.Journal.Entries() {
				switch {
				case e.Event != delivery.EventAttempted || e.At.Before(from):
				case strings.HasPrefix(e.LogID, "log-"):
					old[e.LogID]++
					waiting++
				case e.Attempt > 1 || e.At.Sub(e.AcceptedAt) > 10*time.Second:
					waiting++
				default:
					fresh++
				}
			}
			if minutes := hours * 60; waiting < 7*minutes-10 || fresh < 2*minutes-10 || fresh+waiting > 12*minutes+12 {
				t.Errorf("%d attempts at fresh logs and %d at waiting ones in %d hours", fresh, waiting, hours)
			}
			if len(old) != 60 {
				t.Errorf("%d of the 60 oldest logs were tried", len(old))
			}
		})
	}
}

// TestAWeekOfADeadDestination has a log come each minute for more than a week, which is more than the budget serves. Those that end had their seven to eight
// retries, and each its last attempt in the last hour.
func TestAWeekOfADeadDestination(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(nil, downFor(30*day))
	for i := range (7*24 + 18) * 60 {
		w.Send(message(fmt.Sprintf("log-%06d", i)))
		advance(t, w, time.Minute)
	}
	last := make(map[string]time.Time)
	for _, e := range w.Journal.Entries() {
		if e.Event == delivery.EventAttempted {
			last[e.LogID] = e.At
		}
	}
	sum, late, few, many := 0, 0, 0, 0
	failed := w.Cache.FailedEvents()
	for _, e := range failed {
		retries := e.Attempts - 1
		sum += retries
		if e.ExpiresAt().Sub(last[e.LogID]) > time.Hour+time.Second {
			late++
		}
		if retries < 6 {
			few++
		}
		if retries > 9 {
			many++
		}
	}
	mean := float64(sum) / float64(len(failed))
	t.Logf("%d failed events, %.2f retries on average, %d with fewer than 6, %d with more than 9, %d without an attempt in their last hour", len(failed), mean, few, many, late)
	if len(failed) < 17*60 || mean < 7 || mean > 8.2 || few+many > len(failed)/20 || late > 0 {
		t.Error("the requirement does not hold")
	}
}
