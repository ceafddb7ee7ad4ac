package dynamo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Waiting implements delivery.Backlog.
func (c *Cache) Waiting(ctx context.Context, destinationID string, after delivery.Key, limit int) ([]delivery.Waiting, error) {
	return c.waiting(ctx, destinationID, after, limit, false)
}

// Latest is the backlog as of now, never older, at twice the price.
func (c *Cache) Latest() delivery.Backlog { return latest{c} }

type latest struct{ cache *Cache }

func (l latest) Waiting(ctx context.Context, destinationID string, after delivery.Key, limit int) ([]delivery.Waiting, error) {
	return l.cache.waiting(ctx, destinationID, after, limit, true)
}

func (c *Cache) waiting(ctx context.Context, destinationID string, after delivery.Key, limit int, consistent bool) ([]delivery.Waiting, error) {
	page, err := c.pending(ctx, destinationID, after, limit, consistent)
	if err != nil {
		return nil, err
	}
	waiting := make([]delivery.Waiting, len(page))
	for i, d := range page {
		waiting[i] = delivery.Waiting{
			Hint: delivery.Hint{Key: d.Key, At: d.NextAt}, Owner: d.Owner, Parked: d.Parked, Attempts: d.Attempts, Tried: d.Tried, Code: d.Code,
		}
	}
	return waiting, nil
}

func drainKey(identity string) item {
	return item{attrPK: text(drainPK), attrSK: text(identity)}
}

// DrainState implements delivery.DrainProgress.
func (c *Cache) DrainState(ctx context.Context, identity string) (delivery.DrainState, error) {
	out, err := c.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &c.table, Key: drainKey(identity), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return delivery.DrainState{}, fmt.Errorf("get the drain of %s: %w", identity, err)
	}
	return parseDrainState(out.Item)
}

// SaveDrainState implements delivery.DrainProgress.
func (c *Cache) SaveDrainState(ctx context.Context, identity string, s delivery.DrainState) error {
	in := &dynamodb.PutItemInput{TableName: &c.table, Item: drainItem(identity, s), ConditionExpression: aws.String(notThere)}
	if s.Revision > 0 {
		in.ConditionExpression = aws.String("r = :revision")
		in.ExpressionAttributeValues = item{":revision": number(s.Revision)}
	}
	return putOnce(ctx, c.client, "put the drain of "+identity, in, delivery.ErrChanged)
}

func drainItem(identity string, s delivery.DrainState) item {
	i := drainKey(identity)
	i[attrPage], i[attrPass], i[attrAt], i[attrRevision] = number(s.Page), number(s.Pass), number(millis(s.At)), number(s.Revision+1)
	i[attrOpened] = number(millis(s.OpenedAt))
	i.mark(attrLast, s.Last)
	i.mark(attrOpen, s.Open)
	if s.After != (delivery.Key{}) {
		i[attrAfterPK], i[attrAfterSK] = text(deliveryPK(s.After)), text(sortKey(s.After))
	}
	return i
}

func parseDrainState(i item) (delivery.DrainState, error) {
	var page, pass, at, opened, revision int64
	if err := i.numbers(map[string]*int64{attrPage: &page, attrPass: &pass, attrAt: &at, attrOpened: &opened, attrRevision: &revision}); err != nil {
		return delivery.DrainState{}, fmt.Errorf("the state of a drain: %w", err)
	}
	s := delivery.DrainState{
		OpenedAt: fromMillis(opened), Last: i.has(attrLast), Pass: int(pass), Open: i.has(attrOpen), Page: int(page), At: fromMillis(at), Revision: int(revision),
	}
	var err error
	if pk := i.text(attrAfterPK); pk != "" {
		s.After, err = parseKey(pk, i.text(attrAfterSK))
	}
	return s, err
}
