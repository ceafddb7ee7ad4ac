package sqs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// sent is a message of a SendMessageBatch call.
type sent struct {
	Id             string
	MessageBody    string
	DelaySeconds   int
	MessageGroupId string
}

// service is a scripted SQS that notes the batches.
type service struct {
	// answer gives the response as JSON, or an error.
	answer func(batch []sent) (string, error)

	mu      sync.Mutex
	batches [][]sent
}

// RoundTrip implements http.RoundTripper.
func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	var request struct{ Entries []sent }
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.batches = append(s.batches, request.Entries)
	s.mu.Unlock()
	body, err := s.answer(request.Entries)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (s *service) client() *sqs.Client {
	return sqs.NewFromConfig(aws.Config{
		Region:      "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:  &http.Client{Transport: s},
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}, func(o *sqs.Options) { o.DisableMessageChecksumValidation = true })
}

// taken answers that every message was taken.
func taken(batch []sent) (string, error) {
	var ok []string
	for _, m := range batch {
		ok = append(ok, fmt.Sprintf(`{"Id":%q,"MessageId":"m","MD5OfMessageBody":"x"}`, m.Id))
	}
	return `{"Successful":[` + strings.Join(ok, ",") + `]}`, nil
}

func rides(n int) []delivery.Ride {
	list := make([]delivery.Ride, n)
	for i := range list {
		k := delivery.Key{DestinationID: "dest-1", WorkspaceID: "ws-1", LogID: fmt.Sprint("log-", i), AcceptedAt: time.UnixMilli(1793611800123).UTC(), Hash: "0123456789abcdef"}
		list[i] = delivery.Ride{Hint: delivery.Hint{Key: k, At: time.UnixMilli(1793611860000).UTC()}, Delay: 61 * time.Second}
	}
	return list
}

func TestHintsFillTheirCalls(t *testing.T) {
	s := &service{answer: taken}
	q := &RetryQueue{Client: s.client(), URL: "https://sqs/retry"}
	for i, err := range q.Send(t.Context(), rides(100)) {
		if err != nil {
			t.Errorf("hint %d: %v", i, err)
		}
	}
	if len(s.batches) != 10 {
		t.Errorf("%d calls for 100 hints, want 10", len(s.batches))
	}
	one := &service{answer: taken}
	(&RetryQueue{Client: one.client(), URL: "https://sqs/retry"}).Send(t.Context(), rides(1))
	want := [][]sent{{{Id: "0", MessageBody: `{"d":"dest-1","w":"ws-1","l":"log-0","a":1793611800123,"h":"0123456789abcdef","t":1793611860000}`, DelaySeconds: 61, MessageGroupId: "dest-1"}}}
	if diff := cmp.Diff(want, one.batches); diff != "" {
		t.Errorf("the message differs (-want +got):\n%s", diff)
	}
}

func TestAnswersStandAtTheirPlaces(t *testing.T) {
	s := &service{answer: func(batch []sent) (string, error) {
		if strings.Contains(batch[0].MessageBody, "log-10\"") {
			return "", errors.New("connection reset")
		}
		if strings.Contains(batch[0].MessageBody, "log-20\"") { // its third is refused, its second forgotten
			return `{"Successful":[{"Id":"0","MessageId":"m","MD5OfMessageBody":"x"},{"Id":"77"}],"Failed":[{"Id":"2","Code":"InternalError","SenderFault":false}]}`, nil
		}
		return taken(batch)
	}}
	list := slices.Insert(rides(23), 5, delivery.Ride{Delay: time.Hour})
	var failed []int
	for i, err := range (&RetryQueue{Client: s.client(), URL: "https://sqs/retry"}).Send(t.Context(), list) {
		if err != nil {
			failed = append(failed, i)
		}
	}
	want := []int{5, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23} // the delay; log-10 to log-19; log-21 and log-22
	if diff := cmp.Diff(want, failed); diff != "" {
		t.Errorf("the places that failed differ (-want +got):\n%s", diff)
	}
}

func TestCallsStayBelowTheirLimit(t *testing.T) {
	s := &service{answer: func(batch []sent) (string, error) {
		bytes := 0
		for _, m := range batch {
			bytes += len(m.MessageBody)
		}
		if bytes > maxBytes || len(batch) > maxMessages {
			t.Errorf("a call of %d messages and %d bytes", len(batch), bytes)
		}
		return taken(batch)
	}}
	var rs []delivery.Rejection
	for i, size := range []int{600 << 10, 400 << 10, 300 << 10, 700 << 10, 100, maxBytes, maxBytes - 200, 100} {
		rs = append(rs, delivery.Rejection{Message: delivery.Message{ID: fmt.Sprint("m-", i), Body: []byte(strings.Repeat("x", size))}, Reason: "no log"})
	}
	b := new(bucket)
	q := &RejectedQueue{Client: s.client(), URL: "https://sqs/rejected", Objects: b, Bucket: "payloads"}
	for i, err := range q.Reject(t.Context(), rs) {
		if err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if len(b.get("rejected/m-5")) != maxBytes || len(b.objects) != 1 {
		t.Errorf("%d objects, want the body of m-5 only", len(b.objects))
	}
	if len(s.batches) != 4 {
		t.Errorf("%d calls, want 4", len(s.batches))
	}

	b.fail = errors.New("the bucket is closed")
	errs := q.Reject(t.Context(), rs[4:6])
	if errs[0] != nil || !errors.Is(errs[1], b.fail) {
		t.Errorf("answers %v, want an error for the large message only", errs)
	}
}

// TestRefusals holds that the queue's answer for a message can be told from a call that failed: only the first is a matter of the message.
func TestRefusals(t *testing.T) {
	s := &service{answer: func(batch []sent) (string, error) {
		if len(batch) == 1 {
			return "", errors.New("connection reset")
		}
		return `{"Successful":[{"Id":"0","MessageId":"m","MD5OfMessageBody":"x"}],"Failed":[` +
			`{"Id":"1","Code":"InvalidMessageContents","SenderFault":true},{"Id":"2","Code":"InternalError","SenderFault":false}]}`, nil
	}}
	q := IngestQueue{Client: s.client(), QueueURL: "https://sqs/ingest"}
	var got []Refusal
	for _, err := range q.Send(t.Context(), make([]Outgoing, 4)) {
		r, ok := errors.AsType[*Refusal](err)
		if ok {
			got = append(got, *r)
		}
	}
	if diff := cmp.Diff([]Refusal{{Code: "InvalidMessageContents", Sender: true}, {Code: "InternalError"}}, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	if errs := q.Send(t.Context(), make([]Outgoing, 1)); errs[0] == nil {
		t.Error("a call that failed is no error")
	} else if r, ok := errors.AsType[*Refusal](errs[0]); ok {
		t.Errorf("a call that failed is the refusal %v", r)
	}
}
