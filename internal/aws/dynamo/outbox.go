package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/directory"
)

const (
	outgoingPrefix = "O#"
	// attentionOutgoing is the key under which what is to be told stands in the index attention, apart from
	// the destinations. The ends of logs, of which there may be a great many, have one of their own, which
	// takes a thousand a second.
	attentionOutgoing = "outgoing"
	attentionEnds     = "ends"
)

// outgoing is the form in which what is to be told is kept.
type outgoing struct {
	Log        *events.Log     `json:"log,omitempty"`
	DetailType string          `json:"detail_type,omitempty"`
	Detail     json.RawMessage `json:"detail,omitempty"`
	Time       time.Time       `json:"time,omitzero"`
	// Notice is as on the notices queue.
	Notice *directory.Notice `json:"notice,omitempty"`
}

func outgoingItem(o directory.Outgoing) (item, error) {
	form := outgoing{Log: o.Log, Notice: o.Notice}
	if o.Event != nil {
		detail, err := json.Marshal(o.Event.Detail)
		if err != nil {
			return nil, fmt.Errorf("write the detail of %s: %w", o.ID, err)
		}
		form.DetailType, form.Detail, form.Time = o.Event.DetailType, detail, o.Event.At
	}
	body, err := json.Marshal(form)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", o.ID, err)
	}
	i := directoryKey(outgoingPrefix, o.ID)
	i["attention"] = text(attentionOutgoing)
	if o.End() {
		i["attention"] = text(attentionEnds)
	}
	i[attrAt] = number(millis(o.At))
	i["outgoing"] = text(string(body))
	return i, nil
}

func parseOutgoing(i item) (directory.Outgoing, error) {
	o := directory.Outgoing{ID: i.id()}
	at, err := i.number(attrAt)
	if err != nil {
		return o, fmt.Errorf("outgoing %s: %w", o.ID, err)
	}
	var form outgoing
	if err := json.Unmarshal([]byte(i.text("outgoing")), &form); err != nil {
		return o, fmt.Errorf("outgoing %s: %w", o.ID, err)
	}
	o.At, o.Log, o.Notice = fromMillis(at), form.Log, form.Notice
	if form.DetailType != "" {
		o.Event = &events.Announcement{DetailType: form.DetailType, Detail: form.Detail, At: form.Time}
	}
	return o, nil
}

// conflictsInARow is how often a transaction is begun again that met another one under way.
const conflictsInARow = 4

// together writes a change and what is to be told of it in one transaction. The SDK gives it a token, so that its own repetitions after a lost
// answer find it made. Two changes of one workspace's destinations may meet in its roll: that is no reason to refuse either.
func (d *Directory) together(ctx context.Context, operation string, tell []directory.Outgoing, writes ...types.TransactWriteItem) error {
	for _, o := range tell {
		i, err := outgoingItem(o)
		if err != nil {
			return err
		}
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &d.Table, Item: i}})
	}
	for again := 0; ; again++ {
		_, err := d.Client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
		if err == nil {
			return nil
		}
		if !met(err) || again == conflictsInARow {
			return changed(err, operation)
		}
		if err := pause(ctx, again, operation); err != nil {
			return fmt.Errorf("%s: %w", operation, err)
		}
	}
}

// met says that a transaction was refused only because another one had an item under way.
func met(err error) bool {
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return false
	}
	conflict := false
	for _, reason := range cancelled.CancellationReasons {
		switch code := aws.ToString(reason.Code); code {
		case "TransactionConflict":
			conflict = true
		case "", "None":
		default:
			return false
		}
	}
	return conflict
}

// overtaken says whether a write was refused because another was first, or is under way.
func overtaken(err error) bool {
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return true
	}
	if _, ok := errors.AsType[*types.TransactionConflictException](err); ok {
		return true
	}
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return false
	}
	for _, reason := range cancelled.CancellationReasons {
		if code := aws.ToString(reason.Code); code == conditionFailed || code == "TransactionConflict" {
			return true
		}
	}
	return false
}

// Keep implements connection.OutboxStore.
func (d *Directory) Keep(ctx context.Context, o directory.Outgoing) error {
	i, err := outgoingItem(o)
	if err != nil {
		return err
	}
	if _, err := d.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &d.Table, Item: i}); err != nil {
		return fmt.Errorf("keep %s: %w", o.ID, err)
	}
	return nil
}

// Told implements connection.OutboxStore.
func (d *Directory) Told(ctx context.Context, id string) error {
	if _, err := d.Client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &d.Table, Key: directoryKey(outgoingPrefix, id)}); err != nil {
		return fmt.Errorf("remove %s: %w", id, err)
	}
	return nil
}

// Outgoing implements connection.OutboxStore, by the index attention.
func (d *Directory) Outgoing(ctx context.Context) iter.Seq2[directory.Outgoing, error] {
	return func(yield func(directory.Outgoing, error) bool) {
		for _, key := range []string{attentionOutgoing, attentionEnds} {
			for row, err := range d.attention(ctx, key) {
				if err != nil {
					yield(directory.Outgoing{}, err)
					return
				}
				o, err := parseOutgoing(row)
				if !yield(o, err) || err != nil {
					return
				}
			}
		}
	}
}

// attention reads one key of the index attention.
func (d *Directory) attention(ctx context.Context, key string) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		pages := dynamodb.NewQueryPaginator(d.Client, &dynamodb.QueryInput{
			TableName:                 &d.Table,
			IndexName:                 aws.String(attentionIndex),
			KeyConditionExpression:    aws.String("attention = :key"),
			ExpressionAttributeValues: item{":key": text(key)},
		})
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			if err != nil {
				yield(nil, fmt.Errorf("query what needs attention: %w", err))
				return
			}
			for _, row := range out.Items {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}
