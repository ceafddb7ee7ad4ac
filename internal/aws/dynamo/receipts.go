package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

const (
	receiptPrefix = "R#"
	receiptSK     = "receipt"
)

func receiptKey(c delivery.Content) item {
	return item{attrPK: text(receiptPrefix + c.WorkspaceID + "#" + c.LogID + "#" + c.Hash), attrSK: text(receiptSK)}
}

// Look implements delivery.Receipts. The read is a moment behind the writes, which halves its price.
func (c *Cache) Look(ctx context.Context, logs []delivery.Content) (map[delivery.Content]delivery.Receipt, error) {
	keys := make([]item, len(logs))
	for i, l := range logs {
		keys[i] = receiptKey(l)
	}
	rows, err := readAll(ctx, c.client, c.table, keys, false)
	found := make(map[delivery.Content]delivery.Receipt, len(rows))
	for _, row := range rows {
		r, bad := parseReceipt(row)
		if bad != nil {
			return nil, bad
		}
		found[r.Content] = r
	}
	if err != nil {
		return found, fmt.Errorf("read receipts: %w", err)
	}
	return found, nil
}

// Keep implements delivery.Receipts.
func (c *Cache) Keep(ctx context.Context, rs []delivery.Receipt) error {
	requests := make([]types.WriteRequest, len(rs))
	for i, r := range rs {
		requests[i] = types.WriteRequest{PutRequest: &types.PutRequest{Item: receiptItem(r)}}
	}
	if err := errors.Join(c.writeAll(ctx, requests)...); err != nil {
		return fmt.Errorf("write receipts: %w", err)
	}
	return nil
}

// receiptItem is an item of under a kilobyte for a log of some destinations, which is one write unit.
func receiptItem(r delivery.Receipt) item {
	i := receiptKey(r.Content)
	to := make([]types.AttributeValue, len(r.To))
	for n, identity := range r.To {
		to[n] = text(identity)
	}
	i[attrMessage], i[attrTo], i[attrTTL] = text(r.MessageID), &types.AttributeValueMemberL{Value: to}, number(r.Until.Unix())
	return i
}

func parseReceipt(i item) (delivery.Receipt, error) {
	parts := strings.Split(strings.TrimPrefix(i.text(attrPK), receiptPrefix), "#")
	until, err := i.number(attrTTL)
	if err != nil || len(parts) != 3 {
		return delivery.Receipt{}, errors.Join(fmt.Errorf("the receipt %s cannot be read", i.text(attrPK)), err)
	}
	return delivery.Receipt{
		Content:   delivery.Content{WorkspaceID: parts[0], LogID: parts[1], Hash: parts[2]},
		MessageID: i.text(attrMessage),
		To:        slices.Clone(i.texts(attrTo)),
		Until:     time.Unix(until, 0).UTC(),
	}, nil
}
