package dynamo

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// attrMark holds what the last conditional write of a whole item has left in it, see putOnce.
const attrMark = "mk"

// putOnce writes an item under a condition and answers refused if another writer was first. The SDK repeats a write whose
// answer is lost, and the repetition then fails on what the first try has written. So each write leaves a random mark in
// the item, and a refused one looks for its own before it says that another was first.
//
// Source: DynamoDB, "Error retries and exponential backoff" (the SDKs retry by themselves) and "Condition expressions".
func putOnce(ctx context.Context, client Client, operation string, in *dynamodb.PutItemInput, refused error) error {
	mark := rand.Text()
	in.Item[attrMark] = text(mark)
	_, err := client.PutItem(ctx, in)
	if err == nil {
		return nil
	}
	if !overtaken(err) {
		return fmt.Errorf("%s: %w", operation, err)
	}
	key := item{attrPK: in.Item[attrPK]}
	if sk, ok := in.Item[attrSK]; ok {
		key[attrSK] = sk
	}
	out, err := client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: in.TableName, Key: key, ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String(attrMark),
	})
	if err != nil {
		return fmt.Errorf("%s: look whether a repetition was refused: %w", operation, err)
	}
	if item(out.Item).text(attrMark) == mark {
		return nil
	}
	return refused
}
