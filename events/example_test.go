package events_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/events"
)

// A producer's first log: fill a Log, and put what Message gives on the ingest queue.
func ExampleLog_Message() {
	log := events.Log{
		ID:          "ua-1001",
		WorkspaceID: "orbit",
		Type:        events.UserActivity,
		OccurredAt:  time.Date(2026, 11, 2, 9, 0, 4, 0, time.UTC),
		Payload:     json.RawMessage(`{"event":"login","page":"/a?b<c>&d"}`),
	}
	body, err := log.Message()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", body)
	// Output:
	// {"id":"ua-1001","workspace_id":"orbit","type":"user_activity","occurred_at":"2026-11-02T09:00:04Z","payload":{"event":"login","page":"/a?b<c>&d"}}
}

// What would be rejected is found before it is sent.
func ExampleLog_Validate() {
	log := events.Log{ID: "ua 1001", WorkspaceID: "orbit", Type: events.UserActivity, OccurredAt: time.Unix(1793610004, 0), Payload: json.RawMessage(`{}`)}
	fmt.Println(log.Validate())
	// Output:
	// id must be 1 to 128 characters of A-Z a-z 0-9 . _ -
}

// SQS takes ten messages in a call, of MaxMessageBytes in all.
func ExampleLog_Message_batch() {
	var batches [][]string
	var batch []string
	size := 0
	for i := range 25 {
		log := events.Log{
			ID: fmt.Sprintf("ua-%d", i), WorkspaceID: "orbit", Type: events.UserActivity,
			OccurredAt: time.Unix(1793610004, 0).UTC(), Payload: json.RawMessage(`{"event":"login"}`),
		}
		body, err := log.Message()
		if err != nil {
			fmt.Println(err) // the others are sent
			continue
		}
		if len(batch) == 10 || size+len(body) > events.MaxMessageBytes {
			batches, batch, size = append(batches, batch), nil, 0
		}
		batch, size = append(batch, string(body)), size+len(body)
	}
	batches = append(batches, batch)
	for _, b := range batches {
		fmt.Println(len(b), "messages")
	}
	// Output:
	// 10 messages
	// 10 messages
	// 5 messages
}

// A log that is too large for a message goes to the payload bucket, and its pointer to the queue: the form that the SQS Extended Client writes.
func ExampleLog_Message_large() {
	lines := make([]string, 60_000)
	for i := range lines {
		lines[i] = "step 1 of the recipe"
	}
	payload, err := json.Marshal(map[string]any{"job_id": "j-1", "lines": lines})
	if err != nil {
		fmt.Println(err)
		return
	}
	log := events.Log{
		ID: "jd-2001", WorkspaceID: "orbit", Type: events.JobDetails, OccurredAt: time.Unix(1793610004, 0).UTC(), Payload: payload,
	}
	body, err := log.Message()
	if err != nil {
		fmt.Println(err)
		return
	}
	if len(body) > events.MaxMessageBytes {
		// Put body under the key first, then send the pointer.
		pointer, err := json.Marshal([]any{
			"software.amazon.payloadoffloading.PayloadS3Pointer",
			map[string]string{"s3BucketName": "auditrelay-payloads", "s3Key": "payloads/" + log.WorkspaceID + "/" + log.ID},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		body = pointer
	}
	fmt.Printf("%s\n", body)
	// Output:
	// ["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"auditrelay-payloads","s3Key":"payloads/orbit/jd-2001"}]
}
