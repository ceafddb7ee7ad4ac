package porttest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// WrittenStore is a directory that can be written and tells of it.
type WrittenStore interface {
	delivery.Writes
	PutWorkspace(ctx context.Context, w directory.Workspace, tell ...directory.Outgoing) error
	DeleteWorkspace(ctx context.Context, w directory.Workspace, tell ...directory.Outgoing) error
	PutDestination(ctx context.Context, d directory.Destination, tell ...directory.Outgoing) (directory.Destination, error)
	DeleteDestination(ctx context.Context, d directory.Destination, tell ...directory.Outgoing) error
}

// Writes is the suite of delivery.Writes. Open makes an empty directory whose writes are made at the time that now gives.
func Writes(t *testing.T, open func(t *testing.T, now func() time.Time) WrittenStore) {
	now := accepted
	s := open(t, func() time.Time { return now })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	put := func(d directory.Destination) directory.Destination {
		t.Helper()
		d, err := s.PutDestination(t.Context(), d)
		must(err)
		return d
	}
	must(s.PutWorkspace(t.Context(), directory.Workspace{ID: "ws-1", Kind: directory.Standalone}))                                // 0 s
	one := put(directory.Destination{ID: "dest-1", Incarnation: "A", WorkspaceID: "ws-1", Kind: directory.HTTP})                  // 1 s
	two := put(directory.Destination{ID: "dest-2", Incarnation: "B", WorkspaceID: "ws-1", Kind: directory.HTTP})                  // 2 s
	one = put(one)                                                                                                                // 3 s
	must(s.DeleteDestination(t.Context(), two))                                                                                   // 4 s
	must(s.PutWorkspace(t.Context(), directory.Workspace{ID: "ws-2", Kind: directory.Standalone}))                                // 5 s
	must(s.DeleteWorkspace(t.Context(), directory.Workspace{ID: "ws-2", Revision: 1}))                                            // 6 s
	put(directory.Destination{ID: two.ID, Incarnation: "C", WorkspaceID: "ws-1", Kind: directory.HTTP})                           // 7 s
	if _, err := s.PutDestination(t.Context(), directory.Destination{ID: one.ID, WorkspaceID: "ws-1", Revision: 1}); err == nil { // 8 s
		t.Error("an old revision was replaced")
	}
	for _, other := range []directory.Destination{{ID: two.ID, Incarnation: "B", WorkspaceID: "ws-1", Revision: 1}, {ID: two.ID, WorkspaceID: "ws-1", Revision: 1}} {
		if _, err := s.PutDestination(t.Context(), other); !errors.Is(err, directory.ErrChanged) {
			t.Errorf("over a record that was made anew, one of incarnation %q was put: %v", other.Incarnation, err)
		}
		if err := s.DeleteDestination(t.Context(), other); !errors.Is(err, directory.ErrChanged) {
			t.Errorf("a record that was made anew was deleted as one of incarnation %q: %v", other.Incarnation, err)
		}
	}

	at := func(second int) time.Time { return accepted.Add(time.Duration(second) * time.Second) }
	all := []directory.Written{
		{WorkspaceID: "ws-1", Revision: 1, At: at(0)},
		{WorkspaceID: "ws-1", DestinationID: "dest-1", Incarnation: "A", Revision: 2, At: at(3)},
		{WorkspaceID: "ws-1", DestinationID: "dest-2", Incarnation: "B", Removed: true, At: at(4)},
		{WorkspaceID: "ws-2", Removed: true, At: at(6)},
		{WorkspaceID: "ws-1", DestinationID: "dest-2", Incarnation: "C", Revision: 1, At: at(7)},
	}
	for _, test := range []struct {
		since int
		want  []directory.Written
	}{{0, all}, {3, all[1:]}, {4, all[2:]}, {7, all[4:]}, {8, nil}} {
		got, err := s.WrittenSince(t.Context(), at(test.since))
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b directory.Written) int { return a.At.Compare(b.At) })
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("written since second %d (-want +got):\n%s", test.since, diff)
		}
	}
}
