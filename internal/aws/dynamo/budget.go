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
	counter := attrUsed
	if w.Fresh {
		counter = attrFresh
	}
	out, err := b.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:        &b.Table,
		Key:              item{attrPK: text(fmt.Sprintf("%s%s#%d#%d", budgetPrefix, identity, w.Length/time.Second, w.Start.Unix()))},
		UpdateExpression: aws.String("ADD #counter :n SET #ttl = :ttl"),
		ExpressionAttributeNames: map[string]string{
			"#counter": counter,
			"#ttl":     attrTTL, // a reserved word
		},
		ExpressionAttributeValues: item{":n": number(n), ":ttl": number(w.Start.Add(w.Length + budgetKept).Unix())},
		ReturnValues:              types.ReturnValueAllNew,
	})
	if err != nil {
		return 0, fmt.Errorf("count attempts: %w", err)
	}
	var waiting, fresh int64
	if err := item(out.Attributes).numbers(map[string]*int64{attrUsed: &waiting, attrFresh: &fresh}); err != nil {
		return 0, err
	}
	before := delivery.Asked{Waiting: int(waiting), Fresh: int(fresh)}
	if w.Fresh {
		before.Fresh -= n
	} else {
		before.Waiting -= n
	}
	return w.Grant(before, n), nil
}
