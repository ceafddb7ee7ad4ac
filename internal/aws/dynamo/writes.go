package dynamo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Each write of a record draws the next number of its shard and leaves an entry under it, in one transaction with the record. So a consistent read of
// the shards' counters says whether anything was written, and of the entries what, however late the indexes are.
const (
	writtenPrefix = "C#"
	// writtenShards spreads the counters, of which each write raises one, over partitions of 1,000 writes a second. WrittenSince reads each of them.
	writtenShards = 2
	// writtenKept is how long an entry is kept.
	writtenKept = 7 * 24 * time.Hour
	// writtenAtMost is how many entries of a shard WrittenSince reads, firstWritten and mostWritten how many beside each other: from the newest on, at
	// first a few, then twice as many each time.
	writtenAtMost = 2048
	firstWritten  = 2
	mostWritten   = 64
)

func counterKey(shard string) item { return directoryKey(writtenPrefix, shard) }

func entryKey(shard string, n int64) item {
	return directoryKey(writtenPrefix, shard+"#"+strconv.FormatInt(n, 10))
}

// recordKey is the key of the record that was written.
func recordKey(w directory.Written) string {
	if w.DestinationID != "" {
		return destinationPrefix + w.DestinationID
	}
	return workspacePrefix + w.WorkspaceID
}

// entry draws a number for a write and gives the entry to be stored with the record. A number of a write that failed has none.
func (d *Directory) entry(ctx context.Context, w directory.Written) (types.TransactWriteItem, error) {
	now := d.Now()
	shard := shardOf(recordKey(w), writtenShards)
	out, err := d.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &d.Table, Key: counterKey(shard), UpdateExpression: aws.String("ADD drawn :one SET drawn_at = :now"),
		ExpressionAttributeValues: item{":one": number(1), ":now": number(millis(now))}, ReturnValues: types.ReturnValueUpdatedNew,
	})
	if err != nil {
		return types.TransactWriteItem{}, fmt.Errorf("draw a number for a write: %w", err)
	}
	n, err := item(out.Attributes).number("drawn")
	if err != nil {
		return types.TransactWriteItem{}, err
	}
	i := entryKey(shard, n)
	i["record"], i["of"], i["incarnation"] = text(recordKey(w)), text(w.WorkspaceID), text(w.Incarnation)
	i["revision"], i["written_at"] = number(w.Revision), number(millis(now))
	i.mark("removed", w.Removed)
	i[attrTTL] = number(now.Add(writtenKept).Unix())
	return types.TransactWriteItem{Put: &types.Put{TableName: &d.Table, Item: i}}, nil
}

func parseWritten(i item) (directory.Written, error) {
	var revision, at int64
	if err := i.numbers(map[string]*int64{"revision": &revision, "written_at": &at}); err != nil {
		return directory.Written{}, fmt.Errorf("written %s: %w", i.text(attrPK), err)
	}
	w := directory.Written{
		WorkspaceID: i.text("of"), Incarnation: i.text("incarnation"), Revision: int(revision), Removed: i.truth("removed"), At: fromMillis(at),
	}
	if id, ok := strings.CutPrefix(i.text("record"), destinationPrefix); ok {
		w.DestinationID = id
	}
	return w, nil
}

// WrittenSince implements delivery.Writes. It reads consistently: one counter a shard, and of those that were raised the entries.
func (d *Directory) WrittenSince(ctx context.Context, since time.Time) ([]directory.Written, error) {
	var shards [writtenShards][]directory.Written
	var errs [writtenShards]error
	each(writtenShards, func(n int) { shards[n], errs[n] = d.writtenSince(ctx, strconv.Itoa(n), since) })
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("read what was written: %w", err)
	}
	return latestOf(slices.Concat(shards[:]...)), nil
}

// writtenSince reads the entries of one shard from the newest on, up to the first that is older. Where there is none a write failed, or is under way.
func (d *Directory) writtenSince(ctx context.Context, shard string, since time.Time) (writes []directory.Written, err error) {
	counter, err := d.read(ctx, counterKey(shard))
	if err != nil {
		return nil, err
	}
	var last, at int64
	if err := counter.numbers(map[string]*int64{"drawn": &last, "drawn_at": &at}); err != nil {
		return nil, fmt.Errorf("counter of shard %s: %w", shard, err)
	}
	if fromMillis(at).Before(since) {
		return nil, nil
	}
	defer d.entries.forget(since)
	size := int64(firstWritten)
	for next := last; next > 0; size = min(2*size, mostWritten) {
		if last-next >= writtenAtMost {
			return nil, directory.ErrManyWrites
		}
		size = min(size, next)
		rows, errs := make([]*directory.Written, size), make([]error, size)
		each(int(size), func(i int) { rows[i], errs[i] = d.entryAt(ctx, shard, next-int64(i)) })
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		next -= size
		for _, w := range rows {
			if w == nil {
				continue
			}
			if w.At.Before(since) {
				return writes, nil
			}
			writes = append(writes, *w)
		}
	}
	return writes, nil
}

// entryMemory holds entries that were read. An entry never changes, so it is read once, though it is asked for again and again.
type entryMemory struct {
	mu   sync.Mutex
	read map[string]directory.Written // by key
}

func (e *entryMemory) get(key string) (directory.Written, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w, ok := e.read[key]
	return w, ok
}

func (e *entryMemory) keep(key string, w directory.Written) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.read == nil {
		e.read = make(map[string]directory.Written)
	}
	e.read[key] = w
}

// forget drops what is an hour older than what is asked for: the first older entry, at which a question ends, is kept longer.
func (e *entryMemory) forget(before time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.read, func(_ string, w directory.Written) bool { return w.At.Before(before.Add(-time.Hour)) })
}

// entryAt gives the entry of a number, nil if there is none.
func (d *Directory) entryAt(ctx context.Context, shard string, n int64) (*directory.Written, error) {
	key := entryKey(shard, n)
	if w, ok := d.entries.get(key.text(attrPK)); ok {
		return &w, nil
	}
	row, err := d.read(ctx, key)
	if row == nil || err != nil {
		return nil, err
	}
	w, err := parseWritten(row)
	if err != nil {
		return nil, err
	}
	d.entries.keep(key.text(attrPK), w)
	return &w, nil
}

// latestOf keeps the last write of each record.
func latestOf(writes []directory.Written) []directory.Written {
	type record struct{ key, incarnation string }
	slices.SortStableFunc(writes, func(a, b directory.Written) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Revision, a.Revision))
	})
	seen := make(map[record]bool, len(writes))
	return slices.DeleteFunc(writes, func(w directory.Written) bool {
		r := record{recordKey(w), w.Incarnation}
		defer func() { seen[r] = true }()
		return seen[r]
	})
}

// read reads an item as of now; nil if there is none.
func (d *Directory) read(ctx context.Context, key item) (item, error) {
	out, err := d.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &d.Table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key.text(attrPK), err)
	}
	return out.Item, nil
}
