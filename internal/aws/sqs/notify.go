package sqs

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// Notifier takes notices and answers the ids of the messages that must be handed out again.
type Notifier interface {
	Handle(ctx context.Context, batch []notice.Message) (unsettled []string)
}

// NoticeHandler takes the events of the notices queue to the core.
type NoticeHandler struct {
	Notifier Notifier
	Journal  notice.Journal
	Now      func() time.Time
}

// Handle deals with a batch. It has no error of its own: what failed is in the response, message by message. A message that is no notice is left to
// the dead-letter queue, where a person finds it.
func (h *NoticeHandler) Handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	var batch []notice.Message
	var unsettled []string
	for _, r := range e.Records {
		var n directory.Notice
		if err := json.Unmarshal([]byte(r.Body), &n); err != nil || n.Kind == "" || n.DestinationID == "" {
			h.Journal.Record(notice.Entry{Event: notice.EventFault, At: h.Now(), Reason: "message " + r.MessageId + " of the notices queue is no notice"})
			unsettled = append(unsettled, r.MessageId)
			continue
		}
		receives, _ := strconv.Atoi(r.Attributes["ApproximateReceiveCount"]) // it only tells receives apart
		batch = append(batch, notice.Message{ID: r.MessageId, Receives: receives, Notice: n})
	}
	unsettled = append(unsettled, h.Notifier.Handle(ctx, batch)...)
	var response events.SQSEventResponse
	for _, id := range unsettled {
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	return response, nil
}
