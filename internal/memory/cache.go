package memory

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/btree"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

const (
	// ttlSlack is how long after its expiry a delivery becomes the prey of TTL.
	ttlSlack = time.Hour
	// duePage is how many hints Due gives at once.
	duePage = 1000
)

// Cache is the deliveries table: the cache with its due index and its stream, and the failed events.
type Cache struct {
	// Now is the time.
	Now  func() time.Time
	Hook Hook

	mu       sync.Mutex
	items    map[delivery.Key]delivery.Delivery
	order    *btree.BTreeG[delivery.Key] // by destination, then acceptance
	waiting  dueTrees                    // deliveries without a hint on the queue
	riding   dueTrees                    // deliveries with one
	ends     *btree.BTreeG[delivery.Key] // by acceptance, so by expiry
	failed   map[delivery.Key]delivery.FailedEvent
	failures []delivery.FailedEvent // in the order of recording
	parked   map[string]int         // by destination
	progress delivery.Progress
	stream   []delivery.Change
}

// dueTrees is the due index, or a part of it: one tree a shard, by time.
type dueTrees [delivery.DueShards]*btree.BTreeG[dueItem]

type dueItem struct {
	at  time.Time
	key delivery.Key
}

// NewCache makes an empty table.
func NewCache(now func() time.Time) *Cache {
	c := &Cache{
		Now:    now,
		items:  make(map[delivery.Key]delivery.Delivery),
		order:  btree.NewG(16, func(a, b delivery.Key) bool { return compareKeys(a, b) < 0 }),
		ends:   btree.NewG(16, func(a, b delivery.Key) bool { return byAcceptance(a, b) < 0 }),
		failed: make(map[delivery.Key]delivery.FailedEvent),
		parked: make(map[string]int),
	}
	for i := range delivery.DueShards {
		c.waiting[i] = btree.NewG(16, earlier)
		c.riding[i] = btree.NewG(16, earlier)
	}
	return c
}

func earlier(a, b dueItem) bool {
	return cmp.Or(a.at.Compare(b.at), compareKeys(a.key, b.key)) < 0
}

// dueTree is the tree that holds the delivery.
func (c *Cache) dueTree(d delivery.Delivery) *btree.BTreeG[dueItem] {
	if d.Riding {
		return c.riding[d.DueShard()]
	}
	return c.waiting[d.DueShard()]
}

func compareKeys(a, b delivery.Key) int {
	return cmp.Or(strings.Compare(a.DestinationID, b.DestinationID), a.AcceptedAt.Compare(b.AcceptedAt),
		strings.Compare(a.WorkspaceID, b.WorkspaceID), strings.Compare(a.LogID, b.LogID), strings.Compare(a.Hash, b.Hash))
}

func byAcceptance(a, b delivery.Key) int {
	return cmp.Or(a.AcceptedAt.Compare(b.AcceptedAt), compareKeys(a, b))
}

// Load implements delivery.Cache.
func (c *Cache) Load(_ context.Context, keys []delivery.Key) (found map[delivery.Key]delivery.Delivery, rest []delivery.Key, err error) {
	found = make(map[delivery.Key]delivery.Delivery, len(keys))
	err = c.Hook.do(CallLoad, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		room := delivery.LoadRoom
		for _, k := range keys {
			d, ok := c.items[k]
			if !ok {
				continue
			}
			if room -= len(d.Document.JSON); room < 0 && len(found) > 0 {
				rest = append(rest, k)
				continue
			}
			found[k] = d
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return found, rest, nil
}

// Save implements delivery.Cache.
func (c *Cache) Save(_ context.Context, ds []delivery.Delivery) []error {
	errs := make([]error, len(ds))
	for i, d := range ds {
		errs[i] = c.Hook.do(CallSave, func() error {
			c.mu.Lock()
			defer c.mu.Unlock()
			if stored, ok := c.items[d.Key]; d.Revision > 0 && (!ok || stored.Revision != d.Revision) {
				return delivery.ErrChanged
			}
			d.Revision++
			c.put(d)
			return nil
		})
	}
	return errs
}

// Remove implements delivery.Cache.
func (c *Cache) Remove(_ context.Context, keys []delivery.Key) []error {
	errs := make([]error, len(keys))
	for i, k := range keys {
		errs[i] = c.Hook.do(CallRemove, func() error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.drop(k)
			return nil
		})
	}
	return errs
}

// GiveUp implements delivery.FailedEvents.
func (c *Cache) GiveUp(_ context.Context, ends []delivery.End) []error {
	errs := make([]error, len(ends))
	for i, e := range ends {
		errs[i] = c.Hook.do(CallGiveUp, func() error {
			c.mu.Lock()
			defer c.mu.Unlock()
			stored, ok := c.items[e.Key]
			if _, recorded := c.failed[e.Key]; recorded && !ok {
				return nil
			}
			if !ok || stored.Revision != e.Revision {
				return delivery.ErrChanged
			}
			c.drop(e.Key)
			c.record(e.FailedEvent)
			return nil
		})
	}
	return errs
}

// Record implements delivery.FailedRecorder.
func (c *Cache) Record(_ context.Context, es []delivery.FailedEvent) []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = c.Hook.do(CallRecord, func() error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.record(e)
			return nil
		})
	}
	return errs
}

func (c *Cache) record(e delivery.FailedEvent) {
	if _, ok := c.failed[e.Key]; ok {
		return
	}
	c.failed[e.Key] = e
	c.failures = append(c.failures, e)
	c.stream = append(c.stream, delivery.Change{Failed: &e})
}

func (c *Cache) put(d delivery.Delivery) {
	c.drop(d.Key)
	c.items[d.Key] = d
	c.order.ReplaceOrInsert(d.Key)
	c.ends.ReplaceOrInsert(d.Key)
	c.dueTree(d).ReplaceOrInsert(dueItem{d.NextAt, d.Key})
	if d.Parked {
		c.parked[d.DestinationID]++
	}
}

func (c *Cache) drop(k delivery.Key) {
	d, ok := c.items[k]
	if !ok {
		return
	}
	delete(c.items, k)
	c.order.Delete(k)
	c.ends.Delete(k)
	c.dueTree(d).Delete(dueItem{d.NextAt, k})
	if d.Parked {
		c.parked[d.DestinationID]--
	}
}

// Due implements delivery.Index.
func (c *Cache) Due(_ context.Context, shard int, after, until time.Time, riding bool) iter.Seq2[[]delivery.Hint, error] {
	return func(yield func([]delivery.Hint, error) bool) {
		var hints []delivery.Hint
		err := c.Hook.do(CallDue, func() error {
			c.mu.Lock()
			defer c.mu.Unlock()
			trees := []*btree.BTreeG[dueItem]{c.waiting[shard]}
			if riding {
				trees = append(trees, c.riding[shard])
			}
			for _, tree := range trees {
				tree.AscendRange(dueItem{at: after.Add(1)}, dueItem{at: until.Add(1)}, func(i dueItem) bool {
					hints = append(hints, delivery.Hint{Key: i.key, At: i.at})
					return true
				})
			}
			slices.SortStableFunc(hints, func(a, b delivery.Hint) int { return a.At.Compare(b.At) })
			return nil
		})
		if err != nil {
			yield(nil, err)
			return
		}
		for len(hints) > 0 {
			n := min(duePage, len(hints))
			if !yield(hints[:n], nil) {
				return
			}
			hints = hints[n:]
		}
	}
}

// Progress implements delivery.Index.
func (c *Cache) Progress(context.Context) (delivery.Progress, error) {
	var p delivery.Progress
	err := c.Hook.do(CallProgress, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		p = c.progress
		return nil
	})
	return p, err
}

// SaveProgress implements delivery.Index.
func (c *Cache) SaveProgress(_ context.Context, p delivery.Progress) error {
	return c.Hook.do(CallSaveProgress, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.progress = p
		return nil
	})
}

// List gives up to limit deliveries of a destination, the oldest first, that come after the key, which is zero for the first page.
func (c *Cache) List(destinationID string, after delivery.Key, limit int) []delivery.Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	var page []delivery.Delivery
	if after.DestinationID == "" {
		after.DestinationID = destinationID
	}
	c.order.AscendGreaterOrEqual(after, func(k delivery.Key) bool {
		if k.DestinationID != destinationID || len(page) == limit {
			return false
		}
		if k != after {
			page = append(page, c.items[k])
		}
		return true
	})
	return page
}

// FirstDue gives the earliest times of a delivery that waits in the index and of one that rides on the queue; zero if there is none.
func (c *Cache) FirstDue() (waiting, riding time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range delivery.DueShards {
		if first, ok := c.waiting[i].Min(); ok && (waiting.IsZero() || first.at.Before(waiting)) {
			waiting = first.at
		}
		if first, ok := c.riding[i].Min(); ok && (riding.IsZero() || first.at.Before(riding)) {
			riding = first.at
		}
	}
	return waiting, riding
}

// Len counts the deliveries in the cache.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.items)
}

// All gives every delivery in the cache, by destination, the oldest first.
func (c *Cache) All() []delivery.Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]delivery.Delivery, 0, len(c.items))
	c.order.Ascend(func(k delivery.Key) bool {
		all = append(all, c.items[k])
		return true
	})
	return all
}

// FailedEvents gives every failed event in the order of recording.
func (c *Cache) FailedEvents() []delivery.FailedEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]delivery.FailedEvent(nil), c.failures...)
}

// RemoveExpired is TTL: it removes deliveries that expired more than an hour and lag ago, and puts each on the stream.
func (c *Cache) RemoveExpired(lag time.Duration) {
	limit := c.Now().Add(-delivery.Lifetime - ttlSlack - lag)
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		k, ok := c.ends.Min()
		if !ok || k.AcceptedAt.After(limit) {
			return
		}
		d := c.items[k]
		c.drop(k)
		c.stream = append(c.stream, delivery.Change{Expired: &d})
	}
}

// Changes gives the stream's changes that were not acknowledged, oldest first, up to limit.
func (c *Cache) Changes(limit int) []delivery.Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]delivery.Change(nil), c.stream[:min(limit, len(c.stream))]...)
}

// AckChanges moves the stream on by n changes.
func (c *Cache) AckChanges(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream = c.stream[n:]
}
