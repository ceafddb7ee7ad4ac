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
	out, err := c.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &c.table, Key: progressKey(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return delivery.Progress{}, fmt.Errorf("get the progress: %w", err)
	}
	p, err := parseProgress(out.Item)
	if err != nil {
		return delivery.Progress{}, fmt.Errorf("the progress: %w", err)
	}
	return p, nil
}

// SaveProgress implements delivery.Index.
func (c *Cache) SaveProgress(ctx context.Context, p delivery.Progress) error {
	if _, err := c.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &c.table, Item: progressItem(p)}); err != nil {
		return fmt.Errorf("put the progress: %w", err)
	}
	return nil
}

func progressItem(p delivery.Progress) item {
	row := progressKey()
	row[attrThrough], row[attrSwept], row[attrSweptThrough] = timeList(p.Through[:]), number(millis(p.Swept)), timeList(p.SweptThrough[:])
	return row
}

func parseProgress(i item) (p delivery.Progress, err error) {
	if err := i.times(attrThrough, p.Through[:]); err != nil {
		return p, err
	}
	if err := i.times(attrSweptThrough, p.SweptThrough[:]); err != nil {
		return p, err
	}
	swept, err := i.number(attrSwept)
	p.Swept = fromMillis(swept)
	return p, err
}

func timeList(times []time.Time) types.AttributeValue {
	values := make([]types.AttributeValue, len(times))
	for i, t := range times {
		values[i] = number(millis(t))
	}
	return &types.AttributeValueMemberL{Value: values}
}

// times reads a list of times into their places. One that is not there, or has another length, leaves them as they are.
func (i item) times(name string, places []time.Time) error {
	list, ok := i[name].(*types.AttributeValueMemberL)
	if !ok || len(list.Value) != len(places) {
		return nil
	}
	for n, v := range list.Value {
		ms, err := parseNumber(name, v)
		if err != nil {
			return err
		}
		places[n] = fromMillis(ms)
	}
	return nil
}
