package delivery_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// A message that was handed out for hours is told of before its turn, at once and with a metric, since it may end the
// process; one that came again a few times is not.
func TestStuckMessagesAreToldOf(t *testing.T) {
	var out bytes.Buffer
	var before string
	s := newStage(t, func(_ time.Time, id string) error {
		if id == "9" {
			before = out.String()
		}
		return nil
	})
	s.deliver.Journal = delivery.NewLines(&out, "auditrelay/test")
	batch := []delivery.Message{
		{ID: "m-3", Body: message("3"), SentAt: start, Receives: 3},
		{ID: "m-10", Body: message("10"), SentAt: start, Receives: 10},
		{ID: "m-9", Body: message("9"), SentAt: start, Receives: 9},
	}
	if open := s.deliver.Accept(t.Context(), batch); len(open) > 0 {
		t.Errorf("%v must come again", open)
	}
	var told []string
	for line := range strings.Lines(before) {
		if strings.Contains(line, "tuck") {
			told = append(told, strings.TrimSpace(line))
		}
	}
	at := start.Format(time.RFC3339Nano)
	want := []string{
		`{"time":"` + at + `","level":"ERROR","msg":"message.stuck","message_id":"m-10","receives":10}`,
		`{"Stuck":1,"_aws":{"CloudWatchMetrics":[{"Dimensions":[[]],"Metrics":[{"Name":"Stuck","Unit":"Count"}],"Namespace":"auditrelay/test"}],"Timestamp":` +
			fmt.Sprint(start.UnixMilli()) + `}}`,
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("what was told before the next one's turn (-want +got):\n%s", diff)
	}
}
