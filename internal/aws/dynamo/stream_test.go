package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// heard is a ChangeHandler that notes what it is told.
type heard struct {
	changes   []delivery.Change
	unsettled string
}

func (h *heard) Handle(_ context.Context, changes []delivery.Change) string {
	h.changes = append(h.changes, changes...)
	return h.unsettled
}

type faults []string

func (f *faults) Record(e delivery.Entry) { *f = append(*f, e.Reason) }

const (
	keysOfD = `"Keys":{"pk":{"S":"D#dest-1#3"},"sk":{"S":"1793611800123#ws-1#log-1"}}`
	imageD  = `"pk":{"S":"D#dest-1#3"},"sk":{"S":"1793611800123#ws-1#log-1"},"n":{"N":"8"},"c":{"S":"net.timeout"},"r":{"N":"9"},` +
		`"t":{"S":"job_details"},"du":{"N":"1794212999000"},"ds":{"N":"4"},"rd":{"BOOL":true},"p":{"B":"KLUv/Q=="},"ttl":{"N":"1794220200"}`
	keysOfF = `"Keys":{"pk":{"S":"F#7"},"sk":{"S":"dest-1#1793611800123#ws-1#log-1"}}`
	imageF  = `"pk":{"S":"F#7"},"sk":{"S":"dest-1#1793611800123#ws-1#log-1"},"n":{"N":"8"},"c":{"S":"net.timeout"},"t":{"S":"job_details"},` +
		`"fa":{"N":"1794216600500"},"ttl":{"N":"1796808600"}`
	byService = `,"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"}`
)

func record(id, event, change, rest string) string {
	return fmt.Sprintf(`{"eventName":%q,"dynamodb":{"SequenceNumber":%q,%s}%s}`, event, id, change, rest)
}

func streamEvent(t *testing.T, records ...string) events.DynamoDBEvent {
	t.Helper()
	var e events.DynamoDBEvent
	if err := json.Unmarshal([]byte(`{"Records":[`+strings.Join(records, ",")+`]}`), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestStreamTellsChanges(t *testing.T) {
	k := delivery.Key{DestinationID: "dest-1", WorkspaceID: "ws-1", LogID: "log-1", AcceptedAt: time.UnixMilli(1793611800123).UTC()}
	expired := &delivery.Delivery{
		Key: k, Attempts: 8, NextAt: time.UnixMilli(1794212999000).UTC(), Code: "net.timeout", Riding: true, Revision: 9,
		Document: auditlog.Document{ID: "log-1", WorkspaceID: "ws-1", Type: "job_details"},
	}
	broken := &delivery.Delivery{Key: k, Code: expired.Code, Riding: true, Document: expired.Document}
	failed := &delivery.FailedEvent{Key: k, Type: "job_details", FailedAt: time.UnixMilli(1794216600500).UTC(), Attempts: 8, Code: "net.timeout"}
	for name, test := range map[string]struct {
		record string
		want   []delivery.Change
		faults int
	}{
		"a delivery that TTL removed":     {record("1", "REMOVE", keysOfD+`,"OldImage":{`+imageD+`}`, byService), []delivery.Change{{ID: "1", Expired: expired}}, 0},
		"one whose attributes are broken": {record("1", "REMOVE", keysOfD+`,"OldImage":{`+strings.Replace(imageD, `"8"`, `"x"`, 1)+`}`, byService), []delivery.Change{{ID: "1", Expired: broken}}, 0},
		"one without its old image":       {record("1", "REMOVE", keysOfD, byService), nil, 1},
		"a delivery that we removed":      {record("1", "REMOVE", keysOfD+`,"OldImage":{`+imageD+`}`, ""), nil, 0},
		"a delivery that entered":         {record("1", "INSERT", keysOfD+`,"NewImage":{`+imageD+`}`, ""), nil, 0},
		"a failed event":                  {record("1", "INSERT", keysOfF+`,"NewImage":{`+imageF+`}`, ""), []delivery.Change{{ID: "1", Failed: failed}}, 0},
		"a failed event that TTL removed": {record("1", "REMOVE", keysOfF+`,"OldImage":{`+imageF+`}`, byService), nil, 0},
		"a failed event without a key":    {record("1", "INSERT", keysOfF+`,"NewImage":{"n":{"N":"1"}}`, ""), nil, 1},
		"progress":                        {record("1", "MODIFY", `"Keys":{"pk":{"S":"P#requeue"}},"NewImage":{"th":{"L":[{"N":"1"}]}}`, ""), nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var h heard
			var f faults
			s := &Stream{Expire: &h, Objects: &bucket{}, Journal: &f, Now: time.Now}
			response, err := s.Handle(t.Context(), streamEvent(t, test.record))
			if err != nil || len(response.BatchItemFailures) > 0 {
				t.Errorf("response %v, error %v", response, err)
			}
			if diff := cmp.Diff(test.want, h.changes); diff != "" {
				t.Errorf("changes differ (-want +got):\n%s", diff)
			}
			if len(f) != test.faults {
				t.Errorf("faults %q, want %d", f, test.faults)
			}
		})
	}
}

// TestStreamFaultsNameTheLog cannot read records of which the key can be read.
func TestStreamFaultsNameTheLog(t *testing.T) {
	var told entries
	s := &Stream{Expire: &heard{}, Objects: &bucket{}, Journal: &told, Now: func() time.Time { return time.UnixMilli(0) }}
	_, err := s.Handle(t.Context(), streamEvent(t, record("1", "REMOVE", keysOfD, byService), record("2", "INSERT", keysOfF+`,"NewImage":{"n":{"N":"1"}}`, "")))
	if err != nil {
		t.Fatal(err)
	}
	k := delivery.Key{DestinationID: "dest-1", WorkspaceID: "ws-1", LogID: "log-1", AcceptedAt: time.UnixMilli(1793611800123).UTC()}
	var keys []delivery.Key
	for _, e := range told {
		keys = append(keys, e.Key)
	}
	if diff := cmp.Diff([]delivery.Key{k, k}, keys); diff != "" {
		t.Errorf("the faults are about (-want +got):\n%s", diff)
	}
}

// entries keeps what is recorded.
type entries []delivery.Entry

func (l *entries) Record(e delivery.Entry) { *l = append(*l, e) }

func TestStreamRemovesDocuments(t *testing.T) {
	with := func(object string) string { return `{` + imageD + `,"o":{"S":"` + object + `"}}` }
	for name, test := range map[string]struct {
		records []string
		left    []string
	}{
		"of a delivery that we removed":   {[]string{record("1", "REMOVE", keysOfD+`,"OldImage":`+with("a"), "")}, []string{"b"}},
		"of a delivery that TTL removed":  {[]string{record("1", "REMOVE", keysOfD+`,"OldImage":`+with("a"), byService)}, []string{"b"}},
		"of a delivery that was replaced": {[]string{record("1", "MODIFY", keysOfD+`,"OldImage":`+with("a")+`,"NewImage":`+with("b"), "")}, []string{"b"}},
		"not of one that moved on":        {[]string{record("1", "MODIFY", keysOfD+`,"OldImage":`+with("a")+`,"NewImage":`+with("a"), "")}, []string{"a", "b"}},
		"not of one that entered":         {[]string{record("1", "INSERT", keysOfD+`,"NewImage":`+with("a"), "")}, []string{"a", "b"}},
		"removed twice": {[]string{
			record("1", "REMOVE", keysOfD+`,"OldImage":`+with("a"), ""), record("2", "REMOVE", keysOfD+`,"OldImage":`+with("a"), ""),
		}, []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bucket{objects: map[string][]byte{"a": nil, "b": nil}}
			var f faults
			s := &Stream{Expire: &heard{}, Objects: b, Journal: &f, Now: time.Now}
			if response, err := s.Handle(t.Context(), streamEvent(t, test.records...)); err != nil || len(response.BatchItemFailures) > 0 || len(f) > 0 {
				t.Errorf("response %v, error %v, faults %q", response, err, f)
			}
			want := make(map[string][]byte)
			for _, key := range test.left {
				want[key] = nil
			}
			if diff := cmp.Diff(want, b.objects); diff != "" {
				t.Errorf("objects differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStreamAnswersTheFirstUnsettled(t *testing.T) {
	failed := func(id string) string { return record(id, "INSERT", keysOfF+`,"NewImage":{`+imageF+`}`, "") }
	spilled := func(id string) string {
		return record(id, "REMOVE", keysOfD+`,"OldImage":{`+imageD+`,"o":{"S":"a"}}`, "")
	}
	closed := errors.New("the bucket is closed")
	for name, test := range map[string]struct {
		unsettled string
		fail      error
		want      string
		kept      bool
	}{
		"all settled":                           {"", nil, "", false},
		"expire, before the document":           {"1", nil, "1", true},
		"expire, after the document":            {"3", nil, "3", false},
		"the document":                          {"", closed, "2", true},
		"both, expire first":                    {"1", closed, "1", true},
		"both, the document before expire fell": {"3", closed, "2", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bucket{objects: map[string][]byte{"a": nil}, fail: test.fail}
			s := &Stream{Expire: &heard{unsettled: test.unsettled}, Objects: b, Journal: new(faults), Now: time.Now}
			response, err := s.Handle(t.Context(), streamEvent(t, failed("1"), spilled("2"), failed("3")))
			if err != nil {
				t.Fatal(err)
			}
			var want []events.DynamoDBBatchItemFailure
			if test.want != "" {
				want = []events.DynamoDBBatchItemFailure{{ItemIdentifier: test.want}}
			}
			if diff := cmp.Diff(want, response.BatchItemFailures); diff != "" {
				t.Errorf("failures differ (-want +got):\n%s", diff)
			}
			if _, kept := b.objects["a"]; kept != test.kept {
				t.Errorf("the document is kept: %v, want %v", kept, test.kept)
			}
		})
	}
}
