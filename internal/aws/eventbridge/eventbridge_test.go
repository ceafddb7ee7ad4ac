package eventbridge

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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
)

// service is a scripted EventBridge, each of whose calls takes 20 ms.
type service struct {
	// refuse says with which error code the event of that log is left out of its nth call, counted from 1; "" takes it.
	refuse func(log string, n int) string
	// short leaves the last entry out of each answer; status, if not 0, is the answer to each call.
	short  bool
	status int

	mu    sync.Mutex
	calls []int
	tries map[string]int
	taken map[string]int
}

type putEvents struct {
	Entries []struct{ Detail, DetailType, Source, EventBusName string }
}

// RoundTrip implements http.RoundTripper.
func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(20 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	var in putEvents
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, fmt.Errorf("a request that is no JSON: %w", err)
	}
	s.calls = append(s.calls, len(in.Entries))
	status, body := http.StatusOK, s.put(in)
	if s.status != 0 {
		status, body = s.status, `{"__type":"AccessDeniedException","message":"scripted"}`
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.1"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (s *service) put(in putEvents) string {
	if s.tries == nil {
		s.tries, s.taken = make(map[string]int), make(map[string]int)
	}
	var answers []string
	for _, e := range in.Entries {
		var d events.LogDeliveryFailedDetail
		_ = json.Unmarshal([]byte(e.Detail), &d)
		s.tries[d.LogID]++
		code := ""
		if s.refuse != nil {
			code = s.refuse(d.LogID, s.tries[d.LogID])
		}
		if code != "" {
			answers = append(answers, fmt.Sprintf(`{"ErrorCode":%q,"ErrorMessage":"scripted"}`, code))
			continue
		}
		s.taken[d.LogID]++
		answers = append(answers, `{"EventId":"e"}`)
	}
	if s.short {
		answers = answers[:len(answers)-1]
	}
	return `{"Entries":[` + strings.Join(answers, ",") + `]}`
}

func (s *service) bus() *Bus {
	return &Bus{Name: "auditrelay-dev", Client: eventbridge.NewFromConfig(aws.Config{
		Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), HTTPClient: &http.Client{Transport: s},
	})}
}

// ended are events of n logs that were given up, with every name as long as it may be.
func ended(n int) []events.Announcement {
	at := time.Date(2026, 11, 9, 9, 0, 0, 0, time.UTC)
	all := make([]events.Announcement, n)
	for i := range all {
		all[i] = events.Announcement{DetailType: events.LogDeliveryFailed, At: at, Detail: events.LogDeliveryFailedDetail{
			LogID: fmt.Sprint("log-", i), WorkspaceID: strings.Repeat("w", 128), DestinationID: strings.Repeat("d", 128), Kind: "azure_monitor",
			Type: strings.Repeat("t", 128), AcceptedAt: at, FailedAt: at, Attempts: 8, Code: "http.server_error",
		}}
	}
	return all
}

func TestEventsGoTenACall(t *testing.T) {
	never := func(string, int) string { return "" }
	for name, test := range map[string]struct {
		events int
		s      *service
		calls  int
		fail   map[int]string // by the event's place
	}{
		"none":        {0, &service{refuse: never}, 0, nil},
		"one":         {1, &service{refuse: never}, 1, nil},
		"ten":         {10, &service{refuse: never}, 1, nil},
		"twenty-five": {25, &service{refuse: never}, 3, nil},
		"one is left out twice": {12, &service{refuse: func(log string, n int) string {
			if log == "log-3" && n < 3 {
				return "ThrottlingException"
			}
			return ""
		}}, 4, nil},
		"one is left out each time": {12, &service{refuse: func(log string, _ int) string {
			if log == "log-3" {
				return "InternalFailure"
			}
			return ""
		}}, 4, map[int]string{3: "put LogDeliveryFailed on the bus: it refused the event: InternalFailure"}},
		"an answer too short": {2, &service{refuse: never, short: true}, 1, map[int]string{1: "put LogDeliveryFailed on the bus: its answer leaves out the event"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				errs := test.s.bus().PublishAll(t.Context(), ended(test.events))
				fail := make(map[int]string)
				for i, err := range errs {
					if err != nil {
						fail[i] = err.Error()
					}
				}
				if test.fail == nil {
					test.fail = map[int]string{}
				}
				if diff := cmp.Diff(test.fail, fail); diff != "" {
					t.Errorf("errors (-want +got):\n%s", diff)
				}
				if len(errs) != test.events || len(test.s.calls) != test.calls {
					t.Errorf("%d answers for %d events, calls of %v events, want %d calls", len(errs), test.events, test.s.calls, test.calls)
				}
				for log, n := range test.s.taken {
					if n != 1 {
						t.Errorf("%s is on the bus %d times", log, n)
					}
				}
			})
		})
	}
}

func TestACallThatFailsFailsItsEvents(t *testing.T) {
	s := &service{status: http.StatusBadRequest}
	synctest.Test(t, func(t *testing.T) {
		for i, err := range s.bus().PublishAll(t.Context(), ended(11)) {
			if err == nil || !strings.Contains(err.Error(), "AccessDeniedException") {
				t.Errorf("event %d: %v", i, err)
			}
		}
	})
	if len(s.calls) != 2 {
		t.Errorf("%d calls of a service that refuses, want one for each ten events", len(s.calls))
	}
}

// TestACallIsFarBelowItsBound holds what entriesACall rests on: ten of the largest events have less than a tenth of 256 KB.
func TestACallIsFarBelowItsBound(t *testing.T) {
	size := 0
	for _, a := range ended(entriesACall) {
		e, err := (&Bus{}).entry(a)
		if err != nil {
			t.Fatal(err)
		}
		size += 14 + len(*e.Source) + len(*e.DetailType) + len(*e.Detail)
	}
	if size > 256<<10/10 {
		t.Errorf("ten events have %d bytes", size)
	}
}
