//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/aws/objects"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// A healthy destination gets each log once, and nothing of it is ever written to the cache.
func delivered(t *testing.T, d *deployment) {
	r := openReceiver(t, http.StatusOK)
	d.workspace(t, "w-delivery", r.url)
	for i := range 20 {
		d.send(t, aLog("w-delivery", fmt.Sprintf("delivery-%d", i), `{"event":"login"}`))
	}
	eventually(t, "all logs delivered", patience, func() bool { return r.count() == 20 })
	var got events.Document
	if err := json.Unmarshal([]byte(r.bodies("delivery-7")[0]), &got); err != nil {
		t.Fatal(err)
	}
	want := events.Document{ID: "delivery-7", Type: events.UserActivity, WorkspaceID: "w-delivery", Payload: json.RawMessage(`{"event":"login"}`), OccurredAt: got.OccurredAt}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	if n := d.cached(t, "w-delivery"); n != 0 {
		t.Errorf("%d deliveries are cached, want none", n)
	}
}

// A dead letter of ingest is taken where it lies once its event source is enabled, and keeps the time of its acceptance.
func deadLetter(t *testing.T, d *deployment) {
	r := openReceiver(t, http.StatusServiceUnavailable)
	d.workspace(t, "w-dead", r.url)
	client, body, queue := sqs.NewFromConfig(d.servers.fauxqs), aLog("w-dead", "dead-0", `{"event":"login"}`), d.queue(t, "IngestDeadLetters")
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
	sent := time.Now()
	var m mapping
	if err := properties(d.values, d.construct(t, "AWS::Lambda::EventSourceMapping", "DeliverDeadLogs"), &m); err != nil {
		t.Fatal(err)
	}
	if err := d.startSource(t.Context(), t, m, d.byName(m.FunctionName)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log cached", patience, func() bool { return d.cached(t, "w-dead") == 1 })
	cache, err := dynamo.NewCache(dynamodb.NewFromConfig(d.servers.dynamodb), d.table(t, "Deliveries"), nil)
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := cache.Waiting(t.Context(), "w-dead", delivery.Key{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if accepted := waiting[0].AcceptedAt; accepted.After(sent) {
		t.Errorf("the log counts as accepted at %v, after it was sent, at %v", accepted, sent)
	}
	r.status.Store(http.StatusOK)
	eventually(t, "the log delivered", 90*time.Second, func() bool { return r.count() == 1 })
}

// Logs that meet an outage wait in the cache, a large one's document in the bucket. After the recovery all arrive, and nothing stays behind.
func outage(t *testing.T, d *deployment) {
	r := openReceiver(t, http.StatusServiceUnavailable)
	d.workspace(t, "w-outage", r.url)
	noise := strings.Builder{}
	for i := range 60_000 { // too varied to be compressed below what an item of the table holds
		fmt.Fprintf(&noise, "%x", i*i*2654435761)
	}
	ids := []string{"outage-0", "outage-1", "outage-2", "outage-3"}
	for _, id := range ids[:3] {
		d.send(t, aLog("w-outage", id, `{"event":"login"}`))
	}
	d.send(t, aLog("w-outage", ids[3], `{"noise":"`+noise.String()+`"}`))
	eventually(t, "all logs cached", patience, func() bool { return d.cached(t, "w-outage") == len(ids) })
	eventually(t, "all logs tried", patience, func() bool { // the last perhaps by way of the retry queue, when the others had failed
		return !slices.ContainsFunc(ids, func(id string) bool { return len(d.attempts(id)) == 0 })
	})
	if got := d.objects(t, "deliveries/"); len(got) != 1 {
		t.Errorf("objects of cached documents: %v, want one", got)
	}
	r.status.Store(http.StatusOK)
	eventually(t, "all logs delivered", 90*time.Second, func() bool { return r.count() == len(ids) })
	eventually(t, "the cache empty", patience, func() bool { return d.cached(t, "w-outage") == 0 })
	eventually(t, "the object removed", patience, func() bool { return len(d.objects(t, "deliveries/")) == 0 })
	for _, id := range ids {
		attempts := d.attempts(id)
		if last := attempts[len(attempts)-1]; len(attempts) < 2 || last["outcome"] != "delivered" {
			t.Errorf("%s: attempts %v, want a failed one and in the end a delivered one", id, attempts)
		}
	}
}

// A log that no queue message holds comes by way of the bucket, in the format of the SQS Extended Client.
func largeLog(t *testing.T, d *deployment) {
	r := openReceiver(t, http.StatusOK)
	d.workspace(t, "w-large", r.url)
	body := aLog("w-large", "large", `{"text":"`+strings.Repeat("a large log ", 200_000)+`"}`)
	bucket := d.output(t, "PayloadBucketName")
	producer := s3.NewFromConfig(d.producer(t), func(o *s3.Options) { o.UsePathStyle = true })
	in := &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("payloads/large"), Body: strings.NewReader(body)}
	if _, err := producer.PutObject(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	d.send(t, fmt.Sprintf(`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":%q,"s3Key":"payloads/large"}]`, bucket))
	eventually(t, "delivered", patience, func() bool { return r.count() == 1 })
	if got := r.bodies("large"); len(got) != 1 || len(got[0]) < 2_400_000 {
		t.Errorf("%d requests with the log, want one of over 2.4 MB", len(got))
	}
}

// Large logs of zero retention leave nothing of their jobs' data behind, whether their destination takes
// them, lets them wait, or they are no logs at all.
func zeroRetention(t *testing.T, d *deployment) {
	const canary = "CANARY-19e7"
	up, down := openReceiver(t, http.StatusOK), openReceiver(t, http.StatusServiceUnavailable)
	d.workspace(t, "w-zero-up", up.url)
	d.workspace(t, "w-zero-down", down.url)
	bucket := d.output(t, "PayloadBucketName")
	producer := s3.NewFromConfig(d.producer(t), func(o *s3.Options) { o.UsePathStyle = true })
	line := `{"recipe_line_number":1,"input":{"a":"` + strings.Repeat(canary, 50) + `"},"Output":"` + canary + `"}`
	payload := `{"id":"j-1","lines":[` + strings.Repeat(line+",", 2000) + line + `,"` + canary + `"],"report":{"order":"` + canary + `"}}`
	put := func(key, body string) {
		in := &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("payloads/zero/" + key), Body: strings.NewReader(body)}
		if _, err := producer.PutObject(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		d.send(t, fmt.Sprintf(`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":%q,"s3Key":"payloads/zero/%s"}]`, bucket, key))
	}
	asks := func(body string) string {
		return strings.Replace(body, `"payload":`, `"Zero_Retention":true,"payload":`, 1)
	}
	put("up", asks(aLog("w-zero-up", "zero-up", payload)))
	put("down", asks(aLog("w-zero-down", "zero-down", payload)))
	put("list", "["+asks(aLog("w-zero-up", "zero-list", payload))+"]")
	put("bad", asks(aLog("w-zero-up", "no id", payload)))
	eventually(t, "delivered", patience, func() bool { return up.count() == 1 })
	eventually(t, "cached", patience, func() bool { return d.cached(t, "w-zero-down") == 1 && len(d.attempts("zero-down")) > 0 })
	eventually(t, "the objects removed", patience, func() bool { return len(d.objects(t, "payloads/zero/")) == 0 })
	for _, body := range slices.Concat(up.bodies("zero-up"), down.bodies("zero-down")) {
		if strings.Contains(body, canary) || !strings.Contains(body, "recipe_line_number") {
			t.Error("job data was sent, or no lines at all")
		}
	}
	for _, m := range d.messages(t, d.queue(t, "Rejected")) {
		if strings.Contains(*m.Body, canary) {
			t.Errorf("job data lies on the queue rejected: %.100s", *m.Body)
		}
	}
}

// A message that is no log goes to the queue rejected with the reason, and holds up no neighbour.
func poison(t *testing.T, d *deployment) {
	r := openReceiver(t, http.StatusOK)
	d.workspace(t, "w-poison", r.url)
	d.send(t, aLog("w-poison", "before", `{}`), `{"id":"poison","workspace_id":"w-poison"}`, aLog("w-poison", "after", `{}`))
	eventually(t, "neighbours delivered", patience, func() bool { return r.count() == 2 })
	eventually(t, "rejected", patience, func() bool {
		for _, m := range d.messages(t, d.queue(t, "Rejected")) {
			if strings.Contains(*m.Body, `"poison"`) {
				if reason := aws.ToString(m.MessageAttributes["reason"].StringValue); !strings.Contains(reason, "type") {
					t.Errorf("the reason is %q, want one that names what is missing", reason)
				}
				return true
			}
		}
		return false
	})
}

// A log of a workspace that is not in the directory is told of, and done.
func unknownWorkspace(t *testing.T, d *deployment) {
	d.send(t, aLog("w-nobody", "nobody", `{}`))
	eventually(t, "told of", patience, func() bool {
		for _, line := range d.functions["deliver"].output.of("log.unrouted") {
			if line["log_id"] == "nobody" {
				return true
			}
		}
		return false
	})
}

// expiredLog enters a delivery whose seven days are over, before anything runs. The story is that requeue finds it, deliver gives it up, and expire
// announces the failed event that the table's stream tells of.
func expiredLog(t *testing.T, d *deployment) func(t *testing.T) {
	t.Helper()
	d.workspace(t, "w-expired", "http://127.0.0.1:1/")
	database := dynamodb.NewFromConfig(d.servers.dynamodb)
	cache, err := dynamo.NewCache(database, d.table(t, "Deliveries"), objects.Open(d.servers.fauxqs, d.output(t, "PayloadBucketName")))
	if err != nil {
		t.Fatal(err)
	}
	key := delivery.Key{DestinationID: "w-expired", WorkspaceID: "w-expired", LogID: "expired", AcceptedAt: time.Now().UTC().Truncate(time.Millisecond).Add(-delivery.Lifetime)}
	document := auditlog.Document{ID: "expired", Type: events.UserActivity, WorkspaceID: "w-expired", JSON: []byte(`{}`)}
	old := delivery.Delivery{Key: key, Attempts: 8, NextAt: key.ExpiresAt(), Code: "http.server_error", Document: document}
	for _, err := range cache.Save(t.Context(), []delivery.Delivery{old}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return func(t *testing.T) {
		eventually(t, "announced as failed", patience, func() bool { return len(d.functions["expire"].output.of("delivery.failed")) > 0 })
		line := d.functions["expire"].output.of("delivery.failed")[0]
		if line["log_id"] != "expired" || line["code"] != "http.server_error" || line["attempts"] != float64(8) {
			t.Errorf("the failed event %v", line)
		}
		if n := d.cached(t, "w-expired"); n != 0 {
			t.Errorf("%d deliveries are cached, want none", n)
		}
	}
}
