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
// zero for the first page; without a destination those of all, by destination. The read is a moment behind the writes.
func (c *Cache) Failed(ctx context.Context, destinationID string, after delivery.Key, newest bool, limit int) ([]delivery.FailedEvent, error) {
	if destinationID != "" || !newest {
		return c.failedOf(ctx, destinationID, after, reading{limit: limit, descending: newest})
	}
	return c.newestOfAll(ctx, after, limit)
}

// newestOfAll reads one destination after the other, against the order in which all of them stand. To the next it takes one look.
func (c *Cache) newestOfAll(ctx context.Context, after delivery.Key, limit int) ([]delivery.FailedEvent, error) {
	var all []delivery.FailedEvent
	id := after.DestinationID
	for len(all) < limit {
		if id != "" {
			own, err := c.failedOf(ctx, id, after, reading{limit: limit - len(all), descending: true})
			if err != nil {
				return nil, err
			}
			all, after = append(all, own...), delivery.Key{}
		}
		next, err := c.failedBetween(ctx, id+"#~", "~", reading{limit: 1})
		if err != nil || len(next) == 0 {
			return all, err
		}
		id = next[0].DestinationID
	}
	return all, nil
}

// failedOf lists failed events of a destination, or of all, from behind a key on.
func (c *Cache) failedOf(ctx context.Context, destinationID string, after delivery.Key, r reading) ([]delivery.FailedEvent, error) {
	low, high := "#", "~" // before and behind all ids
	if destinationID != "" {
		low, high = destinationID+"#", destinationID+"#~"
	}
	if after == (delivery.Key{}) {
		return c.failedBetween(ctx, low, high, r)
	}
	if r.descending {
		high = failedSK(after)
	} else {
		low = failedSK(after)
	}
	limit := r.limit
	r.limit++ // for the event at the key itself
	found, err := c.failedBetween(ctx, low, high, r)
	found = slices.DeleteFunc(found, func(e delivery.FailedEvent) bool { return e.Key == after })
	return found[:min(limit, len(found))], err
}

// failedBetween merges the shards' failed events whose sort keys are between the two, which count as well.
func (c *Cache) failedBetween(ctx context.Context, low, high string, r reading) ([]delivery.FailedEvent, error) {
	var shards [failedShards][]item
	var errs [failedShards]error
	each(failedShards, func(shard int) {
		shards[shard], errs[shard] = c.rows(ctx, "#pk = :pk AND #sk BETWEEN :low AND :high", item{":pk": text(failedPK(shard)), ":low": text(low), ":high": text(high)}, r)
	})
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("list failed events: %w", err)
	}
	rows := slices.Concat(shards[:]...)
	slices.SortFunc(rows, func(a, b item) int {
		if r.descending {
			a, b = b, a
		}
		return strings.Compare(a.text(attrSK), b.text(attrSK))
	})
	failed := make([]delivery.FailedEvent, min(r.limit, len(rows)))
	for i := range failed {
		var err error
		if failed[i], err = parseFailed(rows[i]); err != nil {
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
	condition, values := "#pk = :pk", item{":pk": text(pk)}
	if after != (delivery.Key{}) {
		condition, values[":after"] = condition+" AND #sk > :after", text(sortKey(after))
	}
	return c.rows(ctx, condition, values, r)
}

// rows reads what a condition of keys names.
func (c *Cache) rows(ctx context.Context, condition string, values item, r reading) ([]item, error) {
	names := listed()
	in := &dynamodb.QueryInput{
		TableName:                 &c.table,
		ProjectionExpression:      aws.String(strings.Join(slices.Sorted(maps.Keys(names)), ", ")),
		KeyConditionExpression:    &condition,
		ExpressionAttributeNames:  names,
		ExpressionAttributeValues: values,
		ScanIndexForward:          aws.Bool(!r.descending),
		ConsistentRead:            aws.Bool(r.consistent),
		Limit:                     aws.Int32(int32(r.limit)),
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
