package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// lookups is a CachedDirectory over a directory that counts its calls.
type lookups struct {
	t      *testing.T
	now    time.Time
	source memory.Directory
	calls  map[string]int
	broken map[string]bool
	faults int
	cached delivery.CachedDirectory
}

func newLookups(t *testing.T) *lookups {
	l := &lookups{t: t, now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), calls: make(map[string]int), broken: make(map[string]bool)}
	l.source.Now = func() time.Time { return l.now }
	l.source.Hook = func(call string) memory.Fault {
		l.calls[call]++
		if l.broken[call] {
			return memory.FailBefore
		}
		return memory.OK
	}
	l.cached = delivery.CachedDirectory{Source: &l.source, TTL: 10 * time.Second, Now: l.source.Now, Fault: func(error) { l.faults++ }}
	return l
}

func (l *lookups) workspace(id string) {
	l.t.Helper()
	if err := l.source.PutWorkspace(l.t.Context(), directory.Workspace{ID: id, Kind: directory.Standalone}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lookups) put(d directory.Destination) directory.Destination {
	l.t.Helper()
	d, err := l.source.PutDestination(l.t.Context(), d)
	if err != nil {
		l.t.Fatal(err)
	}
	return d
}

// names asks for a workspace and gives the names of its destinations, or the error.
func (l *lookups) names(id string) string {
	_, own, err := l.cached.Workspace(l.t.Context(), id)
	if err != nil {
		return err.Error()
	}
	list := ""
	for _, d := range own {
		list += fmt.Sprint(d.Name, d.Revision, " ")
	}
	return list
}

func (l *lookups) name(id string) string {
	d, err := l.cached.Destination(l.t.Context(), id)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(d.Name, d.Revision)
}

func (l *lookups) expect(step, got, want string) {
	l.t.Helper()
	if got != want {
		l.t.Errorf("%s: %q, want %q", step, got, want)
	}
}

// TestQuietDirectoryIsHardlyRead holds the price of a healthy log: the records are read once in five minutes, not again each TTL.
func TestQuietDirectoryIsHardlyRead(t *testing.T) {
	l := newLookups(t)
	for i := range 100 {
		id := fmt.Sprint("ws-", i)
		l.workspace(id)
		l.put(directory.Destination{ID: "dest-" + id, Name: "d", WorkspaceID: id})
	}
	l.calls = make(map[string]int)
	for range 600 { // ten minutes, a log each second
		for i := range 100 {
			l.expect("look up", l.names(fmt.Sprint("ws-", i)), "d1 ")
		}
		l.now = l.now.Add(time.Second)
	}
	want := map[string]int{memory.CallWorkspace: 200, memory.CallWrittenSince: 60}
	if diff := cmp.Diff(want, l.calls); diff != "" {
		t.Errorf("calls for 60,000 logs (-want +got):\n%s", diff)
	}
}

func TestLookupsFollowWrites(t *testing.T) {
	l := newLookups(t)
	notFound := directory.ErrNotFound.Error()
	later := func() { l.now = l.now.Add(10 * time.Second) }

	l.expect("before the workspace", l.names("ws"), notFound)
	l.workspace("ws")
	l.expect("remembered", l.names("ws"), notFound)
	later()
	l.expect("a workspace that was made", l.names("ws"), "")
	l.expect("before the destination", l.name("siem"), notFound)
	d := l.put(directory.Destination{ID: "siem", Name: "old", WorkspaceID: "ws"})
	later()
	l.expect("a destination that was made", l.names("ws"), "old1 ")
	l.expect("the same by its id", l.name("siem"), "old1")
	d.Name = "new"
	d = l.put(d)
	l.expect("remembered", l.names("ws"), "old1 ")
	later()
	l.expect("a destination that was changed", l.names("ws"), "new2 ")
	l.expect("the same by its id", l.name("siem"), "new2")

	if err := l.source.DeleteDestination(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	later()
	l.expect("a destination that was removed", l.names("ws"), "")
	l.expect("the same by its id", l.name("siem"), notFound)
	l.put(directory.Destination{ID: "siem", Name: "again", WorkspaceID: "ws"})
	later()
	l.expect("one of the same name, made anew", l.names("ws"), "again1 ")
	l.expect("the same by its id", l.name("siem"), "again1")

	if err := l.source.DeleteWorkspace(t.Context(), directory.Workspace{ID: "ws", Revision: 1}); err != nil {
		t.Fatal(err)
	}
	later()
	l.expect("a workspace that was removed", l.names("ws"), notFound)
}

// TestLateWritesAreSeen has the source tell of a write late, and the clock of its writer go wrong, both by less than a minute.
func TestLateWritesAreSeen(t *testing.T) {
	l := newLookups(t)
	l.workspace("ws")
	l.put(directory.Destination{ID: "siem", Name: "old", WorkspaceID: "ws"})
	l.expect("first look", l.names("ws"), "old1 ")
	l.now = l.now.Add(time.Hour)
	l.expect("an hour later", l.names("ws"), "old1 ")
	now := l.now
	l.now = now.Add(-50 * time.Second)
	l.put(directory.Destination{ID: "siem", Name: "new", WorkspaceID: "ws", Revision: 1})
	l.now = now.Add(10 * time.Second)
	l.expect("a write dated back", l.names("ws"), "new2 ")
}

// TestLookupsWithoutWrites has the answers read anew each TTL while the writes cannot be asked for, and never given longer.
func TestLookupsWithoutWrites(t *testing.T) {
	l := newLookups(t)
	l.workspace("ws")
	l.put(directory.Destination{ID: "siem", Name: "old", WorkspaceID: "ws"})
	l.expect("first look", l.names("ws"), "old1 ")
	l.broken[memory.CallWrittenSince] = true
	l.put(directory.Destination{ID: "siem", Name: "new", WorkspaceID: "ws", Revision: 1})
	l.now = l.now.Add(10 * time.Second)
	l.expect("without the writes", l.names("ws"), "new2 ")
	if l.faults != 1 {
		t.Errorf("%d faults were told, want 1", l.faults)
	}
	l.broken[memory.CallWrittenSince] = false
	l.put(directory.Destination{ID: "siem", Name: "newest", WorkspaceID: "ws", Revision: 2})
	l.now = l.now.Add(10 * time.Second)
	l.expect("with them again", l.names("ws"), "newest3 ")
}

// TestLongGapForgets lets so much time pass that removals may not be told any more.
func TestLongGapForgets(t *testing.T) {
	l := newLookups(t)
	l.workspace("ws")
	l.expect("first look", l.names("ws"), "")
	l.calls = make(map[string]int)
	l.now = l.now.Add(13 * time.Hour)
	l.expect("after the gap", l.names("ws"), "")
	if diff := cmp.Diff(map[string]int{memory.CallWorkspace: 1, memory.CallWrittenSince: 1}, l.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestFailedLookupsAreNotRemembered asks again after a failure.
func TestFailedLookupsAreNotRemembered(t *testing.T) {
	l := newLookups(t)
	l.workspace("ws")
	l.broken[memory.CallWorkspace] = true
	if _, _, err := l.cached.Workspace(context.Background(), "ws"); !errors.Is(err, memory.ErrInjected) {
		t.Errorf("error %v, want %v", err, memory.ErrInjected)
	}
	l.broken[memory.CallWorkspace] = false
	l.expect("after the failure", l.names("ws"), "")
}

// deaf is a directory that tells of no write, as one whose writers tell nothing, or after so long that it is the same.
type deaf struct {
	*memory.Directory
	late time.Duration // 0 is never
	now  func() time.Time
}

func (d deaf) WrittenSince(ctx context.Context, since time.Time) ([]directory.Written, error) {
	all, err := d.Directory.WrittenSince(ctx, since)
	return slices.DeleteFunc(all, func(w directory.Written) bool { return d.late == 0 || d.now().Before(w.At.Add(d.late)) }), err
}

// TestAnswersAreReadAnewWhateverIsHeard has no write be heard of, or late, and asks each second. A disconnect is known in minutes by every memory, whatever
// its age.
func TestAnswersAreReadAnewWhateverIsHeard(t *testing.T) {
	for late, most := range map[time.Duration]time.Duration{0: 6 * time.Minute, 90 * time.Second: 101 * time.Second, 10 * time.Minute: 6 * time.Minute} {
		t.Run(late.String(), func(t *testing.T) {
			l := newLookups(t)
			l.workspace("ws")
			d := l.put(directory.Destination{ID: "siem", Name: "old", WorkspaceID: "ws"})
			l.now = l.now.Add(2 * time.Hour)
			source := deaf{&l.source, late, l.source.Now}
			var memories []*delivery.CachedDirectory
			for range 4 { // of different ages
				memories = append(memories, &delivery.CachedDirectory{Source: source, TTL: 10 * time.Second, Now: l.source.Now, Fault: func(err error) { t.Error(err) }})
				for range 100 {
					for _, m := range memories {
						_, _, err := m.Workspace(t.Context(), "ws")
						_, err2 := m.Destination(t.Context(), "siem")
						if err = errors.Join(err, err2); err != nil {
							t.Fatal(err)
						}
					}
					l.now = l.now.Add(time.Second)
				}
			}
			d.Name = "new"
			l.put(d)
			at := l.now
			known := make(map[int]time.Duration)
			for len(known) < 2*len(memories) && l.now.Sub(at) < 3*time.Hour {
				for i, m := range memories {
					_, own, _ := m.Workspace(t.Context(), "ws")
					one, _ := m.Destination(t.Context(), "siem")
					for j, got := range []directory.Destination{own[0], one} {
						if _, ok := known[2*i+j]; !ok && got.Revision == 2 {
							known[2*i+j] = l.now.Sub(at)
						}
					}
				}
				l.now = l.now.Add(time.Second)
			}
			for _, after := range known {
				if after > most {
					t.Errorf("known after %v, want %v at most", after, most)
				}
			}
			if len(known) < 2*len(memories) {
				t.Errorf("%d of %d answers are right", len(known), 2*len(memories))
			}
		})
	}
}

// TestReadingAnewIsBounded uses more workspaces than are read anew in five minutes, and no change is heard of: none is older than two hours, and the reads
// are one each 30 seconds and one in 250 lookups.
func TestReadingAnewIsBounded(t *testing.T) {
	l := newLookups(t)
	const workspaces, lookups = 2000, 200_000
	for i := range workspaces {
		l.workspace(fmt.Sprint("ws-", i))
	}
	l.now = l.now.Add(2 * time.Hour)
	l.calls = make(map[string]int)
	for i := range lookups { // an hour
		l.expect("look up", l.names(fmt.Sprint("ws-", i%workspaces)), "")
		l.now = l.now.Add(18 * time.Millisecond)
	}
	if most := workspaces + lookups/250 + 120 + 10; l.calls[memory.CallWorkspace] > most {
		t.Errorf("%d reads, want %d at most", l.calls[memory.CallWorkspace], most)
	}
	if l.calls[memory.CallWorkspace] < workspaces+lookups/250-200 {
		t.Errorf("%d reads are fewer than the allowance", l.calls[memory.CallWorkspace])
	}
}

// TestMemoriesAgree learns of a destination by its id, or by its own write, and gives the same in its workspace; and the other way about.
func TestMemoriesAgree(t *testing.T) {
	l := newLookups(t)
	l.workspace("ws")
	d := l.put(directory.Destination{ID: "siem", Name: "d", WorkspaceID: "ws"})
	l.expect("the workspace", l.names("ws"), "d1 ")
	l.put(d)
	if _, err := l.cached.CurrentDestination(t.Context(), "siem"); err != nil {
		t.Fatal(err)
	}
	l.expect("after a look at the destination", l.names("ws"), "d2 ")
	d.Revision = 2
	if _, err := l.cached.PutDestination(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	l.expect("after a write", l.names("ws")+l.name("siem"), "d3 d3")
	d.Revision = 3
	l.put(d)
	if _, _, err := l.cached.WorkspaceSince(t.Context(), "ws", l.now); err != nil {
		t.Fatal(err)
	}
	l.expect("after a look at the workspace", l.names("ws")+l.name("siem"), "d4 d4")
	d.Revision = 4
	l.put(d)
	l.now = l.now.Add(renewed)
	l.expect("after five minutes", l.name("siem")+" "+l.names("ws"), "d5 d5 ")

	l.workspace("else")
	l.put(directory.Destination{ID: "other", Name: "d", WorkspaceID: "else"})
	l.expect("a destination by its id", l.name("other"), "d1")
	l.put(directory.Destination{ID: "other", Name: "d", WorkspaceID: "else", Revision: 1})
	l.expect("after its workspace", l.names("else")+l.name("other"), "d2 d2")
}

// renewed is after how long an answer is read anew.
const renewed = 5 * time.Minute

// TestReadingAnewKeepsWhatWasReadAsOfNow: a workspace that nobody's logs are wanted of is looked at as of now once, not again after every five minutes.
func TestReadingAnewKeepsWhatWasReadAsOfNow(t *testing.T) {
	l := newLookups(t)
	l.workspace("ws")
	l.now = l.now.Add(2 * time.Hour)
	looks := 0
	l.cached.Source = &looked{&l.source, &looks}
	for range 60 {
		l.expect("look up", l.names("ws"), "")
		for _, id := range []string{"ws", "unheard of"} {
			if _, _, err := l.cached.Workspace(t.Context(), id); err != nil && !errors.Is(err, directory.ErrNotFound) {
				t.Fatal(err)
			}
			if _, _, err := l.cached.WorkspaceSince(t.Context(), id, l.now); err != nil && !errors.Is(err, directory.ErrNotFound) {
				t.Fatal(err)
			}
		}
		l.now = l.now.Add(time.Minute)
	}
	if looks != 2 {
		t.Errorf("%d looks as of now in an hour, want one for each workspace", looks)
	}
}

// looked counts the looks as of now.
type looked struct {
	*memory.Directory
	n *int
}

func (l *looked) WorkspaceSince(ctx context.Context, id string, at time.Time) (directory.Workspace, []directory.Destination, error) {
	*l.n++
	return l.Directory.WorkspaceSince(ctx, id, at)
}
