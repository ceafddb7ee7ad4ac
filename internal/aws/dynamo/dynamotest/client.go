package dynamotest

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Client calls Tables as the SDK's client calls the service. It implements dynamo.Client.
type Client struct {
	Tables *Tables
	// Carry, if set, takes a call over the network: it runs reach each time the call gets there, and answers what the caller hears. As the SDK does, it may
	// run reach again when an answer is lost.
	Carry func(ctx context.Context, c Call, reach func() error) error
	// Throttled, if set, says that a partition takes no more writes and reads of a batch at the moment.
	Throttled func(partition string) bool
	// Conflicts, if set, says that another transaction has one of the items of a write under way.
	Conflicts func(c Call) bool
	// Token gives the token of a transaction.
	Token func(c Call) string
}

// Call is what Carry is told of a call.
type Call struct {
	Operation string
	Table     string
	// Partition is the table's name and the partition, Key what is read or written in it, of the first item if there are several.
	Partition, Key string
	Write          bool
	// Nothing says that the call reads a partition of an index that is empty, and showed nothing of late.
	Nothing bool
}

// carry takes a call to the tables.
func carry[T any](ctx context.Context, c Client, call Call, do func() (T, error)) (T, error) {
	var out T
	reach := func() (err error) {
		if call.Write && c.Conflicts != nil && c.Conflicts(call) {
			return conflict(call)
		}
		out, err = do()
		return err
	}
	if c.Carry == nil {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		return out, reach()
	}
	if err := c.Carry(ctx, call, reach); err != nil {
		var none T
		return none, err
	}
	return out, nil
}

// conflict is the service's answer to a write of an item that a transaction has under way.
func conflict(c Call) error {
	if c.Operation != "TransactWriteItems" {
		return &types.TransactionConflictException{Message: aws.String("another transaction has the item under way")}
	}
	return &types.TransactionCanceledException{Message: aws.String("Transaction cancelled"),
		CancellationReasons: []types.CancellationReason{{Code: aws.String("TransactionConflict")}, {Code: aws.String(unconditionalPart)}}}
}

// GetItem implements dynamo.Client.
func (c Client) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...options) (*dynamodb.GetItemOutput, error) {
	call := Call{Operation: "GetItem", Table: *in.TableName}
	call.Partition, call.Key = c.Tables.partitionOf(*in.TableName, in.Key)
	return carry(ctx, c, call, func() (*dynamodb.GetItemOutput, error) { return c.Tables.getItem(in) })
}

// PutItem implements dynamo.Client.
func (c Client) PutItem(ctx context.Context, in *dynamodb.PutItemInput, _ ...options) (*dynamodb.PutItemOutput, error) {
	call := Call{Operation: "PutItem", Table: *in.TableName, Write: true}
	call.Partition, call.Key = c.Tables.partitionOf(*in.TableName, in.Item)
	return carry(ctx, c, call, func() (*dynamodb.PutItemOutput, error) { return c.Tables.putItem(in) })
}

// UpdateItem implements dynamo.Client.
func (c Client) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...options) (*dynamodb.UpdateItemOutput, error) {
	call := Call{Operation: "UpdateItem", Table: *in.TableName, Write: true}
	call.Partition, call.Key = c.Tables.partitionOf(*in.TableName, in.Key)
	return carry(ctx, c, call, func() (*dynamodb.UpdateItemOutput, error) { return c.Tables.updateItem(in) })
}

// DeleteItem implements dynamo.Client.
func (c Client) DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, _ ...options) (*dynamodb.DeleteItemOutput, error) {
	call := Call{Operation: "DeleteItem", Table: *in.TableName, Write: true}
	call.Partition, call.Key = c.Tables.partitionOf(*in.TableName, in.Key)
	return carry(ctx, c, call, func() (*dynamodb.DeleteItemOutput, error) { return c.Tables.deleteItem(in) })
}

// Query implements dynamo.Client.
func (c Client) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...options) (*dynamodb.QueryOutput, error) {
	call := Call{Operation: "Query", Table: *in.TableName}
	call.Partition, call.Nothing = c.Tables.asks(in)
	call.Partition = call.Table + " " + call.Partition
	for _, name := range sortedKeys(in.ExpressionAttributeValues) {
		text, _ := keyText(in.ExpressionAttributeValues, name)
		call.Key += " " + text
	}
	return carry(ctx, c, call, func() (*dynamodb.QueryOutput, error) { return c.Tables.query(in) })
}

// BatchGetItem implements dynamo.Client. Keys of throttled partitions are left out.
func (c Client) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...options) (*dynamodb.BatchGetItemOutput, error) {
	call := Call{Operation: "BatchGetItem"}
	for _, name := range sortedKeys(in.RequestItems) {
		for _, key := range in.RequestItems[name].Keys[:1] {
			call.Table = name
			call.Partition, call.Key = c.Tables.partitionOf(name, key)
		}
	}
	return carry(ctx, c, call, func() (*dynamodb.BatchGetItemOutput, error) {
		take := &dynamodb.BatchGetItemInput{RequestItems: make(map[string]types.KeysAndAttributes)}
		left := make(map[string]types.KeysAndAttributes)
		for name, k := range in.RequestItems {
			now, later := k, k
			now.Keys, later.Keys = split(c, name, k.Keys, func(key Item) Item { return key })
			if len(now.Keys) > 0 {
				take.RequestItems[name] = now
			}
			if len(later.Keys) > 0 {
				left[name] = later
			}
		}
		out, err := c.Tables.batchGet(take)
		if out != nil {
			out.UnprocessedKeys = left
		}
		return out, err
	})
}

// BatchWriteItem implements dynamo.Client. Writes of throttled partitions are left out.
func (c Client) BatchWriteItem(ctx context.Context, in *dynamodb.BatchWriteItemInput, _ ...options) (*dynamodb.BatchWriteItemOutput, error) {
	call := Call{Operation: "BatchWriteItem", Write: true}
	keyOf := func(r types.WriteRequest) Item {
		if r.PutRequest != nil {
			return r.PutRequest.Item
		}
		return r.DeleteRequest.Key
	}
	for _, name := range sortedKeys(in.RequestItems) {
		for _, r := range in.RequestItems[name][:1] {
			call.Table = name
			call.Partition, call.Key = c.Tables.partitionOf(name, keyOf(r))
		}
	}
	return carry(ctx, c, call, func() (*dynamodb.BatchWriteItemOutput, error) {
		take := &dynamodb.BatchWriteItemInput{RequestItems: make(map[string][]types.WriteRequest)}
		left := make(map[string][]types.WriteRequest)
		for name, requests := range in.RequestItems {
			now, later := split(c, name, requests, keyOf)
			if len(now) > 0 {
				take.RequestItems[name] = now
			}
			if len(later) > 0 {
				left[name] = later
			}
		}
		if len(take.RequestItems) == 0 {
			return &dynamodb.BatchWriteItemOutput{UnprocessedItems: left}, nil
		}
		out, err := c.Tables.batchWrite(take)
		if out != nil {
			out.UnprocessedItems = left
		}
		return out, err
	})
}

// split parts what a batch asks for into what is done now and what is left out.
func split[R any](c Client, table string, requests []R, keyOf func(R) Item) (now, later []R) {
	for _, r := range requests {
		partition, _ := c.Tables.partitionOf(table, keyOf(r))
		if c.Throttled != nil && c.Throttled(partition) {
			later = append(later, r)
		} else {
			now = append(now, r)
		}
	}
	return now, later
}

// TransactWriteItems implements dynamo.Client. Like the SDK it gives the request a token, the same one at each repetition.
func (c Client) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, _ ...options) (*dynamodb.TransactWriteItemsOutput, error) {
	request := *in
	call := Call{Operation: "TransactWriteItems", Write: true}
	if len(in.TransactItems) > 0 {
		first := changeOf(in.TransactItems[0])
		key := first.key
		if first.put != nil {
			key = first.put
		}
		call.Table = aws.ToString(first.table)
		call.Partition, call.Key = c.Tables.partitionOf(call.Table, key)
	}
	if request.ClientRequestToken == nil && c.Token != nil {
		request.ClientRequestToken = aws.String(c.Token(call))
	}
	return carry(ctx, c, call, func() (*dynamodb.TransactWriteItemsOutput, error) { return c.Tables.transactWrite(&request) })
}
