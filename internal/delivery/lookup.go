package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Writes tells what was written in the directory.
type Writes interface {
	// WrittenSince gives the workspaces and destinations that were written or removed at that time or later, each at least once, in no order. It
	// may miss what was written in the last moment, and what was removed more than a day ago.
	WrittenSince(ctx context.Context, since time.Time) ([]directory.Written, error)
}

// CachedDirectory remembers a directory's answers, "not found" among them. Every TTL it asks what was written meanwhile and forgets just that, so
// that an answer is at most about TTL old, and a directory that does not change is read once. When it cannot ask, it reads each answer anew
// after TTL. It is safe for concurrent use.
type CachedDirectory struct {
	Source interface {
		Directory
		DestinationStore
		Writes
	}
	TTL time.Duration
	Now func() time.Time
	// Fault is told when the writes could not be asked for.
	Fault func(error)

	asking sync.Mutex // held while the writes are asked for

	mu           sync.Mutex
	asked        time.Time // when the writes were last asked for
	known        time.Time // up to when they are known
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

const (
	// rememberedAtMost bounds each memory. Beyond it a tenth is forgotten, whichever.
	rememberedAtMost = 100_000
	// rememberedFor bounds the age of an answer all the same, for what was written past this program.
	rememberedFor = 2 * time.Hour
	// writesOverlap is how far back the writes are asked for again: the source may show one late, and clocks differ.
	writesOverlap = time.Minute
	// longestGap is how long the writes may go unasked before everything is forgotten. The source knows removals for a day.
	longestGap = 12 * time.Hour
)

// Workspace answers like the source, up to TTL later.
func (c *CachedDirectory) Workspace(ctx context.Context, id string) (directory.Workspace, []directory.Destination, error) {
	c.update(ctx)
	now := c.Now()
	c.mu.Lock()
	a, ok := c.workspaces[id]
	ok = ok && c.holds(a.at, now)
	c.mu.Unlock()
	if ok {
		return a.workspace, a.own, a.err
	}
	a = workspaceAnswer{at: now}
	a.workspace, a.own, a.err = c.Source.Workspace(ctx, id)
	if final(a.err) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.workspaces = remember(c.workspaces, id, a)
	}
	return a.workspace, a.own, a.err
}

// Destination answers like the source, up to TTL later.
func (c *CachedDirectory) Destination(ctx context.Context, id string) (directory.Destination, error) {
	c.update(ctx)
	now := c.Now()
	c.mu.Lock()
	a, ok := c.destinations[id]
	ok = ok && c.holds(a.at, now)
	c.mu.Unlock()
	if ok {
		return a.destination, a.err
	}
	a = destinationAnswer{at: now}
	a.destination, a.err = c.Source.Destination(ctx, id)
	if final(a.err) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.destinations = remember(c.destinations, id, a)
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
func (c *CachedDirectory) PutDestination(ctx context.Context, d directory.Destination, tell ...directory.Outgoing) (directory.Destination, error) {
	d, err := c.Source.PutDestination(ctx, d, tell...)
	if err == nil {
		c.learn(d)
	}
	return d, err
}

// holds says whether an answer of that age may be given: it is younger than TTL, or the writes since are known and it is not among them.
func (c *CachedDirectory) holds(at, now time.Time) bool {
	return now.Sub(latest(at, c.known)) < c.TTL && now.Sub(at) < rememberedFor
}

// update forgets what was written meanwhile, if it is time to ask for it.
func (c *CachedDirectory) update(ctx context.Context) {
	if _, due := c.due(); !due {
		return
	}
	c.asking.Lock()
	defer c.asking.Unlock()
	since, due := c.due() // another may have asked while this one waited
	if !due {
		return
	}
	now := c.Now()
	var writes []directory.Written
	var err error
	if !since.IsZero() {
		writes, err = c.Source.WrittenSince(ctx, since)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = now
	if err != nil {
		c.Fault(fmt.Errorf("ask what was written in the directory since %s: %w", since.Format(time.RFC3339), err))
		return
	}
	c.known = now
	if since.IsZero() {
		c.workspaces, c.destinations = nil, nil
	}
	for _, w := range writes {
		c.forget(w)
	}
}

// due says whether the writes are to be asked for, and since when; that is zero when there is nothing that they could change.
func (c *CachedDirectory) due() (since time.Time, due bool) {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.asked) < c.TTL {
		return since, false
	}
	if len(c.workspaces)+len(c.destinations) > 0 && now.Sub(c.known) < longestGap {
		since = c.known.Add(-writesOverlap)
	}
	return since, true
}

// forget drops the answers that a write has changed. One that has the written revision already stays. A removal has none: answers from before it, or so
// soon after it that they may not show it, are dropped.
func (c *CachedDirectory) forget(w directory.Written) {
	stale := func(at time.Time, incarnation string, revision int) bool {
		if w.Removed {
			return revision > 0 && at.Before(w.At.Add(writesOverlap))
		}
		return incarnation != w.Incarnation || revision != w.Revision
	}
	workspace, ok := c.workspaces[w.WorkspaceID]
	incarnation, revision := workspace.workspace.Incarnation, workspace.workspace.Revision
	if w.DestinationID != "" {
		if d, ok := c.destinations[w.DestinationID]; ok && stale(d.at, d.destination.Incarnation, d.destination.Revision) {
			delete(c.destinations, w.DestinationID)
		}
		incarnation, revision = "", 0
		for _, d := range workspace.own {
			if d.ID == w.DestinationID {
				incarnation, revision = d.Incarnation, d.Revision
			}
		}
	}
	if ok && stale(workspace.at, incarnation, revision) {
		delete(c.workspaces, w.WorkspaceID)
	}
}

// learn puts a destination that is known afresh into what is remembered.
func (c *CachedDirectory) learn(d directory.Destination) {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.destinations = remember(c.destinations, d.ID, destinationAnswer{at: now, destination: d})
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

// remember adds an answer, and makes room for it if there are too many.
func remember[A any](answers map[string]A, id string, a A) map[string]A {
	if answers == nil {
		answers = make(map[string]A)
	}
	if len(answers) >= rememberedAtMost {
		for other := range answers {
			if len(answers) <= rememberedAtMost*9/10 {
				break
			}
			delete(answers, other)
		}
	}
	answers[id] = a
	return answers
}

// final says whether an answer may be remembered. A failure to ask may not.
func final(err error) bool { return err == nil || errors.Is(err, directory.ErrNotFound) }
