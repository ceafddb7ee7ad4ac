package delivery_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// waiting puts logs of an outage of two days into the cache: the odd ones are parked, the others had seven attempts and have their next in 60 hours.
func (s *stage) waiting(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: fmt.Sprintf("old-%03d", i), AcceptedAt: start.Add(time.Duration(i)*time.Minute - 48*time.Hour)}
		d := delivery.Delivery{Key: k, Attempts: 7, Tried: start.Add(-8 * time.Hour), Code: errUnavailable.Code, NextAt: start.Add(60 * time.Hour)}
		if i%2 == 1 {
			d.Attempts, d.Tried, d.Parked, d.NextAt = 0, time.Time{}, true, k.ExpiresAt()
		}
		d.Document = auditlog.Document{ID: k.LogID, WorkspaceID: "acme", Type: "user_activity", JSON: []byte(`{}`)}
		if err := s.cache.Save(t.Context(), []delivery.Delivery{d})[0]; err != nil {
			t.Fatal(err)
		}
	}
	s.put(t, func(d *directory.Destination) {
		d.Health = directory.Health{State: directory.Failing, Since: start.Add(-48 * time.Hour), Code: errUnavailable.Code}
	})
}

// lossy is a retry queue that loses hints, and says so or not.
type lossy struct {
	*memory.RetryQueue
	loses func(h delivery.Hint, call int) (lost, told bool)
	calls int
}

func (l *lossy) Send(ctx context.Context, rides []delivery.Ride) []error {
	errs := make([]error, len(rides))
	for i, r := range rides {
		l.calls++
		lost, told := l.loses(r.Hint, l.calls)
		if !lost {
			errs[i] = l.RetryQueue.Send(ctx, []delivery.Ride{r})[0]
		} else if told {
			errs[i] = errRefused
		}
	}
	return errs
}

// forgetful is drains' progress whose answers are lost, so that the repeated write is refused by its own first one.
type forgetful struct {
	delivery.DrainProgress
	loses func(call int) bool
	calls int
}

func (f *forgetful) SaveDrainState(ctx context.Context, id string, s delivery.DrainState) error {
	err := f.DrainProgress.SaveDrainState(ctx, id, s)
	if f.calls++; err == nil && f.loses(f.calls) {
		return delivery.ErrChanged
	}
	return err
}

// within says that a destination is down in a span since its recovery.
func within(from, to time.Duration) func(time.Duration, string) error {
	return func(since time.Duration, _ string) error {
		if since >= from && since < to {
			return errUnavailable
		}
		return nil
	}
}

// TestARecoveryDrainsAllThatIsOlder has a destination recover with 300 logs waiting, half of them parked and half with a time of their own in 60 hours. Whatever
// stumbles, goes missing or comes late, all have arrived in half an hour, and nothing needs attention any more, unless there are
// logs that it does not want.
func TestARecoveryDrainsAllThatIsOlder(t *testing.T) {
	calls := 0
	for name, tt := range map[string]struct {
		answer  func(since time.Duration, id string) error
		prepare func(s *stage)
		// pages is how many minutes apart pages come.
		pages int
		// rate is how many logs a second it takes.
		rate int
		// left is how many logs are left to their own times, since the destination does not want them.
		left int
	}{
		"nothing goes wrong":                {},
		"it stumbles before the first page": {answer: within(2*time.Second, 8*time.Second)},
		"it stumbles in the first page":     {answer: within(8*time.Second, 48*time.Second)},
		"it stumbles in the second page":    {answer: within(70*time.Second, 100*time.Second)},
		"it stumbles for five minutes":      {answer: within(65*time.Second, 365*time.Second)},
		"it stumbles again and again": {answer: func(since time.Duration, id string) error {
			return within(10*time.Second, 35*time.Second)(since%(2*time.Minute), id)
		}},
		"it lets a third time out": {answer: func(_ time.Duration, _ string) error { calls++; return third(calls, failure.NetTimeout) }},
		"it is not up to a third":  {answer: func(_ time.Duration, _ string) error { calls++; return third(calls, failure.HTTPServerError) }},
		"it refuses some":          {answer: func(_ time.Duration, id string) error { return refusing(id) }, left: 30},
		"the first page's hints are refused": {prepare: func(s *stage) {
			s.drain.Retries = &lossy{RetryQueue: s.retries, loses: func(_ delivery.Hint, call int) (bool, bool) { return call <= 100, true }}
		}},
		"each fifth hint is lost": {prepare: func(s *stage) {
			s.drain.Retries = &lossy{RetryQueue: s.retries, loses: func(_ delivery.Hint, call int) (bool, bool) { return call%5 == 0, false }}
		}},
		"each page's first answer is lost": {prepare: func(s *stage) {
			s.drain.Progress = &forgetful{DrainProgress: s.drain.Progress, loses: func(call int) bool { return call%2 == 1 }}
		}},
		"a page in four minutes":            {pages: 4},
		"a page in seven minutes":           {pages: 7},
		"each call for a page comes thrice": {prepare: func(s *stage) { s.drains.Queue.Copies = func() int { return 2 } }},
		"each hint comes twice":             {prepare: func(s *stage) { s.retries.Queue.Copies = func() int { return 1 } }},
		"a small rate":                      {rate: 1},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Time{}
			s := newStage(t, func(now time.Time, id string) error {
				if tt.answer == nil || strings.HasPrefix(id, "fresh") {
					return nil
				}
				return tt.answer(now.Sub(began), id)
			})
			if tt.prepare != nil {
				tt.prepare(s)
			}
			s.waiting(t, 300)
			if tt.rate > 0 {
				s.put(t, func(d *directory.Destination) { d.Settings = fmt.Appendf(nil, `{"rate":%d}`, tt.rate) })
			}
			began, s.pagesEvery = s.now(), tt.pages
			for range 30 {
				s.accept(t, "fresh-"+s.now().String()) // taken: it is well, as far as this shows
				s.play(t, time.Minute)
			}
			late := 0
			for _, d := range s.cache.All() {
				if strings.HasPrefix(d.LogID, "old") && refusing(d.LogID) == nil {
					late++
				}
			}
			if late > 0 || s.cache.Len() != tt.left {
				t.Errorf("after half an hour %d logs wait, %d of them for a destination that takes them", s.cache.Len(), late)
			}
			if d := s.record(t); d.NeedsAttention() != (tt.left > 0) {
				t.Errorf("it needs attention: %v, with %d logs that it does not want: %+v", d.NeedsAttention(), tt.left, d)
			}
		})
	}
}

func third(call int, code failure.Code) error {
	if call%3 == 0 {
		return &failure.Error{Code: code}
	}
	return nil
}

// refusing refuses one log in ten for its own sake.
func refusing(id string) error {
	if strings.HasSuffix(id, "7") {
		return errLogRefused
	}
	return nil
}
