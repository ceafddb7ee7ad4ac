package dynamotest

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Single answers every GetItem with one item, so that the adapter reads it as its own. It implements dynamo.Client.
type Single struct {
	Client
	Item Item
}

// GetItem implements dynamo.Client.
func (s Single) GetItem(context.Context, *dynamodb.GetItemInput, ...options) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{Item: s.Item}, nil
}
