package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// NoticeQueue is the queue of what admins may have to be told. It implements delivery.Notices.
type NoticeQueue struct {
	Client *sqs.Client
	URL    string
}

// Notify implements delivery.Notices.
func (q *NoticeQueue) Notify(ctx context.Context, n directory.Notice) error {
	body, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("write a notice: %w", err)
	}
	return errors.Join(send(ctx, q.Client, q.URL, []types.SendMessageBatchRequestEntry{{MessageBody: aws.String(string(body))}})...)
}
