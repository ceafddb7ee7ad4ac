package delivery_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// deduping is a stage that knows what is sent again, and a receiver that counts.
func deduping(t *testing.T) (*stage, arrivals) {
	t.Helper()
	s, got := newStage(t, works), arrivals{}
	s.deliver.Sinks, s.deliver.Receipts = got, &memory.Receipts{}
	return s, got
}

// take hands deliver a message that is accepted now, and one that was handed out before if receives is over 1.
func (s *stage) take(t *testing.T, messageID string, m sent) {
	t.Helper()
	batch := messages([]sent{m})
	batch[0].ID, batch[0].SentAt = messageID, s.now()
	if left := s.deliver.Accept(t.Context(), batch); len(left) > 0 {
		t.Fatalf("%v must come again", left)
	}
}

// A log that is sent again within a day goes only where it has not gone.
func TestAResendIsKnown(t *testing.T) {
	log := sent{"a", "x", 0, 1}
	archive := func(t *testing.T, s *stage) {
		if _, err := s.directory.PutDestination(t.Context(), directory.Destination{ID: "archive", WorkspaceID: "acme", Kind: directory.HTTP,
			State: directory.Connected, Health: directory.Health{State: directory.Healthy}}); err != nil {
			t.Fatal(err)
		}
	}
	state := func(to directory.State) func(*testing.T, *stage) {
		return func(t *testing.T, s *stage) { s.put(t, func(d *directory.Destination) { d.State = to }) }
	}
	tests := []struct {
		name     string
		before   func(*testing.T, *stage)
		pause    time.Duration
		between  func(*testing.T, *stage)
		again    sent
		ledger   memory.Ledger
		arrived  int
		receipts int
	}{
		{"at once", nil, 0, nil, log, memory.Ledger{Accepted: 2, Delivered: 1, Repeated: 1}, 1, 1},
		{"an hour later", nil, time.Hour, nil, log, memory.Ledger{Accepted: 2, Delivered: 1, Repeated: 1}, 1, 1},
		{"at the end of the day", nil, 24*time.Hour - time.Second, nil, log, memory.Ledger{Accepted: 2, Delivered: 1, Repeated: 1}, 1, 1},
		{"after the day", nil, 24 * time.Hour, nil, log, memory.Ledger{Accepted: 2, Delivered: 2}, 2, 1},
		{"another content", nil, time.Hour, nil, sent{"a", "y", 0, 1}, memory.Ledger{Accepted: 2, Delivered: 2}, 2, 2},
		{"another id", nil, time.Hour, nil, sent{"b", "x", 0, 1}, memory.Ledger{Accepted: 2, Delivered: 2}, 2, 2},
		{"while it waits", state(directory.Disconnected), time.Hour, nil, log, memory.Ledger{Accepted: 2, Pending: 1, Repeated: 1}, 0, 1},
		{"and there is another destination", nil, time.Hour, archive, log, memory.Ledger{Accepted: 3, Delivered: 2, Repeated: 1}, 2, 1},
		{
			"and its destination is another by now", nil, time.Hour, func(t *testing.T, s *stage) {
				d, err := s.directory.CurrentDestination(t.Context(), "siem")
				if err == nil {
					err = s.directory.DeleteDestination(t.Context(), d)
				}
				if err != nil {
					t.Fatal(err)
				}
				d.Incarnation, d.Revision = "another", 0
				s.put(t, func(fresh *directory.Destination) { *fresh = d })
			}, log, memory.Ledger{Accepted: 2, Delivered: 2}, 2, 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, got := deduping(t)
			if tt.before != nil {
				tt.before(t, s)
			}
			s.take(t, "m-1", log)
			s.to(s.now().Add(tt.pause))
			if tt.between != nil {
				tt.between(t, s)
			}
			s.take(t, "m-2", tt.again)
			if diff := cmp.Diff(tt.ledger, s.journal.Ledger()); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
			if got.sum() != tt.arrived {
				t.Errorf("arrived: %v, want %d", got, tt.arrived)
			}
			if n := s.deliver.Receipts.(*memory.Receipts).Len(); n != tt.receipts {
				t.Errorf("%d receipts, want %d", n, tt.receipts)
			}
		})
	}
}

func (a arrivals) sum() (n int) {
	for _, times := range a {
		n += times
	}
	return n
}

// Who sends a log again when the first was given up, or found nobody, sends one that is delivered.
func TestAResendOfWhatWasNotDealtWithIsDelivered(t *testing.T) {
	t.Run("the first comes to its end within the day", func(t *testing.T) {
		s, _ := deduping(t)
		s.put(t, func(d *directory.Destination) { d.State = directory.Disconnected })
		batch := messages([]sent{{"a", "x", -7*24*time.Hour + time.Hour, 1}})
		if left := s.deliver.Accept(t.Context(), batch); len(left) > 0 {
			t.Fatalf("%v must come again", left)
		}
		for _, c := range []struct {
			after   time.Duration
			message string
			waiting int
		}{{59 * time.Minute, "m-2", 1}, {time.Minute, "m-3", 2}} {
			s.to(s.now().Add(c.after))
			s.take(t, c.message, sent{"a", "x", 0, 1})
			if s.cache.Len() != c.waiting {
				t.Errorf("with %s, %d wait; want %d", c.message, s.cache.Len(), c.waiting)
			}
		}
	})
	t.Run("nobody wanted the first", func(t *testing.T) {
		s, got := deduping(t)
		s.put(t, func(d *directory.Destination) { d.LogTypes = []string{"job_summary"} })
		s.take(t, "m-1", sent{"a", "x", 0, 1})
		s.put(t, func(d *directory.Destination) { d.LogTypes = nil })
		s.take(t, "m-2", sent{"a", "x", 0, 1})
		if diff := cmp.Diff(memory.Ledger{Accepted: 2, Delivered: 1, Unrouted: 1}, s.journal.Ledger()); diff != "" || got.sum() != 1 {
			t.Errorf("arrived %v; ledger (-want +got):\n%s", got, diff)
		}
	})
}

// dying is a receiver, as arrivals, that is out of reach while everything is dead.
type dying struct {
	arrivals
	dead *bool
}

func (d dying) Sink(context.Context, directory.Destination) (delivery.Sink, error) { return d, nil }

func (d dying) Send(ctx context.Context, logs []auditlog.Document) []delivery.Result {
	if *d.dead {
		return []delivery.Result{{Err: &failure.Error{Code: failure.NetInterrupted}}}
	}
	return d.arrivals.Send(ctx, logs)
}

// In the invocation that takes the first message a call fails, or everything dies at it, before or after it took effect, and that message never comes
// again. Who sends the log again must not be told that it is known.
func TestAResendOutlivesTheFailureOfTheFirst(t *testing.T) {
	for _, state := range []directory.State{directory.Connected, directory.Disconnected} {
		for _, dies := range []bool{true, false} {
			failures := 0
			for nth := 1; failsAt(t, state, nth, memory.FailBefore, dies) && failsAt(t, state, nth, memory.FailAfter, dies); nth++ {
				failures++
			}
			if failures < 3 {
				t.Errorf("%s, dies %v: only %d calls failed", state, dies, failures)
			}
		}
	}
}

// failsAt plays a failure at the n-th call. It answers false if there are fewer.
func failsAt(t *testing.T, state directory.State, nth int, fault memory.Fault, dies bool) (reached bool) {
	t.Helper()
	calls, dead := 0, false
	hook := func(string) memory.Fault {
		if dead {
			return memory.FailBefore
		}
		if calls++; calls != nth {
			return memory.OK
		}
		dead, reached = dies, true
		return fault
	}
	s := newStage(t, works)
	s.put(t, func(d *directory.Destination) { d.State = state })
	got := dying{arrivals{}, &dead}
	s.deliver.Sinks, s.deliver.Receipts = got, &memory.Receipts{Hook: hook}
	s.cache.Hook, s.retries.Hook, s.directory.Hook = hook, hook, hook
	s.deliver.Accept(t.Context(), messages([]sent{{"a", "x", 0, 1}}))
	dead, calls = false, nth // nothing fails from here on
	s.to(s.now().Add(time.Minute))
	s.take(t, "m-2", sent{"a", "x", 0, 1})
	if got.sum()+s.cache.Len() == 0 {
		t.Errorf("%s, dies %v: after the failure of call %d (%v) the log is nowhere", state, dies, nth, fault)
	}
	return reached
}

// A message that is handed out again after its log was delivered, and its deletion lost, is known and no repeat.
func TestAMessageThatComesAgainIsNoRepeat(t *testing.T) {
	s, got := deduping(t)
	batch := messages([]sent{{"a", "x", 0, 1}})
	for receives := range 2 {
		batch[0].Receives = receives + 1
		s.to(s.now().Add(time.Hour))
		if left := s.deliver.Accept(t.Context(), batch); len(left) > 0 {
			t.Fatalf("%v must come again", left)
		}
	}
	if diff := cmp.Diff(memory.Ledger{Accepted: 1, Delivered: 1}, s.journal.Ledger()); diff != "" || got.sum() != 1 {
		t.Errorf("arrived %v; ledger (-want +got):\n%s", got, diff)
	}
}

// unwell is a store of receipts that answers nothing, or errors.
type unwell struct{ hangs bool }

func (u unwell) Look(ctx context.Context, _ []delivery.Content) (map[delivery.Content]delivery.Receipt, error) {
	return nil, u.Keep(ctx, nil)
}

func (u unwell) Keep(ctx context.Context, _ []delivery.Receipt) error {
	if !u.hangs {
		return memory.ErrInjected
	}
	<-ctx.Done()
	return ctx.Err()
}

// Without its receipts deliver delivers all the same, and soon.
func TestReceiptsHoldUpNoLog(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, got := deduping(t)
			s.deliver.Receipts = unwell{hangs}
			begun := time.Now()
			s.take(t, "m-1", sent{"a", "x", 0, 1})
			s.take(t, "m-2", sent{"a", "x", 0, 1})
			if took := time.Since(begun); got.sum() != 2 || took > 8*time.Second {
				t.Errorf("hangs %v: arrived %v, in %v", hangs, got, took)
			}
			faults := 0
			for _, e := range s.journal.Entries() {
				if e.Event == delivery.EventFault {
					faults++
				}
			}
			if faults != 4 {
				t.Errorf("hangs %v: %d faults", hangs, faults)
			}
		})
	}
}

// What one batch brings twice by way of the payload bucket, or both ways, is delivered once, with or without receipts.
func TestALargeLogThatComesTwice(t *testing.T) {
	s := newStage(t, works)
	got := arrivals{}
	payloads := &memory.Payloads{}
	s.deliver.Sinks, s.deliver.Payloads, s.deliver.PayloadBucket = got, payloads, "payloads"
	log := messages([]sent{{"a", "x", 0, 1}})[0].Body
	payloads.Put("payloads/one", log)
	payloads.Put("payloads/two", log)
	var batch []delivery.Message
	for i, body := range [][]byte{pointer("payloads", "payloads/one"), log, pointer("payloads", "payloads/two")} {
		batch = append(batch, delivery.Message{ID: fmt.Sprint("m-", i), Body: body, SentAt: s.now().Add(time.Duration(i) * time.Second), Receives: 1})
	}
	if left := s.deliver.Accept(t.Context(), batch); len(left) > 0 {
		t.Fatalf("%v must come again", left)
	}
	if diff := cmp.Diff(memory.Ledger{Accepted: 3, Delivered: 1, Repeated: 2}, s.journal.Ledger()); diff != "" || got.sum() != 1 {
		t.Errorf("arrived %v; ledger (-want +got):\n%s", got, diff)
	}
}
