package dynamo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Pending gives up to limit deliveries of a destination, the oldest first, that come after the key, which is zero for the first page. Their
// documents lack the JSON. Each of the destination's write shards is in the order of acceptance, so their pages are merged. The read is a moment
// behind the writes.
func (c *Cache) Pending(ctx context.Context, destinationID string, after delivery.Key, limit int) ([]delivery.Delivery, error) {
	return c.pending(ctx, destinationID, after, limit, false)
}

// OldestPending gives the oldest delivery of each of a destination's write shards as of now, never older.
func (c *Cache) OldestPending(ctx context.Context, destinationID string) ([]delivery.Delivery, error) {
	return c.pending(ctx, destinationID, delivery.Key{}, writeShards, true)
}

func (c *Cache) pending(ctx context.Context, destinationID string, after delivery.Key, limit int, consistent bool) ([]delivery.Delivery, error) {
	var shards [writeShards][]item
	var errs [writeShards]error
	each(writeShards, func(shard int) {
		shards[shard], errs[shard] = c.page(ctx, shardPK(destinationID, shard), after, reading{limit: limit, consistent: consistent})
	})
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("list the deliveries of %s: %w", destinationID, err)
	}
	rows := slices.Concat(shards[:]...)
	slices.SortFunc(rows, func(a, b item) int { return strings.Compare(a.text(attrSK), b.text(attrSK)) })
	deliveries := make([]delivery.Delivery, min(limit, len(rows)))
	for i := range deliveries {
		var err error
		if deliveries[i], err = parseDelivery(rows[i]); err != nil {
			return nil, err
		}
	}
	return deliveries, nil
}

// Failed gives up to limit failed events of a destination by their acceptance, the newest or the oldest first, that come after the key, which is
// zero for the first page.
func (c *Cache) Failed(ctx context.Context, destinationID string, after delivery.Key, newest bool, limit int) ([]delivery.FailedEvent, error) {
	rows, err := c.page(ctx, failedPK(delivery.Key{DestinationID: destinationID}), after, reading{limit: limit, descending: newest})
	if err != nil {
		return nil, fmt.Errorf("list the failed events of %s: %w", destinationID, err)
	}
	failed := make([]delivery.FailedEvent, len(rows))
	for i, row := range rows {
		if failed[i], err = parseFailed(row); err != nil {
			return nil, err
		}
	}
	return failed, nil
}

// listed are the attributes of deliveries and failed events without the document.
func listed() map[string]string {
	names := make(map[string]string)
	for _, name := range []string{
		attrPK, attrSK, attrAttempts, attrCode, attrOwner, attrRevision, attrType, attrDue, attrRiding, attrParked, attrTried, attrFailedAt,
	} {
		names["#"+name] = name
	}
	return names
}

// reading is how a partition is read: so many rows at most, in the order of acceptance or against it, a moment behind or as of now.
type reading struct {
	limit                  int
	descending, consistent bool
}

// page reads one partition from behind a key on.
func (c *Cache) page(ctx context.Context, pk string, after delivery.Key, r reading) ([]item, error) {
	names := listed()
	in := &dynamodb.QueryInput{
		TableName:                 &c.table,
		ProjectionExpression:      aws.String(strings.Join(slices.Sorted(maps.Keys(names)), ", ")),
		KeyConditionExpression:    aws.String("#pk = :pk"),
		ExpressionAttributeNames:  names,
		ExpressionAttributeValues: item{":pk": text(pk)},
		ScanIndexForward:          aws.Bool(!r.descending),
		ConsistentRead:            aws.Bool(r.consistent),
		Limit:                     aws.Int32(int32(r.limit)),
	}
	if after != (delivery.Key{}) {
		beyond := ">"
		if r.descending {
			beyond = "<"
		}
		in.KeyConditionExpression = aws.String("#pk = :pk AND #sk " + beyond + " :after")
		in.ExpressionAttributeValues[":after"] = text(sortKey(after))
	}
	var rows []item
	for pages := dynamodb.NewQueryPaginator(c.client, in); pages.HasMorePages() && len(rows) < r.limit; {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("query a partition: %w", err)
		}
		for _, row := range out.Items {
			rows = append(rows, row)
		}
	}
	return rows[:min(r.limit, len(rows))], nil
}
