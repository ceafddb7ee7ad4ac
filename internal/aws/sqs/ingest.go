package sqs

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// IngestQueue is the queue that logs are sent to, from a producer's side.
type IngestQueue struct {
	Client   *sqs.Client
	QueueURL string
}

// Outgoing is one log as it goes onto the ingest queue, and the workspace that its fair-queue group is named by.
type Outgoing struct {
	WorkspaceID string
	Body        []byte
}

// Send puts logs on the queue and answers for each.
func (q *IngestQueue) Send(ctx context.Context, logs []Outgoing) []error {
	entries := make([]types.SendMessageBatchRequestEntry, len(logs))
	for i, l := range logs {
		entries[i].MessageBody = aws.String(string(l.Body))
		if l.WorkspaceID != "" {
			entries[i].MessageGroupId = &l.WorkspaceID
		}
	}
	return send(ctx, q.Client, q.QueueURL, entries)
}
