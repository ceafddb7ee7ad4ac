//go:build integration

package eventbridge

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/aws/emulator"
)

// TestEventReachesARule publishes an event and reads it from the queue that a rule of the bus leads it to.
func TestEventReachesARule(t *testing.T) {
	account := emulator.Start(t, emulator.Moto)
	client, queues := eventbridge.NewFromConfig(account), sqs.NewFromConfig(account)
	bus, rule := aws.String("auditrelay-dev"), aws.String("all")
	if _, err := client.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: bus}); err != nil {
		t.Fatal(err)
	}
	queue, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("events")})
	if err != nil {
		t.Fatal(err)
	}
	arn, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: queue.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: rule, EventBusName: bus, EventPattern: aws.String(`{"source":["auditrelay"]}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutTargets(t.Context(), &eventbridge.PutTargetsInput{
		Rule: rule, EventBusName: bus, Targets: []types.Target{{Id: aws.String("queue"), Arn: aws.String(arn.Attributes["QueueArn"])}},
	}); err != nil {
		t.Fatal(err)
	}

	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	detail := events.DestinationReconnectedDetail{DestinationName: events.DestinationName{DestinationID: "siem"}, Generation: 3, ReconnectedAt: at, By: "maria"}
	b := &Bus{Client: client, Name: *bus}
	if err := b.Publish(t.Context(), events.Announcement{DetailType: events.DestinationReconnected, Detail: detail, At: at}); err != nil {
		t.Fatal(err)
	}

	out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, WaitTimeSeconds: 5})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%d events reached the rule's queue, %v", len(out.Messages), err)
	}
	type event struct {
		Source     string                              `json:"source"`
		DetailType string                              `json:"detail-type"`
		Detail     events.DestinationReconnectedDetail `json:"detail"`
	}
	var got event
	if err := json.Unmarshal([]byte(*out.Messages[0].Body), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(event{events.Source, events.DestinationReconnected, detail}, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}
