package sqs

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// notifier notes what it gets and settles all but the second.
type notifier struct{ got []notice.Message }

func (n *notifier) Handle(_ context.Context, batch []notice.Message) (unsettled []string) {
	n.got = append(n.got, batch...)
	for _, m := range batch[1:] {
		unsettled = append(unsettled, m.ID)
	}
	return unsettled
}

type noticeFaults []string

func (f *noticeFaults) Record(e notice.Entry) { *f = append(*f, e.Reason) }

func TestNoticeHandler(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	n, faults := new(notifier), new(noticeFaults)
	h := &NoticeHandler{Notifier: n, Journal: faults, Now: time.Now}
	body := `{"kind":"involuntary","destination_id":"siem","since":"2026-11-02T09:00:00Z","code":"http.unauthorized","at":"2026-11-02T09:00:00Z",` +
		`"losses":{"logs":3,"waiting":5,"first":"2026-11-02T09:00:00Z","until":"2026-11-02T09:00:00Z","codes":[{"code":"http.log_refused","logs":2},{"code":"","logs":1}]}}`
	response, err := h.Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{
		sqsMessage("m-1", "notices", body),
		sqsMessage("m-2", "notices", "no notice, and secret"),
		sqsMessage("m-3", "notices", `{"kind":"involuntary"}`),
		sqsMessage("m-4", "notices", body),
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := directory.Notice{Kind: directory.Involuntary, DestinationID: "siem", Since: at, Code: "http.unauthorized", At: at,
		Losses: &directory.Losses{Logs: 3, Waiting: 5, First: at, Until: at, Codes: []directory.CodeCount{{Code: "http.log_refused", Logs: 2}, {Logs: 1}}}}
	if diff := cmp.Diff([]notice.Message{{ID: "m-1", Receives: 2, Notice: want}, {ID: "m-4", Receives: 2, Notice: want}}, n.got); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
	failed := []events.SQSBatchItemFailure{{ItemIdentifier: "m-2"}, {ItemIdentifier: "m-3"}, {ItemIdentifier: "m-4"}}
	if diff := cmp.Diff(failed, response.BatchItemFailures); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(noticeFaults{"message m-2 of the notices queue is no notice", "message m-3 of the notices queue is no notice"}, *faults); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}
