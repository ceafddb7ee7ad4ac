package delivery_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
)

const (
	hidden  = delivery.IngestAgain // a queue's visibility time-out
	dead    = 10                   // how often a neighbour may be handed out
	doomed  = "kills"              // begins the ids of logs whose delivery ends the process
	manyIDs = 100
)

// invoke hands a batch to a function that may die in it, and says what must come again; all of it if it died.
func invoke(take func() []string, all []string) (unsettled []string) {
	unsettled = all
	over := make(chan struct{})
	go func() {
		defer close(over)
		unsettled = take()
	}()
	<-over
	return unsettled
}

// lethal is a destination at which some logs end the process. A test's function has one destination, so that it runs in the one goroutine that ends.
func lethal(_ time.Time, id string) error {
	if strings.HasPrefix(id, doomed) {
		runtime.Goexit()
	}
	return nil
}

// Among a hundred messages some end the process whenever they are delivered. All others are delivered, long before their queue counts them as dead, and
// at most once more often than the process died while they were with it.
func TestALogThatEndsTheProcessDragsNobodyAlong(t *testing.T) {
	for _, killers := range []int{1, 2, 5} {
		for name, from := range map[string]struct {
			place  func(i int) int
			hook   memory.Hook
			rounds int // of the visibility time-out until the neighbours are delivered
		}{
			"first":  {func(i int) int { return i }, nil, 3 + killers},
			"last":   {func(i int) int { return manyIDs - 1 - i }, nil, 3 + killers},
			"spread": {func(i int) int { return i*19 + 3 }, nil, 3 + killers},
			"a queue that deletes late": {
				func(i int) int { return i*19 + 3 },
				func(call string) memory.Fault { return map[string]memory.Fault{memory.CallAck: memory.FailAfter}[call] },
				3 + killers,
			},
		} {
			t.Run(fmt.Sprintf("%d/%s", killers, name), func(t *testing.T) {
				s := newStage(t, lethal)
				ingest := &memory.Queue[[]byte]{Now: s.now, Visibility: hidden, Hook: from.hook}
				s.deliver.FreshFrom = memory.Source[[]byte]{Queue: ingest}
				ids := make([]string, manyIDs)
				for i := range ids {
					ids[i] = fmt.Sprintf("log-%d", i)
				}
				for i := range killers {
					ids[from.place(i)] = fmt.Sprintf("%s-%d", doomed, i)
				}
				for _, id := range ids {
					if _, err := ingest.Send(message(id), 0); err != nil {
						t.Fatal(err)
					}
				}
				for round := range from.rounds {
					s.to(start.Add(time.Duration(round) * hidden))
					for batch := ingest.Receive(manyIDs); len(batch) > 0; batch = ingest.Receive(manyIDs) {
						acceptFrom(t, s, ingest, batch)
					}
				}
				for _, m := range handedOut(ingest, s) {
					if m.Receives > dead-2 && !strings.Contains(string(m.Body), doomed) {
						t.Errorf("a neighbour was handed out %d times", m.Receives)
					}
				}
				missing, most := 0, 0
				for _, id := range ids {
					if n := s.receiver.held[id]; !strings.HasPrefix(id, doomed) {
						most = max(most, n)
						if n == 0 {
							missing++
						}
					}
				}
				if missing > 0 || most > 3 {
					t.Errorf("%d neighbours were not delivered, one %d times", missing, most)
				}
			})
		}
	}
}

// acceptFrom has deliver take a batch of a queue, as Lambda does.
func acceptFrom(t *testing.T, s *stage, q *memory.Queue[[]byte], batch []memory.Received[[]byte]) {
	t.Helper()
	messages := make([]delivery.Message, len(batch))
	all := make([]string, len(batch))
	for i, m := range batch {
		messages[i] = delivery.Message{ID: m.ID, Body: m.Body, SentAt: m.SentAt, Receives: m.Receives, Handle: m.ID}
		all[i] = m.ID
	}
	open := make(map[string]bool)
	for _, id := range invoke(func() []string { return s.deliver.Accept(t.Context(), messages) }, all) {
		open[id] = true
	}
	for _, id := range all {
		if !open[id] {
			_ = q.Ack(id) // what was settled before is gone
		}
	}
}

// handedOut are the messages that are left, as they are handed out in the end.
func handedOut(q *memory.Queue[[]byte], s *stage) []memory.Received[[]byte] {
	s.to(s.now().Add(24 * time.Hour))
	return q.Receive(1000)
}

// A delivery from the cache that ends the process is isolated too, by the hint that leads to it.
func TestADeliveryThatEndsTheProcessDragsNoHintAlong(t *testing.T) {
	down := true
	s := newStage(t, func(now time.Time, id string) error {
		if down {
			return &failure.Error{Code: failure.HTTPLogRefused} // of the log, so that the destination stays healthy
		}
		return lethal(now, id)
	})
	s.retries.Queue.Visibility = hidden
	s.deliver.HintsFrom = memory.Source[delivery.Hint]{Queue: &s.retries.Queue}
	ids := []string{"a", "b", doomed, "c", "d"}
	s.accept(t, ids...)
	down = false
	for round := range 5 {
		s.to(start.Add(5*time.Minute + time.Duration(round)*hidden))
		batch := s.retries.Queue.Receive(100)
		hints := make([]delivery.HintMessage, len(batch))
		all := make([]string, len(batch))
		for i, m := range batch {
			hints[i] = delivery.HintMessage{ID: m.ID, Hint: m.Body, Receives: m.Receives, Handle: m.ID}
			all[i] = m.ID
		}
		open := invoke(func() []string { return s.deliver.Retry(t.Context(), hints) }, all)
		for _, id := range all {
			if len(open) == 0 {
				_ = s.retries.Queue.Ack(id)
			}
		}
	}
	left := make(map[string]int)
	for _, d := range s.cache.All() {
		left[d.LogID] = d.Attempts
	}
	if diff := cmp.Diff(map[string]int{doomed: 1}, left); diff != "" {
		t.Errorf("left in the cache, by attempts (-want +got):\n%s", diff)
	}
}

// Messages that nothing is known of but their count are taken alone, the others together.
func TestSuspectsAreTakenAlone(t *testing.T) {
	s := newStage(t, func(time.Time, string) error { return nil })
	var batch []delivery.Message
	for i, receives := range []int{1, 3, 2, 7, 1} {
		id := fmt.Sprintf("%d", i)
		batch = append(batch, delivery.Message{ID: id, Body: message(id), SentAt: start, Receives: receives})
	}
	sizes := &sizes{next: s.receiver}
	s.deliver.Sinks = sizes
	if open := s.deliver.Accept(t.Context(), batch); len(open) > 0 {
		t.Errorf("%v must come again", open)
	}
	if diff := cmp.Diff([]int{3, 1, 1}, sizes.of); diff != "" {
		t.Errorf("logs that were sent together (-want +got):\n%s", diff)
	}
}

// When the time is nearly over, the suspects that are left come again; the one whose turn it is goes into the cache without an attempt.
func TestSuspectsWhenTimeIsShort(t *testing.T) {
	s := newStage(t, func(time.Time, string) error { return nil })
	batch := []delivery.Message{{ID: "a", Body: message("a"), SentAt: start, Receives: 3}, {ID: "b", Body: message("b"), SentAt: start, Receives: 3}}
	for left, want := range map[time.Duration]struct {
		open   []string
		cached int
	}{
		4 * time.Second: {[]string{"a", "b"}, 0},
		9 * time.Second: {nil, 2},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), left)
		defer cancel()
		if diff := cmp.Diff(want.open, s.deliver.Accept(ctx, batch)); diff != "" {
			t.Errorf("%v before the end, to come again (-want +got):\n%s", left, diff)
		}
		if n := len(s.cache.All()); n != want.cached && want.cached > 0 {
			t.Errorf("%v before the end: %d cached, want %d", left, n, want.cached)
		}
	}
	if len(s.receiver.held) > 0 {
		t.Errorf("%v were sent", s.receiver.held)
	}
}

// sizes notes how many logs come together.
type sizes struct {
	next *receiver
	of   []int
}

func (s *sizes) Sink(context.Context, directory.Destination) (delivery.Sink, error) { return s, nil }

func (s *sizes) Send(ctx context.Context, logs []auditlog.Document) []delivery.Result {
	s.of = append(s.of, len(logs))
	return s.next.Send(ctx, logs)
}
