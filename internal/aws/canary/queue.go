// Package canary is the receiving end of a canary on AWS: a queue that takes one document, from one request.
package canary

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/auditrelay/auditrelay/internal/auditlog"
)

// Queue is a queue of SQS to which an HTTP destination sends by a request that was signed for it: SendMessage
// in SQS's JSON protocol, with the document as the message. The signature is of one body and lasts five
// minutes, so that neither the queue is open to anybody else, nor a credential stored that is of use for
// anything else. It implements doctor.Receiver.
type Queue struct {
	Client *sqs.Client
	Config aws.Config
	Name   string
	Now    func() time.Time

	url string
}

// Open makes the queue. A message is kept for an hour, should nobody remove the queue.
func (q *Queue) Open(ctx context.Context) error {
	out, err := q.Client.CreateQueue(ctx, &sqs.CreateQueueInput{
		QueueName: &q.Name, Attributes: map[string]string{"MessageRetentionPeriod": "3600", "SqsManagedSseEnabled": "true"},
	})
	if err != nil {
		return fmt.Errorf("make the queue %s: %w", q.Name, err)
	}
	q.url = aws.ToString(out.QueueUrl)
	return nil
}

// Close removes the queue, if it was made.
func (q *Queue) Close(ctx context.Context) error {
	if q.url == "" {
		return nil
	}
	_, err := q.Client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &q.url})
	if _, gone := errors.AsType[*types.QueueDoesNotExist](err); err != nil && !gone {
		return fmt.Errorf("remove the queue %s: %w", q.Name, err)
	}
	return nil
}

const (
	target      = "AmazonSQS.SendMessage"
	contentType = "application/x-amz-json-1.0"
)

// Taking signs the request by which the queue takes a document.
func (q *Queue) Taking(ctx context.Context, document []byte) (settings, credentials any, err error) {
	template, endpoint, err := q.request()
	if err != nil {
		return nil, nil, err
	}
	parsed, err := auditlog.ParseTemplate(template)
	if err != nil {
		return nil, nil, fmt.Errorf("write the template of the canary: %w", err)
	}
	doc, err := auditlog.Parse(document)
	if err != nil {
		return nil, nil, err
	}
	header, err := q.signed(ctx, endpoint, parsed.Append(nil, doc, q.Now()))
	if err != nil {
		return nil, nil, err
	}
	return map[string]any{
		"url": endpoint, "format": "single", "template": template, "headers": map[string]string{"Content-Type": contentType, "X-Amz-Target": target},
	}, map[string]any{"headers": header}, nil
}

// request gives the template that makes a call of a document, and where it goes.
func (q *Queue) request() (template, endpoint string, err error) {
	if q.url == "" {
		return "", "", errors.New("the queue of the canary was not made")
	}
	name, err := json.Marshal(q.url)
	if err != nil {
		return "", "", err
	}
	base, err := url.Parse(q.url)
	if err != nil {
		return "", "", fmt.Errorf("read the address of the canary's queue: %w", err)
	}
	return `{"QueueUrl":` + string(name) + `,"MessageBody":{{{log_message_str}}}}`, base.Scheme + "://" + base.Host + "/", nil
}

// signed gives the headers that make a request with a body one of the caller's own.
func (q *Queue) signed(ctx context.Context, endpoint string, body []byte) (map[string]string, error) {
	credentials, err := q.Config.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("find your AWS credentials: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Amz-Target", target)
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(hash[:]), "sqs", q.Config.Region, q.Now()); err != nil {
		return nil, fmt.Errorf("sign the canary's request: %w", err)
	}
	header := map[string]string{"Authorization": r.Header.Get("Authorization"), "X-Amz-Date": r.Header.Get("X-Amz-Date")}
	if token := r.Header.Get("X-Amz-Security-Token"); token != "" {
		header["X-Amz-Security-Token"] = token
	}
	return header, nil
}

// Received takes what arrived off the queue.
func (q *Queue) Received(ctx context.Context) ([]string, error) {
	out, err := q.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 10})
	if err != nil {
		return nil, fmt.Errorf("receive from the queue %s: %w", q.Name, err)
	}
	var list []string
	for _, m := range out.Messages {
		list = append(list, aws.ToString(m.Body))
		if _, err := q.Client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			return list, fmt.Errorf("delete from the queue %s: %w", q.Name, err)
		}
	}
	return list, nil
}
