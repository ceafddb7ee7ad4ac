package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/connection"
)

// Timers are one-time schedules. Each goes off at its time and is handed out again, a minute and then two minutes later, until it is settled or was
// handed out three times, as an asynchronous invocation is.
type Timers struct {
	Hook Hook

	mu     sync.Mutex
	timers []timer
}

type timer struct {
	connection.Timer
	next  time.Time
	tries int
}

// timerTries is how often a timer is handed out.
const timerTries = 3

// Set implements connection.Timers.
func (s *Timers) Set(_ context.Context, t connection.Timer) error {
	return s.Hook.do(CallSetTimer, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.find(t) < 0 {
			s.timers = append(s.timers, timer{Timer: t, next: t.At})
		}
		return nil
	})
}

// Cancel implements connection.Timers.
func (s *Timers) Cancel(_ context.Context, t connection.Timer) error {
	return s.Hook.do(CallCancelTimer, func() error {
		s.Settle(t)
		return nil
	})
}

func (s *Timers) find(t connection.Timer) int {
	return slices.IndexFunc(s.timers, func(held timer) bool {
		return held.DestinationID == t.DestinationID && held.Incarnation == t.Incarnation && held.Generation == t.Generation && held.At.Equal(t.At)
	})
}

// Due hands out the timers whose time has come.
func (s *Timers) Due(now time.Time) []connection.Timer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []connection.Timer
	kept := s.timers[:0]
	for _, t := range s.timers {
		if !t.next.After(now) {
			due = append(due, t.Timer)
			t.tries++
			t.next = now.Add(time.Duration(t.tries) * time.Minute)
		}
		if t.tries < timerTries {
			kept = append(kept, t)
		}
	}
	s.timers = kept
	return due
}

// Settle removes a timer for good.
func (s *Timers) Settle(t connection.Timer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(t); i >= 0 {
		s.timers = slices.Delete(s.timers, i, i+1)
	}
}

// Next is when the next timer goes off, or false if there is none.
func (s *Timers) Next() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.timers) == 0 {
		return time.Time{}, false
	}
	first := slices.MinFunc(s.timers, func(a, b timer) int { return a.next.Compare(b.next) })
	return first.next, true
}

// Len counts the timers that are set.
func (s *Timers) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.timers)
}
