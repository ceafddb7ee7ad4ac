// Package sqs puts hints and rejected messages on SQS queues, and takes a function's SQS events to the core.
package sqs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// maxMessages and maxBytes are what one call may carry; a message alone may have as many bytes.
	maxMessages = 10
	maxBytes    = 1 << 20
	// callsAtOnce bounds the calls that one operation has under way.
	callsAtOnce = 8
)

// size is what the service counts of an entry: the body and each attribute's name, type and value.
func size(e types.SendMessageBatchRequestEntry) int {
	n := len(aws.ToString(e.MessageBody))
	for name, a := range e.MessageAttributes {
		n += len(name) + len(aws.ToString(a.DataType)) + len(aws.ToString(a.StringValue))
	}
	return n
}

// send puts entries on a queue, in as few calls as they fit into, and answers for each.
func send(ctx context.Context, client *sqs.Client, queueURL string, entries []types.SendMessageBatchRequestEntry) []error {
	errs := make([]error, len(entries))
	var wg sync.WaitGroup
	slots := make(chan struct{}, callsAtOnce)
	for start := 0; start < len(entries); {
		end, bytes := start, 0
		for end < len(entries) && end-start < maxMessages && (end == start || bytes+size(entries[end]) <= maxBytes) {
			bytes += size(entries[end])
			end++
		}
		batch, out := entries[start:end], errs[start:end]
		start = end
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			sendBatch(ctx, client, queueURL, batch, out)
		})
	}
	wg.Wait()
	return errs
}

// Refusal is the queue's answer for one message of a call that it served.
type Refusal struct {
	Code string
	// Sender says that the message is at fault. Otherwise the queue is, and takes the same message later.
	Sender bool
}

// Error names the queue's code.
func (r *Refusal) Error() string { return "the queue refused the message: " + r.Code }

var errNoAnswer = errors.New("the queue did not answer for the message")

func sendBatch(ctx context.Context, client *sqs.Client, queueURL string, batch []types.SendMessageBatchRequestEntry, errs []error) {
	for i := range batch {
		batch[i].Id = aws.String(strconv.Itoa(i))
		errs[i] = errNoAnswer
	}
	out, err := client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &queueURL, Entries: batch})
	if err != nil {
		for i := range errs {
			errs[i] = fmt.Errorf("send a batch of %d messages: %w", len(batch), err)
		}
		return
	}
	for _, ok := range out.Successful {
		settle(errs, ok.Id, nil)
	}
	for _, bad := range out.Failed {
		settle(errs, bad.Id, &Refusal{Code: aws.ToString(bad.Code), Sender: bad.SenderFault})
	}
}

func settle(errs []error, id *string, err error) {
	if i, bad := strconv.Atoi(aws.ToString(id)); bad == nil && i >= 0 && i < len(errs) {
		errs[i] = err
	}
}
