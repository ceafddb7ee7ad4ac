package sqs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Source is a queue from the side of the function that its messages are handed to. It implements delivery.Source.
type Source struct {
	Client *sqs.Client
	URL    string
}

// Hide implements delivery.Source.
func (s *Source) Hide(ctx context.Context, handle string, d time.Duration) error {
	in := &sqs.ChangeMessageVisibilityInput{QueueUrl: &s.URL, ReceiptHandle: &handle, VisibilityTimeout: int32(d / time.Second)}
	if _, err := s.Client.ChangeMessageVisibility(ctx, in); err != nil {
		return fmt.Errorf("change a message's visibility: %w", err)
	}
	return nil
}

// Settle implements delivery.Source. Deleting what is gone is no error of the service's either.
func (s *Source) Settle(ctx context.Context, handles []string) []error {
	errs := make([]error, 0, len(handles))
	for part := range slices.Chunk(handles, maxMessages) {
		errs = append(errs, s.settle(ctx, part)...)
	}
	return errs
}

func (s *Source) settle(ctx context.Context, handles []string) []error {
	entries := make([]types.DeleteMessageBatchRequestEntry, len(handles))
	for i := range handles {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &handles[i]}
	}
	errs := make([]error, len(handles))
	out, err := s.Client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &s.URL, Entries: entries})
	if err != nil {
		for i := range errs {
			errs[i] = fmt.Errorf("delete %d messages: %w", len(handles), err)
		}
		return errs
	}
	for _, f := range out.Failed {
		if i, err := strconv.Atoi(aws.ToString(f.Id)); err == nil && i < len(errs) {
			errs[i] = fmt.Errorf("delete a message: %w", errors.New(aws.ToString(f.Code)))
		}
	}
	return errs
}
