package delivery_test

import (
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
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
