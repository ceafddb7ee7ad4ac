package dynamo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// turnsKept is how long turns are kept after the last one: longer than a log lives.
const turnsKept = delivery.Lifetime + 24*time.Hour

func turnsKey(identity string) item {
	return item{attrPK: text(turnsPK), attrSK: text(identity)}
}

// Turns implements delivery.TurnProgress. The read is a moment behind the writes, which come minutes apart.
func (c *Cache) Turns(ctx context.Context, identity string) (delivery.Turns, error) {
	out, err := c.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &c.table, Key: turnsKey(identity)})
	if err != nil {
		return delivery.Turns{}, fmt.Errorf("get the turns of %s: %w", identity, err)
	}
	t, err := parseTurns(out.Item)
	if err != nil {
		return delivery.Turns{}, fmt.Errorf("the turns of %s: %w", identity, err)
	}
	return t, nil
}

// SaveTurns implements delivery.TurnProgress.
func (c *Cache) SaveTurns(ctx context.Context, identity string, t delivery.Turns) error {
	if _, err := c.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &c.table, Item: turnsItem(identity, t)}); err != nil {
		return fmt.Errorf("put the turns of %s: %w", identity, err)
	}
	return nil
}

// turnsItem has for each turn the sort key of a delivery, which is empty for the zero key.
func turnsItem(identity string, t delivery.Turns) item {
	after := make([]types.AttributeValue, len(t.After))
	for i, k := range t.After {
		after[i] = text("")
		if k != (delivery.Key{}) {
			after[i] = text(sortKey(k))
		}
	}
	i := turnsKey(identity)
	i[attrAfterSK] = &types.AttributeValueMemberL{Value: after}
	i[attrSince], i[attrAt], i[attrTTL] = number(millis(t.Since)), number(millis(t.At)), number(t.At.Add(turnsKept).Unix())
	return i
}

// parseTurns reads turns. Those of another number count as none: it is safe to start over.
func parseTurns(i item) (t delivery.Turns, err error) {
	after := i.texts(attrAfterSK)
	if len(after) != len(t.After) {
		return delivery.Turns{}, nil
	}
	id, _, _ := strings.Cut(i.text(attrSK), "~") // a destination's identity begins with its id
	for n, sk := range after {
		if sk == "" {
			continue
		}
		if t.After[n], err = parseKey(deliveryPrefix+id, sk); err != nil {
			return delivery.Turns{}, err
		}
	}
	var since, at int64
	if err := i.numbers(map[string]*int64{attrSince: &since, attrAt: &at}); err != nil {
		return delivery.Turns{}, err
	}
	t.Since, t.At = fromMillis(since), fromMillis(at)
	return t, nil
}
