package simulate

import (
	"context"
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// store is the table deliveries: memory's, counting what package dynamo would do and pay.
type store struct {
	*memory.Cache
	meter *Meter
	logs  *samples
	// loaded counts the keys that the invocation at hand reads; deliver reads them all at once, a hundred a call.
	loaded int
	gaveUp func(log int)
}

// Load implements delivery.Cache. The calls are counted by the invocation.
func (s *store) Load(ctx context.Context, keys []delivery.Key) (map[delivery.Key]delivery.Delivery, []delivery.Key, error) {
	s.loaded += len(keys)
	halves := 0
	for _, k := range keys {
		halves += 2 * times(s.logs.itemBytes(k.LogID), readUnit)
	}
	s.meter.add(Loading, Count{HalfReads: halves, Items: len(keys)})
	s.meter.wait(Count{Dynamo: times(len(keys), readsACall)})
	return s.Cache.Load(ctx, keys)
}

// Save implements delivery.Cache. New deliveries go 25 a call and cost the item and its index entry; others go alone and cost the index twice,
// since its key moves. The documents are dropped for samples, so that a large backlog fits into memory.
func (s *store) Save(ctx context.Context, ds []delivery.Delivery) []error {
	var fresh, moved Count
	for i := range ds {
		units := times(s.logs.itemBytes(ds[i].LogID), writeUnit)
		if ds[i].Revision == 0 {
			fresh.add(Count{Writes: units + 1, Items: 1})
		} else {
			moved.add(Count{Dynamo: 1, Writes: units + 2, Items: 1})
		}
		ds[i].Document.JSON = s.logs.document(ds[i].LogID)
	}
	fresh.Dynamo = times(fresh.Items, writesACall)
	s.meter.add(Caching, fresh)
	s.meter.add(Retrying, moved)
	return s.Cache.Save(ctx, ds)
}

// Remove implements delivery.Cache.
func (s *store) Remove(ctx context.Context, keys []delivery.Key) []error {
	c := Count{Dynamo: times(len(keys), writesACall), Items: len(keys)}
	for _, k := range keys {
		c.Writes += times(s.logs.itemBytes(k.LogID), writeUnit) + 1
	}
	s.meter.add(Removing, c)
	return s.Cache.Remove(ctx, keys)
}

// GiveUp implements delivery.FailedEvents: a transaction, which costs twice, of the item, its index entry and the failed event.
func (s *store) GiveUp(ctx context.Context, ends []delivery.End) []error {
	c := Count{Dynamo: len(ends), Items: len(ends)}
	for _, e := range ends {
		c.Writes += 2*times(s.logs.itemBytes(e.LogID), writeUnit) + 1 + 2
		s.gaveUp(numberOf(e.LogID))
	}
	s.meter.add(GivingUp, c)
	return s.Cache.GiveUp(ctx, ends)
}

// Due implements delivery.Index: a query for each page, at least one.
func (s *store) Due(ctx context.Context, shard int, after, until time.Time, riding bool) iter.Seq2[[]delivery.Hint, error] {
	return func(yield func([]delivery.Hint, error) bool) {
		s.meter.add(Minutes, Count{Dynamo: 1, HalfReads: 1})
		for hints, err := range s.Cache.Due(ctx, shard, after, until, riding) {
			s.meter.add(Minutes, Count{HalfReads: len(hints) * s.logs.indexBytes / readUnit, Items: len(hints)})
			if !yield(hints, err) {
				return
			}
		}
	}
}

// Progress implements delivery.Index.
func (s *store) Progress(ctx context.Context) (delivery.Progress, error) {
	s.meter.add(Minutes, Count{Dynamo: 1, HalfReads: 2})
	return s.Cache.Progress(ctx)
}

// SaveProgress implements delivery.Index.
func (s *store) SaveProgress(ctx context.Context, p delivery.Progress) error {
	s.meter.add(Minutes, Count{Dynamo: 1, Writes: 1})
	return s.Cache.SaveProgress(ctx, p)
}

// Waiting implements delivery.Backlog. Each of the destination's partitions is asked for a whole page, and whole items are read.
func (s *store) Waiting(ctx context.Context, destinationID string, after delivery.Key, limit int) ([]delivery.Waiting, error) {
	page, err := s.Cache.Waiting(ctx, destinationID, after, limit)
	read := len(page)
	if read == limit {
		read = min(limit*writeShards, max(read, s.Len()))
	}
	s.meter.add(Backlogs, Count{Dynamo: writeShards, HalfReads: max(writeShards, times(read*s.logs.meanBytes, readUnit)), Items: len(page)})
	return page, err
}

// drains is how far drains have come.
type drains struct {
	memory.Drains
	meter *Meter
}

// DrainState implements delivery.DrainProgress.
func (d *drains) DrainState(ctx context.Context, destinationID string) (delivery.DrainState, error) {
	d.meter.add(Backlogs, Count{Dynamo: 1, HalfReads: 2})
	return d.Drains.DrainState(ctx, destinationID)
}

// SaveDrainState implements delivery.DrainProgress.
func (d *drains) SaveDrainState(ctx context.Context, destinationID string, s delivery.DrainState) error {
	d.meter.add(Backlogs, Count{Dynamo: 1, Writes: 1})
	return d.Drains.SaveDrainState(ctx, destinationID, s)
}

// turns is how far turns have come.
type turns struct {
	memory memory.Turns
	meter  *Meter
}

// Turns implements delivery.TurnProgress.
func (t *turns) Turns(ctx context.Context, destinationID string) (delivery.Turns, error) {
	t.meter.add(Backlogs, Count{Dynamo: 1, HalfReads: 1})
	return t.memory.Turns(ctx, destinationID)
}

// SaveTurns implements delivery.TurnProgress.
func (t *turns) SaveTurns(ctx context.Context, destinationID string, s delivery.Turns) error {
	t.meter.add(Backlogs, Count{Dynamo: 1, Writes: 1})
	return t.memory.SaveTurns(ctx, destinationID, s)
}

// budget counts the attempts at failing destinations.
type budget struct {
	memory.Budget
	meter *Meter
}

// Reserve implements delivery.Budget.
func (b *budget) Reserve(ctx context.Context, destinationID string, w delivery.Window, n int) (int, error) {
	b.meter.add(HealthMarks, Count{Dynamo: 1, Writes: 1})
	return b.Budget.Reserve(ctx, destinationID, w, n)
}

// notices counts the notices that are sent; nobody reads them here.
type notices struct{ meter *Meter }

// Notify implements delivery.Notices.
func (n notices) Notify(context.Context, directory.Notice) error {
	n.meter.add(HealthMarks, Count{SQS: 1})
	return nil
}

// registry is the table directory. One strand runs at a time, so it needs no lock.
type registry struct {
	meter        *Meter
	workspaces   map[string]directory.Workspace
	destinations map[string]directory.Destination // by workspace, which owns one each
	attention    map[string]bool                  // by destination
	written      []directory.Written              // in the order of time
	now          func() time.Time
	// blind is without health: whoever asks as of now finds a transition made already, and nothing is stored.
	blind bool
}

// Workspace implements delivery.Directory.
func (r *registry) Workspace(_ context.Context, id string) (directory.Workspace, []directory.Destination, error) {
	r.meter.add(Lookups, Count{Dynamo: 1, HalfReads: 1})
	return r.workspaces[id], []directory.Destination{r.destinations[id]}, nil
}

// WorkspaceSince implements delivery.Directory: the index, and as of now the roll, the workspace and its destination.
func (r *registry) WorkspaceSince(_ context.Context, id string, _ time.Time) (directory.Workspace, []directory.Destination, error) {
	r.meter.add(Lookups, Count{Dynamo: 4, HalfReads: 1 + 3*2})
	return r.workspaces[id], []directory.Destination{r.destinations[id]}, nil
}

// Destination implements delivery.Directory.
func (r *registry) Destination(_ context.Context, id string) (directory.Destination, error) {
	r.meter.add(Lookups, Count{Dynamo: 1, HalfReads: 1})
	return r.destinations[workspaceOf(id)], nil
}

// CurrentDestination implements delivery.DestinationStore.
func (r *registry) CurrentDestination(_ context.Context, id string) (directory.Destination, error) {
	d := r.destinations[workspaceOf(id)]
	if r.blind {
		d.Health = directory.Health{State: directory.Failing, Code: failure.NetTimeout}
		return d, nil
	}
	r.meter.add(HealthMarks, Count{Dynamo: 1, HalfReads: 2})
	return d, nil
}

// PutDestination implements delivery.DestinationStore: a number that is drawn, and a transaction, which costs twice, of the record, its entry among the
// writes and what is to be told of it.
func (r *registry) PutDestination(_ context.Context, d directory.Destination, tell ...directory.Outgoing) (directory.Destination, error) {
	r.meter.add(HealthMarks, Count{Dynamo: 2, Writes: 1 + 2*(recordWrites+1+outgoingWrites*len(tell))})
	if r.destinations[d.WorkspaceID].Revision != d.Revision {
		return d, directory.ErrChanged
	}
	d.Revision++
	r.destinations[d.WorkspaceID] = d
	r.written = append(r.written, directory.Written{WorkspaceID: d.WorkspaceID, DestinationID: d.ID, Revision: d.Revision, At: r.now()})
	delete(r.attention, d.ID)
	if d.NeedsAttention() {
		r.attention[d.ID] = true
	}
	return d, nil
}

// WrittenSince implements delivery.Writes.
func (r *registry) WrittenSince(_ context.Context, since time.Time) ([]directory.Written, error) {
	first := sort.Search(len(r.written), func(i int) bool { return !r.written[i].At.Before(since) })
	return slices.Clone(r.written[first:]), nil
}

// reader is an execution environment's adapter of the registry. It reads each entry of the writes once.
type reader struct {
	*registry
	read int // how many entries, from the first on
}

// WrittenSince implements delivery.Writes: a counter a shard, the entries that were not read before, and of each shard with writes the first that is older.
func (r *reader) WrittenSince(ctx context.Context, since time.Time) ([]directory.Written, error) {
	writes, err := r.registry.WrittenSince(ctx, since)
	fresh := min(len(writes), len(r.written)-r.read)
	read := writtenShards + fresh
	if fresh > 0 && r.read == 0 {
		read += writtenShards
	}
	r.read = len(r.written)
	r.meter.add(Lookups, Count{Dynamo: read, HalfReads: 2 * read, Items: fresh})
	return writes, err
}

// sweep finds nothing that was left over.
func (r *registry) sweep(context.Context) error {
	r.meter.add(Minutes, Count{Dynamo: 1, HalfReads: 1})
	return nil
}

// outbox counts what is told; nobody listens here.
type outbox struct{ meter *Meter }

// Tell implements delivery.Outbox.
func (o outbox) Tell(context.Context, directory.Outgoing) {
	o.meter.add(HealthMarks, Count{Dynamo: 1, Writes: outgoingWrites})
}

// Attention implements delivery.Attention.
func (r *registry) Attention(context.Context) iter.Seq2[directory.Destination, error] {
	return func(yield func(directory.Destination, error) bool) {
		ids := make([]string, 0, len(r.attention))
		for id := range r.attention {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		r.meter.add(Minutes, Count{Dynamo: 1, HalfReads: 1 + len(ids)/4})
		for _, id := range ids {
			if !yield(r.destinations[workspaceOf(id)], nil) {
				return
			}
		}
	}
}
