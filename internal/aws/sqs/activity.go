package sqs

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/auditrelay/auditrelay/events"
)

// ActivityQueue is the ingest queue, for the system's own logs. It implements connection.Logs.
type ActivityQueue struct {
	Client *sqs.Client
	URL    string
}

// Send implements connection.Logs.
func (q *ActivityQueue) Send(ctx context.Context, l events.Log) error {
	body, err := l.Message()
	if err != nil {
		return fmt.Errorf("write log %s: %w", l.ID, err)
	}
	ingest := IngestQueue{Client: q.Client, QueueURL: q.URL}
	return errors.Join(ingest.Send(ctx, []Outgoing{{WorkspaceID: l.WorkspaceID, Body: body}})...)
}
