package delivery_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// stage is the functions over stores in memory, run by hand: a test decides what comes when, and what comes between.
type stage struct {
	deliver   *delivery.Deliver
	requeue   *delivery.Requeue
	watch     *delivery.Watch
	drain     *delivery.Drain
	directory *memory.Directory
	cache     *memory.Cache
	retries   *memory.RetryQueue
	notices   *memory.NoticeQueue
	drains    *memory.DrainQueue
	journal   *memory.Journal
	receiver  *receiver
	chance    *rand.Rand
	// runAt is when the minute's rule comes next, and pagesEvery how many minutes apart pages of drains come, if not each minute.
	runAt      time.Time
	pagesEvery int

	mu    sync.Mutex
	clock time.Time
}

// newStage has one workspace with one destination, siem, which answers as told.
func newStage(t *testing.T, answer func(now time.Time, logID string) error) *stage {
	t.Helper()
	s := &stage{directory: &memory.Directory{}, journal: &memory.Journal{}, clock: start, runAt: start, chance: rand.New(rand.NewPCG(1, 2))}
	s.receiver = &receiver{now: s.now, answer: answer, held: make(map[string]int)}
	s.cache = memory.NewCache(s.now)
	s.retries = &memory.RetryQueue{Queue: memory.Queue[delivery.Hint]{Now: s.now, Visibility: time.Minute}}
	s.notices = &memory.NoticeQueue{Queue: memory.Queue[directory.Notice]{Now: s.now, Visibility: time.Minute}}
	s.drains = &memory.DrainQueue{Queue: memory.Queue[string]{Now: s.now, Visibility: time.Minute}}
	outbox := &connection.Outbox{Store: s.directory, Bus: &memory.Bus{}, Now: s.now, Fault: func(err error) { t.Log(err) }}
	s.deliver = &delivery.Deliver{
		Directory: s.directory, Destinations: s.directory, Cache: s.cache, Failed: s.cache, Retries: s.retries, Rejected: &memory.RejectedQueue{},
		Sinks: s.receiver, Payloads: &memory.Payloads{}, Budget: &memory.Budget{}, Notices: s.notices, Drains: s.drains, Journal: s.journal, Now: s.now,
		TimeLimit: time.Minute, Outbox: outbox,
	}
	s.requeue = &delivery.Requeue{Index: s.cache, Retries: s.retries, Now: s.now, Budget: time.Minute}
	s.watch = &delivery.Watch{Attention: s.directory, Destinations: s.directory, Backlog: s.cache, Retries: s.retries, Notices: s.notices, Drains: s.drains,
		Sweep: outbox.Sweep, Now: s.now, AtOnce: 8, Budget: time.Minute, EndGrace: func(context.Context, directory.Destination) error { return nil }}
	s.drain = &delivery.Drain{Destinations: s.directory, Backlog: s.cache, Progress: &memory.Drains{}, Retries: s.retries, Journal: s.journal, Now: s.now}
	if err := s.directory.PutWorkspace(t.Context(), directory.Workspace{ID: "acme", Kind: directory.Standalone}); err != nil {
		t.Fatal(err)
	}
	s.put(t, func(d *directory.Destination) {
		*d = directory.Destination{ID: "siem", WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Connected, Health: directory.Health{State: directory.Healthy}}
	})
	return s
}

func (s *stage) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

func (s *stage) to(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = t
}

// put changes the destination's record.
func (s *stage) put(t *testing.T, change func(*directory.Destination)) directory.Destination {
	t.Helper()
	d, _ := s.directory.CurrentDestination(t.Context(), "siem") // the zero value if there is none yet
	change(&d)
	d, err := s.directory.PutDestination(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fail has the destination count as failing from now on.
func (s *stage) fail(t *testing.T) directory.Destination {
	t.Helper()
	return s.put(t, func(d *directory.Destination) {
		d.Health = directory.Health{State: directory.Failing, Since: s.now(), Code: errUnavailable.Code}
	})
}

// acceptAt hands deliver messages that were accepted at some time.
func (s *stage) acceptAt(t *testing.T, at time.Time, ids ...string) {
	t.Helper()
	batch := make([]delivery.Message, len(ids))
	for i, id := range ids {
		batch[i] = delivery.Message{ID: "m-" + id, Body: message(id), SentAt: at, Receives: 1}
	}
	if left := s.deliver.Accept(t.Context(), batch); len(left) > 0 {
		t.Fatalf("%v must come again", left)
	}
}

func (s *stage) accept(t *testing.T, ids ...string) {
	t.Helper()
	s.acceptAt(t, s.now(), ids...)
}

// hints hands deliver all hints that are visible.
func (s *stage) hints(t *testing.T) {
	t.Helper()
	for {
		batch := s.retries.Queue.Receive(100)
		if len(batch) == 0 {
			return
		}
		messages := make([]delivery.HintMessage, len(batch))
		for i, m := range batch {
			messages[i] = delivery.HintMessage{ID: m.ID, Hint: m.Body}
		}
		if left := s.deliver.Retry(t.Context(), messages); len(left) > 0 {
			t.Fatalf("the hints %v must come again", left)
		}
		for _, m := range batch {
			_ = s.retries.Queue.Ack(m.Handle)
		}
	}
}

// second plays what falls due now, and moves the clock.
func (s *stage) second(t *testing.T) {
	t.Helper()
	if !s.now().Before(s.runAt) {
		s.run(t)
		// The rule comes up to some seconds late, and one run in eight not at all.
		s.runAt = s.now().Truncate(time.Minute).Add(time.Minute + time.Duration(s.chance.IntN(8_000))*time.Millisecond)
		if s.chance.IntN(8) == 0 {
			s.runAt = s.runAt.Add(time.Minute)
		}
	}
	pages := 100
	if s.pagesEvery > 1 && int(s.now().Sub(start)/time.Second)%(60*s.pagesEvery) != 0 {
		pages = 0
	}
	for _, p := range s.drains.Queue.Receive(pages) {
		if err := s.drain.Page(t.Context(), p.Body); err != nil {
			t.Log(err)
			continue // it comes again
		}
		_ = s.drains.Queue.Ack(p.Handle)
	}
	s.hints(t)
	s.to(s.now().Add(time.Second))
}

// run is what the minute's rule runs.
func (s *stage) run(t *testing.T) {
	t.Helper()
	if err := s.requeue.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.watch.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// play plays a span of time.
func (s *stage) play(t *testing.T, span time.Duration) {
	t.Helper()
	for until := s.now().Add(span); s.now().Before(until); {
		s.second(t)
	}
}

// attempts counts the attempts at each log.
func (s *stage) attempts() map[string]int {
	counts := make(map[string]int)
	for _, e := range s.journal.Entries() {
		if e.Event == delivery.EventAttempted {
			counts[e.LogID]++
		}
	}
	return counts
}

// record is the destination's record.
func (s *stage) record(t *testing.T) directory.Destination {
	t.Helper()
	d, err := s.directory.CurrentDestination(t.Context(), "siem")
	if err != nil {
		t.Fatal(err)
	}
	return d
}
