package simulate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDrainOfALargeBacklog drains 100,000 parked logs of one destination; "make drain" does the same with a million. The pages follow their ramp, the
// oldest go first, and each call is filled.
func TestDrainOfALargeBacklog(t *testing.T) {
	const logs = 100_000
	r, err := Drain(t.Context(), logs, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	if r.Memory > 20e6 {
		t.Errorf("%d bytes more in use than with the whole backlog", r.Memory)
	}
	c := r.Counts
	type calls struct{ Hints, Lists, Removals, RemovalUnits, Retries, Saves int }
	got := calls{c[Hints].SQS, c[Backlogs].Items, c[Removing].Items, c[Removing].Writes, c[Retrying].Items, c[Caching].Items}
	if diff := cmp.Diff(calls{Hints: logs / sqsACall, Lists: logs, Removals: logs, RemovalUnits: 2 * logs}, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if batches := float64(c[Loading].Items) / float64(c[Loading].Dynamo); batches < 80 {
		t.Errorf("a call loads %.0f logs of 100", batches)
	}
	r.Memory, r.Counts = 0, Counts{}
	want := DrainReport{Logs: logs, Delivered: logs, Pages: []int{100, 400, 1600, 6400, 25_600, 60_000, 5900}}
	if r.Took < 7*time.Minute || r.Took > 9*time.Minute || r.LastLog > r.Took {
		t.Errorf("the drain ended after %v, its last log came after %v", r.Took, r.LastLog)
	}
	r.Took, r.LastLog = 0, 0
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("the drain (-want +got):\n%s", diff)
	}
}
