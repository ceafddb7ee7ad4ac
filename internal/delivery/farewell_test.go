package delivery_test

import (
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// remove has the destination deleted, with this log as its farewell.
func (s *stage) remove(t *testing.T, farewell string) directory.Destination {
	t.Helper()
	return s.put(t, func(d *directory.Destination) {
		d.State, d.StateSince, d.Generation, d.Farewell = directory.Deleted, s.now(), d.Generation+1, farewell
	})
}

// TestADeletedDestinationGetsItsFarewell has logs come to a deleted destination, by instances that know of the deletion, and by those that remember what was before: the
// farewell arrives, once, and nothing else after the deletion is known.
func TestADeletedDestinationGetsItsFarewell(t *testing.T) {
	for name, before := range map[string]func(*directory.Destination){
		"known":                  nil,
		"remembered as disabled": func(d *directory.Destination) { d.State = directory.Disabled },
		"remembered as failing": func(d *directory.Destination) {
			d.Health = directory.Health{State: directory.Failing, Since: start, Code: errUnavailable.Code}
		},
		"remembered as disconnected": func(d *directory.Destination) { d.State, d.StateSince = directory.Disconnected, start },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(time.Time, string) error { return nil })
			var was directory.Destination
			if before != nil {
				was = s.put(t, before)
			}
			deleted := s.remove(t, "farewell")
			if before == nil {
				was = deleted
			}
			s.shows(was, func() { s.accept(t, "farewell") })
			s.accept(t, "other")
			s.play(t, 2*time.Minute)
			if got := s.attempts(); got["farewell"] != 1 || got["other"] != 0 || s.receiver.held["farewell"] != 1 {
				t.Errorf("attempts %v, held %v", got, s.receiver.held)
			}
			if d := s.record(t); d.Draining || d.State != directory.Deleted {
				t.Errorf("the record is %s, draining %v", d.State, d.Draining)
			}
		})
	}
}

// TestAFarewellIsRetried has the receiver refuse it at first: it is retried by the table, says nothing of the destination's health, and waits for nobody's budget.
func TestAFarewellIsRetried(t *testing.T) {
	s := newStage(t, func(now time.Time, _ string) error {
		if now.Before(start.Add(10 * time.Minute)) {
			return errUnavailable
		}
		return nil
	})
	s.remove(t, "farewell")
	s.accept(t, "farewell", "other")
	s.play(t, time.Hour)
	if got := s.attempts(); got["farewell"] < 2 || got["other"] != 0 || s.receiver.held["farewell"] != 1 {
		t.Errorf("attempts %v, held %v", got, s.receiver.held)
	}
	if h := s.record(t).Health.State; h != directory.Healthy {
		t.Errorf("its health is %s", h)
	}
}

// TestAParkedFarewellIsFound has the invocation die that parked it, without a look at the record; its message comes again.
func TestAParkedFarewellIsFound(t *testing.T) {
	s := newStage(t, func(time.Time, string) error { return nil })
	was := s.put(t, func(d *directory.Destination) { d.State = directory.Disabled })
	s.remove(t, "farewell")
	at := s.now()
	s.shows(was, func() {
		s.dies(func() {
			if left := s.deliver.Accept(t.Context(), batch(at, 1, "farewell")); len(left) != 1 {
				t.Fatalf("%v come again, want the one", left)
			}
		})
	})
	if left := s.deliver.Accept(t.Context(), batch(at, 2, "farewell")); len(left) != 0 {
		t.Fatalf("%v come again", left)
	}
	s.play(t, 2*time.Minute)
	if s.receiver.held["farewell"] != 1 {
		t.Errorf("held %v", s.receiver.held)
	}
}
