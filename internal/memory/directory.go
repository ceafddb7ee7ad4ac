package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Directory is the directory table.
type Directory struct {
	Hook Hook

	mu           sync.Mutex
	workspaces   map[string]directory.Workspace
	destinations map[string]directory.Destination
}

// PutWorkspace stores a workspace.
func (d *Directory) PutWorkspace(w directory.Workspace) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.workspaces == nil {
		d.workspaces = make(map[string]directory.Workspace)
	}
	d.workspaces[w.ID] = w
}

// PutDestination stores a destination.
func (d *Directory) PutDestination(dest directory.Destination) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.destinations == nil {
		d.destinations = make(map[string]directory.Destination)
	}
	d.destinations[dest.ID] = dest
}

// DeleteDestination removes a destination.
func (d *Directory) DeleteDestination(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.destinations, id)
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

// Destinations lists all, by id.
func (d *Directory) Destinations() []directory.Destination {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]directory.Destination, 0, len(d.destinations))
	for _, dest := range d.destinations {
		all = append(all, dest)
	}
	slices.SortFunc(all, func(a, b directory.Destination) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Secrets holds credentials by destination.
type Secrets struct {
	mu      sync.Mutex
	secrets map[string]json.RawMessage
}

// Put stores a destination's credentials.
func (s *Secrets) Put(destinationID string, credentials json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets == nil {
		s.secrets = make(map[string]json.RawMessage)
	}
	s.secrets[destinationID] = credentials
}

// Credentials implements sink.Secrets.
func (s *Secrets) Credentials(_ context.Context, destinationID string, _ bool) (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets[destinationID], nil
}
