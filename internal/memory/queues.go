package memory

import (
	"context"
	"fmt"
	"sync"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// RetryQueue is the retry queue of hints.
type RetryQueue struct {
	Queue Queue[delivery.Hint]
	Hook  Hook
}

// Send implements delivery.RetryQueue.
func (q *RetryQueue) Send(_ context.Context, rides []delivery.Ride) []error {
	errs := make([]error, len(rides))
	for i, r := range rides {
		errs[i] = q.Hook.do(CallSendHint, func() error {
			_, err := q.Queue.Send(r.Hint, r.Delay)
			return err
		})
	}
	return errs
}

// IngestQueue is the queue that producers send to.
type IngestQueue struct{ Queue Queue[[]byte] }

// Send puts one message on the queue. A body over 1 MiB is refused, as SQS does.
func (q *IngestQueue) Send(body []byte) (id string, err error) {
	if len(body) > events.MaxMessageBytes {
		return "", TooLarge(len(body))
	}
	return q.Queue.Send(body, 0)
}

// TooLarge is the queue's refusal of a message of that many bytes.
func TooLarge(size int) error {
	return fmt.Errorf("the message has %d bytes; the queue takes at most %d: put larger logs into the payload bucket and send their pointer",
		size, events.MaxMessageBytes)
}

// RejectedQueue keeps the messages that are no valid logs.
type RejectedQueue struct {
	Hook Hook

	mu       sync.Mutex
	rejected []delivery.Rejection
}

// Reject implements delivery.RejectedQueue.
func (q *RejectedQueue) Reject(_ context.Context, rs []delivery.Rejection) []error {
	errs := make([]error, len(rs))
	for i, r := range rs {
		errs[i] = q.Hook.do(CallReject, func() error {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.rejected = append(q.rejected, r)
			return nil
		})
	}
	return errs
}

// All gives every rejected message in the order of arrival.
func (q *RejectedQueue) All() []delivery.Rejection {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]delivery.Rejection(nil), q.rejected...)
}
