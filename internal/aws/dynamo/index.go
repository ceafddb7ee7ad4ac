package dynamo

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// duePage is how many index entries one call reads.
const duePage = 1000

// Due implements delivery.Index. The index is read eventually consistent, there is no other way.
func (c *Cache) Due(ctx context.Context, shard int, after, until time.Time, riding bool) iter.Seq2[[]delivery.Hint, error] {
	return func(yield func([]delivery.Hint, error) bool) {
		from, to := millis(after)+1, until.UnixMilli()
		if from > to {
			return // BETWEEN refuses an empty range
		}
		in := &dynamodb.QueryInput{
			TableName:                 &c.table,
			IndexName:                 aws.String(dueIndex),
			KeyConditionExpression:    aws.String("ds = :shard AND du BETWEEN :from AND :to"),
			ExpressionAttributeValues: item{":shard": number(shard), ":from": number(from), ":to": number(to)},
			Limit:                     aws.Int32(duePage),
		}
		if !riding {
			in.FilterExpression = aws.String("attribute_not_exists(rd)")
		}
		pages := dynamodb.NewQueryPaginator(c.client, in)
		for pages.HasMorePages() {
			hints, err := nextHints(ctx, pages)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(hints) > 0 && !yield(hints, nil) {
				return
			}
		}
	}
}

func nextHints(ctx context.Context, pages *dynamodb.QueryPaginator) ([]delivery.Hint, error) {
	out, err := pages.NextPage(ctx)
	if err != nil {
		return nil, fmt.Errorf("query the due index: %w", err)
	}
	hints := make([]delivery.Hint, len(out.Items))
	for i, row := range out.Items {
		d, err := parseDelivery(row)
		if err != nil {
			return nil, err
		}
		hints[i] = delivery.Hint{Key: d.Key, At: d.NextAt}
	}
	return hints, nil
}

func progressKey() item { return item{attrPK: text(progressPK), attrSK: text(progressSK)} }

// Progress implements delivery.Index. Progress of another number of shards counts as none: it is safe to start over.
func (c *Cache) Progress(ctx context.Context) (delivery.Progress, error) {
	var p delivery.Progress
	out, err := c.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &c.table, Key: progressKey(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return p, fmt.Errorf("get the progress: %w", err)
	}
	through, ok := out.Item[attrThrough].(*types.AttributeValueMemberL)
	if !ok || len(through.Value) != len(p.Through) {
		return p, nil
	}
	for i, v := range through.Value {
		ms, err := parseNumber(attrThrough, v)
		if err != nil {
			return delivery.Progress{}, fmt.Errorf("the progress: %w", err)
		}
		p.Through[i] = fromMillis(ms)
	}
	swept, err := item(out.Item).number(attrSwept)
	if err != nil {
		return delivery.Progress{}, fmt.Errorf("the progress: %w", err)
	}
	p.Swept = fromMillis(swept)
	return p, nil
}

// SaveProgress implements delivery.Index.
func (c *Cache) SaveProgress(ctx context.Context, p delivery.Progress) error {
	through := make([]types.AttributeValue, len(p.Through))
	for i, t := range p.Through {
		through[i] = number(millis(t))
	}
	row := progressKey()
	row[attrThrough] = &types.AttributeValueMemberL{Value: through}
	row[attrSwept] = number(millis(p.Swept))
	if _, err := c.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &c.table, Item: row}); err != nil {
		return fmt.Errorf("put the progress: %w", err)
	}
	return nil
}
