package memory

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Directory is the directory table.
type Directory struct {
	// Now is the time of writes. Only WrittenSince tells it; without one it tells nothing.
	Now  func() time.Time
	Hook Hook

	mu           sync.Mutex
	workspaces   map[string]directory.Workspace
	destinations map[string]directory.Destination
	outgoing     map[string]directory.Outgoing
	written      map[recordName]directory.Written
}

// recordName names a workspace or one of its destinations. What was removed has a name of its own, so that it is told beside a record that took its place.
type recordName struct {
	workspace, destination string
	removed                bool
}

// note keeps a write for WrittenSince, in place of an earlier one of the same record.
func (d *Directory) note(w directory.Written) {
	if d.Now == nil {
		return
	}
	if d.written == nil {
		d.written = make(map[recordName]directory.Written)
	}
	w.At = d.Now()
	if w.Removed {
		delete(d.written, recordName{w.WorkspaceID, w.DestinationID, false})
	}
	d.written[recordName{w.WorkspaceID, w.DestinationID, w.Removed}] = w
}

// WrittenSince implements delivery.Writes.
func (d *Directory) WrittenSince(_ context.Context, since time.Time) ([]directory.Written, error) {
	var writes []directory.Written
	err := d.Hook.do(CallWrittenSince, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, w := range d.written {
			if !w.At.Before(since) {
				writes = append(writes, w)
			}
		}
		return nil
	})
	return writes, err
}

// PutWorkspace stores a workspace: a new one if its revision is 0, otherwise in place of that same revision, else directory.ErrChanged. Its revision is one
// higher then. What is to be told of it is stored with it, both or neither.
func (d *Directory) PutWorkspace(_ context.Context, w directory.Workspace, tell ...directory.Outgoing) error {
	return d.Hook.do(CallPutWorkspace, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if held := d.workspaces[w.ID]; held.Revision != w.Revision || w.Revision > 0 && held.Incarnation != w.Incarnation {
			return directory.ErrChanged
		}
		if d.workspaces == nil {
			d.workspaces = make(map[string]directory.Workspace)
		}
		w.Revision++
		d.workspaces[w.ID] = w
		d.note(directory.Written{WorkspaceID: w.ID, Incarnation: w.Incarnation, Revision: w.Revision})
		d.keep(tell)
		return nil
	})
}

// DeleteWorkspace removes that revision of a workspace's record, else directory.ErrChanged. Its destinations stay.
func (d *Directory) DeleteWorkspace(_ context.Context, w directory.Workspace, tell ...directory.Outgoing) error {
	return d.Hook.do(CallPutWorkspace, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if held, ok := d.workspaces[w.ID]; !ok || held.Revision != w.Revision || held.Incarnation != w.Incarnation {
			return directory.ErrChanged
		}
		delete(d.workspaces, w.ID)
		d.note(directory.Written{WorkspaceID: w.ID, Incarnation: w.Incarnation, Removed: true})
		d.keep(tell)
		return nil
	})
}

// PutDestination stores a destination: a new one if its revision is 0, otherwise in place of that same revision, else directory.ErrChanged. The
// answer is the stored destination, its revision one higher. What is to be told of it is stored with it, both or neither.
func (d *Directory) PutDestination(_ context.Context, dest directory.Destination, tell ...directory.Outgoing) (directory.Destination, error) {
	err := d.Hook.do(CallPutDestination, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if held := d.destinations[dest.ID]; held.Revision != dest.Revision || dest.Revision > 0 && !held.SameRecord(dest) {
			return directory.ErrChanged
		}
		if d.destinations == nil {
			d.destinations = make(map[string]directory.Destination)
		}
		dest.Revision++
		d.destinations[dest.ID] = dest
		d.note(directory.Written{WorkspaceID: dest.WorkspaceID, DestinationID: dest.ID, Incarnation: dest.Incarnation, Revision: dest.Revision})
		d.keep(tell)
		return nil
	})
	if err != nil {
		return directory.Destination{}, err
	}
	return dest, nil
}

// DeleteDestination removes that revision of a destination's record, else directory.ErrChanged.
func (d *Directory) DeleteDestination(_ context.Context, dest directory.Destination, tell ...directory.Outgoing) error {
	return d.Hook.do(CallPutDestination, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		held, ok := d.destinations[dest.ID]
		if !ok || held.Revision != dest.Revision || !held.SameRecord(dest) {
			return directory.ErrChanged
		}
		delete(d.destinations, dest.ID)
		d.note(directory.Written{WorkspaceID: dest.WorkspaceID, DestinationID: dest.ID, Incarnation: dest.Incarnation, Removed: true})
		d.keep(tell)
		return nil
	})
}

// CurrentDestination gives a destination as of now, never older, for whoever changes it.
func (d *Directory) CurrentDestination(ctx context.Context, id string) (directory.Destination, error) {
	return d.Destination(ctx, id)
}

// Attention lists the destinations that need it, see directory.Destination.NeedsAttention.
func (d *Directory) Attention(context.Context) iter.Seq2[directory.Destination, error] {
	return func(yield func(directory.Destination, error) bool) {
		var all []directory.Destination
		if err := d.Hook.do(CallAttention, func() error { all = d.all(); return nil }); err != nil {
			yield(directory.Destination{}, err)
			return
		}
		for _, dest := range all {
			if dest.NeedsAttention() && !yield(dest, nil) {
				return
			}
		}
	}
}

// Workspaces lists all workspaces by id.
func (d *Directory) Workspaces(context.Context) iter.Seq2[directory.Workspace, error] {
	d.mu.Lock()
	all := slices.Collect(maps.Values(d.workspaces))
	d.mu.Unlock()
	slices.SortFunc(all, func(a, b directory.Workspace) int { return cmp.Compare(a.ID, b.ID) })
	return func(yield func(directory.Workspace, error) bool) {
		for _, w := range all {
			if !yield(w, nil) {
				return
			}
		}
	}
}

// Destinations lists all destinations by id.
func (d *Directory) Destinations(context.Context) iter.Seq2[directory.Destination, error] {
	return func(yield func(directory.Destination, error) bool) {
		for _, dest := range d.all() {
			if !yield(dest, nil) {
				return
			}
		}
	}
}

// WorkspacesAfter implements admin.Listing.
func (d *Directory) WorkspacesAfter(ctx context.Context, after string, limit int) ([]directory.Workspace, error) {
	var page []directory.Workspace
	for w, err := range d.Workspaces(ctx) {
		if err != nil {
			return nil, err
		}
		if w.ID > after && len(page) < limit {
			page = append(page, w)
		}
	}
	return page, nil
}

// DestinationsAfter implements admin.Listing.
func (d *Directory) DestinationsAfter(_ context.Context, after string, limit int) ([]directory.Destination, error) {
	all := d.all()
	first, _ := slices.BinarySearchFunc(all, after+"\x00", func(dest directory.Destination, id string) int { return cmp.Compare(dest.ID, id) })
	return all[first:min(first+limit, len(all))], nil
}

// Child implements admin.Listing.
func (d *Directory) Child(_ context.Context, parent string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workspaces {
		if w.ParentID == parent {
			return w.ID, nil
		}
	}
	return "", nil
}

func (d *Directory) all() []directory.Destination {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := slices.Collect(maps.Values(d.destinations))
	slices.SortFunc(all, func(a, b directory.Destination) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Workspace implements delivery.Directory.
func (d *Directory) Workspace(_ context.Context, id string) (directory.Workspace, []directory.Destination, error) {
	var w directory.Workspace
	var own []directory.Destination
	err := d.Hook.do(CallWorkspace, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		var ok bool
		if w, ok = d.workspaces[id]; !ok {
			return directory.ErrNotFound
		}
		for _, dest := range d.destinations {
			if dest.WorkspaceID == id {
				own = append(own, dest)
			}
		}
		slices.SortFunc(own, func(a, b directory.Destination) int { return cmp.Compare(a.ID, b.ID) })
		return nil
	})
	return w, own, err
}

// WorkspaceSince implements delivery.Directory.
func (d *Directory) WorkspaceSince(ctx context.Context, id string, _ time.Time) (directory.Workspace, []directory.Destination, error) {
	return d.Workspace(ctx, id)
}

// CurrentWorkspace gives a workspace as of now, never older, for whoever changes it.
func (d *Directory) CurrentWorkspace(ctx context.Context, id string) (directory.Workspace, error) {
	w, _, err := d.Workspace(ctx, id)
	return w, err
}

// Destination implements delivery.Directory.
func (d *Directory) Destination(_ context.Context, id string) (directory.Destination, error) {
	var dest directory.Destination
	err := d.Hook.do(CallDestination, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		var ok bool
		if dest, ok = d.destinations[id]; !ok {
			return directory.ErrNotFound
		}
		return nil
	})
	return dest, err
}
