package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// services are all that the watch needs, of which some do not answer.
type services struct {
	hang []string

	mu   sync.Mutex
	done map[string]int
}

func (s *services) call(ctx context.Context, name string) error {
	if slices.Contains(s.hang, name) {
		<-ctx.Done()
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[name]++
	return nil
}

// patients are destinations in each state that the watch looks at, so many of each.
func (s *services) patients(each int, now time.Time) iter.Seq2[directory.Destination, error] {
	return func(yield func(directory.Destination, error) bool) {
		for kind, d := range map[string]directory.Destination{
			"draining":     {State: directory.Connected, Draining: true},
			"failing":      {State: directory.Connected, Health: directory.Health{State: directory.Failing, Since: now.Add(-2 * time.Hour), Code: failure.NetTimeout}},
			"disconnected": {State: directory.Disconnected, StateSince: now.Add(-9 * time.Hour)},
			"disabled":     {State: directory.Disabled, StateSince: now.Add(-24 * time.Hour)},
		} {
			for i := range each {
				d.ID, d.Kind = fmt.Sprintf("%s-%d", kind, i), directory.HTTP
				if !yield(d, nil) {
					return
				}
			}
		}
	}
}

func (s *services) Attention(context.Context) iter.Seq2[directory.Destination, error] {
	return s.patients(100, time.Now())
}

func (s *services) Waiting(ctx context.Context, id string, _ delivery.Key, _ int) ([]delivery.Waiting, error) {
	k := delivery.Key{DestinationID: id, LogID: "old", AcceptedAt: time.Now().Add(-6*day - time.Hour)}
	return []delivery.Waiting{{Hint: delivery.Hint{Key: k}, Parked: true}}, nil
}

func (s *services) Send(ctx context.Context, rides []delivery.Ride) []error {
	err := s.call(ctx, "retry queue")
	return slices.Repeat([]error{err}, len(rides))
}

func (s *services) Notify(ctx context.Context, n directory.Notice) error {
	return s.call(ctx, "notices: "+string(n.Kind))
}

func (s *services) Start(ctx context.Context, _ string) error { return s.call(ctx, "drain queue") }

func (s *services) CurrentDestination(context.Context, string) (directory.Destination, error) {
	return directory.Destination{}, directory.ErrNotFound
}

func (s *services) PutDestination(_ context.Context, d directory.Destination, _ ...directory.Outgoing) (directory.Destination, error) {
	return d, nil
}

func (s *services) Record(delivery.Entry) { _ = s.call(context.Background(), "measured") }

// TestAServiceThatHangsHoldsUpWhatNeedsItAlone has one service after the other not answer: whatever does not need it is done for every destination, and the
// run ends before the next.
func TestAServiceThatHangsHoldsUpWhatNeedsItAlone(t *testing.T) {
	all := map[string]int{
		"sweep": 1, "drain queue": 100, "retry queue": 100, "disable": 100, "notices: involuntary": 100, "notices: expiry_warning": 300, "measured": 300,
	}
	for name, hang := range map[string][]string{
		"none":             nil,
		"the bus":          {"sweep"},
		"the drain queue":  {"drain queue"},
		"the retry queue":  {"retry queue"},
		"the notice queue": {"notices: involuntary", "notices: expiry_warning"},
		"the timers":       {"disable"},
		"several":          {"sweep", "disable", "notices: involuntary", "notices: expiry_warning"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &services{hang: hang, done: make(map[string]int)}
				w := &delivery.Watch{
					Attention: s, Destinations: s, Backlog: s, Retries: s, Notices: s, Drains: s, Journal: s, Now: time.Now, AtOnce: 8, Budget: 45 * time.Second,
					Sweep:    func(ctx context.Context) error { return s.call(ctx, "sweep") },
					EndGrace: func(ctx context.Context, _ directory.Destination) error { return s.call(ctx, "disable") },
				}
				began := time.Now()
				err := w.Run(t.Context())
				if (err != nil) != (len(hang) > 0) || err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error: %.200v", err)
				}
				if took := time.Since(began); took > 58*time.Second {
					t.Errorf("the run took %v", took)
				}
				want := make(map[string]int)
				for call, n := range all {
					if slices.Contains(hang, call) {
						continue
					}
					want[call] = n
				}
				if diff := cmp.Diff(want, s.done); diff != "" {
					t.Errorf("done (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestHourlyWorkIsNotMissed has runs of the watch come late, seldom or from another process: what is to be told each hour is told in each, at the latest when
// the next run comes, and not more often.
func TestHourlyWorkIsNotMissed(t *testing.T) {
	every := func(n int, gap time.Duration) (at []time.Duration) {
		for i := range n {
			at = append(at, time.Duration(i)*gap)
		}
		return at
	}
	for name, tt := range map[string]struct {
		looks []time.Duration
		// forgets has each look come from a process of its own.
		forgets bool
		want    []time.Duration // the looks at which it was told
	}{
		"to the minute":                {looks: every(181, time.Minute), want: []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour}},
		"a fifth of a second late":     {looks: []time.Duration{0, 59*time.Minute + 59900*time.Millisecond, 61*time.Minute + 100*time.Millisecond, 62 * time.Minute}, want: []time.Duration{61*time.Minute + 100*time.Millisecond}},
		"every third minute":           {looks: every(60, 3*time.Minute+time.Second), want: []time.Duration{20 * 181 * time.Second, 40 * 181 * time.Second}},
		"every 70 minutes":             {looks: every(4, 70*time.Minute), want: []time.Duration{70 * time.Minute, 140 * time.Minute, 210 * time.Minute}},
		"an outage of our own":         {looks: []time.Duration{0, 9*time.Hour + 17*time.Minute, 9*time.Hour + 18*time.Minute}, want: []time.Duration{9*time.Hour + 17*time.Minute}},
		"a process that knows nothing": {looks: []time.Duration{95 * time.Minute}, forgets: true, want: []time.Duration{95 * time.Minute}},
	} {
		for state, set := range map[string]func(d *directory.Destination){
			"failing": func(d *directory.Destination) {
				d.Health = directory.Health{State: directory.Failing, Since: start, Code: errUnavailable.Code}
			},
			"disabled": func(d *directory.Destination) { d.State, d.StateSince = directory.Disabled, start },
		} {
			t.Run(state+" "+name, func(t *testing.T) {
				s := newStage(t, func(time.Time, string) error { return errUnavailable })
				s.put(t, func(d *directory.Destination) { d.State = directory.Disconnected })
				s.acceptAt(t, start.Add(-6*day), "one")
				s.put(t, func(d *directory.Destination) {
					d.State = directory.Connected
					set(d)
				})
				var told []time.Duration
				for _, at := range tt.looks {
					s.to(start.Add(at))
					if tt.forgets {
						s.watch = &delivery.Watch{Attention: s.directory, Destinations: s.directory, Backlog: s.cache, Retries: s.retries, Notices: s.notices,
							Drains: s.drains, Sweep: nothingLeft, Now: s.now, AtOnce: 8, Budget: time.Minute}
					}
					if err := s.watch.Run(t.Context()); err != nil {
						t.Fatal(err)
					}
					notices := s.notices.Queue.Receive(10)
					if len(notices) > 0 && at > 0 {
						told = append(told, at)
					}
					for _, n := range notices {
						_ = s.notices.Queue.Ack(n.Handle)
					}
				}
				if diff := cmp.Diff(tt.want, told); diff != "" {
					t.Errorf("told at (-want +got):\n%s", diff)
				}
			})
		}
	}
}
