//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/auditrelay/auditrelay/internal/aws/authorization"
)

// mapping is an event source mapping of the template.
type mapping struct {
	EventSourceArn                 string
	FunctionName                   string
	BatchSize                      int
	MaximumBatchingWindowInSeconds int
	FunctionResponseTypes          []string
	ScalingConfig                  struct{ MaximumConcurrency int }
	FilterCriteria                 struct{ Filters []struct{ Pattern string } }
	StartingPosition               string
	DestinationConfig              struct{ OnFailure struct{ Destination string } }
	Enabled                        *bool
}

// needs are what Lambda's pollers do in the name of the function's role.
func (m mapping) needs(keys func([]need) []need) []need {
	var needs []need
	service := strings.Split(m.EventSourceArn, ":")[2]
	for _, action := range authorization.EventSource(service) {
		n := need{action: action, resource: m.EventSourceArn}
		if len(authorization.Actions()[action].On) == 0 {
			n.resource = "*"
		}
		needs = append(needs, n)
	}
	if fallen := m.DestinationConfig.OnFailure.Destination; fallen != "" {
		needs = append(needs, need{action: "sqs:SendMessage", resource: fallen})
	}
	return append(needs, keys(needs)...)
}

func (m mapping) reportsFailures() bool {
	return slices.Contains(m.FunctionResponseTypes, "ReportBatchItemFailures")
}

// pollersAtMost bounds the pollers of a queue, which on AWS grow with the load up to the mapping's maximum concurrency.
const pollersAtMost = 2

// queueSource hands the messages of a queue to a function, as Lambda's pollers do.
type queueSource struct {
	mapping
	client   *sqs.Client
	url      string
	function *function
}

func (s *queueSource) start(ctx context.Context, t *testing.T, running *sync.WaitGroup, keys func([]need) []need) {
	t.Helper()
	for _, n := range s.needs(keys) {
		s.function.require(t, n)
	}
	if s.BatchSize > 10 && s.MaximumBatchingWindowInSeconds == 0 {
		t.Errorf("the batch size %d of %s needs a batching window", s.BatchSize, s.EventSourceArn)
	}
	pollers := pollersAtMost
	if limit := s.ScalingConfig.MaximumConcurrency; limit > 0 {
		pollers = min(pollers, limit)
	}
	for range pollers {
		running.Go(func() {
			for ctx.Err() == nil {
				s.round(ctx)
			}
		})
	}
}

// round takes one batch to the function, and off the queue what it has dealt with. The rest shows up again after the visibility time-out.
func (s *queueSource) round(ctx context.Context) {
	batch := s.gather(ctx)
	if len(batch) == 0 {
		return
	}
	payload, err := json.Marshal(s.event(batch))
	if err != nil {
		return
	}
	response, err := s.function.invoke(ctx, payload)
	if err != nil {
		return
	}
	failed, all := batchFailures(response)
	if all && s.reportsFailures() {
		return
	}
	for chunk := range slices.Chunk(batch, 10) {
		var done []types.DeleteMessageBatchRequestEntry
		for i, m := range chunk {
			if !s.reportsFailures() || !failed[*m.MessageId] {
				done = append(done, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
			}
		}
		if len(done) > 0 {
			_, _ = s.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &s.url, Entries: done})
		}
	}
}

// gather waits for a message, and then for more until the batch is full or the window is over.
func (s *queueSource) gather(ctx context.Context) []types.Message {
	var batch []types.Message
	window := time.Duration(s.MaximumBatchingWindowInSeconds) * time.Second
	var until time.Time
	for len(batch) < s.BatchSize && (len(batch) == 0 || time.Now().Before(until)) && ctx.Err() == nil {
		out, err := s.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl:                    &s.url,
			MaxNumberOfMessages:         int32(min(10, s.BatchSize-len(batch))),
			WaitTimeSeconds:             1,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
			MessageAttributeNames:       []string{"All"},
		})
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		if len(batch) == 0 {
			until = time.Now().Add(window)
		}
		batch = append(batch, out.Messages...)
		if len(batch) == 0 || window == 0 {
			return batch
		}
	}
	return batch
}

func (s *queueSource) event(batch []types.Message) events.SQSEvent {
	var e events.SQSEvent
	for _, m := range batch {
		record := events.SQSMessage{
			MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: aws.ToString(m.Body), Md5OfBody: aws.ToString(m.MD5OfBody),
			Attributes: m.Attributes, MessageAttributes: make(map[string]events.SQSMessageAttribute),
			EventSource: "aws:sqs", EventSourceARN: s.EventSourceArn, AWSRegion: region,
		}
		for name, a := range m.MessageAttributes {
			record.MessageAttributes[name] = events.SQSMessageAttribute{StringValue: a.StringValue, BinaryValue: a.BinaryValue, DataType: aws.ToString(a.DataType)}
		}
		e.Records = append(e.Records, record)
	}
	return e
}

// startSources starts every event source mapping of the template.
func (d *deployment) startSources(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, id := range d.all("AWS::Lambda::EventSourceMapping") {
		var m mapping
		if err := properties(d.values, id, &m); err != nil {
			t.Fatalf("read the event source %s: %v", id, err)
		}
		f := d.byName(m.FunctionName)
		if f == nil {
			t.Fatalf("the event source %s is for %s, which is no function of the template", id, m.FunctionName)
		}
		if m.Enabled != nil && !*m.Enabled && id != d.construct(t, "AWS::Lambda::EventSourceMapping", "DeliverDeadLogs") {
			t.Fatalf("the event source %s is not enabled", id)
		} else if m.Enabled != nil && !*m.Enabled {
			continue // until a story enables it
		}
		if err := d.startSource(ctx, t, m, f); err != nil {
			t.Fatalf("start the event source %s: %v", id, err)
		}
	}
}

func (d *deployment) startSource(ctx context.Context, t *testing.T, m mapping, f *function) error {
	t.Helper()
	for _, id := range d.all("AWS::SQS::Queue") {
		if d.arn(id) == m.EventSourceArn {
			s := &queueSource{mapping: m, client: sqs.NewFromConfig(d.servers.fauxqs), url: d.text(d.ref(id)), function: f}
			if err := d.fitsVisibility(id, f); err != nil {
				return err
			}
			s.start(ctx, t, &d.running, d.keyNeeds)
			return nil
		}
	}
	for _, id := range d.all("AWS::DynamoDB::Table") {
		if d.attribute(id, "StreamArn") == m.EventSourceArn {
			s := &streamSource{mapping: m, endpoint: *d.servers.dynamodb.BaseEndpoint, table: d.name(id), function: f}
			return s.start(ctx, t, &d.running, d.keyNeeds)
		}
	}
	return fmt.Errorf("nothing in the template has the ARN %s", m.EventSourceArn)
}

// fitsVisibility holds AWS's rule that a message stays hidden for six times as long as the function may run.
func (d *deployment) fitsVisibility(queue string, f *function) error {
	var q struct{ VisibilityTimeout int }
	if err := properties(d.values, queue, &q); err != nil {
		return err
	}
	if hidden := time.Duration(q.VisibilityTimeout) * time.Second; hidden < 6*f.timeout {
		return fmt.Errorf("messages are hidden for %v and %s may run for %v", hidden, f.name, f.timeout)
	}
	return nil
}
