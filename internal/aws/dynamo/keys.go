package dynamo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/vault"
)

// keyPrefix is before the id of a data key.
const keyPrefix = "K#"

// Keys are the data keys of credentials, in the directory table. It implements vault.Keys.
type Keys struct {
	Client Client
	Table  string
}

// DataKey implements vault.Keys.
func (s *Keys) DataKey(ctx context.Context, id string) (vault.DataKey, error) {
	out, err := s.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.Table, Key: directoryKey(keyPrefix, id), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return vault.DataKey{}, fmt.Errorf("get data key %s: %w", id, err)
	}
	if out.Item == nil {
		return vault.DataKey{}, vault.ErrNoKey
	}
	i := item(out.Item)
	at, err := i.number(attrAt)
	wrapped, ok := i["wrapped"].(*types.AttributeValueMemberB)
	if err != nil || !ok {
		return vault.DataKey{}, fmt.Errorf("data key %s is malformed", id)
	}
	return vault.DataKey{ID: id, Wrapped: wrapped.Value, MadeAt: fromMillis(at)}, nil
}

// AddDataKey implements vault.Keys.
func (s *Keys) AddDataKey(ctx context.Context, k vault.DataKey) error {
	i := directoryKey(keyPrefix, k.ID)
	i["wrapped"], i[attrAt] = &types.AttributeValueMemberB{Value: k.Wrapped}, number(millis(k.MadeAt))
	_, err := s.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.Table, Item: i, ConditionExpression: aws.String(notThere)})
	if err != nil && !overtaken(err) {
		return fmt.Errorf("put data key %s: %w", k.ID, err)
	}
	return nil
}
