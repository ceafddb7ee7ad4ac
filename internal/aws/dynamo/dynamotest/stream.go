package dynamotest

import (
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Change is one record of a table's stream.
type Change struct {
	Sequence string
	At       time.Time
	// Before and After are the item's images; nil is no item.
	Before, After Item
	// ByTTL says that TTL removed it.
	ByTTL bool

	keys Item
}

// Changes gives up to limit records of a table's stream that come after a sequence number, "" for the first, and were written before that time.
func (t *Tables) Changes(name, after string, before time.Time, limit int) []Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	tab := t.tables[name]
	var changes []Change
	for len(tab.changes) > 0 && tab.changes[0].Sequence <= after {
		tab.changes = tab.changes[1:] // nobody asks for it again
	}
	for _, c := range tab.changes[:min(limit, len(tab.changes))] {
		if !c.At.Before(before) {
			break
		}
		c.keys = only(either(c.After, c.Before), []string{tab.Partition, tab.Sort})
		changes = append(changes, c)
	}
	return changes
}

func either(a, b Item) Item {
	if a != nil {
		return a
	}
	return b
}

// Event is records as a function gets them.
func Event(changes []Change) events.DynamoDBEvent {
	var e events.DynamoDBEvent
	for _, c := range changes {
		r := events.DynamoDBEventRecord{EventID: c.Sequence, EventName: string(events.DynamoDBOperationTypeModify), Change: events.DynamoDBStreamRecord{
			SequenceNumber: c.Sequence, Keys: image(c.keys), OldImage: image(c.Before), NewImage: image(c.After),
		}}
		switch {
		case c.Before == nil:
			r.EventName = string(events.DynamoDBOperationTypeInsert)
		case c.After == nil:
			r.EventName = string(events.DynamoDBOperationTypeRemove)
		}
		if c.ByTTL {
			r.UserIdentity = &events.DynamoDBUserIdentity{Type: "Service", PrincipalID: "dynamodb.amazonaws.com"}
		}
		e.Records = append(e.Records, r)
	}
	return e
}

func image(i Item) map[string]events.DynamoDBAttributeValue {
	if i == nil {
		return nil
	}
	values := make(map[string]events.DynamoDBAttributeValue, len(i))
	for name, v := range i {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			values[name] = events.NewStringAttribute(v.Value)
		case *types.AttributeValueMemberN:
			values[name] = events.NewNumberAttribute(v.Value)
		case *types.AttributeValueMemberB:
			values[name] = events.NewBinaryAttribute(v.Value)
		case *types.AttributeValueMemberBOOL:
			values[name] = events.NewBooleanAttribute(v.Value)
		}
	}
	return values
}
