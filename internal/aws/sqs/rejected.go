package sqs

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Objects takes bodies that no queue can.
type Objects interface {
	// Put stores an object; when it returns, the object is durable.
	Put(ctx context.Context, key string, body []byte) error
}

// RejectedQueue is the queue of messages that are no valid logs. It implements delivery.RejectedQueue. A body that does not fit goes to the
// bucket, and its pointer to the queue in the format of AWS's SQS Extended Client, so that a redrive to ingest works for it too.
type RejectedQueue struct {
	Client  *sqs.Client
	URL     string
	Objects Objects
	// Bucket is the name of the bucket that Objects puts into.
	Bucket string
}

// The attributes of a rejected message: why and when it was rejected, and which message of the ingest queue it was.
const (
	attrReason     = "reason"
	attrRejectedAt = "rejected_at"
	attrMessageID  = "message_id"
	attrSentAt     = "sent_at"
	// attrPayloadSize marks a pointer, as the Extended Client does.
	attrPayloadSize = "ExtendedPayloadSize"
	pointerClass    = "software.amazon.payloadoffloading.PayloadS3Pointer"
)

// Reject implements delivery.RejectedQueue.
func (q *RejectedQueue) Reject(ctx context.Context, rs []delivery.Rejection) []error {
	errs := make([]error, len(rs))
	var entries []types.SendMessageBatchRequestEntry
	var places []int
	for i, r := range rs {
		e, err := q.entry(ctx, r)
		if err != nil {
			errs[i] = err
			continue
		}
		entries = append(entries, e)
		places = append(places, i)
	}
	for j, err := range send(ctx, q.Client, q.URL, entries) {
		errs[places[j]] = err
	}
	return errs
}

func (q *RejectedQueue) entry(ctx context.Context, r delivery.Rejection) (types.SendMessageBatchRequestEntry, error) {
	body := r.Body
	e := types.SendMessageBatchRequestEntry{
		MessageBody: aws.String(string(body)),
		MessageAttributes: map[string]types.MessageAttributeValue{
			attrReason:     textAttribute(r.Reason),
			attrRejectedAt: textAttribute(r.At.UTC().Format(time.RFC3339Nano)),
			attrMessageID:  textAttribute(r.ID),
			attrSentAt:     textAttribute(r.SentAt.UTC().Format(time.RFC3339Nano)),
		},
	}
	if fits(body) && size(e) <= maxBytes {
		return e, nil
	}
	key := "rejected/" + r.ID // the same for a message that is handed out twice
	if err := q.Objects.Put(ctx, key, body); err != nil {
		return e, fmt.Errorf("store the body of message %s: %w", r.ID, err)
	}
	pointer, err := json.Marshal([]any{pointerClass, map[string]string{"s3BucketName": q.Bucket, "s3Key": key}})
	if err != nil {
		return e, fmt.Errorf("write the pointer to the body of message %s: %w", r.ID, err)
	}
	e.MessageBody = aws.String(string(pointer))
	e.MessageAttributes[attrPayloadSize] = types.MessageAttributeValue{DataType: aws.String("Number"), StringValue: aws.String(strconv.Itoa(len(body)))}
	return e, nil
}

func textAttribute(s string) types.MessageAttributeValue {
	s = strings.Map(func(c rune) rune {
		if !allowed(c) {
			return utf8.RuneError
		}
		return c
	}, s)
	if s == "" {
		s = "-" // the service takes no empty value
	}
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}

// fits says whether a queue takes the body's characters: valid UTF-8 of those that XML 1.0 allows, and at least one.
func fits(body []byte) bool {
	return len(body) > 0 && utf8.Valid(body) && strings.IndexFunc(string(body), func(c rune) bool { return !allowed(c) }) < 0
}

func allowed(c rune) bool {
	return c == '\t' || c == '\n' || c == '\r' || c >= 0x20 && c != 0xFFFE && c != 0xFFFF
}
