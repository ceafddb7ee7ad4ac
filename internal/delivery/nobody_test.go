package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// takeType has deliver take logs of a type, a hundred a batch, and gives the notices that went out.
func (s *stage) takeType(t *testing.T, n int, workspace, logType, prefix string) []directory.Notice {
	t.Helper()
	for first := 0; first < n; first += 100 {
		var batch []delivery.Message
		for i := first; i < min(n, first+100); i++ {
			id := fmt.Sprintf("%s%d", prefix, i)
			batch = append(batch, delivery.Message{ID: id, Receives: 1, SentAt: s.now(), Body: logOf(id, workspace, logType)})
		}
		if unsettled := s.deliver.Accept(t.Context(), batch); len(unsettled) > 0 {
			t.Fatalf("unsettled: %v", unsettled)
		}
	}
	return s.told(t)
}

func (s *stage) told(t *testing.T) (list []directory.Notice) {
	t.Helper()
	for _, m := range s.notices.Queue.Receive(1000) {
		list = append(list, m.Body)
		if err := s.notices.Queue.Ack(m.Handle); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// TestNobodyWantsThem has ten thousand logs come that no destination asks for: one notice goes out, nothing is written and nothing is delivered.
func TestNobodyWantsThem(t *testing.T) {
	s := newStage(t, func(time.Time, string) error { return nil })
	s.put(t, func(d *directory.Destination) { d.LogTypes = []string{"user_activity"} })
	asked := func() string {
		_, asked, _ := directory.Served([]directory.Destination{s.record(t)}, nil)
		return asked
	}
	revision := s.record(t).Revision
	want := []directory.Notice{{
		Kind: directory.UnroutedNotice, DestinationID: "siem", Incarnation: s.record(t).Incarnation, Since: start, At: start,
		Unrouted: &directory.Unrouted{WorkspaceID: "acme", OwnerID: "acme", Logs: 100, LogTypes: []string{"job_details"}, Asked: asked()},
	}}
	if diff := cmp.Diff(want, s.takeType(t, 10_000, "acme", "job_details", "a")); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
	if got := s.attempts(); len(got) > 0 || s.record(t).Revision != revision {
		t.Errorf("attempts %v, revision %d, want none and %d", got, s.record(t).Revision, revision)
	}
	if l := s.journal.Ledger(); l.Unrouted != 10_000 {
		t.Errorf("ledger %+v", l)
	}
	if got := s.takeType(t, 100, "acme", "user_activity", "w"); len(got) > 0 {
		t.Errorf("told of logs that were delivered: %+v", got)
	}
	s.put(t, func(d *directory.Destination) { d.LogTypes = []string{"user_activity", "job_detail"} })
	if got := s.takeType(t, 100, "acme", "job_details", "b"); len(got) != 1 || got[0].Unrouted.Asked != asked() {
		t.Errorf("told after the types were changed: %+v", got)
	}
	s.to(start.Add(24 * time.Hour))
	if got := s.takeType(t, 100, "acme", "job_details", "c"); len(got) != 1 {
		t.Errorf("told on the next day: %+v", got)
	}
}

// TestWhoIsToldOfUnrouted has logs come that nobody asks for, of workspaces that never asked for a stream, that want none at present, and that a parent serves.
func TestWhoIsToldOfUnrouted(t *testing.T) {
	workspace := func(id, parent string) directory.Workspace {
		return directory.Workspace{ID: id, Name: "the " + id, Kind: directory.Standalone, ParentID: parent}
	}
	of := func(id, owner string, change func(d *directory.Destination)) directory.Destination {
		d := directory.Destination{ID: id, WorkspaceID: owner, Kind: directory.HTTP, State: directory.Connected, LogTypes: []string{"job_summary"}}
		change(&d)
		return d
	}
	shared := func(d *directory.Destination) { d.Shared = true }
	for name, c := range map[string]struct {
		of      string
		logType string
		prefix  string
		there   []directory.Workspace
		has     []directory.Destination
		want    []string // workspaces whose logs they are, and the destination whose owner is told
	}{
		"without any destination":        {of: "bare", there: []directory.Workspace{workspace("bare", "")}},
		"of no workspace":                {of: "nowhere"},
		"a parent that is not there":     {of: "one", there: []directory.Workspace{workspace("one", "gone")}},
		"a parent that shares none":      {of: "one", there: []directory.Workspace{workspace("one", "p"), workspace("p", "")}, has: []directory.Destination{of("d", "p", func(*directory.Destination) {})}},
		"a parent that shares one":       {of: "one", there: []directory.Workspace{workspace("one", "p"), workspace("p", "")}, has: []directory.Destination{of("d", "p", shared)}, want: []string{"one d"}},
		"disabled":                       {of: "one", there: []directory.Workspace{workspace("one", "")}, has: []directory.Destination{of("d", "one", func(d *directory.Destination) { d.State = directory.Disabled })}},
		"entries of the activity audit":  {of: "one", there: []directory.Workspace{workspace("one", "")}, has: []directory.Destination{of("d", "one", shared)}, logType: "user_activity", prefix: directory.ActivityPrefix},
		"other logs about what users do": {of: "one", there: []directory.Workspace{workspace("one", "")}, has: []directory.Destination{of("d", "one", shared)}, logType: "user_activity", want: []string{"one d"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(time.Time, string) error { return nil })
			for _, w := range c.there {
				if err := s.directory.PutWorkspace(t.Context(), w); err != nil {
					t.Fatal(err)
				}
			}
			for _, d := range c.has {
				if _, err := s.directory.PutDestination(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			}
			if c.logType == "" {
				c.logType = "job_details"
			}
			var got []string
			for _, n := range s.takeType(t, 10, c.of, c.logType, c.prefix+"x") {
				got = append(got, n.Unrouted.WorkspaceID+" "+n.DestinationID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("told of (-want +got):\n%s", diff)
			}
		})
	}
}

// TestManyChildrenAreOneNotice has five hundred customers of one partner send what its shared destination leaves out, and then five hundred that have one each.
func TestManyChildrenAreOneNotice(t *testing.T) {
	s := newStage(t, func(time.Time, string) error { return nil })
	s.put(t, func(d *directory.Destination) { d.Shared, d.LogTypes = true, []string{"job_summary"} })
	told := func(parent, prefix string) (n int) {
		for i := range 500 {
			id := fmt.Sprint(prefix, i)
			if err := s.directory.PutWorkspace(t.Context(), directory.Workspace{ID: id, Kind: directory.Standalone, ParentID: parent}); err != nil {
				t.Fatal(err)
			}
			if parent == "" {
				d := directory.Destination{ID: id, WorkspaceID: id, Kind: directory.HTTP, State: directory.Connected, LogTypes: []string{"job_summary"}}
				if _, err := s.directory.PutDestination(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			}
			n += len(s.takeType(t, 1, id, "job_details", id))
		}
		return n
	}
	if n := told("acme", "child"); n != 1 {
		t.Errorf("%d notices of one partner, want 1", n)
	}
	if n := told("", "alone"); n != 59 {
		t.Errorf("%d more notices in the hour, want 59", n)
	}
	again := 0
	for hour := 1; hour < 10; hour++ {
		s.to(start.Add(time.Duration(hour) * time.Hour))
		for i := range 500 {
			again += len(s.takeType(t, 1, fmt.Sprint("alone", i), "job_details", fmt.Sprint("again", hour, "-", i)))
		}
	}
	if again != 500-59 {
		t.Errorf("%d notices in the hours after, want the other %d", again, 500-59)
	}
}

// TestTheQueueIsDownForUnrouted has the queue of notices down, in each way: the logs are settled, and the next of them are told.
func TestTheQueueIsDownForUnrouted(t *testing.T) {
	for fault, want := range map[memory.Fault]int{memory.FailBefore: 1, memory.FailAfter: 2} {
		s := newStage(t, func(time.Time, string) error { return nil })
		s.put(t, func(d *directory.Destination) { d.LogTypes = []string{"job_summary"} })
		down := true
		s.notices.Hook = func(call string) memory.Fault {
			if down && call == memory.CallNotify {
				return fault
			}
			return memory.OK
		}
		got := s.takeType(t, 1, "acme", "job_details", "a")
		down = false
		got = append(got, s.takeType(t, 1, "acme", "job_details", "b")...)
		got = append(got, s.takeType(t, 1, "acme", "job_details", "c")...)
		if len(got) != want {
			t.Errorf("fault %v: %d notices, want %d", fault, len(got), want)
		}
		if !slices.ContainsFunc(s.journal.Entries(), func(e delivery.Entry) bool { return e.Event == delivery.EventFault && e.WorkspaceID == "acme" }) {
			t.Errorf("fault %v: the journal does not tell", fault)
		}
	}
}

// hanging is a queue of notices that never answers.
type hanging struct{ asked int }

func (h *hanging) Notify(ctx context.Context, _ directory.Notice) error {
	h.asked++
	<-ctx.Done()
	return ctx.Err()
}

// TestTheQueueHangsForUnrouted has batches of many workspaces come while the queue of notices hangs: each is settled within two seconds, and after an hour's
// share of notices none is held up any more.
func TestTheQueueHangsForUnrouted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(time.Time, string) error { return nil })
		queue := new(hanging)
		s.deliver.Notices = queue
		for i := range 30 {
			id := fmt.Sprint("w", i)
			if err := s.directory.PutWorkspace(t.Context(), directory.Workspace{ID: id, Kind: directory.Standalone}); err != nil {
				t.Fatal(err)
			}
			d := directory.Destination{ID: id, WorkspaceID: id, Kind: directory.HTTP, State: directory.Connected, LogTypes: []string{"job_summary"}}
			if _, err := s.directory.PutDestination(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		for n := range 100 {
			var batch []delivery.Message
			for i := range 30 {
				id := fmt.Sprintf("%d-%d", n, i)
				batch = append(batch, delivery.Message{ID: id, Receives: 1, SentAt: s.now(), Body: logOf(id, fmt.Sprint("w", i), "job_details")})
			}
			if unsettled := s.deliver.Accept(t.Context(), batch); len(unsettled) > 0 {
				t.Fatalf("unsettled: %v", unsettled)
			}
		}
		if took := time.Since(began); took != 2*time.Minute || queue.asked != 60 {
			t.Errorf("a hundred batches took %v and asked %d times, want 2m0s and 60", took, queue.asked)
		}
	})
}
