package delivery

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// CachedDirectory remembers a directory's answers, "not found" among them, for TTL. Destinations that are read afresh or written through it are
// remembered at once. It is safe for concurrent use.
type CachedDirectory struct {
	Source interface {
		Directory
		DestinationStore
	}
	TTL time.Duration
	Now func() time.Time

	mu           sync.Mutex
	workspaces   map[string]workspaceAnswer
	destinations map[string]destinationAnswer
}

type workspaceAnswer struct {
	at        time.Time
	workspace directory.Workspace
	own       []directory.Destination
	err       error
}

type destinationAnswer struct {
	at          time.Time
	destination directory.Destination
	err         error
}

// rememberedAtMost bounds each memory; beyond it everything is forgotten and asked anew.
const rememberedAtMost = 50_000

// Workspace answers like the source, up to TTL later.
func (c *CachedDirectory) Workspace(ctx context.Context, id string) (directory.Workspace, []directory.Destination, error) {
	now := c.Now()
	c.mu.Lock()
	a, ok := c.workspaces[id]
	c.mu.Unlock()
	if ok && now.Sub(a.at) < c.TTL {
		return a.workspace, a.own, a.err
	}
	a = workspaceAnswer{at: now}
	a.workspace, a.own, a.err = c.Source.Workspace(ctx, id)
	if final(a.err) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.workspaces == nil || len(c.workspaces) >= rememberedAtMost {
			c.workspaces = make(map[string]workspaceAnswer)
		}
		c.workspaces[id] = a
	}
	return a.workspace, a.own, a.err
}

// Destination answers like the source, up to TTL later.
func (c *CachedDirectory) Destination(ctx context.Context, id string) (directory.Destination, error) {
	now := c.Now()
	c.mu.Lock()
	a, ok := c.destinations[id]
	c.mu.Unlock()
	if ok && now.Sub(a.at) < c.TTL {
		return a.destination, a.err
	}
	a = destinationAnswer{at: now}
	a.destination, a.err = c.Source.Destination(ctx, id)
	if final(a.err) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.destinations == nil || len(c.destinations) >= rememberedAtMost {
			c.destinations = make(map[string]destinationAnswer)
		}
		c.destinations[id] = a
	}
	return a.destination, a.err
}

// CurrentDestination asks the source, never the memory.
func (c *CachedDirectory) CurrentDestination(ctx context.Context, id string) (directory.Destination, error) {
	d, err := c.Source.CurrentDestination(ctx, id)
	if err == nil {
		c.learn(d)
	}
	return d, err
}

// PutDestination writes to the source.
func (c *CachedDirectory) PutDestination(ctx context.Context, d directory.Destination) (directory.Destination, error) {
	d, err := c.Source.PutDestination(ctx, d)
	if err == nil {
		c.learn(d)
	}
	return d, err
}

// learn puts a destination that is known afresh into what is remembered.
func (c *CachedDirectory) learn(d directory.Destination) {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.destinations == nil {
		c.destinations = make(map[string]destinationAnswer)
	}
	c.destinations[d.ID] = destinationAnswer{at: now, destination: d}
	a, ok := c.workspaces[d.WorkspaceID]
	if !ok {
		return
	}
	own := slices.Clone(a.own) // others may be reading the old one
	for i := range own {
		if own[i].ID == d.ID {
			own[i] = d
		}
	}
	a.own = own
	c.workspaces[d.WorkspaceID] = a
}

// final says whether an answer may be remembered. A failure to ask may not.
func final(err error) bool { return err == nil || errors.Is(err, directory.ErrNotFound) }
