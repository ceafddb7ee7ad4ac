package dynamo

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Budget counts the attempts at failing destinations in the directory table, one small item a destination and minute. It implements
// delivery.Budget.
type Budget struct {
	Client *dynamodb.Client
	Table  string
}

// budgetKept is how long a minute's count is kept before TTL may remove it.
const budgetKept = time.Hour

// Reserve implements delivery.Budget with one atomic addition.
func (b *Budget) Reserve(ctx context.Context, destinationID string, minute time.Time, n, limit int) (int, error) {
	out, err := b.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:        &b.Table,
		Key:              item{attrPK: text(budgetPrefix + destinationID + "#" + strconv.FormatInt(minute.Unix()/60, 10))},
		UpdateExpression: aws.String("ADD u :n SET #ttl = :ttl"),
		ExpressionAttributeNames: map[string]string{
			"#ttl": attrTTL, // a reserved word
		},
		ExpressionAttributeValues: item{":n": number(n), ":ttl": number(minute.Add(budgetKept).Unix())},
		ReturnValues:              types.ReturnValueUpdatedNew,
	})
	if err != nil {
		return 0, fmt.Errorf("count attempts: %w", err)
	}
	used, err := item(out.Attributes).number(attrUsed)
	if err != nil {
		return 0, err
	}
	return max(0, min(n, limit-(int(used)-n))), nil
}
