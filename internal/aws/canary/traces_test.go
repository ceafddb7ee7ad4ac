package canary

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

	"github.com/auditrelay/auditrelay/internal/notice"
)

// TestMailed looks for the line that notice.Lines writes, at a scripted CloudWatch Logs whose first page is
// empty.
func TestMailed(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	var line bytes.Buffer
	notice.NewLines(&line, "test").Record(notice.Entry{Event: notice.EventSent, At: at, DestinationID: "doctor-1", Recipients: 1})
	var written struct {
		Message       string `json:"msg"`
		DestinationID string `json:"destination_id"`
	}
	if err := json.Unmarshal(line.Bytes(), &written); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ask struct {
			LogGroupName, FilterPattern, NextToken string
			StartTime                              int64
		}
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
			t.Error(err)
		}
		if ask.LogGroupName != "/auditrelay/dev/notify" || ask.StartTime != at.UnixMilli() {
			t.Errorf("asked %+v", ask)
		}
		answer := map[string]any{"events": []any{}, "nextToken": "more"}
		if ask.NextToken != "" {
			delete(answer, "nextToken")
			if strings.Contains(ask.FilterPattern, `$.msg = "`+written.Message+`" && $.destination_id = "`+written.DestinationID+`"`) {
				answer["events"] = []map[string]string{{"message": line.String()}}
			}
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer server.Close()
	traces := Traces{
		Logs:        cloudwatchlogs.New(cloudwatchlogs.Options{BaseEndpoint: &server.URL, Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}),
		NotifyGroup: "/auditrelay/dev/notify",
	}
	for id, want := range map[string]bool{"doctor-1": true, "siem": false} {
		if got, err := traces.Mailed(t.Context(), id, at); got != want || err != nil {
			t.Errorf("%s: %t, %v", id, got, err)
		}
	}
	server.Close()
	if got, err := traces.Mailed(t.Context(), "doctor-1", at); got || err == nil {
		t.Errorf("without a service: %t, %v", got, err)
	}
}
