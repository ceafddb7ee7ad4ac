//go:build e2e

// Package e2e proves that what is synthesized runs. From a template of the CDK app, and nothing but it, it makes queues, tables and buckets on
// emulators, starts the compiled functions behind a Lambda Runtime API with the template's variables, and hands them events as the template's
// event sources and rules say. Every call that a function makes to AWS is held against the statements of its role.
package e2e

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// assembly is where make e2e has the stack synthesized to.
func assembly(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ASSEMBLY")
	if dir == "" {
		t.Fatal("ASSEMBLY does not name the directory that the stack was synthesized to: run make e2e")
	}
	return dir
}

func TestDeployment(t *testing.T) {
	bootstraps := compile(t, readTemplate(t, assembly(t)))
	s := startServers(t)
	t.Run("a grant less", func(t *testing.T) {
		t.Parallel()
		grantLess(t, s, bootstraps)
	})
	t.Run("stories", func(t *testing.T) {
		t.Parallel()
		stories(t, s, bootstraps)
	})
}

func stories(t *testing.T, s servers, bootstraps map[string]string) {
	d := deploy(t, s, readTemplate(t, assembly(t)), bootstraps, "")
	expired := expiredLog(t, d)
	d.start(t)
	t.Cleanup(func() { d.healthy(t) })
	for name, story := range map[string]func(*testing.T, *deployment){
		"delivery":          delivered,
		"dead letter":       deadLetter,
		"outage":            outage,
		"large log":         largeLog,
		"zero retention":    zeroRetention,
		"poison":            poison,
		"unknown workspace": unknownWorkspace,
		"disconnect":        disconnected,
		"refused":           refusedCredentials,
		"canary":            canary,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, d)
		})
	}
	t.Run("seven days", func(t *testing.T) {
		t.Parallel()
		expired(t)
	})
}

// patience is how long a story waits for what does not depend on a retry.
const patience = 40 * time.Second

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	end := time.After(limit)
	for !holds() {
		select {
		case <-again.C:
		case <-end:
			t.Fatalf("after %v: not yet %s", limit, what)
		}
	}
}

// workspace enters a workspace with one HTTP destination of the same id.
func (d *deployment) workspace(t *testing.T, id, url string) {
	t.Helper()
	store := &dynamo.Directory{Client: dynamodb.NewFromConfig(d.servers.dynamodb), Table: d.table(t, "Directory"), Now: time.Now}
	w := directory.Workspace{ID: id, Name: id, Kind: directory.Standalone, Admins: []string{"admin@" + id + ".example"}}
	if err := store.PutWorkspace(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	settings, err := json.Marshal(map[string]string{"url": url})
	if err != nil {
		t.Fatal(err)
	}
	dest := directory.Destination{
		ID: id, Name: id, WorkspaceID: id, Kind: directory.HTTP, Settings: settings,
		State: directory.Connected, StateSince: time.Now(), Health: directory.Health{State: directory.Healthy}, Version: 1,
	}
	if _, err := store.PutDestination(t.Context(), dest); err != nil {
		t.Fatal(err)
	}
}

func (d *deployment) destination(t *testing.T, id string) directory.Destination {
	t.Helper()
	store := &dynamo.Directory{Client: dynamodb.NewFromConfig(d.servers.dynamodb), Table: d.table(t, "Directory"), Now: time.Now}
	dest, err := store.CurrentDestination(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return dest
}

func aLog(workspace, id, payload string) string {
	text, err := json.Marshal(events.Log{ID: id, WorkspaceID: workspace, Type: events.UserActivity, OccurredAt: time.Now().UTC(), Payload: json.RawMessage(payload)})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// send puts messages on the queue ingest, as a producer, by the stack's output.
func (d *deployment) send(t *testing.T, bodies ...string) {
	t.Helper()
	client := sqs.NewFromConfig(d.producer(t))
	for _, body := range bodies {
		in := &sqs.SendMessageInput{QueueUrl: aws.String(d.output(t, "IngestQueueUrl")), MessageBody: &body}
		if _, err := client.SendMessage(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
}

// cached counts a destination's deliveries in the cache.
func (d *deployment) cached(t *testing.T, destinationID string) int {
	t.Helper()
	cache, err := dynamo.NewCache(dynamodb.NewFromConfig(d.servers.dynamodb), d.table(t, "Deliveries"), nil)
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := cache.Waiting(t.Context(), destinationID, delivery.Key{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(waiting)
}

// objects lists the keys under a prefix of the payload bucket.
func (d *deployment) objects(t *testing.T, prefix string) []string {
	t.Helper()
	client := s3.NewFromConfig(d.servers.fauxqs, func(o *s3.Options) { o.UsePathStyle = true })
	out, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(d.output(t, "PayloadBucketName")), Prefix: &prefix})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range out.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

// messages gives what lies on a queue without taking it away for good.
func (d *deployment) messages(t *testing.T, queue string) []types.Message {
	t.Helper()
	out, err := sqs.NewFromConfig(d.servers.fauxqs).ReceiveMessage(context.WithoutCancel(t.Context()), &sqs.ReceiveMessageInput{
		QueueUrl: &queue, MaxNumberOfMessages: 10, VisibilityTimeout: 1, MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

// attempts gives the log lines of a log's attempts.
func (d *deployment) attempts(logID string) []map[string]any {
	return slices.DeleteFunc(d.functions["deliver"].output.of("delivery.attempted"), func(line map[string]any) bool { return line["log_id"] != logID })
}
