package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// ttlPrincipal is who removed an item, in its stream record, if TTL did.
const ttlPrincipal = "dynamodb.amazonaws.com"

// ChangeHandler is told what changed in the deliveries table.
type ChangeHandler interface {
	// Handle takes changes in their order and answers the ID of the first that could not be dealt with, or "".
	Handle(ctx context.Context, changes []delivery.Change) (unsettled string)
}

// Stream takes the events of the deliveries table's stream to expire, and removes the documents outside the table whose item is gone.
type Stream struct {
	Expire  ChangeHandler
	Objects Objects
	Journal delivery.Journal
	Now     func() time.Time
}

// Handle deals with the records. It answers the first that must be handed out again, with all after it.
func (s *Stream) Handle(ctx context.Context, e events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	var changes []delivery.Change
	for _, r := range e.Records {
		change, err := changeOf(r)
		if err != nil {
			s.fault(r, err) // nobody can read it the next time either
			continue
		}
		if change.Expired != nil || change.Failed != nil {
			changes = append(changes, change)
		}
	}
	again := place(e.Records, s.Expire.Handle(ctx, changes))
	again = s.cleanAll(ctx, e.Records[:again])
	if again == len(e.Records) {
		return events.DynamoDBEventResponse{}, nil
	}
	id := e.Records[again].Change.SequenceNumber
	return events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{{ItemIdentifier: id}}}, nil
}

// place is where the record of that number stands; "" stands behind the last.
func place(records []events.DynamoDBEventRecord, number string) int {
	for i, r := range records {
		if r.Change.SequenceNumber == number {
			return i
		}
	}
	return len(records)
}

// cleanAll cleans after records beside each other, since no object's name is used twice, and answers the place of the first that
// could not be.
func (s *Stream) cleanAll(ctx context.Context, records []events.DynamoDBEventRecord) int {
	errs := make([]error, len(records))
	each(len(records), func(i int) { errs[i] = s.clean(ctx, records[i]) })
	for i, err := range errs {
		if err != nil {
			s.fault(records[i], err)
			return i
		}
	}
	return len(records)
}

func (s *Stream) fault(r events.DynamoDBEventRecord, err error) {
	keys := attributes(r.Change.Keys)
	k, _ := parseKey(keys.text(attrPK), keys.text(attrSK)) // without a key, the record's number is all there is
	reason := fmt.Sprintf("stream record %s: %v", r.Change.SequenceNumber, err)
	s.Journal.Record(delivery.Entry{Event: delivery.EventFault, At: s.Now(), Key: k, Reason: reason})
}

// clean removes the document outside the table that the item no longer names.
func (s *Stream) clean(ctx context.Context, r events.DynamoDBEventRecord) error {
	before := attributes(r.Change.OldImage).text(attrObject)
	if before == "" || before == attributes(r.Change.NewImage).text(attrObject) {
		return nil
	}
	if err := s.Objects.Delete(ctx, before); err != nil {
		return fmt.Errorf("delete a document whose delivery is gone: %w", err)
	}
	return nil
}

// changeOf is what expire needs of a record, both pointers nil if nothing. An expired delivery comes without its document's JSON.
func changeOf(r events.DynamoDBEventRecord) (delivery.Change, error) {
	change := delivery.Change{ID: r.Change.SequenceNumber}
	pk := attributes(r.Change.Keys).text(attrPK)
	switch {
	case r.EventName == string(events.DynamoDBOperationTypeInsert) && strings.HasPrefix(pk, failedPrefix):
		e, err := parseFailed(attributes(r.Change.NewImage))
		if err != nil {
			return change, err
		}
		change.Failed = &e
	case r.EventName == string(events.DynamoDBOperationTypeRemove) && strings.HasPrefix(pk, deliveryPrefix) && byTTL(r):
		d, err := parseDelivery(attributes(r.Change.OldImage))
		if d.LogID == "" {
			return change, errors.Join(errors.New("no old image, or without its key"), err)
		}
		change.Expired = &d // an item whose other attributes cannot be read still ends as a failed event
	}
	return change, nil
}

func byTTL(r events.DynamoDBEventRecord) bool {
	return r.UserIdentity != nil && r.UserIdentity.PrincipalID == ttlPrincipal
}

// attributes are a record's image as an item, with those types only that the table's items have on top.
func attributes(image map[string]events.DynamoDBAttributeValue) item {
	i := make(item, len(image))
	for name, v := range image {
		switch v.DataType() {
		case events.DataTypeString:
			i[name] = text(v.String())
		case events.DataTypeNumber:
			i[name] = &types.AttributeValueMemberN{Value: v.Number()}
		case events.DataTypeBoolean:
			i[name] = &types.AttributeValueMemberBOOL{Value: v.Boolean()}
		case events.DataTypeBinary:
			i[name] = &types.AttributeValueMemberB{Value: v.Binary()}
		}
	}
	return i
}
