package attempts_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/aws/attempts"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// TestAttempts reads the lines that delivery.Lines writes, from a scripted CloudWatch Logs.
func TestAttempts(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	key := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: "log-1", AcceptedAt: at.Add(-time.Minute)}
	failed := delivery.Entry{Event: delivery.EventAttempted, At: at, Key: key, Type: "user_activity", Kind: directory.HTTP, Attempt: 1,
		Outcome: delivery.Failed, Code: failure.HTTPServerError, Took: 12 * time.Millisecond, NextAt: at.Add(time.Minute)}
	delivered := failed
	delivered.At, delivered.Attempt, delivered.Outcome, delivered.Code, delivered.NextAt = at.Add(time.Minute), 2, delivery.Delivered, "", time.Time{}
	var lines bytes.Buffer
	journal := delivery.NewLines(&lines, "test")
	journal.Record(delivered) // streams of a group are not in the order of time
	journal.Record(delivery.Entry{Event: delivery.EventFault, At: at, Reason: "not an attempt"})
	journal.Record(failed)

	var asked struct{ LogGroupName, FilterPattern string }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		var events []map[string]string
		for line := range strings.Lines(lines.String()) {
			events = append(events, map[string]string{"message": line})
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(map[string]any{"events": events})
	}))
	defer server.Close()
	client := cloudwatchlogs.New(cloudwatchlogs.Options{BaseEndpoint: &server.URL, Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	reader := &attempts.Reader{Client: client, Group: "/auditrelay/dev/deliver", TimeLimit: time.Minute}
	got, err := reader.Attempts(t.Context(), admin.AttemptQuery{LogID: "log-1", DestinationID: "siem", Since: at, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	want := []admin.AttemptRecord{
		{Key: key, Kind: directory.HTTP, Attempt: 1, Outcome: delivery.Failed, Code: failure.HTTPServerError, At: at, Took: 12 * time.Millisecond, NextAt: at.Add(time.Minute)},
		{Key: key, Kind: directory.HTTP, Attempt: 2, Outcome: delivery.Delivered, At: at.Add(time.Minute), Took: 12 * time.Millisecond},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the attempts differ (-want +got):\n%s", diff)
	}
	const filter = `{ ($.msg = "delivery.attempted" || $.msg = "delivery.held") && $.log_id = "log-1" && $.destination_id = "siem" }`
	if asked.LogGroupName != "/auditrelay/dev/deliver" || asked.FilterPattern != filter {
		t.Errorf("asked %+v", asked)
	}
}
