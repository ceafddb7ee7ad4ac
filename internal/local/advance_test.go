package local_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/local"
)

// slow takes every log after a pause of real time.
type slow time.Duration

func (s slow) Sink(context.Context, directory.Destination) (delivery.Sink, error) { return s, nil }

func (s slow) Send(_ context.Context, logs []auditlog.Document) []delivery.Result {
	time.Sleep(time.Duration(s))
	return make([]delivery.Result, len(logs))
}

// The clock follows real time when an attempt begins, and is moved by eight hours while the receiver thinks. It waits for the receiver first, and
// when it runs on afterwards it does not make up for that.
func TestAdvanceWaitsForWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const thinks, until = 15 * time.Second, 10 * time.Millisecond
		w := local.NewWorld(monday, nil)
		w.SetSinks(slow(thinks))
		if err := w.Apply(t.Context(), local.Sample("http://127.0.0.1/")); err != nil {
			t.Fatal(err)
		}
		running, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.Run(running, 1)
		}()
		w.Send([]byte(`{"id":"a","workspace_id":"acme","type":"user_activity","occurred_at":"2026-11-02T08:59:58Z","payload":{}}`))
		time.Sleep(until)
		begun := w.Clock.Now()
		if err := w.Advance(t.Context(), 8*time.Hour); err != nil {
			t.Fatal(err)
		}
		if moved := w.Clock.Now().Sub(begun); moved < 8*time.Hour || moved > 8*time.Hour+time.Second {
			t.Errorf("eight hours became %v", moved)
		}
		time.Sleep(until)
		if moved := w.Clock.Now().Sub(begun); moved > 8*time.Hour+time.Second {
			t.Errorf("the clock has made up for the receiver's pause: eight hours became %v", moved)
		}
		stop()
		<-ended
		var attempts []int
		for _, e := range w.Journal.Entries() {
			if e.Event == delivery.EventAttempted {
				attempts = append(attempts, e.Attempt)
			}
		}
		if diff := cmp.Diff([]int{1}, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}
