package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-lambda-go/events"

	"github.com/auditrelay/auditrelay/internal/aws/sqs"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Minute is the function requeue: what is done every minute, and the pages of drains that the queue drain calls for.
type Minute struct {
	Requeue *delivery.Requeue
	Watch   *delivery.Watch
	Drain   *delivery.Drain
	Journal delivery.Journal
}

// Handle tells the two kinds of events apart: those of a queue have records.
func (m *Minute) Handle(ctx context.Context, event json.RawMessage) (any, error) {
	var pages events.SQSEvent
	if err := json.Unmarshal(event, &pages); err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	if len(pages.Records) == 0 {
		return nil, m.run(ctx)
	}
	return sqs.EachMessage(pages, func(destinationID string) error {
		err := m.Drain.Page(ctx, destinationID)
		faults(m.Journal)(err)
		return err
	}), nil
}

// run does what is done every minute. Requeue and the watch run beside each other, so that much that is due takes no time from the watch.
func (m *Minute) run(ctx context.Context) error {
	var watched error
	var wg sync.WaitGroup
	wg.Go(func() { watched = m.Watch.Run(ctx) })
	err := m.Requeue.Run(ctx)
	wg.Wait()
	err = errors.Join(err, watched)
	faults(m.Journal)(err) // the line of the returned error has no fields
	return err
}
