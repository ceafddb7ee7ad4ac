package delivery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// backlogs are the destinations that need attention, all drained already and disconnected a moment ago, with when their oldest log was accepted.
type backlogs map[string]time.Time

func (b backlogs) Attention(context.Context) iter.Seq2[directory.Destination, error] {
	return func(yield func(directory.Destination, error) bool) {
		for id := range b {
			if !yield(directory.Destination{ID: id, Kind: directory.HTTP, State: directory.Disconnected, StateSince: noon}, nil) {
				return
			}
		}
	}
}

func (b backlogs) Waiting(_ context.Context, id string, _ delivery.Key, _ int) ([]delivery.Waiting, error) {
	if b[id].IsZero() {
		return nil, nil
	}
	return []delivery.Waiting{{Hint: delivery.Hint{Key: delivery.Key{DestinationID: id, LogID: "l", AcceptedAt: b[id]}}}}, nil
}

func nothingLeft(context.Context) error { return nil }

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// TestOldestAge holds that the age of the oldest waiting log becomes a metric, the largest of all destinations, once in a quarter of an hour.
func TestOldestAge(t *testing.T) {
	waiting := backlogs{"old": noon.Add(-5 * time.Hour), "young": noon.Add(-time.Minute), "empty": {}}
	got := make(map[string][]any)
	now := noon
	watch := delivery.Watch{Attention: waiting, Backlog: waiting, Now: func() time.Time { return now }, AtOnce: 3, Budget: time.Minute, Sweep: nothingLeft}
	for minute := range 31 {
		now = noon.Add(time.Duration(minute)*time.Minute + 41*time.Second)
		if minute == 15 {
			continue // a run that does not come
		}
		var out bytes.Buffer
		lines := delivery.NewLines(&out, "test")
		watch.Journal = lines
		if err := watch.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		lines.Flush(now)
		for line := range bytes.Lines(out.Bytes()) {
			var metrics struct {
				OldestAge int
				AWS       struct {
					CloudWatchMetrics []struct{ Metrics []struct{ Name, Unit string } }
				} `json:"_aws"`
			}
			if err := json.Unmarshal(line, &metrics); err != nil {
				t.Fatal(err)
			}
			for _, m := range metrics.AWS.CloudWatchMetrics {
				got[now.Format("15:04")] = append(got[now.Format("15:04")], metrics.OldestAge, m.Metrics[0].Name, m.Metrics[0].Unit)
			}
		}
	}
	const hours, quarter = 5*60*60 + 41, 15 * 60
	want := map[string][]any{
		"12:00": {hours, "OldestAge", "Seconds"}, "12:16": {hours + quarter + 60, "OldestAge", "Seconds"}, "12:30": {hours + 2*quarter, "OldestAge", "Seconds"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics by minute (-want +got):\n%s", diff)
	}
}
