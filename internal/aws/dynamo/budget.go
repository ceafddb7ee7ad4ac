package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Budget counts attempts at destinations in the directory table, one small item a destination and window. It implements delivery.Budget.
type Budget struct {
	Client Client
	Table  string
}

// budgetKept is how long a window's count is kept before TTL may remove it.
const budgetKept = time.Hour

// Reserve implements delivery.Budget with one atomic addition.
func (b *Budget) Reserve(ctx context.Context, identity string, w delivery.Window, n int) (int, error) {
	out, err := b.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:        &b.Table,
		Key:              item{attrPK: text(fmt.Sprintf("%s%s#%d#%d", budgetPrefix, identity, w.Length/time.Second, w.Start.Unix()))},
		UpdateExpression: aws.String("ADD u :n SET #ttl = :ttl"),
		ExpressionAttributeNames: map[string]string{
			"#ttl": attrTTL, // a reserved word
		},
		ExpressionAttributeValues: item{":n": number(n), ":ttl": number(w.Start.Add(budgetKept).Unix())},
		ReturnValues:              types.ReturnValueUpdatedNew,
	})
	if err != nil {
		return 0, fmt.Errorf("count attempts: %w", err)
	}
	used, err := item(out.Attributes).number(attrUsed)
	if err != nil {
		return 0, err
	}
	return max(0, min(n, w.Limit-(int(used)-n))), nil
}
