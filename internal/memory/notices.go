package memory

import (
	"context"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// NoticeQueue is the queue of what admins may have to be told.
type NoticeQueue struct {
	Queue Queue[directory.Notice]
	Hook  Hook
}

// Notify implements delivery.Notices.
func (q *NoticeQueue) Notify(_ context.Context, n directory.Notice) error {
	return q.Hook.do(CallNotify, func() error {
		_, err := q.Queue.Send(n, 0)
		return err
	})
}
