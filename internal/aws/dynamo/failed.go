package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

const (
	conditionFailed = "ConditionalCheckFailed" // a reason's code for the item at its place of a cancelled transaction
	notThere        = "attribute_not_exists(pk)"
)

// endsAtOnce bounds the deliveries that end beside each other. A write takes some ten milliseconds, so that one call of Record or
// GiveUp ends some thousands a second.
const endsAtOnce = 48

// GiveUp implements delivery.FailedEvents, each in a transaction of its own: one that cannot be made keeps no other back.
func (c *Cache) GiveUp(ctx context.Context, ends []delivery.End) []error {
	errs := make([]error, len(ends))
	beside(endsAtOnce, len(ends), func(i int) { errs[i] = c.giveUp(ctx, ends[i]) })
	return errs
}

func (c *Cache) giveUp(ctx context.Context, e delivery.End) error {
	remove := types.TransactWriteItem{Delete: &types.Delete{
		TableName:                 &c.table,
		Key:                       deliveryKey(e.Key),
		ConditionExpression:       aws.String("r = :revision"),
		ExpressionAttributeValues: item{":revision": number(e.Revision)},
	}}
	record := types.TransactWriteItem{Put: &types.Put{TableName: &c.table, Item: failedItem(e.FailedEvent), ConditionExpression: aws.String(notThere)}}
	_, err := c.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{remove, record}})
	if err == nil {
		return nil
	}
	gone, recorded := refused(err)
	switch {
	case gone && recorded:
		return nil
	case gone:
		return delivery.ErrChanged
	case recorded:
		return c.removeRecorded(ctx, e.Key, e.Revision)
	}
	return fmt.Errorf("replace a delivery by its failed event: %w", err)
}

// refused says which of the two conditions made the transaction fail.
func refused(err error) (gone, recorded bool) {
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok || len(cancelled.CancellationReasons) != 2 {
		return false, false
	}
	return aws.ToString(cancelled.CancellationReasons[0].Code) == conditionFailed, aws.ToString(cancelled.CancellationReasons[1].Code) == conditionFailed
}

// removeRecorded removes a delivery that came back into the cache after its failed event was recorded: its ingest message was handed out again.
func (c *Cache) removeRecorded(ctx context.Context, k delivery.Key, revision int) error {
	_, err := c.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:                 &c.table,
		Key:                       deliveryKey(k),
		ConditionExpression:       aws.String("r = :revision"),
		ExpressionAttributeValues: item{":revision": number(revision)},
	})
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok || err == nil {
		return nil
	}
	return fmt.Errorf("remove a delivery whose failed event is recorded: %w", err)
}

// Record implements delivery.FailedRecorder. No call writes several items under a condition each, so each item has its own.
func (c *Cache) Record(ctx context.Context, es []delivery.FailedEvent) []error {
	first := make(map[delivery.Key]int, len(es))
	var places []int
	for i, e := range es {
		if _, ok := first[e.Key]; !ok {
			first[e.Key] = i
			places = append(places, i)
		}
	}
	errs := make([]error, len(es))
	beside(endsAtOnce, len(places), func(j int) { errs[places[j]] = c.record(ctx, es[places[j]]) })
	for i, e := range es {
		errs[i] = errs[first[e.Key]]
	}
	return errs
}

func (c *Cache) record(ctx context.Context, e delivery.FailedEvent) error {
	_, err := c.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &c.table, Item: failedItem(e), ConditionExpression: aws.String(notThere)})
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok || err == nil {
		return nil
	}
	return fmt.Errorf("put a failed event: %w", err)
}
