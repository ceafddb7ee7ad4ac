package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// Claims are the claims of mails, in the directory table. It implements notice.Claims.
type Claims struct {
	Client Client
	Table  string
}

const (
	claimPrefix = "N#"
	attrBefore  = "before"
	// claimKept is longer than a notice can come again: four days on its queue and fourteen on the dead-letter queue.
	claimKept = 31 * 24 * time.Hour
)

// Claim implements notice.Claims.
func (s *Claims) Claim(ctx context.Context, key string) (notice.Claim, error) {
	c := notice.Claim{Key: key}
	out, err := s.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.Table, Key: directoryKey(claimPrefix, key), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return c, fmt.Errorf("get the claim %s: %w", key, err)
	}
	if out.Item == nil {
		return c, nil
	}
	i := item(out.Item)
	var receive, at, revision int64
	if err := i.numbers(map[string]*int64{"receive": &receive, attrAt: &at, "revision": &revision}); err != nil {
		return c, fmt.Errorf("claim %s: %w", key, err)
	}
	c.State, c.Holder, c.Try = notice.ClaimState(i.text("state")), i.text("holder"), i.text("try")
	c.Receive, c.At, c.Revision = int(receive), fromMillis(at), int(revision)
	if i.has(attrBefore) {
		before, err := i.number(attrBefore)
		if err != nil {
			return c, fmt.Errorf("claim %s: %w", key, err)
		}
		c.Before = fromMillis(before)
	}
	return c, nil
}

// SaveClaim implements notice.Claims.
func (s *Claims) SaveClaim(ctx context.Context, c notice.Claim) (notice.Claim, error) {
	in := &dynamodb.PutItemInput{TableName: &s.Table, ConditionExpression: aws.String(notThere)}
	if c.Revision > 0 {
		in.ConditionExpression = aws.String("revision = :revision")
		in.ExpressionAttributeValues = item{":revision": number(c.Revision)}
	}
	c.Revision++
	i := directoryKey(claimPrefix, c.Key)
	i["state"], i["holder"], i["try"] = text(string(c.State)), text(c.Holder), text(c.Try)
	if !c.Before.IsZero() {
		i[attrBefore] = number(millis(c.Before))
	}
	i["receive"], i[attrAt], i["revision"] = number(c.Receive), number(millis(c.At)), number(c.Revision)
	i[attrTTL] = number(c.At.Add(claimKept).Unix())
	in.Item = i
	if err := putOnce(ctx, s.Client, "put the claim "+c.Key, in, directory.ErrChanged); err != nil {
		return notice.Claim{}, err
	}
	return c, nil
}
