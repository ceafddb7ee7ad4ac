package canary

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// queueService is SQS in its JSON protocol, as its API reference has it: a request whose signature is not
// that of its headers and body, or is older than five minutes, gets 403.
type queueService struct {
	t        *testing.T
	now      time.Time
	url      string
	exists   bool
	messages []string
	mu       sync.Mutex
}

const secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"

func keys(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret, SessionToken: "session"}, nil
}

// signed says whether a request is the owner's.
func (q *queueService) signed(r *http.Request, body []byte) bool {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || q.now.Sub(at).Abs() > 5*time.Minute {
		return false
	}
	again, _ := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.URL.Path, bytes.NewReader(body))
	_, list, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	for _, name := range strings.Split(list, ";") {
		if name != "host" && name != "content-length" {
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	hash := sha256.Sum256(body)
	owner, _ := keys(r.Context())
	if err := v4.NewSigner().SignHTTP(r.Context(), owner, again, hex.EncodeToString(hash[:]), "sqs", "eu-central-1", at); err != nil {
		q.t.Error(err)
	}
	return again.Header.Get("Authorization") == r.Header.Get("Authorization")
}

func (q *queueService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", contentType)
	if !q.signed(r, body) || r.Header.Get("Content-Type") != contentType {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"__type":"com.amazon.coral.service#InvalidSignatureException"}`)
		return
	}
	var ask struct{ QueueName, QueueUrl, MessageBody string }
	if err := json.Unmarshal(body, &ask); err != nil {
		q.t.Errorf("%s: %v", body, err)
	}
	switch action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."); {
	case action == "CreateQueue":
		q.exists, q.url = true, "http://"+r.Host+"/111122223333/"+ask.QueueName
		fmt.Fprintf(w, `{"QueueUrl":%q}`, q.url)
	case !q.exists || ask.QueueUrl != q.url:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}`)
	case action == "SendMessage":
		q.messages = append(q.messages, ask.MessageBody)
		fmt.Fprint(w, `{"MessageId":"m","MD5OfMessageBody":"x"}`)
	case action == "ReceiveMessage":
		var list []string
		for i, m := range q.messages {
			list = append(list, fmt.Sprintf(`{"MessageId":"m","ReceiptHandle":"%d","Body":%q}`, i, m))
		}
		fmt.Fprintf(w, `{"Messages":[%s]}`, strings.Join(list, ","))
	case action == "DeleteMessage":
		q.messages = nil
		fmt.Fprint(w, `{}`)
	case action == "DeleteQueue":
		q.exists = false
		fmt.Fprint(w, `{}`)
	default:
		q.t.Errorf("nobody should call %s", action)
	}
}

func doc(t *testing.T, id string) auditlog.Document {
	t.Helper()
	l, err := auditlog.Decode([]byte(`{"id":"` + id + `","workspace_id":"doctor-1","type":"job_summary","occurred_at":"2026-11-02T09:00:00Z","payload":{"auditrelay_doctor":"doctor-1","log":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	d, err := auditlog.Prepare(l)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestQueueTakesOneDocument sends by the sink of HTTP destinations, with the settings that the queue gives,
// to a service that checks signatures.
func TestQueueTakesOneDocument(t *testing.T) {
	service := &queueService{t: t, now: time.Now()}
	server := httptest.NewServer(service)
	defer server.Close()
	c := aws.Config{Region: "eu-central-1", Credentials: aws.CredentialsProviderFunc(keys), BaseEndpoint: &server.URL, Retryer: func() aws.Retryer { return aws.NopRetryer{} }}
	q := &Queue{
		Client: awssqs.NewFromConfig(c, func(o *awssqs.Options) { o.DisableMessageChecksumValidation = true }),
		Config: c, Name: "auditrelay-doctor-1", Now: func() time.Time { return service.now },
	}
	if _, _, err := q.Taking(t.Context(), doc(t, "log-1").JSON); err == nil {
		t.Error("a queue that was not made takes a document")
	}
	if err := q.Close(t.Context()); err != nil {
		t.Errorf("a queue that was not made cannot be removed: %v", err)
	}
	if err := q.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	settings, credentials, err := q.Taking(t.Context(), doc(t, "log-1").JSON)
	if err != nil {
		t.Fatal(err)
	}
	send := func(d auditlog.Document) error {
		t.Helper()
		return open(t, settings, credentials).Send(t.Context(), []auditlog.Document{d})[0].Err
	}
	if err := send(doc(t, "log-1")); err != nil {
		t.Errorf("the document that was signed for: %v", err)
	}
	if got, err := q.Received(t.Context()); err != nil || !cmp.Equal(got, []string{string(doc(t, "log-1").JSON)}) {
		t.Errorf("received %q, %v", got, err)
	}
	if got, err := q.Received(t.Context()); err != nil || got != nil {
		t.Errorf("received again %q, %v", got, err)
	}
	if code := failure.Of(send(doc(t, "log-2"))).Code; code != failure.HTTPForbidden {
		t.Errorf("another document fails with %s", code)
	}
	service.now = service.now.Add(6 * time.Minute)
	if code := failure.Of(send(doc(t, "log-1"))).Code; code != failure.HTTPForbidden {
		t.Errorf("the document fails six minutes later with %s", code)
	}
	service.now = time.Now()
	if strings.Contains(fmt.Sprint(settings, credentials), secret) {
		t.Error("the caller's secret key is in the destination")
	}
	if err := q.Close(t.Context()); err != nil || service.exists {
		t.Errorf("the queue is there: %t, %v", service.exists, err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Errorf("a queue that is gone: %v", err)
	}
}

// record is a destination as it is stored, its credentials without a seal.
type record directory.Destination

// Open implements sink.Vault.
func (r record) Open(context.Context, directory.Destination) (json.RawMessage, error) {
	return json.RawMessage(r.Credentials), nil
}

// CurrentDestination implements sink.Records.
func (r record) CurrentDestination(context.Context, string) (directory.Destination, error) {
	return directory.Destination(r), nil
}

// open gives the sink of an HTTP destination.
func open(t *testing.T, settings, credentials any) delivery.Sink {
	t.Helper()
	var texts [2]json.RawMessage
	for i, v := range []any{settings, credentials} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = text
	}
	r := record{
		ID: "doctor-1", WorkspaceID: "doctor-1", Kind: directory.HTTP, Settings: texts[0], Credentials: directory.Sealed(texts[1]), State: directory.Connected,
		Version: 1,
	}
	f := &sink.Factory{Vault: r, Records: r, Network: local.Network(), Now: time.Now}
	s, err := f.Sink(t.Context(), directory.Destination(r))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
