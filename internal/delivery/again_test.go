package delivery_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// TestADeliveredLogThatComesAgain delivers a log, has the deletion of its message fail so often that it comes again after a time, and takes the
// destination down meanwhile or not. Nobody remembers that it was delivered: docs/producers.md says what follows.
func TestADeliveredLogThatComesAgain(t *testing.T) {
	for name, c := range map[string]struct {
		away time.Duration // how long nothing can be deleted
		down bool          // from a minute on, for good
		want outcome
	}{
		"the destination takes it twice":   {time.Minute, false, outcome{Accepted: 1, Held: 2}},
		"it is down when it comes again":   {time.Minute, true, outcome{Accepted: 1, Held: 1, Failed: 1}},
		"it is deleted when it is settled": {0, true, outcome{Accepted: 1, Held: 1}},
		"it comes again and again":         {30 * time.Minute, false, outcome{Accepted: 1, Held: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			var w *local.World
			var r *receiver
			w, r = newWorld(func(call string) memory.Fault {
				if w != nil && call == memory.CallAck && w.Clock.Now().Sub(start) < c.away {
					return memory.FailBefore
				}
				return memory.OK
			}, func(now time.Time, _ string) error {
				if c.down && now.Sub(start) >= time.Minute {
					return errUnavailable
				}
				return nil
			})
			w.Send(message("log"))
			advance(t, w, 9*day)
			got := outcome{w.Journal.Ledger().Accepted, r.held["log"], len(w.Cache.FailedEvents()), w.Cache.Len()}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// outcome is how often a log counts as accepted, how often its destination took it, how many failed events it has, and how many of it wait.
type outcome struct{ Accepted, Held, Failed, Waiting int }
