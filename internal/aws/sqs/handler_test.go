package sqs

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

const retryARN = "arn:aws:sqs:eu-central-1:123456789012:retry"

// relay notes what it gets and settles all but the ids of unsettled.
type relay struct {
	Messages  []delivery.Message
	Hints     []delivery.HintMessage
	unsettled []string
}

func (r *relay) Accept(_ context.Context, batch []delivery.Message) []string {
	r.Messages = append(r.Messages, batch...)
	return r.unsettled
}

func (r *relay) Retry(_ context.Context, batch []delivery.HintMessage) []string {
	r.Hints = append(r.Hints, batch...)
	return r.unsettled
}

type faults []string

func (f *faults) Record(e delivery.Entry) { *f = append(*f, string(e.Event)+" "+e.MessageID) }

func sqsMessage(id, arn, body string) events.SQSMessage {
	return events.SQSMessage{
		MessageId: id, EventSourceARN: arn, Body: body, ReceiptHandle: "handle of " + id,
		Attributes: map[string]string{"SentTimestamp": "1793611800123", "ApproximateReceiveCount": "2"},
	}
}

// TestInvoke reads an event as Lambda sends it and answers in its form, and calls Done.
func TestInvoke(t *testing.T) {
	r := &relay{unsettled: []string{"m-1"}}
	done := 0
	h := &Handler{Relay: r, RetryQueueARN: retryARN, Journal: &faults{}, Now: time.Now, Done: func() { done++ }}
	const event = `{"Records":[{"messageId":"m-1","receiptHandle":"r","body":"{\"id\":\"\u00e9\ud83d\ude00 \\n\"}","md5OfBody":"x",
		"attributes":{"ApproximateReceiveCount":"2","SentTimestamp":"1793611800123","SenderId":"AIDA","MessageGroupId":"acme"},
		"messageAttributes":{"a":{"dataType":"String","stringValue":"b","stringListValues":[],"binaryListValues":[]}},
		"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-central-1:123456789012:ingest","awsRegion":"eu-central-1","added later":{}}]}`
	answer, err := h.Invoke(t.Context(), []byte(event))
	if err != nil {
		t.Fatal(err)
	}
	want := []delivery.Message{{ID: "m-1", Body: []byte(`{"id":"é😀 \n"}`), SentAt: time.UnixMilli(1793611800123).UTC(), Receives: 2, Handle: "r"}}
	if diff := cmp.Diff(want, r.Messages); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if string(answer) != `{"batchItemFailures":[{"itemIdentifier":"m-1"}]}` || done != 1 {
		t.Errorf("answer %s, done %d times", answer, done)
	}
	r.unsettled = nil
	if answer, err := h.Invoke(t.Context(), []byte(event)); err != nil || string(answer) != `{"batchItemFailures":[]}` {
		t.Errorf("answer %s, error %v; want no failures", answer, err)
	}
	if _, err := h.Invoke(t.Context(), []byte(`{"Records":[`)); err == nil {
		t.Error("a broken event was taken")
	}
}

func TestHandler(t *testing.T) {
	const ingest = "arn:aws:sqs:eu-central-1:123456789012:ingest"
	const hintBody = `{"d":"dest-1","w":"ws-1","l":"log-1","a":1793611800123,"t":1793611860000}`
	sentAt := time.UnixMilli(1793611800123).UTC()
	undated := sqsMessage("m-1", ingest, "{}")
	undated.Attributes = map[string]string{"ApproximateReceiveCount": "1"}
	uncounted := sqsMessage("m-1", ingest, "{}")
	uncounted.Attributes = map[string]string{"SentTimestamp": "1793611800123"}
	hint := delivery.Hint{
		Key: delivery.Key{DestinationID: "dest-1", WorkspaceID: "ws-1", LogID: "log-1", AcceptedAt: sentAt},
		At:  time.UnixMilli(1793611860000).UTC(),
	}
	probe, hashed := hint, hint
	hashed.Hash = "0123456789abcdef"
	probe.Drain, probe.Why = true, delivery.WhyProbe
	message := func(body string) []delivery.Message {
		return []delivery.Message{{ID: "m-1", Body: []byte(body), SentAt: sentAt, Receives: 2, Handle: "handle of m-1"}}
	}
	hints := []delivery.HintMessage{{ID: "m-1", Hint: hint, Receives: 2, Handle: "handle of m-1"}}
	uncountedHint := sqsMessage("m-1", retryARN, hintBody)
	uncountedHint.Attributes = nil
	for name, test := range map[string]struct {
		records   []events.SQSMessage
		unsettled []string
		want      relay
		again     []string
		faults    faults
	}{
		"a log":  {records: []events.SQSMessage{sqsMessage("m-1", ingest, "{}")}, want: relay{Messages: message("{}")}},
		"a hint": {records: []events.SQSMessage{sqsMessage("m-1", retryARN, hintBody)}, want: relay{Hints: hints}},
		"a hint without a count": {
			records: []events.SQSMessage{uncountedHint}, want: relay{Hints: []delivery.HintMessage{{ID: "m-1", Hint: hint, Handle: "handle of m-1"}}},
		},
		"a hint with a hash": {
			records: []events.SQSMessage{sqsMessage("m-1", retryARN, strings.Replace(hintBody, "}", `,"h":"0123456789abcdef"}`, 1))},
			want:    relay{Hints: []delivery.HintMessage{{ID: "m-1", Hint: hashed, Receives: 2, Handle: "handle of m-1"}}},
		},
		"a hint that says why": {
			records: []events.SQSMessage{sqsMessage("m-1", retryARN, strings.Replace(hintBody, "}", `,"n":true,"y":"probe"}`, 1))},
			want:    relay{Hints: []delivery.HintMessage{{ID: "m-1", Hint: probe, Receives: 2, Handle: "handle of m-1"}}},
		},
		"a hint that a producer wrote": {records: []events.SQSMessage{sqsMessage("m-1", ingest, hintBody)}, want: relay{Messages: message(hintBody)}},
		"no hint: no JSON":             {records: []events.SQSMessage{sqsMessage("m-1", retryARN, "x")}, faults: faults{"relay.fault m-1"}},
		"no hint: a log":               {records: []events.SQSMessage{sqsMessage("m-1", retryARN, `{"id":"log-1"}`)}, faults: faults{"relay.fault m-1"}},
		"no hint: without a log":       {records: []events.SQSMessage{sqsMessage("m-1", retryARN, `{"d":"d","w":"w","a":1,"t":1}`)}, faults: faults{"relay.fault m-1"}},
		"no time of acceptance":        {records: []events.SQSMessage{undated}, again: []string{"m-1"}, faults: faults{"relay.fault m-1"}},
		"no count of receives":         {records: []events.SQSMessage{uncounted}, again: []string{"m-1"}, faults: faults{"relay.fault m-1"}},
		"one is to come again": {
			records: []events.SQSMessage{sqsMessage("m-1", ingest, "{}")}, unsettled: []string{"m-1"}, want: relay{Messages: message("{}")}, again: []string{"m-1"},
		},
		"nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			got := relay{unsettled: test.unsettled}
			var f faults
			h := &Handler{Relay: &got, RetryQueueARN: retryARN, Journal: &f, Now: time.Now}
			response, err := h.Handle(t.Context(), events.SQSEvent{Records: test.records})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, relay{Messages: got.Messages, Hints: got.Hints}, cmp.AllowUnexported(relay{})); diff != "" {
				t.Errorf("the core got something else (-want +got):\n%s", diff)
			}
			var again []string
			for _, failure := range response.BatchItemFailures {
				again = append(again, failure.ItemIdentifier)
			}
			if diff := cmp.Diff(test.again, again); diff != "" {
				t.Errorf("messages to come again differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.faults, f); diff != "" {
				t.Errorf("faults differ (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseHint(f *testing.F) {
	for _, seed := range []string{`{"d":"dest-1","w":"ws-1","l":"log-1","a":1793611800123,"t":1793611860000}`, "", "{}", `{"a":-1}`, `{"d":1}`, "[]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		h, err := parseHint(body)
		if err != nil {
			return
		}
		again, err := parseHint(*rideEntry(delivery.Ride{Hint: h}).MessageBody)
		if err != nil || again != h {
			t.Errorf("hint %v came back as %v, error %v", h, again, err)
		}
	})
}

// A dead letter of ingest is taken where it lies: with the time of its acceptance, and by what hides and settles messages
// of that queue.
func TestDeadLettersKeepTheirTime(t *testing.T) {
	const deadARN = "arn:aws:sqs:eu-central-1:123456789012:ingest-dead"
	var fresh relay
	dead := relay{unsettled: []string{"m-2"}}
	h := &Handler{Relay: &fresh, RetryQueueARN: retryARN, Dead: &dead, DeadLettersARN: deadARN, Journal: &faults{}, Now: time.Now}
	response, err := h.Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{sqsMessage("m-1", deadARN, "{}"), sqsMessage("m-2", deadARN, "{}")}})
	if err != nil {
		t.Fatal(err)
	}
	sentAt := time.UnixMilli(1793611800123).UTC()
	want := []delivery.Message{
		{ID: "m-1", Body: []byte("{}"), SentAt: sentAt, Receives: 2, Handle: "handle of m-1"},
		{ID: "m-2", Body: []byte("{}"), SentAt: sentAt, Receives: 2, Handle: "handle of m-2"},
	}
	if diff := cmp.Diff(want, dead.Messages); diff != "" || len(fresh.Messages) > 0 {
		t.Errorf("as fresh: %v; as dead (-want +got):\n%s", fresh.Messages, diff)
	}
	if diff := cmp.Diff([]events.SQSBatchItemFailure{{ItemIdentifier: "m-2"}}, response.BatchItemFailures); diff != "" {
		t.Errorf("what stays (-want +got):\n%s", diff)
	}
}
