package sqs

import (
	"context"
	"errors"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// DrainQueue is the queue of calls for a page of a destination's backlog; a message is the destination's id. It implements delivery.DrainQueue.
type DrainQueue struct {
	Client *sqs.Client
	URL    string
}

// Start implements delivery.DrainQueue.
func (q *DrainQueue) Start(ctx context.Context, destinationID string) error {
	return errors.Join(send(ctx, q.Client, q.URL, []types.SendMessageBatchRequestEntry{{MessageBody: aws.String(destinationID)}})...)
}

// EachMessage hands each message of an event to do, and answers those for which it failed.
func EachMessage(e events.SQSEvent, do func(body string) error) events.SQSEventResponse {
	var response events.SQSEventResponse
	for _, r := range e.Records {
		if err := do(r.Body); err != nil {
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
		}
	}
	return response
}
