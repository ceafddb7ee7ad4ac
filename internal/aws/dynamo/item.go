package dynamo

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// item is a row of a table.
type item map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number[N int | int64](n N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

func (i item) text(name string) string {
	s, _ := i[name].(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}

func (i item) has(name string) bool { return i[name] != nil }

// number reads a whole number; absent is 0.
func (i item) number(name string) (int64, error) {
	if !i.has(name) {
		return 0, nil
	}
	return parseNumber(name, i[name])
}

func parseNumber(name string, v types.AttributeValue) (int64, error) {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return 0, fmt.Errorf("attribute %s is no number", name)
	}
	x, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("attribute %s is no whole number: %w", name, err)
	}
	return x, nil
}

// numbers reads several whole numbers into their places.
func (i item) numbers(places map[string]*int64) error {
	for name, place := range places {
		n, err := i.number(name)
		if err != nil {
			return err
		}
		*place = n
	}
	return nil
}

func deliveryKey(k delivery.Key) item {
	return item{attrPK: text(deliveryPK(k)), attrSK: text(sortKey(k))}
}

// deliveryItem is a delivery that enters the cache, without its document.
func deliveryItem(d delivery.Delivery) item {
	i := deliveryKey(d.Key)
	i[attrAttempts] = number(d.Attempts)
	i[attrRevision] = number(d.Revision + 1)
	i[attrType] = text(d.Document.Type)
	i[attrDueShard] = number(d.DueShard())
	i[attrDue] = number(millis(d.NextAt))
	i[attrTTL] = number(removableAt(d).Unix())
	if d.Code != "" {
		i[attrCode] = text(string(d.Code))
	}
	i.setText(attrOwner, d.Owner)
	if !d.Tried.IsZero() {
		i[attrTried] = number(millis(d.Tried))
	}
	if d.Forgiven > 0 {
		i[attrForgiven] = number(d.Forgiven)
	}
	i.mark(attrRiding, d.Riding)
	i.mark(attrParked, d.Parked)
	return i
}

// mark sets an attribute that is present or absent.
func (i item) mark(name string, on bool) {
	if on {
		i[name] = &types.AttributeValueMemberBOOL{Value: true}
	}
}

// removableAt is when a delivery becomes the prey of TTL: after its end, and after its first attempt, should that come later than its end.
func removableAt(d delivery.Delivery) time.Time {
	if end := d.ExpiresAt(); d.NextAt.Before(end) {
		return end.Add(ttlSlack)
	}
	return d.NextAt.Add(ttlSlack)
}

// parseDelivery reads a delivery without its document's JSON. With an error that is not about the key comes what could be read all the same.
func parseDelivery(i item) (delivery.Delivery, error) {
	k, err := parseKey(i.text(attrPK), i.text(attrSK))
	if err != nil {
		return delivery.Delivery{}, err
	}
	d := delivery.Delivery{
		Key:      k,
		Owner:    i.text(attrOwner),
		Code:     failure.Code(i.text(attrCode)),
		Riding:   i.has(attrRiding),
		Parked:   i.has(attrParked),
		Document: auditlog.Document{ID: k.LogID, WorkspaceID: k.WorkspaceID, Type: i.text(attrType)},
	}
	var attempts, tried, forgiven, revision, due int64
	places := map[string]*int64{attrAttempts: &attempts, attrTried: &tried, attrForgiven: &forgiven, attrRevision: &revision, attrDue: &due}
	if err := i.numbers(places); err != nil {
		return d, fmt.Errorf("delivery of log %s: %w", k.LogID, err)
	}
	d.Attempts, d.Tried, d.Forgiven = int(attempts), fromMillis(tried), int(forgiven)
	d.NextAt, d.Revision = fromMillis(due), int(revision)
	return d, nil
}

func failedItem(e delivery.FailedEvent) item {
	i := failedKey(e.Key)
	i[attrType] = text(e.Type)
	i[attrAttempts] = number(e.Attempts)
	i[attrCode] = text(string(e.Code))
	i[attrFailedAt] = number(millis(e.FailedAt))
	i[attrTTL] = number(e.FailedAt.Add(failedKept).Unix())
	i.setText(attrOwner, e.Owner)
	return i
}

func parseFailed(i item) (delivery.FailedEvent, error) {
	k, err := parseKey(i.text(attrPK), i.text(attrSK))
	if err != nil {
		return delivery.FailedEvent{}, err
	}
	var attempts, at int64
	if err := i.numbers(map[string]*int64{attrAttempts: &attempts, attrFailedAt: &at}); err != nil {
		return delivery.FailedEvent{Key: k}, fmt.Errorf("failed event of log %s: %w", k.LogID, err)
	}
	return delivery.FailedEvent{Key: k, Owner: i.text(attrOwner), Type: i.text(attrType), FailedAt: fromMillis(at), Attempts: int(attempts), Code: failure.Code(i.text(attrCode))}, nil
}
