package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// outdated is the directory as an instance remembers it: the destination as it was.
type outdated struct {
	delivery.Directory
	shown directory.Destination
}

func (o outdated) Workspace(ctx context.Context, id string) (directory.Workspace, []directory.Destination, error) {
	w, _, err := o.Directory.Workspace(ctx, id)
	return w, []directory.Destination{o.shown}, err
}

func (o outdated) Destination(context.Context, string) (directory.Destination, error) {
	return o.shown, nil
}

// unreadable is the directory table while the record of a destination cannot be read.
type unreadable struct{ delivery.DestinationStore }

func (unreadable) CurrentDestination(context.Context, string) (directory.Destination, error) {
	return directory.Destination{}, errors.New("throttled")
}

// shows has deliver's memory show the destination as it was, while do lasts.
func (s *stage) shows(d directory.Destination, do func()) {
	current := s.deliver.Directory
	s.deliver.Directory = outdated{current, d}
	do()
	s.deliver.Directory = current
}

// dies has the invocation die as soon as it has parked its logs, while do lasts: it comes to no look at the record, and settles nothing.
func (s *stage) dies(do func()) {
	store := s.deliver.Destinations
	s.deliver.Destinations = unreadable{store}
	do()
	s.deliver.Destinations = store
}

// batch are messages of logs, which were handed out so many times.
func batch(at time.Time, receives int, ids ...string) []delivery.Message {
	messages := make([]delivery.Message, len(ids))
	for i, id := range ids {
		messages[i] = delivery.Message{ID: "m-" + id, Body: message(id), SentAt: at, Receives: receives}
	}
	return messages
}

func names(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%03d", prefix, i)
	}
	return ids
}

// TestWhatIsParkedHasSomebodyLook has logs parked for a destination that takes logs and is drained already, by whatever knows less than the record. Five
// minutes later they have arrived.
func TestWhatIsParkedHasSomebodyLook(t *testing.T) {
	recover := func(t *testing.T, s *stage) {
		s.put(t, func(d *directory.Destination) {
			d.Health = directory.Health{State: directory.Healthy}
			*d = d.Drain(s.now())
		})
	}
	failed := func(t *testing.T, s *stage) directory.Destination {
		was := s.fail(t)
		recover(t, s)
		return was
	}
	disconnected := func(t *testing.T, s *stage) directory.Destination {
		was := s.put(t, func(d *directory.Destination) { d.State, d.StateSince = directory.Disconnected, s.now() })
		s.put(t, func(d *directory.Destination) { *d, _ = directory.Transition(*d, directory.Reconnect, s.now()) })
		return was
	}
	ids := names("log", 15) // more than the budget of a failing destination
	for name, tt := range map[string]struct {
		was   func(t *testing.T, s *stage) directory.Destination
		quiet time.Duration // after which the logs come
		park  func(t *testing.T, s *stage, was directory.Destination)
	}{
		"a memory of a failure": {was: failed, quiet: 10 * time.Minute, park: func(t *testing.T, s *stage, was directory.Destination) {
			s.shows(was, func() { s.accept(t, ids...) })
		}},
		"a memory of a failure, between the drain's end and its last look": {was: failed, quiet: 70 * time.Second, park: func(t *testing.T, s *stage, was directory.Destination) {
			s.shows(was, func() { s.accept(t, ids...) })
		}},
		"a memory of a failure, within the drain": {was: failed, quiet: 5 * time.Second, park: func(t *testing.T, s *stage, was directory.Destination) {
			s.shows(was, func() { s.accept(t, ids...) })
		}},
		"a memory of a disconnect": {was: disconnected, quiet: 10 * time.Minute, park: func(t *testing.T, s *stage, was directory.Destination) {
			s.shows(was, func() { s.accept(t, ids...) })
		}},
		"an invocation that dies": {was: disconnected, quiet: 10 * time.Minute, park: func(t *testing.T, s *stage, was directory.Destination) {
			at := s.now()
			s.shows(was, func() {
				s.dies(func() {
					if open := s.deliver.Accept(t.Context(), batch(at, 1, ids...)); len(open) != len(ids) {
						t.Errorf("%d of %d messages come again", len(open), len(ids))
					}
				})
				// They are handed out again, and its memory is as old as before.
				if open := s.deliver.Accept(t.Context(), batch(at, 2, ids...)); len(open) > 0 {
					t.Errorf("%v come again", open)
				}
			})
		}},
		"a retry": {was: disconnected, quiet: 10 * time.Minute, park: func(t *testing.T, s *stage, was directory.Destination) {
			hints := s.due(t, ids...)
			s.shows(was, func() {
				if open := s.deliver.Retry(t.Context(), hints); len(open) > 0 {
					t.Errorf("%v come again", open)
				}
			})
		}},
		"a retry whose invocation dies": {was: disconnected, quiet: 10 * time.Minute, park: func(t *testing.T, s *stage, was directory.Destination) {
			hints := s.due(t, ids...)
			s.shows(was, func() {
				s.dies(func() {
					if open := s.deliver.Retry(t.Context(), hints); len(open) != len(hints) {
						t.Errorf("%d of %d hints come again", len(open), len(hints))
					}
				})
				if open := s.deliver.Retry(t.Context(), hints); len(open) > 0 {
					t.Errorf("%v come again", open)
				}
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(time.Time, string) error { return nil })
			was := tt.was(t, s)
			s.play(t, tt.quiet)
			tt.park(t, s, was)
			s.play(t, 5*time.Minute)
			if n := s.cache.Len(); n > 0 || len(s.receiver.held) != len(ids) {
				t.Errorf("five minutes later %d logs wait for a destination that is well, %d of %d have arrived", n, len(s.receiver.held), len(ids))
			}
			s.play(t, 5*time.Minute)
			if d := s.record(t); d.NeedsAttention() {
				t.Errorf("ten minutes later it still needs attention: %+v", d)
			}
		})
	}
}

// due puts logs into the cache whose retry is due now, and gives the hints to them.
func (s *stage) due(t *testing.T, ids ...string) []delivery.HintMessage {
	t.Helper()
	s.receiver.answer, s.deliver.Sinks = func(time.Time, string) error { return errLogRefused }, s.receiver
	s.accept(t, ids...)
	s.receiver.answer = func(time.Time, string) error { return nil }
	var hints []delivery.HintMessage
	for _, d := range s.cache.All() {
		hints = append(hints, delivery.HintMessage{ID: "h-" + d.LogID, Hint: delivery.Hint{Key: d.Key, At: d.NextAt}})
		if d.NextAt.After(s.now()) {
			s.to(d.NextAt)
		}
	}
	return hints
}

// replica is a backlog that does not show what was parked in the last seconds, while it is behind.
type replica struct {
	delivery.Backlog
	behind *bool
}

func (r replica) Waiting(ctx context.Context, id string, after delivery.Key, limit int) ([]delivery.Waiting, error) {
	all, err := r.Backlog.Waiting(ctx, id, after, limit)
	if !*r.behind {
		return all, err
	}
	var shown []delivery.Waiting
	for _, w := range all {
		if !w.Parked {
			shown = append(shown, w)
		}
	}
	return shown, err
}

// TestADrainsLastLookIsAsOfNow has logs parked, since they come faster than their destination's rate, in each second of a drain, whose reads of the backlog are
// behind all the time. Whoever parks finds the drain under way, so it must not miss them.
func TestADrainsLastLookIsAsOfNow(t *testing.T) {
	for after := time.Duration(0); after < 4*time.Minute; after += 7 * time.Second {
		t.Run(after.String(), func(t *testing.T) {
			s := newStage(t, func(time.Time, string) error { return nil })
			s.put(t, func(d *directory.Destination) { d.Settings = json.RawMessage(`{"rate":1}`) })
			behind := false
			s.drain.Backlog, s.drain.Latest = replica{s.cache, &behind}, s.cache
			s.accept(t, names("first", 12)...) // two over a window of ten
			s.play(t, after)
			s.accept(t, names("second", 12)...)
			behind = true
			s.play(t, 2*time.Minute)
			behind = false
			s.play(t, 5*time.Minute)
			if n := s.cache.Len(); n > 0 {
				t.Errorf("%d of 24 logs still wait", n)
			}
		})
	}
}
