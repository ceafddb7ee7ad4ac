package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/aws/sqs"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

func counted(t *testing.T, s Scenario) Calls {
	t.Helper()
	c, err := s.count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHealthyLogsCostNoWriteAndHardlyARead(t *testing.T) {
	s := Scenarios()[0]
	s.Config.Span = 90 * time.Second
	c := counted(t, s)
	writes := c.Counts.Total().Writes - c.Counts[Minutes].Writes
	if writes != 0 || c.Counts[Minutes].Writes > 2 {
		t.Errorf("%d write units for %d healthy logs, and %d each minute", writes, c.Logs, c.Counts[Minutes].Writes)
	}
	if reads := float64(c.Counts[Lookups].Dynamo) / float64(c.Logs); reads >= 0.02 {
		t.Errorf("%.4f reads of the directory a log, want below 0.02", reads)
	}
	if batches := float64(c.Counts[Invocations].Items) / float64(c.Counts[Invocations].Lambda); batches < 90 {
		t.Errorf("an invocation takes %.1f logs of 100", batches)
	}
}

// TestQuietWorkspacesCostHardlyARead holds the same where each workspace has a log now and then: its record is remembered until it is written.
func TestQuietWorkspacesCostHardlyARead(t *testing.T) {
	c := counted(t, Scenarios()[1])
	if reads := float64(c.Counts[Lookups].HalfReads) / 2 / float64(c.Logs); reads >= 0.02 {
		t.Errorf("%.4f read units of the directory a log, want below 0.02", reads)
	}
}

// TestKnowingResendsCostsAWriteUnitALog holds what docs/scale.md says of it.
func TestKnowingResendsCostsAWriteUnitALog(t *testing.T) {
	all := Scenarios()
	s := all[len(all)-1]
	s.Config.Span = 90 * time.Second
	c := counted(t, s)
	got := c.Counts[Remembering]
	if got.Writes != c.Logs || got.HalfReads != c.Logs || got.Items != c.Logs || got.Dynamo > c.Logs*6/100 {
		t.Errorf("%+v for %d logs", got, c.Logs)
	}
}

func TestFailingLogsCostFewUnits(t *testing.T) {
	s := Scenarios()[3]
	s.Config.Rate, s.Config.Span, s.Config.Outage = 10, 40*time.Minute, 20*time.Minute
	c := counted(t, s)
	share := func(p Purpose, more int) float64 {
		return float64(c.Counts[p].Writes+more) / float64(c.Counts[p].Items)
	}
	if got := share(Caching, 0); got > 2 {
		t.Errorf("%.2f write units to cache a log", got)
	}
	if got := share(Retrying, c.Counts[Minutes].Writes); got > 3.05 { // the progress, one unit a minute, is shared by all retries
		t.Errorf("%.2f write units a retry, with requeue's share", got)
	}
	if got := share(Removing, 0); got > 2 {
		t.Errorf("%.2f write units to remove a log", got)
	}
}

// service answers every call of DynamoDB and SQS well, and counts them.
type service struct {
	mu    sync.Mutex
	calls map[string]int
}

// RoundTrip implements http.RoundTripper.
func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var request struct{ Entries []struct{ Id string } }
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.calls[operation]++
	s.mu.Unlock()
	var ok []string
	for _, e := range request.Entries {
		ok = append(ok, fmt.Sprintf(`{"Id":%q,"MessageId":"m","MD5OfMessageBody":"x"}`, e.Id))
	}
	body := "{}"
	if ok != nil {
		body = `{"Successful":[` + strings.Join(ok, ",") + `]}`
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (s *service) total(prefixes ...string) int {
	n := 0
	for _, operation := range slices.Sorted(maps.Keys(s.calls)) {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(operation, p) }) {
			n += s.calls[operation]
		}
	}
	return n
}

// TestTheMeterCountsWhatTheAdaptersCall does the same operations through the adapters and through the counting ports.
func TestTheMeterCountsWhatTheAdaptersCall(t *testing.T) {
	logs, err := newSamples(1)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(Config{Rate: 1, Destinations: 1, Span: time.Hour, concurrency: 1}, Health, logs)
	s := &service{calls: make(map[string]int)}
	account := aws.Config{Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), HTTPClient: &http.Client{Transport: s}}
	cache, err := dynamo.NewCache(dynamodb.NewFromConfig(account), "deliveries", nil)
	if err != nil {
		t.Fatal(err)
	}
	queue := &sqs.RetryQueue{URL: "https://sqs/retry", Client: awssqs.NewFromConfig(account, func(o *awssqs.Options) { o.DisableMessageChecksumValidation = true })}

	var ds []delivery.Delivery
	var keys []delivery.Key
	var rides []delivery.Ride
	for i := range 63 {
		w.tally.arrived(0)
		k := delivery.Key{DestinationID: destinationID(0), WorkspaceID: workspaceID(0), LogID: logID(i), AcceptedAt: begin()}
		d := delivery.Delivery{Key: k, NextAt: begin().Add(time.Minute)}
		d.Document.JSON = logs.document(k.LogID)
		if i%21 == 0 {
			d.Revision = 1
		}
		ds, keys, rides = append(ds, d), append(keys, k), append(rides, delivery.Ride{Hint: delivery.Hint{Key: k, At: d.NextAt}})
	}
	type ports struct {
		cache interface {
			delivery.Cache
			delivery.FailedEvents
			delivery.Backlog
		}
		queue delivery.RetryQueue
	}
	ctx := context.Background()
	for _, p := range []ports{{cache, queue}, {w.store, w}} {
		p.cache.Save(ctx, slices.Clone(ds))
		p.cache.Remove(ctx, keys)
		if _, _, err := p.cache.Load(ctx, keys); err != nil {
			t.Fatal(err)
		}
		_ = p.cache.GiveUp(ctx, []delivery.End{{FailedEvent: delivery.FailedEvent{Key: keys[0]}, Revision: 1}})
		if _, err := p.cache.Waiting(ctx, destinationID(0), delivery.Key{}, 500); err != nil {
			t.Fatal(err)
		}
		p.queue.Send(ctx, rides)
	}
	c := w.meter.Counts()
	want := map[string]int{
		"writes": s.total("BatchWriteItem", "UpdateItem", "TransactWriteItems"), "loads": s.total("BatchGetItem"), "lists": s.total("Query"),
		"hints": s.total("SendMessageBatch"),
	}
	got := map[string]int{
		"writes": c[Caching].Dynamo + c[Retrying].Dynamo + c[Removing].Dynamo + c[GivingUp].Dynamo, "loads": times(w.store.loaded, readsACall),
		"lists": c[Backlogs].Dynamo, "hints": c[Hints].SQS,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls differ (-adapters +meter):\n%s", diff)
	}
	if want["writes"] == 0 || want["lists"] == 0 {
		t.Errorf("the adapters made no calls: %v", s.calls)
	}
}

// TestASampleFitsIntoOneUnit holds what the units rest on: an activity of 1.5 KiB is an item of at most 1 KB.
func TestASampleFitsIntoOneUnit(t *testing.T) {
	logs, err := newSamples(1)
	if err != nil {
		t.Fatal(err)
	}
	for k, n := range logs.bytes {
		if doc := len(logs.documents[k]); n > writeUnit || doc < 900 {
			t.Errorf("sample %d: a document of %d bytes is an item of %d", k, doc, n)
		}
	}
	if logs.indexBytes > writeUnit {
		t.Errorf("an entry of the index has %d bytes", logs.indexBytes)
	}
}
