package dynamotest

import (
	"encoding/json"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// transactWrite makes all of its changes or none. With a token that was used within ten minutes for the same request it does nothing more.
func (t *Tables) transactWrite(in *dynamodb.TransactWriteItemsInput) (*dynamodb.TransactWriteItemsOutput, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, err := t.made(in); known || err != nil {
		return &dynamodb.TransactWriteItemsOutput{}, err
	}
	if len(in.TransactItems) == 0 || len(in.TransactItems) > writesATransact {
		return nil, invalid("a transaction writes %d items, not 1 to %d", len(in.TransactItems), writesATransact)
	}
	changes := make([]change, len(in.TransactItems))
	plans := make([]planned, len(changes))
	reasons := make([]types.CancellationReason, len(changes))
	asked := make(map[string]bool)
	cancelled := false
	for i, item := range in.TransactItems {
		var err error
		changes[i] = changeOf(item)
		if plans[i], err = t.plan(changes[i]); err != nil {
			return nil, err
		}
		name := aws.ToString(changes[i].table) + plans[i].key
		if asked[name] {
			return nil, invalid("a transaction has the item %q twice", plans[i].key)
		}
		asked[name] = true
		reasons[i] = types.CancellationReason{Code: aws.String(unconditionalPart)}
		if refused, ok := errors.AsType[*types.ConditionalCheckFailedException](plans[i].refused); ok {
			reasons[i] = types.CancellationReason{Code: aws.String(conditionFailed), Message: refused.Message, Item: refused.Item}
			cancelled = true
		}
	}
	if cancelled {
		return nil, &types.TransactionCanceledException{Message: aws.String("Transaction cancelled"), CancellationReasons: reasons}
	}
	for i, c := range changes {
		t.make(c, plans[i])
	}
	t.keep(in)
	return &dynamodb.TransactWriteItemsOutput{}, nil
}

// made says whether the token's request was made already.
func (t *Tables) made(in *dynamodb.TransactWriteItemsInput) (bool, error) {
	used, ok := t.tokens[aws.ToString(in.ClientRequestToken)]
	if !ok || t.Now().Sub(used.at) >= tokenKept {
		return false, nil
	}
	if used.request != requestOf(in) {
		return false, &types.IdempotentParameterMismatchException{Message: aws.String("the token was used for another request")}
	}
	return true, nil
}

func (t *Tables) keep(in *dynamodb.TransactWriteItemsInput) {
	if in.ClientRequestToken == nil {
		return
	}
	if t.tokens == nil {
		t.tokens = make(map[string]token)
	}
	t.tokens[*in.ClientRequestToken] = token{at: t.Now(), request: requestOf(in)}
}

// requestOf tells requests apart.
func requestOf(in *dynamodb.TransactWriteItemsInput) string {
	text, _ := json.Marshal(in.TransactItems) // attribute values are plain structs
	return string(text)
}

func changeOf(i types.TransactWriteItem) change {
	switch {
	case i.Put != nil:
		return change{table: i.Put.TableName, condition: i.Put.ConditionExpression, put: i.Put.Item, show: i.Put.ReturnValuesOnConditionCheckFailure,
			substitutes: substitutes{i.Put.ExpressionAttributeNames, i.Put.ExpressionAttributeValues}}
	case i.Update != nil:
		return change{table: i.Update.TableName, condition: i.Update.ConditionExpression, key: i.Update.Key, update: i.Update.UpdateExpression,
			show: i.Update.ReturnValuesOnConditionCheckFailure, substitutes: substitutes{i.Update.ExpressionAttributeNames, i.Update.ExpressionAttributeValues}}
	case i.Delete != nil:
		return change{table: i.Delete.TableName, condition: i.Delete.ConditionExpression, key: i.Delete.Key, show: i.Delete.ReturnValuesOnConditionCheckFailure,
			substitutes: substitutes{i.Delete.ExpressionAttributeNames, i.Delete.ExpressionAttributeValues}}
	case i.ConditionCheck != nil:
		return change{table: i.ConditionCheck.TableName, condition: i.ConditionCheck.ConditionExpression, key: i.ConditionCheck.Key, check: true,
			show:        i.ConditionCheck.ReturnValuesOnConditionCheckFailure,
			substitutes: substitutes{i.ConditionCheck.ExpressionAttributeNames, i.ConditionCheck.ExpressionAttributeValues}}
	}
	return change{}
}
