package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/directory"
)

const (
	removedPrefix = "R#" // before the key of a record that was removed
	writesIndex   = "writes"
	// writtenShards spreads the index writes, which every write of a record goes to, over partitions of 1,000 writes a second. Whoever asks what was
	// written asks each of them.
	writtenShards = 4
	// removedKept is how long a removal is told.
	removedKept = 24 * time.Hour
)

// setWritten puts a record into the index writes.
func (i item) setWritten(now time.Time) {
	i["written"] = text(shardOf(i.text(attrPK), writtenShards))
	i["written_at"] = number(millis(now))
}

// removedItem is the trace of a record that was removed. It has no attribute workspace_id, so that it does not stand in the index owner.
func removedItem(key item, workspaceID, incarnation string, now time.Time) item {
	i := item{attrPK: text(removedPrefix + key.text(attrPK)), "removed_from": text(workspaceID), "incarnation": text(incarnation), attrTTL: number(now.Add(removedKept).Unix())}
	i.setWritten(now)
	return i
}

// parseWritten reads an entry of the index writes.
func parseWritten(i item) (directory.Written, error) {
	var revision, at int64
	numbers := map[string]*int64{"written_at": &at}
	if i["revision"] != nil { // what was removed has none
		numbers["revision"] = &revision
	}
	if err := i.numbers(numbers); err != nil {
		return directory.Written{}, fmt.Errorf("written %s: %w", i.text(attrPK), err)
	}
	record, removed := strings.CutPrefix(i.text(attrPK), removedPrefix)
	w := directory.Written{WorkspaceID: i.text("workspace_id"), Incarnation: i.text("incarnation"), Revision: int(revision), Removed: removed, At: fromMillis(at)}
	if removed {
		w.WorkspaceID = i.text("removed_from")
	}
	if id, ok := strings.CutPrefix(record, destinationPrefix); ok {
		w.DestinationID = id
	}
	return w, nil
}

// removal deletes a record of a workspace and leaves a trace of it for WrittenSince.
func (d *Directory) removal(record types.Delete, workspaceID, incarnation string) []types.TransactWriteItem {
	trace := types.Put{TableName: &d.Table, Item: removedItem(record.Key, workspaceID, incarnation, d.Now())}
	return []types.TransactWriteItem{{Delete: &record}, {Put: &trace}}
}

// WrittenSince implements delivery.Writes. What is read is not yet what was written a moment ago, as with every index.
func (d *Directory) WrittenSince(ctx context.Context, since time.Time) ([]directory.Written, error) {
	var shards [writtenShards][]directory.Written
	var errs [writtenShards]error
	each(writtenShards, func(shard int) { shards[shard], errs[shard] = d.writtenSince(ctx, shard, since) })
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("query what was written: %w", err)
	}
	return slices.Concat(shards[:]...), nil
}

func (d *Directory) writtenSince(ctx context.Context, shard int, since time.Time) ([]directory.Written, error) {
	pages := dynamodb.NewQueryPaginator(d.Client, &dynamodb.QueryInput{
		TableName:                 &d.Table,
		IndexName:                 aws.String(writesIndex),
		KeyConditionExpression:    aws.String("written = :shard AND written_at >= :since"),
		ExpressionAttributeValues: item{":shard": text(strconv.Itoa(shard)), ":since": number(millis(since))},
	})
	var writes []directory.Written
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, row := range out.Items {
			w, err := parseWritten(row)
			if err != nil {
				return nil, err
			}
			writes = append(writes, w)
		}
	}
	return writes, nil
}
