package dynamotest

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/btree"
)

// listing is a Query.
type listing struct {
	table       *string
	index       *string
	condition   *string
	filter      *string
	projection  *string
	limit       *int32
	start       Item
	descending  bool
	consistent  bool
	substitutes substitutes
}

// page is what a listing answers. Last is where the next page begins, nil if this was the end.
type page struct {
	items   []Item
	last    Item
	scanned int
}

func (t *Tables) query(in *dynamodb.QueryInput) (*dynamodb.QueryOutput, error) {
	p, err := t.list(listing{
		table: in.TableName, index: in.IndexName, condition: in.KeyConditionExpression, filter: in.FilterExpression, projection: in.ProjectionExpression,
		limit: in.Limit, start: in.ExclusiveStartKey, consistent: aws.ToBool(in.ConsistentRead),
		descending:  in.ScanIndexForward != nil && !*in.ScanIndexForward,
		substitutes: substitutes{in.ExpressionAttributeNames, in.ExpressionAttributeValues},
	})
	return &dynamodb.QueryOutput{Items: p.items, LastEvaluatedKey: p.last, Count: int32(len(p.items)), ScannedCount: int32(p.scanned)}, err
}

// list reads one page: the items in their order from behind start on, as many as limit says before the filter.
func (t *Tables) list(l listing) (page, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tab, err := t.open(l.table)
	if err != nil {
		return page{}, err
	}
	place, keys, err := tab.keysOf(l)
	if err != nil {
		return page{}, err
	}
	items, more, err := t.matching(tab, place, keys, l)
	if err != nil {
		return page{}, err
	}
	var p page
	if more {
		p.last = only(items[len(items)-1], keys.all())
	}
	p.scanned = len(items)
	wanted := projection(l.projection, l.substitutes.names)
	for _, i := range items {
		ok, err := t.check(l.filter, l.substitutes, i)
		if err != nil {
			return page{}, err
		}
		if ok {
			p.items = append(p.items, projected(i, wanted))
		}
	}
	return p, nil
}

// keys are the attributes that a listing is ordered by: of an index, then of the table.
type keys struct{ partition, sort, tablePartition, tableSort string }

func (k keys) all() []string {
	return slices.DeleteFunc([]string{k.partition, k.sort, k.tablePartition, k.tableSort}, func(s string) bool { return s == "" })
}

// keysOf gives the place of the listing's index, -1 for the table itself, and its keys.
func (t *table) keysOf(l listing) (int, keys, error) {
	if l.index == nil {
		return -1, keys{t.Partition, t.Sort, "", ""}, nil
	}
	if l.consistent {
		return 0, keys{}, invalid("consistent reads are not supported on global secondary indexes")
	}
	for i, x := range t.Indexes {
		if x.Name == *l.index {
			return i, keys{x.Partition, x.Sort, t.Partition, t.Sort}, nil
		}
	}
	return 0, keys{}, invalid("no index %s", *l.index)
}

// matching gives the items that the key condition names, as the table or the index shows them now, in their order and as many as may be looked at. More
// says that others may follow.
func (t *Tables) matching(tab *table, index int, k keys, l listing) (items []Item, more bool, err error) {
	places, in, err := t.ranged(tab, index, k, l)
	if err != nil {
		return nil, false, err
	}
	now := t.Now()
	low, high := t.bounds(k, l)
	visit := func(p place) bool {
		if high != nil && !l.descending {
			if c, _ := order(p.sort, high); c > 0 {
				return false
			}
		}
		i := t.shown(tab, index, p, l.consistent, now)
		if i == nil || !in(i) {
			return true
		}
		if l.limit != nil && len(items) == int(*l.limit) {
			more = true
			return false
		}
		if index >= 0 {
			i = tab.shownBy(tab.Indexes[index], i)
		}
		items = append(items, i)
		return true
	}
	switch from := l.from(tab, k); {
	case places == nil:
		for _, name := range sortedKeys(tab.rows) {
			if from.row == nil && (l.start == nil || name > from.key) && !visit(place{row: tab.rows[name]}) {
				break
			}
		}
	case l.start == nil && l.descending:
		places.Descend(visit)
	case l.start == nil && low != nil:
		places.AscendGreaterOrEqual(place{sort: low}, visit)
	case l.start == nil:
		places.Ascend(visit)
	case l.descending:
		places.DescendLessOrEqual(from, func(p place) bool { return !before(p, from) || visit(p) })
	default:
		places.AscendGreaterOrEqual(from, func(p place) bool { return !before(from, p) || visit(p) })
	}
	return items, more, nil
}

// bounds are the lowest and the highest sort key that a key condition lets through; nil is any. They only save time: the condition is asked all the same.
func (t *Tables) bounds(k keys, l listing) (low, high types.AttributeValue) {
	if l.condition == nil || k.sort == "" {
		return nil, nil
	}
	n, err := t.condition(*l.condition)
	if err != nil || n.op != "AND" {
		return nil, nil
	}
	for _, part := range n.parts {
		if len(part.parts) < 2 {
			continue
		}
		if name, err := l.substitutes.name(part.parts[0]); err != nil || name != k.sort {
			continue
		}
		first, _ := l.substitutes.value(part.parts[1], nil)
		switch part.op {
		case "BETWEEN":
			low = first
			high, _ = l.substitutes.value(part.parts[2], nil)
		case ">", ">=":
			low = first
		case "<", "<=":
			high = first
		}
	}
	return low, high
}

// from is the place after which a page begins.
func (l listing) from(tab *table, k keys) place {
	if l.start == nil {
		return place{}
	}
	key, _, _ := tab.keyOf(l.start)
	return place{sort: l.start[k.sort], key: key}
}

// shown is the item at a place as a read shows it now, nil if it does not.
func (t *Tables) shown(tab *table, index int, p place, consistent bool, now time.Time) Item {
	if index < 0 {
		return t.seen(tab, p.row, consistent)
	}
	x := tab.Indexes[index]
	i := p.row.in(index, now)
	if !x.holds(i) {
		return nil
	}
	if p.sort != nil && !equal(i[x.Sort], p.sort) {
		return nil // it stands, or stood, at another place
	}
	return i
}

// ranged gives the partition that a listing reads, nil for the whole table, and what an item must be to be among those that it names.
func (t *Tables) ranged(tab *table, index int, k keys, l listing) (places *btree.BTreeG[place], in func(Item) bool, err error) {
	if l.condition == nil {
		return nil, func(Item) bool { return true }, nil
	}
	condition, err := t.condition(*l.condition)
	if err != nil {
		return nil, nil, err
	}
	v, err := l.substitutes.partition(condition, k.partition)
	if err != nil {
		return nil, nil, err
	}
	partition, err := keyText(Item{k.partition: v}, k.partition)
	if err != nil {
		return nil, nil, err
	}
	if _, err := l.substitutes.holds(condition, Item{k.partition: v}); err != nil {
		return nil, nil, err
	}
	if places = tab.partitions[partition]; index >= 0 {
		places = tab.indexes[index][partition]
	}
	if places == nil {
		return t.none, func(Item) bool { return false }, nil
	}
	return places, func(i Item) bool {
		ok, err := l.substitutes.holds(condition, i)
		return ok && err == nil
	}, nil
}

// shownBy is the part of an item that an index holds.
func (t *table) shownBy(x Index, i Item) Item {
	if x.Includes == nil {
		return i
	}
	return only(i, slices.Concat([]string{t.Partition, t.Sort, x.Partition, x.Sort}, x.Includes))
}

// partition finds the value that a key condition wants the partition key to have.
func (s substitutes) partition(n *node, key string) (types.AttributeValue, error) {
	switch n.op {
	case "AND":
		for _, part := range n.parts {
			if v, err := s.partition(part, key); err == nil {
				return v, nil
			}
		}
	case "=":
		if name, err := s.name(n.parts[0]); err == nil && name == key {
			return s.value(n.parts[1], nil)
		}
	}
	return nil, invalid("the key condition says nothing of %s", key)
}

// partitionOf names the partition and the key of an item.
func (t *Tables) partitionOf(name string, i Item) (partition, key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tab := t.tables[name]
	if tab == nil {
		return name, ""
	}
	p, _ := keyText(i, tab.Partition)
	return name + " " + p, textOf(i[tab.Sort])
}

// asks names the partition that a query reads, and says whether it is one of an index that is empty, and showed nothing of late.
func (t *Tables) asks(in *dynamodb.QueryInput) (partition string, nothing bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tab, err := t.open(in.TableName)
	if err != nil {
		return "", false
	}
	place, k, err := tab.keysOf(listing{index: in.IndexName})
	if err != nil {
		return "", false
	}
	n, err := t.condition(aws.ToString(in.KeyConditionExpression))
	if err != nil {
		return "", false
	}
	v, err := substitutes{in.ExpressionAttributeNames, in.ExpressionAttributeValues}.partition(n, k.partition)
	if err != nil {
		return "", false
	}
	partition, _ = keyText(Item{k.partition: v}, k.partition)
	return strings.TrimSpace(aws.ToString(in.IndexName) + " " + partition), place >= 0 && tab.empty(place, partition, t.Now())
}
