package handler_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/aws/handler"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// slow answers each call after 20 ms, the longest that a service takes as a rule, and counts them.
type slow struct {
	mu    sync.Mutex
	calls map[string]int
}

// RoundTrip implements http.RoundTripper.
func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(20 * time.Millisecond)
	var request struct{ Entries []json.RawMessage }
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, fmt.Errorf("a request that is no JSON: %w", err)
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[operation]++
	body := "{}"
	if n := len(request.Entries); n > 0 {
		body = `{"Entries":[` + strings.Repeat(`{"EventId":"e"},`, n-1) + `{"EventId":"e"}]}`
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// ends are stream records of logs whose week ended: removed ones that TTL removed, and recorded failed events, of three destinations.
func ends(t *testing.T, removed, recorded int) events.DynamoDBEvent {
	t.Helper()
	var records []string
	for i := range removed {
		pk, sk := fmt.Sprintf("D#d%d#%d", i%3, i%8), fmt.Sprintf("1793611800123#w#removed-%d", i)
		records = append(records, fmt.Sprintf(`{"eventName":"REMOVE","userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},
			"dynamodb":{"SequenceNumber":"r%[1]d","Keys":{"pk":{"S":%[2]q},"sk":{"S":%[3]q}},"OldImage":{"pk":{"S":%[2]q},"sk":{"S":%[3]q}}}}`, i, pk, sk))
	}
	for i := range recorded {
		pk, sk := fmt.Sprintf("F#%d", i%32), fmt.Sprintf("d%d#1793611800123#w#recorded-%d", i%3, i)
		records = append(records, fmt.Sprintf(`{"eventName":"INSERT","dynamodb":{"SequenceNumber":"i%[1]d","Keys":{"pk":{"S":%[2]q},"sk":{"S":%[3]q}},
			"NewImage":{"pk":{"S":%[2]q},"sk":{"S":%[3]q},"fa":{"N":"1794216600500"}}}}`, i, pk, sk))
	}
	var e events.DynamoDBEvent
	if err := json.Unmarshal([]byte(`{"Records":[`+strings.Join(records, ",")+`]}`), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestEndsAtScale has expire deal with the stream's batches while each call takes 20 ms. One invocation deals with over 2,000 records a
// second, whichever way the logs ended.
func TestEndsAtScale(t *testing.T) {
	for name, test := range map[string]struct {
		removed, recorded int
		calls             map[string]int
	}{
		"given up by us":    {0, 1000, map[string]int{"GetItem": 3, "PutEvents": 100}},
		"removed by TTL":    {1000, 0, map[string]int{"PutItem": 1000}},
		"half of them each": {500, 500, map[string]int{"PutItem": 500, "GetItem": 3, "PutEvents": 50}},
	} {
		t.Run(name, func(t *testing.T) {
			event := ends(t, test.removed, test.recorded)
			synctest.Test(t, func(t *testing.T) {
				service := &slow{calls: make(map[string]int)}
				account := aws.Config{
					Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), HTTPClient: &http.Client{Transport: service},
				}
				stream, err := handler.Expire(config.Expire{Stores: deliverConfig().Stores}, account, delivery.NewLines(io.Discard, "test"))
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				answer, err := stream.Handle(t.Context(), event)
				if err != nil || len(answer.BatchItemFailures) > 0 {
					t.Fatalf("answer %v, error %v", answer, err)
				}
				if rate := float64(len(event.Records)) / time.Since(began).Seconds(); rate < 2000 {
					t.Errorf("%.0f records a second, want 2,000", rate)
				}
				if diff := cmp.Diff(test.calls, service.calls); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
			})
		})
	}
}
