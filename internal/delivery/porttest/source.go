package porttest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// SourceQueue is a queue under test, from the side of a function. Its visibility time-out is Visibility.
type SourceQueue struct {
	delivery.Source
	// Send puts messages with these bodies on the queue.
	Send func(t *testing.T, bodies ...string)
	// Receive gives the handles, by body, of what is handed out once that time has passed.
	Receive func(t *testing.T, after time.Duration) map[string]string
}

// Visibility is how long a message of a SourceQueue stays hidden once it was handed out.
const Visibility = 2 * time.Second

// Sources is the suite of delivery.Source. Each test opens an empty queue; they run beside each other, since they wait.
func Sources(t *testing.T, open func(t *testing.T) SourceQueue) {
	for name, test := range map[string]func(*testing.T, SourceQueue){
		"hidden for longer": hiddenForLonger,
		"shown again":       shownAgain,
		"settled":           settled,
		"settled twice":     settledTwice,
		"nothing to settle": func(t *testing.T, q SourceQueue) { expect(t, q.Settle(t.Context(), nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// bodies are those that were handed out, in order.
func bodies(handles map[string]string) []string {
	list := make([]string, 0, len(handles))
	for body := range handles {
		list = append(list, body)
	}
	slices.Sort(list)
	return list
}

func (q SourceQueue) shows(t *testing.T, after time.Duration, want ...string) {
	t.Helper()
	if diff := gocmp.Diff(append([]string{}, want...), bodies(q.Receive(t, after))); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// A message that is hidden for longer misses the time at which the others show up again.
func hiddenForLonger(t *testing.T, q SourceQueue) {
	q.Send(t, "a", "b")
	if err := q.Hide(t.Context(), q.Receive(t, 0)["a"], 2*Visibility+time.Second); err != nil {
		t.Fatal(err)
	}
	q.shows(t, Visibility+time.Second/2, "b")
}

func shownAgain(t *testing.T, q SourceQueue) {
	q.Send(t, "a")
	if err := q.Hide(t.Context(), q.Receive(t, 0)["a"], 0); err != nil {
		t.Fatal(err)
	}
	q.shows(t, time.Second/2, "a")
}

// As many as a batch of a function holds; what is not settled shows up again.
func settled(t *testing.T, q SourceQueue) {
	for i := range 23 {
		q.Send(t, fmt.Sprintf("%02d", i))
	}
	handles := q.Receive(t, 0)
	left := handles["07"]
	delete(handles, "07")
	var settle []string
	for _, h := range handles {
		settle = append(settle, h)
	}
	if len(settle) != 22 || left == "" {
		t.Fatalf("%d messages were handed out, want 23", len(settle)+1)
	}
	expect(t, q.Settle(t.Context(), settle), make([]error, len(settle))...)
	q.shows(t, Visibility+time.Second/2, "07")
}

func settledTwice(t *testing.T, q SourceQueue) {
	q.Send(t, "a")
	handle := q.Receive(t, 0)["a"]
	expect(t, q.Settle(t.Context(), []string{handle}), nil)
	expect(t, q.Settle(t.Context(), []string{handle}), nil)
	q.shows(t, Visibility+time.Second/2)
}
