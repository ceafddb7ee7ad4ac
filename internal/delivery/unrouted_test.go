package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// frozen is a directory whose index shows a workspace as it was at a time, for ever.
type frozen struct {
	*memory.Directory
	workspaces map[string]directory.Workspace
	own        map[string][]directory.Destination
}

func (f *frozen) Workspace(_ context.Context, id string) (directory.Workspace, []directory.Destination, error) {
	w, ok := f.workspaces[id]
	if !ok {
		return w, nil, directory.ErrNotFound
	}
	return w, f.own[id], nil
}

// remember has deliver remember the directory, whose index shows nothing that is written from now on.
func (s *stage) remember(t *testing.T) *delivery.CachedDirectory {
	t.Helper()
	f := &frozen{Directory: s.directory, workspaces: make(map[string]directory.Workspace), own: make(map[string][]directory.Destination)}
	for w, err := range s.directory.Workspaces(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		f.workspaces[w.ID] = w
	}
	for d, err := range s.directory.Destinations(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		f.own[d.WorkspaceID] = append(f.own[d.WorkspaceID], d)
	}
	c := &delivery.CachedDirectory{Source: f, TTL: 10 * time.Second, Now: s.now, Fault: func(err error) { t.Log(err) }}
	s.deliver.Directory, s.deliver.Destinations = c, c
	return c
}

// logOf is a message with a log of a workspace and a type.
func logOf(id, workspace, kind string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"workspace_id":%q,"type":%q,"occurred_at":"2026-11-02T08:30:00Z","payload":{}}`, id, workspace, kind)
}

// ways are where the logs of a journal went, by log: a destination, or why nowhere.
func (s *stage) ways() map[string]string {
	ways := make(map[string]string)
	for _, e := range s.journal.Entries() {
		switch e.Event {
		case delivery.EventAccepted:
			ways[e.LogID] += e.DestinationID + " "
		case delivery.EventUnrouted:
			ways[e.LogID] += "unrouted "
		}
	}
	return ways
}

// TestNegativeAnswersAreOfAfterTheLog has a log come when nobody wants it, so that this is remembered; then something is written, which no index shows; then
// the next log comes at once, by the same clock or a second later.
func TestNegativeAnswersAreOfAfterTheLog(t *testing.T) {
	put := func(s *stage, d directory.Destination) {
		if _, err := s.directory.PutDestination(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	workspace := func(s *stage, w directory.Workspace) {
		if err := s.directory.PutWorkspace(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	customer := func(s *stage) {
		workspace(s, directory.Workspace{ID: "partner", Kind: directory.Standalone})
		workspace(s, directory.Workspace{ID: "one", Kind: directory.EmbeddedCustomer, ParentID: "partner"})
	}
	shared := directory.Destination{ID: "shared", Incarnation: "A", WorkspaceID: "partner", Kind: directory.HTTP, State: directory.Connected}
	for name, test := range map[string]struct {
		workspace    string
		before, then func(s *stage)
		first, next  string
	}{
		"a destination": {"bare",
			func(s *stage) { workspace(s, directory.Workspace{ID: "bare", Kind: directory.Standalone}) },
			func(s *stage) {
				put(s, directory.Destination{ID: "new", WorkspaceID: "bare", Kind: directory.HTTP, State: directory.Connected})
			}, "unrouted ", "new "},
		"a workspace and its destination": {"bare",
			func(*stage) {},
			func(s *stage) {
				workspace(s, directory.Workspace{ID: "bare", Kind: directory.Standalone})
				put(s, directory.Destination{ID: "new", WorkspaceID: "bare", Kind: directory.HTTP, State: directory.Connected})
			}, "unrouted ", "new "},
		"a type more": {"acme",
			func(s *stage) {
				s.put(t, func(d *directory.Destination) { d.LogTypes = []string{"user_activity"} })
			},
			func(s *stage) {
				s.put(t, func(d *directory.Destination) { d.LogTypes = append(d.LogTypes, "job_summary") })
			},
			"unrouted ", "siem "},
		"every type": {"acme",
			func(s *stage) {
				s.put(t, func(d *directory.Destination) { d.LogTypes = []string{"user_activity"} })
			},
			func(s *stage) { s.put(t, func(d *directory.Destination) { d.LogTypes = nil }) }, "unrouted ", "siem "},
		"the partner's destination is shared": {"one",
			func(s *stage) { customer(s); put(s, shared) },
			func(s *stage) {
				d := shared
				d.Revision, d.Shared = 1, true
				put(s, d)
			}, "unrouted ", "shared "},
		"a parent with a shared destination": {"one",
			func(s *stage) {
				d := shared
				d.Shared = true
				put(s, d)
				workspace(s, directory.Workspace{ID: "partner", Kind: directory.Standalone})
				workspace(s, directory.Workspace{ID: "one", Kind: directory.Standalone})
			},
			func(s *stage) {
				workspace(s, directory.Workspace{ID: "one", Kind: directory.EmbeddedCustomer, ParentID: "partner", Revision: 1})
			}, "unrouted ", "shared "},
		"one's own instead of the partner's": {"one",
			func(s *stage) {
				customer(s)
				d := shared
				d.Shared = true
				put(s, d)
			},
			func(s *stage) {
				put(s, directory.Destination{ID: "own", WorkspaceID: "one", Kind: directory.HTTP, State: directory.Connected})
			}, "shared ", "own "},
		"made again by another": {"bare",
			func(s *stage) { workspace(s, directory.Workspace{ID: "bare", Kind: directory.Standalone}) },
			func(s *stage) {
				if err := s.directory.DeleteDestination(t.Context(), s.record(t)); err != nil {
					t.Fatal(err)
				}
				put(s, directory.Destination{ID: "siem", Incarnation: "second", WorkspaceID: "bare", Kind: directory.HTTP, State: directory.Connected})
			}, "unrouted ", "siem "},
		"nothing": {"bare", func(*stage) {}, func(*stage) {}, "unrouted ", "unrouted "},
	} {
		for _, later := range []time.Duration{0, time.Millisecond, time.Second, 11 * time.Second} {
			t.Run(fmt.Sprintf("%s, %v later", name, later), func(t *testing.T) {
				s := newStage(t, func(time.Time, string) error { return nil })
				s.directory.Now = s.now
				test.before(s)
				s.to(s.now().Add(2 * time.Hour))
				s.remember(t)
				send := func(id string) {
					m := delivery.Message{ID: "m-" + id, Body: logOf(id, test.workspace, "job_summary"), SentAt: s.now(), Receives: 1}
					if left := s.deliver.Accept(t.Context(), []delivery.Message{m}); len(left) > 0 {
						t.Fatalf("%v must come again", left)
					}
				}
				send("first")
				test.then(s)
				s.to(s.now().Add(later))
				send("next")
				if diff := cmp.Diff(map[string]string{"first": test.first, "next": test.next}, s.ways()); diff != "" {
					t.Errorf("where the logs went (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestAFloodOfUnwantedLogsIsReadByTheBatch counts what 10,000 logs cost that nobody wants.
func TestAFloodOfUnwantedLogsIsReadByTheBatch(t *testing.T) {
	const logs = 10_000
	for name, test := range map[string]struct {
		workspaces, batch int
		pause             time.Duration // from batch to batch
		reads, questions  int           // at most
	}{
		"one workspace, full batches":           {1, 100, 100 * time.Millisecond, 10, logs/100 + 5},
		"one workspace, small batches":          {1, 10, 10 * time.Millisecond, 10, logs/10 + 5},
		"one workspace, by a clock that stands": {1, 100, 0, 10, logs/100 + 5},
		"a thousand workspaces, full batches":   {1000, 100, 100 * time.Millisecond, 2*1000 + 100, logs/100 + 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(time.Time, string) error { return nil })
			s.directory.Now = s.now
			for i := range test.workspaces {
				w := directory.Workspace{ID: fmt.Sprint("ws-", i), Kind: directory.Standalone}
				if i%2 == 0 { // every other one is unknown
					if err := s.directory.PutWorkspace(t.Context(), w); err != nil {
						t.Fatal(err)
					}
				}
			}
			s.to(s.now().Add(2 * time.Hour))
			calls := make(map[string]int)
			s.directory.Hook = func(call string) memory.Fault { calls[call]++; return memory.OK }
			c := &delivery.CachedDirectory{Source: s.directory, TTL: 10 * time.Second, Now: s.now, Fault: func(err error) { t.Error(err) }}
			s.deliver.Directory, s.deliver.Destinations = c, c
			for sent := 0; sent < logs; {
				batch := make([]delivery.Message, test.batch)
				for i := range batch {
					id := fmt.Sprint("log-", sent)
					batch[i] = delivery.Message{ID: id, Body: logOf(id, fmt.Sprint("ws-", sent%test.workspaces), "job_summary"), SentAt: s.now(), Receives: 1}
					sent++
				}
				if left := s.deliver.Accept(t.Context(), batch); len(left) > 0 {
					t.Fatalf("%v must come again", left)
				}
				s.to(s.now().Add(test.pause))
			}
			if n := len(s.ways()); n != logs {
				t.Errorf("%d logs are unrouted, want %d", n, logs)
			}
			if reads, questions := calls[memory.CallWorkspace], calls[memory.CallWrittenSince]; reads > test.reads || questions > test.questions {
				t.Errorf("%d reads of workspaces, want %d at most; the writes were asked for %d times, want %d at most", reads, test.reads, questions, test.questions)
			}
		})
	}
}

// TestAnUnansweredDirectoryLosesNoLog: while it cannot be asked as of now, a log that nobody seems to want stays on the queue.
func TestAnUnansweredDirectoryLosesNoLog(t *testing.T) {
	s := newStage(t, func(time.Time, string) error { return nil })
	s.directory.Now = s.now
	s.put(t, func(d *directory.Destination) { d.LogTypes = []string{"user_activity"} })
	s.to(s.now().Add(2 * time.Hour))
	s.remember(t)
	s.accept(t, "before")
	away := true
	s.directory.Hook = func(string) memory.Fault {
		if away {
			return memory.FailBefore
		}
		return memory.OK
	}
	s.to(s.now().Add(time.Second))
	m := delivery.Message{ID: "m", Body: logOf("during", "acme", "job_summary"), SentAt: s.now(), Receives: 1}
	if left := s.deliver.Accept(t.Context(), []delivery.Message{m}); len(left) != 1 {
		t.Errorf("%v stay on the queue, want the message", left)
	}
	away = false
	s.put(t, func(d *directory.Destination) { d.LogTypes = nil })
	if left := s.deliver.Accept(t.Context(), []delivery.Message{m}); len(left) != 0 {
		t.Errorf("%v stay on the queue", left)
	}
	if got := s.ways()["during"]; got != "siem " {
		t.Errorf("the log went to %q", got)
	}
}

// TestADestinationThatSeemsToBeGone is looked at as of now, once for a batch of hints: one that was made again gets its logs, those of one that is gone wait.
func TestADestinationThatSeemsToBeGone(t *testing.T) {
	failing := true
	s := newStage(t, func(time.Time, string) error {
		if failing {
			return errUnavailable
		}
		return nil
	})
	s.directory.Now = s.now
	c := s.remember(t)
	s.accept(t, "one", "two")
	if err := s.directory.DeleteDestination(t.Context(), s.record(t)); err != nil {
		t.Fatal(err)
	}
	var hints []delivery.HintMessage
	for _, d := range s.cache.All() {
		hints = append(hints, delivery.HintMessage{ID: d.LogID, Hint: delivery.Hint{Key: d.Key, At: d.NextAt}})
		if d.NextAt.After(s.now()) {
			s.to(d.NextAt)
		}
	}
	if _, err := c.Destination(t.Context(), "siem"); !errors.Is(err, directory.ErrNotFound) {
		t.Fatalf("the memory says %v", err)
	}
	failing = false
	if _, err := s.directory.PutDestination(t.Context(), directory.Destination{ID: "siem", Incarnation: "second", WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Connected}); err != nil {
		t.Fatal(err)
	}
	reads := 0
	s.directory.Hook = func(call string) memory.Fault {
		if call == memory.CallDestination {
			reads++
		}
		return memory.OK
	}
	if left := s.deliver.Retry(t.Context(), hints); len(left) > 0 {
		t.Fatalf("%v must come again", left)
	}
	if n := s.cache.Len(); n > 0 {
		t.Errorf("%d logs still wait, after %d reads", n, reads)
	}
}

// TestHintsOfADestinationThatIsGone read its record once a batch.
func TestHintsOfADestinationThatIsGone(t *testing.T) {
	s := newStage(t, func(time.Time, string) error { return errUnavailable })
	s.directory.Now = s.now
	s.remember(t)
	var ids []string
	for i := range 100 {
		ids = append(ids, fmt.Sprint("log-", i))
	}
	s.accept(t, ids...)
	if err := s.directory.DeleteDestination(t.Context(), s.record(t)); err != nil {
		t.Fatal(err)
	}
	var hints []delivery.HintMessage
	for _, d := range s.cache.All() {
		at := d.NextAt
		if d.Parked {
			at = d.ExpiresAt()
		}
		hints = append(hints, delivery.HintMessage{ID: d.LogID, Hint: delivery.Hint{Key: d.Key, At: at}})
	}
	s.to(s.now().Add(delivery.Lifetime))
	reads := 0
	s.directory.Hook = func(call string) memory.Fault {
		if call == memory.CallDestination {
			reads++
		}
		return memory.OK
	}
	if left := s.deliver.Retry(t.Context(), hints); len(left) > 0 {
		t.Fatalf("%v must come again", left)
	}
	if reads > 3 {
		t.Errorf("%d reads of the destination for %d hints", reads, len(hints))
	}
}

// TestAnIndexThatIsHoursLateDropsNoLog begins a memory three hours after a write that the index still does not show. Nothing tells of so old a write; what nobody
// seems to want is looked at all the same.
func TestAnIndexThatIsHoursLateDropsNoLog(t *testing.T) {
	s := newStage(t, func(time.Time, string) error { return nil })
	s.directory.Now = s.now
	workspaces := []directory.Workspace{
		{ID: "bare", Kind: directory.Standalone}, {ID: "partner", Kind: directory.Standalone},
		{ID: "one", Kind: directory.EmbeddedCustomer, ParentID: "partner"}, {ID: "two", Kind: directory.EmbeddedCustomer, ParentID: "partner"},
	}
	for _, w := range workspaces {
		if err := s.directory.PutWorkspace(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	s.remember(t)
	late := s.deliver.Directory.(*delivery.CachedDirectory).Source
	for _, d := range []directory.Destination{
		{ID: "new", WorkspaceID: "bare"}, {ID: "shared", WorkspaceID: "partner", Shared: true}, {ID: "own", WorkspaceID: "one"},
	} {
		d.Kind, d.State = directory.HTTP, directory.Connected
		if _, err := s.directory.PutDestination(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	s.to(s.now().Add(3 * time.Hour))
	s.deliver.Directory = &delivery.CachedDirectory{Source: late, TTL: 10 * time.Second, Now: s.now, Fault: func(err error) { t.Error(err) }}
	for _, id := range []string{"bare", "one", "two"} {
		m := delivery.Message{ID: id, Body: logOf("of-"+id, id, "job_summary"), SentAt: s.now(), Receives: 1}
		if left := s.deliver.Accept(t.Context(), []delivery.Message{m}); len(left) > 0 {
			t.Fatalf("%v must come again", left)
		}
	}
	if diff := cmp.Diff(map[string]string{"of-bare": "new ", "of-one": "own ", "of-two": "shared "}, s.ways()); diff != "" {
		t.Errorf("where the logs went (-want +got):\n%s", diff)
	}
}
