package sqs

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Relay takes batches of messages and answers the ids of those that must be handed out again.
type Relay interface {
	Accept(ctx context.Context, batch []delivery.Message) (unsettled []string)
	Retry(ctx context.Context, batch []delivery.HintMessage) (unsettled []string)
}

// Handler takes a function's SQS events to the core. Only the queue that a message comes from says what it is: a producer may write anything.
type Handler struct {
	Relay         Relay
	RetryQueueARN string
	// Dead, if set, takes the dead letters of ingest, of the queue DeadLettersARN, where they lie. There they have the
	// time of their acceptance still; a message that is moved back is a new one.
	Dead           Relay
	DeadLettersARN string
	Journal        delivery.Journal
	Now            func() time.Time
	// Done, if set, is called after each batch.
	Done func()
}

// Invoke implements lambda.Handler. It reads the event itself, since a batch of logs takes encoding/json a quarter of the function's time.
func (h *Handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	if h.Done != nil {
		defer h.Done()
	}
	var e events.SQSEvent
	if err := json.Unmarshal(event, &e, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	response, err := h.Handle(ctx, e)
	if err != nil {
		return nil, err
	}
	return json.Marshal(response)
}

// Handle deals with a batch. It has no error of its own: what failed is in the response, message by message.
func (h *Handler) Handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	var messages, dead []delivery.Message
	var hints []delivery.HintMessage
	var unsettled []string
	for _, r := range e.Records {
		if r.EventSourceARN == h.RetryQueueARN {
			hint, err := parseHint(r.Body)
			if err != nil {
				h.fault(r, err) // and done: if it stood for a delivery, requeue finds it
				continue
			}
			hints = append(hints, delivery.HintMessage{ID: r.MessageId, Hint: hint, Receives: receives(r), Handle: r.ReceiptHandle})
			continue
		}
		m, err := message(r)
		if err != nil {
			h.fault(r, err)
			unsettled = append(unsettled, r.MessageId)
			continue
		}
		if h.Dead != nil && r.EventSourceARN == h.DeadLettersARN {
			dead = append(dead, m)
		} else {
			messages = append(messages, m)
		}
	}
	if len(messages) > 0 {
		unsettled = append(unsettled, h.Relay.Accept(ctx, messages)...)
	}
	if len(dead) > 0 {
		unsettled = append(unsettled, h.Dead.Accept(ctx, dead)...)
	}
	if len(hints) > 0 {
		unsettled = append(unsettled, h.Relay.Retry(ctx, hints)...)
	}
	var response events.SQSEventResponse
	for _, id := range unsettled {
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	return response, nil
}

func (h *Handler) fault(r events.SQSMessage, err error) {
	h.Journal.Record(delivery.Entry{Event: delivery.EventFault, At: h.Now(), MessageID: r.MessageId, Reason: err.Error()})
}

func message(r events.SQSMessage) (delivery.Message, error) {
	sent, err := strconv.ParseInt(r.Attributes["SentTimestamp"], 10, 64)
	if err != nil {
		return delivery.Message{}, fmt.Errorf("read the message's SentTimestamp: %w", err)
	}
	count, err := strconv.Atoi(r.Attributes["ApproximateReceiveCount"])
	if err != nil {
		return delivery.Message{}, fmt.Errorf("read the message's ApproximateReceiveCount: %w", err)
	}
	return delivery.Message{
		ID: r.MessageId, Body: []byte(r.Body), SentAt: time.UnixMilli(sent).UTC(), Receives: count, Handle: r.ReceiptHandle,
	}, nil
}

// receives is how often a hint was handed out, 0 if its message does not say.
func receives(r events.SQSMessage) int {
	n, err := strconv.Atoi(r.Attributes["ApproximateReceiveCount"])
	if err != nil {
		return 0
	}
	return n
}
