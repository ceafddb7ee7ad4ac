//go:build integration

package sqs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/auditrelay/auditrelay/internal/aws/emulator"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/delivery/porttest"
)

func TestPorts(t *testing.T) {
	// What a server is known to do otherwise than the service.
	deviations := map[emulator.Server][]string{emulator.Fauxqs: {porttest.BeyondBasicPlane}}
	for _, s := range []emulator.Server{emulator.Fauxqs, emulator.Moto} {
		t.Run(string(s), func(t *testing.T) {
			t.Parallel()
			client := sqs.NewFromConfig(emulator.Start(t, s))
			t.Run("retries", func(t *testing.T) { porttest.Retries(t, openRetries(client)) })
			t.Run("sources", func(t *testing.T) { porttest.Sources(t, openSource(client)) })
			t.Run("rejects", func(t *testing.T) { porttest.Rejects(t, openRejects(client), deviations[s]...) })
		})
	}
}

func openRetries(client *sqs.Client) func(*testing.T) porttest.RetryQueue {
	return func(t *testing.T) porttest.RetryQueue {
		q := &RetryQueue{Client: client, URL: createQueue(t, client)}
		return porttest.RetryQueue{RetryQueue: q, Receive: func(t *testing.T, within time.Duration) []delivery.Hint {
			var hints []delivery.Hint
			for _, m := range receive(t, client, q.URL, within) {
				h, err := parseHint(*m.Body)
				if err != nil {
					t.Fatal(err)
				}
				hints = append(hints, h)
			}
			return hints
		}}
	}
}

func openSource(client *sqs.Client) func(*testing.T) porttest.SourceQueue {
	return func(t *testing.T) porttest.SourceQueue {
		q := &Source{Client: client, URL: createQueue(t, client)}
		return porttest.SourceQueue{
			Source: q,
			Send: func(t *testing.T, bodies ...string) {
				for _, b := range bodies {
					if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &q.URL, MessageBody: &b}); err != nil {
						t.Fatal(err)
					}
				}
			},
			Receive: func(t *testing.T, after time.Duration) map[string]string {
				time.Sleep(after)
				handles := make(map[string]string)
				for {
					in := &sqs.ReceiveMessageInput{QueueUrl: &q.URL, MaxNumberOfMessages: 10, VisibilityTimeout: int32(porttest.Visibility / time.Second)}
					out, err := client.ReceiveMessage(t.Context(), in)
					if err != nil {
						t.Fatal(err)
					}
					if len(out.Messages) == 0 {
						return handles
					}
					for _, m := range out.Messages {
						handles[*m.Body] = *m.ReceiptHandle
					}
				}
			},
		}
	}
}

func openRejects(client *sqs.Client) func(*testing.T) porttest.RejectedQueue {
	return func(t *testing.T) porttest.RejectedQueue {
		b := new(bucket)
		q := &RejectedQueue{Client: client, URL: createQueue(t, client), Objects: b, Bucket: "payloads"}
		return porttest.RejectedQueue{RejectedQueue: q, Receive: func(t *testing.T) []delivery.Rejection {
			var rs []delivery.Rejection
			for _, m := range receive(t, client, q.URL, 2*time.Second) {
				rs = append(rs, rejection(t, m, b))
			}
			return rs
		}}
	}
}

// rejection reads a rejected message back, from the bucket if it is a pointer.
func rejection(t *testing.T, m types.Message, b *bucket) delivery.Rejection {
	t.Helper()
	value := func(name string) string { return aws.ToString(m.MessageAttributes[name].StringValue) }
	r := delivery.Rejection{Reason: value(attrReason), At: parseTime(t, value(attrRejectedAt))}
	r.ID, r.SentAt, r.Body = value(attrMessageID), parseTime(t, value(attrSentAt)), []byte(*m.Body)
	if value(attrPayloadSize) == "" {
		return r
	}
	pointer := []any{"", map[string]any{}}
	if err := json.Unmarshal(r.Body, &pointer); err != nil {
		t.Fatalf("the pointer is no JSON: %v", err)
	}
	place, _ := pointer[1].(map[string]any)
	if pointer[0] != pointerClass || place["s3BucketName"] != "payloads" {
		t.Fatalf("no pointer: %s", r.Body)
	}
	r.Body = b.get(place["s3Key"].(string))
	return r
}

func parseTime(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func createQueue(t *testing.T, client *sqs.Client) string {
	t.Helper()
	out, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q-" + rand.Text())})
	if err != nil {
		t.Fatalf("create a queue: %v", err)
	}
	t.Cleanup(func() { _, _ = client.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl}) })
	return *out.QueueUrl
}

// receive hands out, and deletes, what is or becomes visible within that time.
func receive(t *testing.T, client *sqs.Client, url string, within time.Duration) []types.Message {
	t.Helper()
	var all []types.Message
	for end := time.Now().Add(within); time.Now().Before(end); {
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl:                    &url,
			MaxNumberOfMessages:         10,
			WaitTimeSeconds:             1,
			MessageAttributeNames:       []string{"All"},
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameMessageGroupId},
		})
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		for _, m := range out.Messages {
			if _, err := client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				t.Fatalf("delete: %v", err)
			}
		}
		all = append(all, out.Messages...)
	}
	return all
}

// TestGroupIsDestination shows that the retry queue is fair by destination.
func TestGroupIsDestination(t *testing.T) {
	t.Parallel()
	client := sqs.NewFromConfig(emulator.Start(t, emulator.Moto))
	q := &RetryQueue{Client: client, URL: createQueue(t, client)}
	var rides []delivery.Ride
	for _, destination := range []string{"dest-1", "dest-2"} {
		k := delivery.Key{DestinationID: destination, WorkspaceID: "ws", LogID: "log", AcceptedAt: time.UnixMilli(1)}
		rides = append(rides, delivery.Ride{Hint: delivery.Hint{Key: k, At: time.UnixMilli(2)}})
	}
	for _, err := range q.Send(t.Context(), rides) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var groups []string
	for _, m := range receive(t, client, q.URL, 2*time.Second) {
		groups = append(groups, m.Attributes["MessageGroupId"])
	}
	if slices.Sort(groups); !slices.Equal(groups, []string{"dest-1", "dest-2"}) {
		t.Errorf("message groups %q, want each destination's id", groups)
	}
}
