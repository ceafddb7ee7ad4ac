package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/aws/dynamo/dynamotest"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// lateTable is the directory table, whose indexes show a write after a lag. It counts calls.
type lateTable struct {
	t      *testing.T
	now    time.Time
	lag    time.Duration
	tables *dynamotest.Tables
	writer *Directory

	mu    sync.Mutex
	calls map[string]int
}

func newLateTable(t *testing.T, lag time.Duration) *lateTable {
	l := &lateTable{t: t, now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), lag: lag, calls: make(map[string]int)}
	l.tables = &dynamotest.Tables{
		Now:      l.clock,
		IndexLag: func(_, _, _ string) time.Duration { return l.lag },
		ReadLag:  func(_, _ string) time.Duration { return min(l.lag, dynamotest.LongestReadLag) },
	}
	l.tables.Create(dynamotest.Directory())
	l.writer = l.open()
	return l
}

func (l *lateTable) clock() time.Time { return l.now }

// open is the adapter of another process.
func (l *lateTable) open() *Directory {
	carry := func(_ context.Context, c dynamotest.Call, reach func() error) error {
		l.mu.Lock()
		l.calls[c.Operation]++
		l.mu.Unlock()
		return reach()
	}
	return &Directory{Client: dynamotest.Client{Tables: l.tables, Carry: carry}, Table: "directory", Now: l.clock}
}

// remembering is an execution environment that begins now.
func (l *lateTable) remembering() *delivery.CachedDirectory {
	return &delivery.CachedDirectory{Source: l.open(), TTL: 10 * time.Second, Now: l.clock, Fault: func(err error) { l.t.Error(err) }}
}

func (l *lateTable) workspace(w directory.Workspace) directory.Workspace {
	l.t.Helper()
	if err := l.writer.PutWorkspace(l.t.Context(), w); err != nil {
		l.t.Fatal(err)
	}
	w.Revision++
	return w
}

func (l *lateTable) put(d directory.Destination) directory.Destination {
	l.t.Helper()
	d, err := l.writer.PutDestination(l.t.Context(), d)
	if err != nil {
		l.t.Fatal(err)
	}
	return d
}

func (l *lateTable) remove(d directory.Destination) {
	l.t.Helper()
	if err := l.writer.DeleteDestination(l.t.Context(), d); err != nil {
		l.t.Fatal(err)
	}
}

// answers are what a directory says of a workspace and of destinations.
func (l *lateTable) answers(d delivery.Directory, workspace string, destinations ...string) string {
	l.t.Helper()
	w, own, err := d.Workspace(l.t.Context(), workspace)
	return l.told(w, own, err) + l.byID(d, destinations)
}

func (l *lateTable) told(w directory.Workspace, own []directory.Destination, err error) string {
	l.t.Helper()
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		l.t.Fatal(err)
	}
	s := fmt.Sprint(w.Incarnation, w.Revision, w.ParentID)
	for _, d := range own {
		s += said(d)
	}
	return s
}

func said(d directory.Destination) string {
	return fmt.Sprintf(" %s/%s.%d %s %v", d.ID, d.Incarnation, d.Revision, d.State, d.LogTypes)
}

func (l *lateTable) byID(d delivery.Directory, ids []string) (s string) {
	l.t.Helper()
	for _, id := range ids {
		dest, err := d.Destination(l.t.Context(), id)
		if err != nil && !errors.Is(err, directory.ErrNotFound) {
			l.t.Fatal(err)
		}
		s += " |" + said(dest)
	}
	return s
}

// truth is what is stored.
func (l *lateTable) truth(workspace string, destinations ...string) string {
	l.t.Helper()
	w, own, err := l.writer.WorkspaceSince(l.t.Context(), workspace, l.now)
	s := l.told(w, own, err)
	for _, id := range destinations {
		d, err := l.writer.CurrentDestination(l.t.Context(), id)
		if err != nil && !errors.Is(err, directory.ErrNotFound) {
			l.t.Fatal(err)
		}
		s += " |" + said(d)
	}
	return s
}

// changes are what admins do, each to the workspace acme, which owns siem, or to others. Each begins with the records as they are stored.
func changes() map[string]func(l *lateTable, acme directory.Workspace, siem directory.Destination) {
	return map[string]func(l *lateTable, acme directory.Workspace, siem directory.Destination){
		"a disconnect": func(l *lateTable, _ directory.Workspace, siem directory.Destination) {
			siem.State = directory.Disconnected
			l.put(siem)
		},
		"more log types": func(l *lateTable, _ directory.Workspace, siem directory.Destination) {
			siem.LogTypes = nil
			l.put(siem)
		},
		"three changes in a row": func(l *lateTable, _ directory.Workspace, siem directory.Destination) {
			l.put(l.put(l.put(siem)))
		},
		"another destination": func(l *lateTable, _ directory.Workspace, _ directory.Destination) {
			l.put(directory.Destination{ID: "other", Incarnation: "O", WorkspaceID: "acme", State: directory.Connected})
		},
		"a deletion": func(l *lateTable, _ directory.Workspace, siem directory.Destination) { l.remove(siem) },
		"made again": func(l *lateTable, _ directory.Workspace, siem directory.Destination) {
			l.remove(siem)
			l.put(directory.Destination{ID: "siem", Incarnation: "second", WorkspaceID: "acme", State: directory.Connected})
		},
		"made again elsewhere": func(l *lateTable, _ directory.Workspace, siem directory.Destination) {
			l.remove(siem)
			l.workspace(directory.Workspace{ID: "else", Incarnation: "E", Kind: directory.Standalone})
			l.put(directory.Destination{ID: "siem", Incarnation: "second", WorkspaceID: "else", State: directory.Connected})
		},
		"made again and again": func(l *lateTable, _ directory.Workspace, siem directory.Destination) {
			for i := range 3 {
				l.remove(siem)
				siem = l.put(directory.Destination{ID: "siem", Incarnation: fmt.Sprint("again ", i), WorkspaceID: "acme", State: directory.Connected})
			}
		},
		"another parent": func(l *lateTable, acme directory.Workspace, _ directory.Destination) {
			acme.ParentID = "partner"
			l.workspace(acme)
		},
		"no workspace any more": func(l *lateTable, acme directory.Workspace, _ directory.Destination) {
			if err := l.writer.DeleteWorkspace(l.t.Context(), acme); err != nil {
				l.t.Fatal(err)
			}
		},
		"a workspace made again": func(l *lateTable, acme directory.Workspace, _ directory.Destination) {
			if err := l.writer.DeleteWorkspace(l.t.Context(), acme); err != nil {
				l.t.Fatal(err)
			}
			l.workspace(directory.Workspace{ID: "acme", Incarnation: "second", Kind: directory.Standalone})
		},
	}
}

// TestAMemoryIsRightWithinSeconds has admins change things while indexes are late, and asks execution environments of every age: they are right ten seconds
// later, and they stay so while the index still shows what was.
func TestAMemoryIsRightWithinSeconds(t *testing.T) {
	for name, change := range changes() {
		for _, lag := range []time.Duration{0, 90 * time.Second, 10 * time.Minute, 55 * time.Minute} {
			t.Run(fmt.Sprintf("%s, %v late", name, lag), func(t *testing.T) {
				l := newLateTable(t, lag)
				acme := l.workspace(directory.Workspace{ID: "acme", Incarnation: "first", Kind: directory.Standalone})
				siem := l.put(directory.Destination{ID: "siem", Incarnation: "first", WorkspaceID: "acme", State: directory.Connected, LogTypes: []string{"job_summary"}})
				l.now = l.now.Add(2 * time.Hour)
				ages := map[string]*delivery.CachedDirectory{"an hour old": l.remembering()}
				ask := func(name string) string { return l.answers(ages[name], "acme", "siem", "other") }
				ask("an hour old")
				l.now = l.now.Add(30 * time.Minute)
				ages["half an hour old, idle since"] = l.remembering()
				ask("half an hour old, idle since")
				for range 180 {
					l.now = l.now.Add(10 * time.Second)
					ask("an hour old")
				}
				ages["new"] = l.remembering()
				ask("new")
				change(l, acme, siem)
				l.now = l.now.Add(5 * time.Second)
				ages["begun right after"] = l.remembering()
				l.now = l.now.Add(5 * time.Second)
				want := l.truth("acme", "siem", "other")
				for range 120 {
					for name := range ages {
						if got := ask(name); got != want {
							t.Fatalf("a memory %s says at %v\n\t%q, want\n\t%q", name, l.now.Format(time.TimeOnly), got, want)
						}
					}
					l.now = l.now.Add(33 * time.Second)
					ages["begun a moment ago"] = l.remembering()
				}
			})
		}
	}
}

// TestNoAnswerIsOlderThanWhatWasSeen changes records at random, with indexes late by anything up to half an hour, and asks memories of different ages in any
// order. No answer of one memory has a lower revision than an earlier one, none shows a record that was gone ten seconds ago.
func TestNoAnswerIsOlderThanWhatWasSeen(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := newLateTable(t, 0)
		l.tables.IndexLag = func(_, _, _ string) time.Duration { return time.Duration(r.Int64N(int64(30 * time.Minute))) }
		l.workspace(directory.Workspace{ID: "acme", Incarnation: "first", Kind: directory.Standalone})
		ids := []string{"a", "b", "c"}
		stored := make(map[string]directory.Destination)
		memories := []*delivery.CachedDirectory{l.remembering()}
		seen := make(map[*delivery.CachedDirectory]map[string]int) // the highest revision, by identity
		ended := make(map[string]time.Time)                        // by identity
		check := func(m *delivery.CachedDirectory, d directory.Destination) {
			if seen[m] == nil {
				seen[m] = make(map[string]int)
			}
			if d.Revision < seen[m][d.Identity()] {
				t.Errorf("seed %d: revision %d of %s after %d was seen", seed, d.Revision, d.Identity(), seen[m][d.Identity()])
			}
			seen[m][d.Identity()] = max(d.Revision, seen[m][d.Identity()])
			if at, ok := ended[d.Identity()]; ok && l.now.Sub(at) > 10*time.Second {
				t.Errorf("seed %d: %s is shown %v after it was removed", seed, d.Identity(), l.now.Sub(at))
			}
		}
		for range 400 {
			l.now = l.now.Add(time.Duration(r.IntN(20_000)) * time.Millisecond)
			id := ids[r.IntN(len(ids))]
			switch d, ok := stored[id]; {
			case r.IntN(4) > 0:
			case !ok:
				stored[id] = l.put(directory.Destination{ID: id, Incarnation: fmt.Sprint(l.now.UnixMilli()), WorkspaceID: "acme"})
			case r.IntN(4) == 0:
				l.remove(d)
				ended[d.Identity()] = l.now
				delete(stored, id)
			default:
				stored[id] = l.put(d)
			}
			if r.IntN(40) == 0 {
				memories = append(memories, l.remembering())
			}
			m := memories[r.IntN(len(memories))]
			_, own, err := m.Workspace(t.Context(), "acme")
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range own {
				check(m, d)
			}
			if d, err := m.Destination(t.Context(), id); err == nil {
				check(m, d)
			}
			if r.IntN(5) == 0 {
				_, own, err := m.WorkspaceSince(t.Context(), "acme", l.now)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(len(stored), len(own)); diff != "" {
					t.Errorf("seed %d: destinations of now (-want +got):\n%s", seed, diff)
				}
				for _, d := range own {
					if stored[d.ID].Revision != d.Revision || !stored[d.ID].SameRecord(d) {
						t.Errorf("seed %d: as of now there is%s, and%s was given", seed, said(stored[d.ID]), said(d))
					}
				}
			}
		}
	}
}

// TestWorkspaceOfNow reads a workspace consistently while no index shows anything.
func TestWorkspaceOfNow(t *testing.T) {
	l := newLateTable(t, 24*time.Hour)
	expect := func(step, want string) {
		t.Helper()
		if got := l.truth("acme"); got != want {
			t.Errorf("%s: %q, want %q", step, got, want)
		}
	}
	expect("nothing", "0")
	l.workspace(directory.Workspace{ID: "acme", Incarnation: "A", Kind: directory.Standalone})
	expect("a workspace", "A1")
	b := l.put(directory.Destination{ID: "b", Incarnation: "B", WorkspaceID: "acme", State: directory.Connected})
	l.put(directory.Destination{ID: "a", Incarnation: "C", WorkspaceID: "acme", State: directory.Connected})
	expect("two destinations", "A1 a/C.1 connected [] b/B.1 connected []")
	b = l.put(b)
	l.remove(b)
	expect("one removed", "A1 a/C.1 connected []")
	l.put(directory.Destination{ID: "b", Incarnation: "D", WorkspaceID: "else", State: directory.Connected})
	expect("made again elsewhere", "A1 a/C.1 connected []")
	l.remove(directory.Destination{ID: "a", Incarnation: "C", WorkspaceID: "acme", Revision: 1})
	expect("none", "A1")
}

// TestADestinationOlderThanTheRollsIsFound by the index, which has long shown it.
func TestADestinationOlderThanTheRollsIsFound(t *testing.T) {
	l := newLateTable(t, 0)
	l.workspace(directory.Workspace{ID: "acme", Incarnation: "A", Kind: directory.Standalone})
	old := directory.Destination{ID: "old", Incarnation: "B", WorkspaceID: "acme", State: directory.Connected, Revision: 7}
	if _, err := l.writer.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &l.writer.Table, Item: destinationItem(old)}); err != nil {
		t.Fatal(err)
	}
	l.now = l.now.Add(time.Hour)
	l.put(directory.Destination{ID: "new", Incarnation: "C", WorkspaceID: "acme", State: directory.Connected})
	if got, want := l.truth("acme"), "A1 new/C.1 connected [] old/B.7 connected []"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	l.put(old)
	l.remove(directory.Destination{ID: "old", Incarnation: "B", WorkspaceID: "acme", Revision: 8})
	if got, want := l.truth("acme"), "A1 new/C.1 connected []"; got != want {
		t.Errorf("after its removal: %q, want %q", got, want)
	}
}

// TestWritesAreHeardOfAtOnce asks after each write, and among numbers that were drawn for nothing.
func TestWritesAreHeardOfAtOnce(t *testing.T) {
	l := newLateTable(t, 24*time.Hour)
	other := l.open()
	ask := func(since time.Time) []directory.Written {
		t.Helper()
		writes, err := other.WrittenSince(t.Context(), since)
		if err != nil {
			t.Fatal(err)
		}
		return writes
	}
	first := l.put(directory.Destination{ID: "siem", Incarnation: "A", WorkspaceID: "acme"})
	for i := range 40 { // refused, each with a number of its own
		if _, err := l.writer.PutDestination(t.Context(), directory.Destination{ID: "siem", Incarnation: "A", WorkspaceID: "acme", Revision: 50 + i}); !errors.Is(err, directory.ErrChanged) {
			t.Fatal(err)
		}
	}
	want := []directory.Written{{WorkspaceID: "acme", DestinationID: "siem", Incarnation: "A", Revision: 1, At: l.now}}
	if diff := cmp.Diff(want, ask(l.now)); diff != "" {
		t.Errorf("before forty refused writes (-want +got):\n%s", diff)
	}
	l.now = l.now.Add(time.Second)
	l.put(first)
	want[0].Revision, want[0].At = 2, l.now
	if diff := cmp.Diff(want, ask(l.now)); diff != "" {
		t.Errorf("after them (-want +got):\n%s", diff)
	}
	l.now = l.now.Add(time.Hour)
	l.calls = make(map[string]int)
	if got := ask(l.now.Add(-time.Minute)); got != nil {
		t.Errorf("an hour later %v was written", got)
	}
	if diff := cmp.Diff(map[string]int{"GetItem": writtenShards}, l.calls); diff != "" {
		t.Errorf("calls when nothing was written (-want +got):\n%s", diff)
	}
}

// TestAnEntryIsReadOnce counts what it costs to ask again and again after a write.
func TestAnEntryIsReadOnce(t *testing.T) {
	l := newLateTable(t, 0)
	d := l.put(directory.Destination{ID: "siem", Incarnation: "A", WorkspaceID: "acme"})
	l.now = l.now.Add(time.Hour)
	l.put(d)
	other := l.open()
	since := l.now.Add(-time.Minute)
	l.calls = make(map[string]int)
	for range 10 {
		if got, err := other.WrittenSince(t.Context(), since); err != nil || len(got) != 1 {
			t.Errorf("%v was written, error %v", got, err)
		}
	}
	if want := 10*writtenShards + 2; l.calls["GetItem"] != want { // the entry, and the older one at which the question ends
		t.Errorf("%d reads, want %d", l.calls["GetItem"], want)
	}
}

// TestANewMemoryAsksTheIndex: what a log costs a new environment is the two counters and one query.
func TestANewMemoryAsksTheIndex(t *testing.T) {
	l := newLateTable(t, 0)
	l.workspace(directory.Workspace{ID: "acme", Incarnation: "first", Kind: directory.Standalone})
	l.put(directory.Destination{ID: "siem", Incarnation: "first", WorkspaceID: "acme", State: directory.Connected})
	l.now = l.now.Add(2 * time.Hour)
	m := l.remembering()
	l.calls = make(map[string]int)
	l.answers(m, "acme")
	if diff := cmp.Diff(map[string]int{"GetItem": writtenShards, "Query": 1}, l.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestTooManyWritesAreNotTold, and a memory forgets everything and asks no index: it is right all the same.
func TestTooManyWritesAreNotTold(t *testing.T) {
	l := newLateTable(t, 10*time.Minute)
	l.workspace(directory.Workspace{ID: "acme", Incarnation: "first", Kind: directory.Standalone})
	siem := l.put(directory.Destination{ID: "siem", Incarnation: "first", WorkspaceID: "acme", State: directory.Connected})
	l.now = l.now.Add(2 * time.Hour)
	m := l.remembering()
	l.answers(m, "acme", "siem")
	siem.State = directory.Disconnected
	l.put(siem)
	shard := shardOf(destinationPrefix+"siem", writtenShards)
	many := directory.Destination{}
	for i := 0; many.ID == ""; i++ { // of the same shard
		if id := fmt.Sprint("d", i); shardOf(destinationPrefix+id, writtenShards) == shard {
			many = l.put(directory.Destination{ID: id, Incarnation: "M", WorkspaceID: "else"})
		}
	}
	for range writtenAtMost + mostWritten {
		many = l.put(many)
	}
	if _, err := l.open().WrittenSince(t.Context(), l.now.Add(-time.Minute)); !errors.Is(err, directory.ErrManyWrites) {
		t.Fatalf("error %v, want %v", err, directory.ErrManyWrites)
	}
	for range 200 {
		l.now = l.now.Add(10 * time.Second)
		if got, want := l.answers(m, "acme", "siem"), l.truth("acme", "siem"); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}

// TestConflictsAreNoRefusal: a transaction that meets another one is begun again, some times.
func TestConflictsAreNoRefusal(t *testing.T) {
	for conflicts, want := range map[int]error{0: nil, 1: nil, conflictsInARow: nil, conflictsInARow + 1: directory.ErrChanged} {
		l := newLateTable(t, 0)
		met := 0
		l.writer.Client = dynamotest.Client{Tables: l.tables, Conflicts: func(c dynamotest.Call) bool {
			met++
			return c.Operation == "TransactWriteItems" && met <= conflicts+1 // the first write is the number's
		}}
		_, err := l.writer.PutDestination(t.Context(), directory.Destination{ID: "siem", Incarnation: "A", WorkspaceID: "acme"})
		if !errors.Is(err, want) {
			t.Errorf("after %d conflicts: %v, want %v", conflicts, err, want)
		}
	}
}

// TestTwoDestinationsAtOnce are both on the roll.
func TestTwoDestinationsAtOnce(t *testing.T) {
	l := newLateTable(t, 24*time.Hour)
	l.workspace(directory.Workspace{ID: "acme", Incarnation: "A", Kind: directory.Standalone})
	var wg sync.WaitGroup
	var ids []string
	for i := range 20 {
		id := fmt.Sprintf("d-%02d", i)
		ids = append(ids, id)
		wg.Go(func() {
			if _, err := l.open().PutDestination(context.Background(), directory.Destination{ID: id, Incarnation: id, WorkspaceID: "acme"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, own, err := l.writer.WorkspaceSince(t.Context(), "acme", l.now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range own {
		got = append(got, d.ID)
	}
	if !slices.Equal(got, ids) {
		t.Errorf("the roll has %v, want %v", got, ids)
	}
}
