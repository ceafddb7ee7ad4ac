package handler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/auditrelay/auditrelay/internal/aws/handler"
	"github.com/auditrelay/auditrelay/internal/aws/handler/notify"
	"github.com/auditrelay/auditrelay/internal/aws/scheduler"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// targets notes which operations were called on which table, queue or secret, and answers each with nothing.
type targets []string

func (s *targets) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var request struct{ TableName, QueueUrl string }
	_ = json.Unmarshal(body, &request)
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	*s = append(*s, operation+" "+request.TableName+request.QueueUrl)
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

func (s *targets) account() aws.Config {
	return aws.Config{
		Region:      "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:  &http.Client{Transport: s},
	}
}

func deliverConfig() config.Deliver {
	return config.Deliver{
		Stores:           config.Stores{DirectoryTable: "directory", DeliveriesTable: "deliveries", PayloadBucket: "payloads"},
		RetryQueueURL:    "https://sqs/retry",
		RetryQueueARN:    "arn:retry",
		RejectedQueueURL: "https://sqs/rejected",
		KeyARN:           "arn:aws:kms:eu-central-1:123456789012:key/stage",
	}
}

func sqsEvent(arn, body string) events.SQSEvent {
	return events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: "m-1", EventSourceARN: arn, Body: body, Attributes: map[string]string{"SentTimestamp": "1793611800123", "ApproximateReceiveCount": "1"},
	}}}
}

// TestEachStoreIsItsOwn catches a swapped name in the wiring.
func TestEachStoreIsItsOwn(t *testing.T) {
	lines := delivery.NewLines(io.Discard, "test")
	const aLog = `{"id":"l","workspace_id":"w","type":"user_activity","occurred_at":"2026-11-02T09:30:00Z","payload":{}}`
	for name, test := range map[string]struct {
		do   func(ctx context.Context, account aws.Config) error
		want string
	}{
		"deliver: a log": {func(ctx context.Context, account aws.Config) error {
			h, err := handler.Deliver(deliverConfig(), account, lines)
			if err != nil {
				return err
			}
			_, err = h.Handle(ctx, sqsEvent("arn:ingest", aLog))
			return err
		}, strings.Repeat("GetItem directory, ", 4) + "Query directory, Query directory"},
		"deliver: no log": {func(ctx context.Context, account aws.Config) error {
			h, err := handler.Deliver(deliverConfig(), account, lines)
			if err != nil {
				return err
			}
			_, err = h.Handle(ctx, sqsEvent("arn:ingest", "no log"))
			return err
		}, "SendMessageBatch https://sqs/rejected"},
		"deliver: a hint": {func(ctx context.Context, account aws.Config) error {
			h, err := handler.Deliver(deliverConfig(), account, lines)
			if err != nil {
				return err
			}
			_, err = h.Handle(ctx, sqsEvent("arn:retry", `{"d":"d","w":"w","l":"l","a":1,"t":2}`))
			return err
		}, "BatchGetItem "},
		"requeue": {func(ctx context.Context, account aws.Config) error {
			r, err := handler.Requeue(config.Requeue{DirectoryTable: "directory", DeliveriesTable: "deliveries", RetryQueueURL: "https://sqs/retry", TimeLimit: time.Minute}, account, lines)
			if err != nil {
				return err
			}
			_, err = r.Requeue.Index.Progress(ctx)
			return err
		}, "GetItem deliveries"},
		"requeue: the watch": {func(ctx context.Context, account aws.Config) error {
			r, err := handler.Requeue(config.Requeue{DirectoryTable: "directory", DeliveriesTable: "deliveries", RetryQueueURL: "https://sqs/retry", TimeLimit: time.Minute}, account, lines)
			if err != nil {
				return err
			}
			return r.Watch.Run(ctx)
		}, strings.Repeat("Query directory, ", 17) + "Query directory"},
		"requeue: a timer that was lost": {func(ctx context.Context, account aws.Config) error {
			r, err := handler.Requeue(config.Requeue{DirectoryTable: "directory", DeliveriesTable: "deliveries", RetryQueueURL: "https://sqs/retry", TimeLimit: time.Minute}, account, lines)
			if err != nil {
				return err
			}
			return r.Watch.EndGrace(ctx, directory.Destination{ID: "gone", Generation: 1})
		}, "GetItem directory"},
		"disconnect": {func(ctx context.Context, account aws.Config) error {
			return handler.Disconnect(config.Disconnect{DirectoryTable: "directory"}, account, lines)(ctx, scheduler.Event{DestinationID: "gone", Generation: 1})
		}, "GetItem directory"},
		"notify": {func(ctx context.Context, account aws.Config) error {
			c := config.Notify{DirectoryTable: "directory", MailFrom: "notices@acme.example", MailLocale: "en", MailProduct: "acme"}
			n, err := notify.New(c, account, notice.NewLines(io.Discard, "test"))
			if err != nil {
				return err
			}
			_, err = n.Handle(ctx, sqsEvent("arn:notices", `{"kind":"recovered","destination_id":"gone","at":"2026-11-02T09:30:00Z"}`))
			return err
		}, "GetItem directory"},
		"admin": {func(ctx context.Context, account aws.Config) error {
			c := config.Admin{Disconnect: config.Disconnect{DirectoryTable: "directory"}, DeliveriesTable: "deliveries"}
			h, err := handler.Admin(c, account, lines)
			if err != nil {
				return err
			}
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/workspaces/acme", nil))
			if answer.Code != http.StatusNotFound {
				return fmt.Errorf("answered %d: %s", answer.Code, answer.Body)
			}
			return nil
		}, "GetItem directory"},
		"requeue: a page of a drain": {func(ctx context.Context, account aws.Config) error {
			r, err := handler.Requeue(config.Requeue{DirectoryTable: "directory", DeliveriesTable: "deliveries", RetryQueueURL: "https://sqs/retry", TimeLimit: time.Minute}, account, lines)
			if err != nil {
				return err
			}
			_, err = r.Handle(ctx, json.RawMessage(`{"Records":[{"messageId":"m","body":"gone"}]}`))
			return err
		}, "GetItem directory"},
		"expire": {func(ctx context.Context, account aws.Config) error {
			s, err := handler.Expire(config.Expire{Stores: deliverConfig().Stores}, account, lines)
			if err != nil {
				return err
			}
			_, err = s.Handle(ctx, failedEvent(t))
			return err
		}, "GetItem directory, PutEvents , PutItem directory"},
	} {
		t.Run(name, func(t *testing.T) {
			var called targets
			if err := test.do(t.Context(), called.account()); err != nil {
				t.Fatal(err)
			}
			slices.Sort(called) // some are made beside each other
			if got := strings.Join(called, ", "); got != test.want {
				t.Errorf("calls %q, want %q", got, test.want)
			}
		})
	}
}

func failedEvent(t *testing.T) events.DynamoDBEvent {
	t.Helper()
	var e events.DynamoDBEvent
	record := []byte(`{"Records":[{"eventName":"INSERT","dynamodb":{"SequenceNumber":"1","Keys":{"pk":{"S":"F#7"}},
		"NewImage":{"pk":{"S":"F#7"},"sk":{"S":"d#1793611800123#w#l"},"fa":{"N":"1794216600500"}}}}]}`)
	if err := json.NewDecoder(bytes.NewReader(record)).Decode(&e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAMalformedRangeStopsTheStart(t *testing.T) {
	c := deliverConfig()
	c.AllowPrivateCIDRs = []string{"10.0.0.0/99"}
	var called targets
	if _, err := handler.Deliver(c, called.account(), delivery.NewLines(io.Discard, "test")); err == nil || !strings.Contains(err.Error(), "ALLOW_PRIVATE_CIDRS") {
		t.Errorf("error %v, want one that names ALLOW_PRIVATE_CIDRS", err)
	}
}
