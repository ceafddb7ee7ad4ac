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
	// WrittenSince gives the workspaces and destinations that were written or removed at that time or later, by their writers' clocks, each at least
	// once, in no order. None is missing that was there before the call. If they are too many it answers directory.ErrManyWrites.
	WrittenSince(ctx context.Context, since time.Time) ([]directory.Written, error)
}

// CachedDirectory remembers a directory's answers, "not found" among them. Every TTL it asks what was written meanwhile, so that an answer is at most about
// TTL old, and a directory that does not change is hardly read. It is safe for concurrent use.
//
// An answer is never older than a write that was heard of. One that comes from an index and contradicts such a write is read again as of now; what was
// written before this memory began is asked for at its beginning. An answer in use is read anew after renewedAfter, as far as the allowance goes, and is
// never older than rememberedFor. When the writes cannot be asked for, each answer is read anew after TTL.
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
	from         time.Time // since when they are known without a gap
	heard        heard     // what they were
	workspaces   map[string]workspaceAnswer
	destinations map[string]destinationAnswer
	renewed      time.Time // when an answer was last read anew for its age
	lookups      int       // since then
}

type workspaceAnswer struct {
	at time.Time // before it was read
	// current says that it was read as of then, not by an index.
	current   bool
	workspace directory.Workspace
	own       []directory.Destination
	err       error
}

// read is the time up to which the answer holds everything for certain; zero of one that an index gave.
func (a workspaceAnswer) read() time.Time {
	if a.current {
		return a.at
	}
	return time.Time{}
}

type destinationAnswer struct {
	at          time.Time
	current     bool
	destination directory.Destination
	err         error
}

func (a destinationAnswer) read() time.Time {
	if a.current {
		return a.at
	}
	return time.Time{}
}

const (
	// rememberedAtMost bounds each memory. Beyond it a tenth is forgotten, whichever.
	rememberedAtMost = 100_000
	// heardAtMost bounds what is remembered of writes.
	heardAtMost = 20_000
	// rememberedFor bounds the age of an answer all the same, for what was written past this program.
	rememberedFor = 2 * time.Hour
	// renewedAfter is the age at which an answer is read anew when it is asked for, whatever was heard of writes. One is each renewalPause, and one in
	// each renewalLookups lookups beside that: with some three hundred workspaces in use all are, and many thousands cost no more.
	renewedAfter   = 5 * time.Minute
	renewalPause   = 30 * time.Second
	renewalLookups = 250
	// writesOverlap is how far back the writes are asked for again: one has its time before it is made, and clocks differ.
	writesOverlap = 2 * time.Minute
	// indexLate is how late an index is believed to show a write. What was written in a shorter time is held against the writes that were heard of, and
	// as long as those are not known for so long, no index is asked.
	indexLate = time.Hour
	// looksAtMost is how often a record is read as of now while others write it.
	looksAtMost = 3
)

// Workspace answers like the source, up to TTL later.
func (c *CachedDirectory) Workspace(ctx context.Context, id string) (directory.Workspace, []directory.Destination, error) {
	c.update(ctx)
	now := c.Now()
	c.mu.Lock()
	a, ok := c.workspaces[id]
	ok = ok && c.holds(a.at, now)
	byIndex := c.indexed(now)
	c.mu.Unlock()
	if !ok {
		a = c.readWorkspace(ctx, id, byIndex)
	}
	return a.workspace, a.own, a.err
}

// WorkspaceSince gives a workspace as it was at that time or later. It asks the writes, once for everybody who asks about the same time, and reads the
// workspace as of now unless it was before and has not been written since.
func (c *CachedDirectory) WorkspaceSince(ctx context.Context, id string, at time.Time) (directory.Workspace, []directory.Destination, error) {
	c.ask(ctx, func() bool { return !c.known.After(at) })
	now := c.Now()
	c.mu.Lock()
	a, ok := c.workspaces[id]
	ok = ok && a.current && !c.known.Before(at) && now.Sub(a.at) < rememberedFor
	c.mu.Unlock()
	if !ok {
		a = c.readWorkspace(ctx, id, false)
	}
	return a.workspace, a.own, a.err
}

// readWorkspace reads and remembers a workspace, by the index if that may be asked and agrees with what was heard, else as of now.
func (c *CachedDirectory) readWorkspace(ctx context.Context, id string, byIndex bool) workspaceAnswer {
	var a workspaceAnswer
	if byIndex {
		a.at = c.Now()
		a.workspace, a.own, a.err = c.Source.Workspace(ctx, id)
		if !final(a.err) || c.rememberWorkspace(id, a) {
			return a
		}
	}
	for range looksAtMost {
		a = workspaceAnswer{at: c.Now(), current: true}
		a.workspace, a.own, a.err = c.Source.WorkspaceSince(ctx, id, a.at)
		if !final(a.err) || c.rememberWorkspace(id, a) {
			break
		}
	}
	return a
}

// Destination answers like the source, up to TTL later.
func (c *CachedDirectory) Destination(ctx context.Context, id string) (directory.Destination, error) {
	c.update(ctx)
	now := c.Now()
	c.mu.Lock()
	a, ok := c.destinations[id]
	ok = ok && c.holds(a.at, now)
	byIndex := c.indexed(now)
	c.mu.Unlock()
	if ok {
		return a.destination, a.err
	}
	if byIndex {
		a = destinationAnswer{at: c.Now()}
		a.destination, a.err = c.Source.Destination(ctx, id)
		if !final(a.err) || c.rememberDestination(id, a) {
			return a.destination, a.err
		}
	}
	return c.CurrentDestination(ctx, id)
}

// CurrentDestination asks the source, never the memory.
func (c *CachedDirectory) CurrentDestination(ctx context.Context, id string) (directory.Destination, error) {
	a := destinationAnswer{at: c.Now(), current: true}
	a.destination, a.err = c.Source.CurrentDestination(ctx, id)
	if final(a.err) {
		c.rememberDestination(id, a)
	}
	return a.destination, a.err
}

// PutDestination writes to the source.
func (c *CachedDirectory) PutDestination(ctx context.Context, d directory.Destination, tell ...directory.Outgoing) (directory.Destination, error) {
	at := c.Now()
	d, err := c.Source.PutDestination(ctx, d, tell...)
	if err == nil {
		c.rememberDestination(d.ID, destinationAnswer{at: at, current: true, destination: d})
	}
	return d, err
}

// holds says whether an answer of that age may be given: it is younger than TTL, or the writes since are known and it is not among them. One that is due to
// be read anew, and may be, may not be given.
func (c *CachedDirectory) holds(at, now time.Time) bool {
	c.lookups++
	if now.Sub(at) >= rememberedFor || now.Sub(latest(at, c.known)) >= c.TTL {
		return false
	}
	if now.Sub(at) < renewedAfter || c.lookups < renewalLookups && now.Sub(c.renewed) < renewalPause {
		return true
	}
	c.renewed, c.lookups = now, 0
	return false
}

// indexed says whether an index may be asked: whatever it does not show yet was heard of.
func (c *CachedDirectory) indexed(now time.Time) bool {
	return !c.from.IsZero() && now.Sub(c.from) >= indexLate
}

// update asks what was written if it is time to.
func (c *CachedDirectory) update(ctx context.Context) {
	c.ask(ctx, func() bool { return c.Now().Sub(c.asked) >= c.TTL })
}

// ask asks what was written meanwhile, if due says so, and forgets the answers that contradict it. Due is called with the memory locked.
func (c *CachedDirectory) ask(ctx context.Context, due func() bool) {
	if _, ok := c.since(due); !ok {
		return
	}
	c.asking.Lock()
	defer c.asking.Unlock()
	since, ok := c.since(due) // another may have asked while this one waited
	if !ok {
		return
	}
	now := c.Now()
	writes, err := c.Source.WrittenSince(ctx, since)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = now
	if err != nil && !errors.Is(err, directory.ErrManyWrites) {
		c.Fault(fmt.Errorf("ask what was written in the directory since %s: %w", since.Format(time.RFC3339), err))
		return
	}
	if since.After(c.known) { // there is a gap
		c.from, c.heard, c.workspaces, c.destinations = since, heard{}, nil, nil
	}
	c.known = now
	c.heard.forget(now.Add(-indexLate - writesOverlap))
	if err != nil || c.heard.size()+len(writes) > heardAtMost {
		c.from, c.heard, c.workspaces, c.destinations = now, heard{}, nil, nil
		return
	}
	for _, w := range writes {
		if c.heard.add(w, now) {
			c.forget(w)
		}
	}
}

// since says since when the writes are to be asked for, if they are.
func (c *CachedDirectory) since(due func() bool) (since time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !due() {
		return since, false
	}
	return latest(c.known.Add(-writesOverlap), c.Now().Add(-indexLate)), true
}

// forget drops the answers that a write contradicts.
func (c *CachedDirectory) forget(w directory.Written) {
	if a, ok := c.destinations[w.DestinationID]; ok && !c.destinationAgrees(w.DestinationID, a) {
		delete(c.destinations, w.DestinationID)
	}
	if a, ok := c.workspaces[w.WorkspaceID]; ok && !c.workspaceAgrees(w.WorkspaceID, a) {
		delete(c.workspaces, w.WorkspaceID)
	}
}

func (c *CachedDirectory) destinationAgrees(id string, a destinationAnswer) bool {
	return c.heard.destinations[id].agrees("", a.destination.Incarnation, a.destination.Revision, a.read())
}

// workspaceAgrees holds a workspace and each of its destinations against what was heard. Of the destinations of one that is not there nobody asks.
func (c *CachedDirectory) workspaceAgrees(id string, a workspaceAnswer) bool {
	if !c.heard.workspaces[id].agrees("", a.workspace.Incarnation, a.workspace.Revision, a.read()) {
		return false
	}
	if a.err != nil {
		return true
	}
	for owned := range c.heard.owned[id] {
		incarnation, revision := "", 0
		for _, d := range a.own {
			if d.ID == owned {
				incarnation, revision = d.Incarnation, d.Revision
			}
		}
		if !c.heard.destinations[owned].agrees(id, incarnation, revision, a.read()) {
			return false
		}
	}
	return true
}

// rememberWorkspace remembers an answer unless it is older than something that is known.
func (c *CachedDirectory) rememberWorkspace(id string, a workspaceAnswer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.workspaceAgrees(id, a) {
		return false
	}
	for _, d := range a.own {
		known, ok := c.destinations[d.ID]
		switch {
		case !ok || known.err != nil || !known.destination.SameRecord(d):
		case known.destination.Revision > d.Revision:
			return false
		case known.destination.Revision < d.Revision:
			c.destinations[d.ID] = destinationAnswer{at: a.at, current: a.current, destination: d}
		}
	}
	if before, ok := c.workspaces[id]; ok && before.current && same(before, a) {
		a.current = true
	}
	c.workspaces = remember(c.workspaces, id, a)
	return true
}

// same says whether two answers are of the same writes, or of none.
func same(a, b workspaceAnswer) bool {
	return (a.err == nil) == (b.err == nil) && a.workspace.Incarnation == b.workspace.Incarnation && a.workspace.Revision == b.workspace.Revision &&
		slices.EqualFunc(a.own, b.own, func(x, y directory.Destination) bool { return x.SameRecord(y) && x.Revision == y.Revision })
}

// rememberDestination remembers an answer unless it is older than something that is known. It puts it into its workspace's answer too.
func (c *CachedDirectory) rememberDestination(id string, a destinationAnswer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.destinationAgrees(id, a) {
		return false
	}
	d := a.destination
	if known, ok := c.destinations[id]; ok && known.err == nil && known.destination.SameRecord(d) && known.destination.Revision > d.Revision {
		return false
	}
	c.destinations = remember(c.destinations, id, a)
	of, ok := c.workspaces[d.WorkspaceID]
	i := slices.IndexFunc(of.own, func(o directory.Destination) bool { return o.ID == id })
	if !ok || i < 0 || of.own[i].SameRecord(d) && of.own[i].Revision >= d.Revision {
		return true
	}
	of.own = slices.Clone(of.own) // others may be reading the old one
	of.own[i] = d
	c.workspaces[d.WorkspaceID] = of
	return true
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
