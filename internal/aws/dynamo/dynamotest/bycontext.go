package dynamotest

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// ByContext calls the client that a call's context leads to, so that one adapter can serve many processes. It implements dynamo.Client.
type ByContext func(context.Context) Client

type options = func(*dynamodb.Options)

// GetItem implements dynamo.Client.
func (f ByContext) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...options) (*dynamodb.GetItemOutput, error) {
	return f(ctx).GetItem(ctx, in)
}

// PutItem implements dynamo.Client.
func (f ByContext) PutItem(ctx context.Context, in *dynamodb.PutItemInput, _ ...options) (*dynamodb.PutItemOutput, error) {
	return f(ctx).PutItem(ctx, in)
}

// UpdateItem implements dynamo.Client.
func (f ByContext) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...options) (*dynamodb.UpdateItemOutput, error) {
	return f(ctx).UpdateItem(ctx, in)
}

// DeleteItem implements dynamo.Client.
func (f ByContext) DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, _ ...options) (*dynamodb.DeleteItemOutput, error) {
	return f(ctx).DeleteItem(ctx, in)
}

// Query implements dynamo.Client.
func (f ByContext) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...options) (*dynamodb.QueryOutput, error) {
	return f(ctx).Query(ctx, in)
}

// BatchGetItem implements dynamo.Client.
func (f ByContext) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...options) (*dynamodb.BatchGetItemOutput, error) {
	return f(ctx).BatchGetItem(ctx, in)
}

// BatchWriteItem implements dynamo.Client.
func (f ByContext) BatchWriteItem(ctx context.Context, in *dynamodb.BatchWriteItemInput, _ ...options) (*dynamodb.BatchWriteItemOutput, error) {
	return f(ctx).BatchWriteItem(ctx, in)
}

// TransactWriteItems implements dynamo.Client.
func (f ByContext) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, _ ...options) (*dynamodb.TransactWriteItemsOutput, error) {
	return f(ctx).TransactWriteItems(ctx, in)
}
