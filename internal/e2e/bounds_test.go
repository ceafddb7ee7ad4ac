//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// neighbours is how many logs of another workspace stand in a batch beside an attack.
const neighbours = 99

// attack is what one tenant does.
type attack struct {
	// prepare makes the tenant's destinations, of the workspace with that id, and gives the messages that it has sent.
	prepare func(t *testing.T, d *deployment, workspace string) []string
}

// TestOneTenantCannotExhaust runs deliver under the memory that it has when it is deployed. Whatever one tenant's destinations answer, its templates make
// and its logs hold, the process lives, and the logs of its neighbours in the same batch are delivered.
func TestOneTenantCannotExhaust(t *testing.T) {
	tmpl := readTemplate(t, assembly(t))
	d := deploy(t, startServers(t), tmpl, compile(t, tmpl), "") // nothing runs but what is invoked here
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "attack\tmessages\tinvocation\tpeak memory")
	for _, a := range []struct {
		name string
		attack
	}{
		{"none", attack{func(*testing.T, *deployment, string) []string { return nil }}},
		{"answers without end", attack{endlessAnswers}},
		{"a stored template of 4,090 placeholders", attack{storedTemplate}},
		{"the widest templates at 60 destinations that hang", attack{widestTemplates}},
		{"a log of 7 MB that fifty destinations refuse", attack{largeLogRefused}},
		{"a zip bomb in the payload bucket", attack{zipBomb}},
	} {
		t.Run(a.name, func(t *testing.T) {
			fmt.Fprintln(table, strings.Join(a.run(t, d, a.name), "\t"))
		})
	}
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Run("a log that ends the process", func(t *testing.T) { lethalLog(t, d) })
}

func (a attack) run(t *testing.T, d *deployment, name string) (row []string) {
	id := strings.Map(func(c rune) rune {
		if c == ' ' || c == ',' {
			return '-'
		}
		return c
	}, name)
	r := openReceiver(t, http.StatusOK)
	d.workspace(t, "beside-"+id, r.url)
	messages := a.prepare(t, d, "hostile-"+id)
	for i := range neighbours {
		messages = append(messages, aLog("beside-"+id, fmt.Sprintf("%s-%d", id, i), `{"event":"login","pad":"`+strings.Repeat("x", 2<<10)+`"}`))
	}
	f := d.functions["deliver"]
	e, err := startEnvironment(f.file, f.arn, f.memoryMB, f.environment(), f.output)
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop()
	begun := time.Now()
	response, err := e.invoke(t.Context(), id, sqsEvent(t, d.arn(d.construct(t, "AWS::SQS::Queue", "Ingest")), messages), f.timeout)
	took := time.Since(begun)
	if err != nil {
		t.Fatalf("the invocation: %v\n%s", err, f.output)
	}
	if failed, all := batchFailures(response); len(failed) > 0 || all {
		t.Errorf("%d messages must come again: %s", len(failed), response)
	}
	if n := r.count(); n != neighbours {
		t.Errorf("%d of %d neighbours' logs were delivered", n, neighbours)
	}
	peak := highWater(t, e.process.Process.Pid)
	within(t, "deliver's peak memory", peak, int64(f.memoryMB)<<20)
	return []string{name, strconv.Itoa(len(messages)), took.Round(100 * time.Millisecond).String(), megabytes(peak)}
}

// sqsEvent is a batch of fresh messages of a queue.
func sqsEvent(t *testing.T, queueARN string, bodies []string) []byte {
	t.Helper()
	var e events.SQSEvent
	for i, body := range bodies {
		e.Records = append(e.Records, events.SQSMessage{
			MessageId: strconv.Itoa(i), Body: body, EventSourceARN: queueARN,
			Attributes: map[string]string{"SentTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10), "ApproximateReceiveCount": "1"},
		})
	}
	payload, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// put puts a destination by way of the management API.
func (d *deployment) put(t *testing.T, workspace, id, kind string, settings, credentials map[string]any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"workspace_id": workspace, "kind": kind, "settings": settings, "credentials": credentials, "verify": false})
	if err != nil {
		t.Fatal(err)
	}
	d.api(t, http.MethodPut, "/v1/destinations/"+id, string(body))
}

func (d *deployment) putWorkspace(t *testing.T, id string) {
	t.Helper()
	d.api(t, http.MethodPut, "/v1/workspaces/"+id, `{"name":"Hostile","kind":"standalone"}`)
}

// endlessAnswers has a destination of each kind, and a token endpoint, that answer with an error whose body never ends.
func endlessAnswers(t *testing.T, d *deployment, workspace string) []string {
	chunk := bytes.Repeat([]byte(`{"x":[[<Error>`), 64<<10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusBadRequest)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	const guid = "11111111-1111-1111-1111-111111111111"
	d.putWorkspace(t, workspace)
	for id, c := range map[string]struct {
		kind                  string
		settings, credentials map[string]any
	}{
		"http":   {"http", map[string]any{"url": server.URL}, nil},
		"token":  {"http", map[string]any{"url": server.URL, "oauth": map[string]any{"token_url": server.URL}}, map[string]any{"oauth": map[string]any{"client_id": "c", "client_secret": "s"}}},
		"s3":     {"s3", map[string]any{"bucket": "bucket-x", "endpoint": server.URL}, map[string]any{"access_key_id": "A", "secret_access_key": "B"}},
		"blob":   {"azure_blob", map[string]any{"account": "acct", "container": "cont", "endpoint": server.URL}, map[string]any{"account_key": "AAAA"}},
		"entra":  {"azure_blob", map[string]any{"account": "acct", "container": "cont", "endpoint": server.URL, "tenant_id": guid, "client_id": guid, "authority_host": server.URL}, map[string]any{"client_secret": "x"}},
		"legacy": {"azure_monitor", map[string]any{"api": "legacy", "endpoint": server.URL, "workspace_id": guid, "log_type": "X"}, map[string]any{"shared_key": "AAAA"}},
	} {
		d.put(t, workspace, workspace+"-"+id, c.kind, c.settings, c.credentials)
	}
	return []string{aLog(workspace, "endless", `{}`)}
}

// storedTemplate has a destination whose template was stored by a version that took it.
func storedTemplate(t *testing.T, d *deployment, workspace string) []string {
	d.putWorkspace(t, workspace)
	settings, err := json.Marshal(map[string]any{"url": openReceiver(t, http.StatusOK).url, "format": "ndjson",
		"template": "[" + strings.Repeat("{{log_message}},", 4089) + "{{log_message}}]"})
	if err != nil {
		t.Fatal(err)
	}
	store := &dynamo.Directory{Client: dynamodb.NewFromConfig(d.servers.dynamodb), Table: d.table(t, "Directory"), Now: time.Now}
	dest := directory.Destination{
		ID: workspace, WorkspaceID: workspace, Kind: directory.HTTP, Settings: settings, State: directory.Connected, StateSince: time.Now(), Version: 1,
	}
	if _, err := store.PutDestination(t.Context(), dest); err != nil {
		t.Fatal(err)
	}
	return []string{aLog(workspace, "templated", `{"text":"`+strings.Repeat("x", 1_000_000)+`"}`)}
}

// widestTemplates has 60 destinations that hang, each with a template that makes the most of a log. Their logs fill the invocation.
func widestTemplates(t *testing.T, d *deployment, workspace string) []string {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	d.putWorkspace(t, workspace)
	template := "[" + strings.Repeat("{{log_message_str}},", auditlog.MaxDocuments-1) + "{{log_message_str}}]"
	for i := range 60 {
		settings := map[string]any{"url": server.URL, "template": template, "concurrency": 32, "gzip": i%2 == 0, "timeout": "30s"}
		d.put(t, workspace, fmt.Sprintf("%s-%d", workspace, i), "http", settings, nil)
	}
	messages := make([]string, 5)
	for i := range messages {
		messages[i] = aLog(workspace, fmt.Sprintf("wide-%d", i), `{"text":"`+strings.Repeat(`\\`, 450_000)+`"}`)
	}
	return messages
}

// largeLogRefused has a log that does not shrink go to fifty destinations that are down, so that each saves it. The emulator takes no larger object.
func largeLogRefused(t *testing.T, d *deployment, workspace string) []string {
	d.putWorkspace(t, workspace)
	down := openReceiver(t, http.StatusServiceUnavailable)
	for i := range 50 {
		d.put(t, workspace, fmt.Sprintf("%s-%d", workspace, i), "http", map[string]any{"url": down.url, "template": `{"log":{{log_message_str}}}`}, nil)
	}
	noise := make([]byte, 5_200_000)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(noise)
	return []string{d.large(t, "payloads/noise", []byte(aLog(workspace, "noise", `{"text":"`+base64.StdEncoding.EncodeToString(noise)+`"}`)))}
}

// zipBomb has a pointer to 200 KB that unzip to 200 MB.
func zipBomb(t *testing.T, d *deployment, workspace string) []string {
	d.putWorkspace(t, workspace)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for range 200 {
		_, _ = w.Write(make([]byte, 1_000_000))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return []string{d.large(t, "payloads/bomb", b.Bytes())}
}

// large puts an object into the payload bucket as a producer does, and gives the message that points to it.
func (d *deployment) large(t *testing.T, key string, body []byte) string {
	t.Helper()
	bucket := d.output(t, "PayloadBucketName")
	producer := s3.NewFromConfig(d.producer(t), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := producer.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":%q,"s3Key":%q}]`, bucket, key)
}

// lethalLog has a log in the queue whose delivery ends the process each time. The others are delivered without it.
func lethalLog(t *testing.T, d *deployment) {
	f := d.functions["deliver"]
	var process atomic.Pointer[environment]
	killer := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { _ = process.Load().process.Process.Kill() }))
	t.Cleanup(killer.Close)
	r := openReceiver(t, http.StatusOK)
	d.workspace(t, "w-lethal", killer.URL)
	d.workspace(t, "w-beside-lethal", r.url)
	queue := d.queue(t, "Ingest")
	for i := range neighbours + 1 {
		body := aLog("w-beside-lethal", fmt.Sprintf("beside-%d", i), `{}`)
		if i == 40 {
			body = aLog("w-lethal", "lethal", `{}`)
		}
		d.send(t, body)
	}
	client := sqs.NewFromConfig(d.servers.fauxqs)
	source := &queueSource{mapping: mapping{EventSourceArn: d.arn(d.construct(t, "AWS::SQS::Queue", "Ingest")), BatchSize: 100}, client: client, url: queue, function: f}
	deaths := 0
	for range 4 { // twice with all, alone, and the rest without it
		batch := receiveAll(t, client, queue)
		payload, err := json.Marshal(source.event(batch))
		if err != nil {
			t.Fatal(err)
		}
		e, err := startEnvironment(f.file, f.arn, f.memoryMB, f.environment(), f.output)
		if err != nil {
			t.Fatal(err)
		}
		process.Store(e)
		if _, err := e.invoke(t.Context(), "lethal", payload, f.timeout); err != nil {
			deaths++
		}
		e.stop()
		time.Sleep(lethalVisibility) // what was not settled shows up again
	}
	if n := r.count(); n != neighbours || deaths != 3 {
		t.Errorf("%d of %d neighbours' logs were delivered, and the process died %d times, want 3", n, neighbours, deaths)
	}
	if left := receiveAll(t, client, queue); len(left) != 0 {
		t.Errorf("%d messages are left in sight, want none: the lethal one is hidden for longer", len(left))
	}
}

// lethalVisibility stands for the minutes for which the stack's queue hides a message.
const lethalVisibility = 5 * time.Second

// receiveAll hands out all that is visible.
func receiveAll(t *testing.T, client *sqs.Client, queue string) []types.Message {
	t.Helper()
	var all []types.Message
	for {
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &queue, MaxNumberOfMessages: 10, VisibilityTimeout: int32(lethalVisibility / time.Second),
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return all
		}
		all = append(all, out.Messages...)
	}
}
