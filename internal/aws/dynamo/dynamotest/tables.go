// Package dynamotest is DynamoDB in memory, at the level of its API: conditional writes, transactions with their tokens, indexes and replicas that show a
// write late, unprocessed items, a stream, TTL. The adapter runs over it as over the service, see Client.
//
// It knows the parts of the API that the adapter uses, and refuses what it does not know. What it takes for true of the service stands in
// docs/services.md, each fact with its source.
package dynamotest

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/google/btree"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Item is a row of a table.
type Item = map[string]types.AttributeValue

// Schema is how a table is laid out.
type Schema struct {
	Name string
	// Partition and Sort are the key's attributes; Sort is empty in a table without one.
	Partition, Sort string
	// TTL is the attribute that says in Unix seconds when an item may be removed.
	TTL     string
	Indexes []Index
	// Streams says which changes stand in the table's stream, as somebody who follows it filters them; nil if there is no stream.
	Streams func(Change) bool
}

// Index is a global secondary index. An item stands in it that has both of its attributes.
type Index struct {
	Name            string
	Partition, Sort string
	// Includes are the attributes that it holds besides the keys; nil for all.
	Includes []string
}

// Tables are the tables of an account. They are safe for concurrent use.
type Tables struct {
	Now func() time.Time
	// IndexLag, if set, is how long after a write of an item an index shows it. A later write of the item is never shown before an earlier one.
	IndexLag func(table, index, key string) time.Duration
	// ReadLag, if set, is how old an eventually consistent read of an item may be this time, LongestReadLag at most.
	ReadLag func(table, key string) time.Duration
	// Wrote, if set, is told each write of an item once it stands, with what was there before; nil is no item.
	Wrote func(table string, before, after Item)

	mu          sync.Mutex
	tables      map[string]*table
	expressions map[string]*node
	tokens      map[string]token
	none        *btree.BTreeG[place] // an empty partition
}

// LongestReadLag is the oldest that an eventually consistent read of a table can be.
const LongestReadLag = 5 * time.Second

// tokenKept is how long a transaction's token is remembered.
const tokenKept = 10 * time.Minute

type token struct {
	at      time.Time
	request string
}

type table struct {
	Schema
	rows       map[string]*row
	partitions map[string]*btree.BTreeG[place]
	indexes    []map[string]*btree.BTreeG[place] // by the index's place among the indexes and by its partition
	changes    []Change
	sequence   int
}

// place is where a version of a row stands in a partition of the table or of an index.
type place struct {
	sort types.AttributeValue // nil if there is no sort key
	key  string
	row  *row
	// versions counts those that stand here.
	versions *int
}

func before(a, b place) bool {
	if c, _ := order(a.sort, b.sort); c != 0 {
		return c < 0
	}
	return a.key < b.key
}

func newPartition() *btree.BTreeG[place] { return btree.NewG(8, before) }

// row is one item's versions, the newest last. There is at least one.
type row struct {
	key       string // partition and sort key
	partition string
	place     place
	versions  []version
}

type version struct {
	at    time.Time
	item  Item        // nil if it was removed
	shown []time.Time // for each index: when it shows this version
}

func (r *row) current() Item { return r.versions[len(r.versions)-1].item }

// asOf is the item as a read of that time shows it.
func (r *row) asOf(t time.Time) Item {
	for i := len(r.versions) - 1; i >= 0; i-- {
		if !r.versions[i].at.After(t) {
			return r.versions[i].item
		}
	}
	return nil
}

// in is the item as an index shows it now.
func (r *row) in(index int, now time.Time) Item {
	for i := len(r.versions) - 1; i >= 0; i-- {
		if !r.versions[i].shown[index].After(now) {
			return r.versions[i].item
		}
	}
	return nil
}

// Create makes an empty table.
func (t *Tables) Create(s Schema) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tables == nil {
		t.tables, t.none = make(map[string]*table), newPartition()
	}
	made := &table{Schema: s, rows: make(map[string]*row), partitions: make(map[string]*btree.BTreeG[place]), indexes: make([]map[string]*btree.BTreeG[place], len(s.Indexes))}
	for i := range made.indexes {
		made.indexes[i] = make(map[string]*btree.BTreeG[place])
	}
	t.tables[s.Name] = made
}

// Items gives every item of a table as it is now, in no order.
func (t *Tables) Items(name string) []Item {
	t.mu.Lock()
	defer t.mu.Unlock()
	var items []Item
	for _, r := range t.tables[name].rows {
		if i := r.current(); i != nil {
			items = append(items, maps.Clone(i))
		}
	}
	return items
}

// Empty says that a partition of an index holds no item, and showed none of late.
func (t *Tables) Empty(name, index, partition string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	tab := t.tables[name]
	for i, x := range tab.Indexes {
		if x.Name == index {
			return tab.empty(i, partition, t.Now())
		}
	}
	return true
}

// empty says that no read of an index's partition finds anything.
func (t *table) empty(index int, partition string, now time.Time) bool {
	places := t.indexes[index][partition]
	if places == nil {
		return true
	}
	for {
		first, ok := places.Min()
		if !ok {
			return true
		}
		t.prune(first.row, now)
		if places.Has(first) {
			return false
		}
	}
}

// Any says that an index holds an item, or showed one of late.
func (t *Tables) Any(name, index string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	tab := t.tables[name]
	for i, x := range tab.Indexes {
		if x.Name != index {
			continue
		}
		for partition := range tab.indexes[i] {
			if !tab.empty(i, partition, t.Now()) {
				return true
			}
		}
	}
	return false
}

// RemoveExpired is TTL: it removes the items of a table whose time was up before that one.
func (t *Tables) RemoveExpired(name string, before time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tab := t.tables[name]
	for _, key := range sortedKeys(tab.rows) {
		r := tab.rows[key]
		n, ok := r.current()[tab.TTL].(*types.AttributeValueMemberN)
		if ok && numeric(n.Value) < float64(before.Unix()) {
			t.write(tab, r.current(), nil, true)
		}
	}
}

// keyOf names an item by its key's attributes.
func (s Schema) keyOf(i Item) (key, partition string, err error) {
	partition, err = keyText(i, s.Partition)
	if err != nil || s.Sort == "" {
		return partition, partition, err
	}
	sort, err := keyText(i, s.Sort)
	return partition + "\x00" + sort, partition, err
}

func keyText(i Item, name string) (string, error) {
	switch v := i[name].(type) {
	case *types.AttributeValueMemberS:
		if v.Value != "" {
			return v.Value, nil
		}
	case *types.AttributeValueMemberN:
		return v.Value, nil
	}
	return "", invalid("the key attribute %s is missing, empty or of no key's type", name)
}

// find gives the row of a key, nil if there never was one.
func (t *table) find(key Item) (*row, error) {
	k, _, err := t.keyOf(key)
	return t.rows[k], err
}

// now is the item of a row, nil if there is none.
func now(r *row) Item {
	if r == nil {
		return nil
	}
	return r.current()
}

// write puts item in the place of key's, nil to remove it. The tables are locked.
func (t *Tables) write(tab *table, key, item Item, byTTL bool) {
	name, partition, _ := tab.keyOf(key) // checked by the caller
	at := t.Now()
	r := tab.rows[name]
	if r == nil {
		if item == nil {
			return
		}
		r = &row{key: name, partition: partition, versions: []version{{shown: make([]time.Time, len(tab.Indexes))}}}
		tab.rows[name] = r
		if tab.partitions[partition] == nil {
			tab.partitions[partition] = newPartition()
		}
		r.place = place{sort: key[tab.Sort], key: name, row: r}
		tab.partitions[partition].ReplaceOrInsert(r.place)
	}
	before := r.current()
	v := version{at: at, item: item, shown: make([]time.Time, len(tab.Indexes))}
	for i, x := range tab.Indexes {
		v.shown[i] = at
		if t.IndexLag != nil {
			v.shown[i] = at.Add(t.IndexLag(tab.Name, x.Name, name))
		}
		if last := r.versions[len(r.versions)-1].shown[i]; last.After(v.shown[i]) {
			v.shown[i] = last
		}
	}
	r.versions = append(r.versions, v)
	tab.enter(r, v, 1)
	tab.prune(r, at)
	if change := (Change{At: at, Before: before, After: item, ByTTL: byTTL}); tab.Streams != nil && (before != nil || item != nil) && tab.Streams(change) {
		tab.sequence++
		change.Sequence = fmt.Sprintf("%021d", tab.sequence)
		tab.changes = append(tab.changes, change)
	}
	if t.Wrote != nil {
		t.Wrote(tab.Name, maps.Clone(before), maps.Clone(item))
	}
}

// enter counts a version in, or out of, the indexes that it stands in.
func (t *table) enter(r *row, v version, by int) {
	for i, x := range t.Indexes {
		if !x.holds(v.item) {
			continue
		}
		partition, _ := keyText(v.item, x.Partition)
		places := t.indexes[i][partition]
		if places == nil {
			places = newPartition()
			t.indexes[i][partition] = places
		}
		p := place{sort: v.item[x.Sort], key: r.key, row: r}
		if known, ok := places.Get(p); ok {
			p = known
		} else {
			p.versions = new(int)
			places.ReplaceOrInsert(p)
		}
		if *p.versions += by; *p.versions == 0 {
			places.Delete(p)
		}
	}
}

func (x Index) holds(i Item) bool { return i[x.Partition] != nil && (x.Sort == "" || i[x.Sort] != nil) }

// prune forgets the versions that no read can see any more, and a row of which nothing is left.
func (t *table) prune(r *row, now time.Time) {
	for len(r.versions) > 1 && r.versions[1].settled(now) {
		t.enter(r, r.versions[0], -1)
		r.versions = r.versions[1:]
	}
	if len(r.versions) == 1 && r.versions[0].item == nil {
		delete(t.rows, r.key)
		t.partitions[r.partition].Delete(r.place)
	}
}

// settled says that every read shows the version or a later one.
func (v version) settled(now time.Time) bool {
	if v.at.After(now.Add(-LongestReadLag)) {
		return false
	}
	for _, at := range v.shown {
		if at.After(now) {
			return false
		}
	}
	return true
}
