package delivery_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// TestEachAttemptSaysWhy has a destination fail for two hours with more logs than it may be tried with. Each
// attempt must say why it was made, and by which message.
func TestEachAttemptSaysWhy(t *testing.T) {
	w, r := newWorld(nil, downFor(2*time.Hour))
	w.Send(message("asked-for"))
	advance(t, w, 20*time.Minute) // it was tried more than once, so the destination counts as failing
	for _, d := range w.Cache.All() {
		if d.LogID == "asked-for" {
			hint := delivery.Hint{Key: d.Key, At: d.NextAt, Drain: true, Why: delivery.WhyRedrive}
			if err := w.Retry.Send(t.Context(), []delivery.Ride{{Hint: hint}})[0]; err != nil {
				t.Fatal(err)
			}
		}
	}
	advance(t, w, time.Minute)
	sendLogs(w, 40)
	advance(t, w, 12*time.Hour)
	if len(r.held) != 41 {
		t.Fatalf("%d logs arrived", len(r.held))
	}
	seen := make(map[delivery.Why]bool)
	for _, e := range w.Journal.Entries() {
		if e.Event != delivery.EventAttempted && e.Event != delivery.EventHeld {
			continue
		}
		if e.Event == delivery.EventAttempted {
			seen[e.Why] = true
		}
		if e.Why == delivery.WhyFresh && e.Attempt != 1 || e.Why == delivery.WhyRetry && e.Attempt == 1 {
			t.Errorf("attempt %d of %s is %s", e.Attempt, e.LogID, e.Why)
		}
		if e.Why == delivery.WhyRedrive && e.LogID != "asked-for" {
			t.Errorf("nobody asked for %s", e.LogID)
		}
		if e.MessageID == "" || e.Receives != 1 {
			t.Errorf("attempt %d of %s, a %s, came by message %q, handed out %d times", e.Attempt, e.LogID,
				e.Why, e.MessageID, e.Receives)
		}
	}
	want := []delivery.Why{delivery.WhyDrain, delivery.WhyFresh, delivery.WhyProbe, delivery.WhyRedrive,
		delivery.WhyRetry}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("the reasons (-want +got):\n%s", diff)
	}
}

// TestHintsOfAnEarlierVersion lead to attempts whose reason is guessed from what they say.
func TestHintsOfAnEarlierVersion(t *testing.T) {
	for name, c := range map[string]struct {
		drain bool
		tried int
		want  delivery.Why
	}{
		"a drain's":              {true, 3, delivery.WhyDrain},
		"a retry's":              {false, 3, delivery.WhyRetry},
		"of a log not tried yet": {false, 0, delivery.WhyFresh},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, downFor(0))
			d := delivery.Delivery{
				Key: delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: "log",
					AcceptedAt: start},
				Attempts: c.tried, NextAt: start, Riding: true,
			}
			if err := s.cache.Save(t.Context(), []delivery.Delivery{d})[0]; err != nil {
				t.Fatal(err)
			}
			hint := delivery.HintMessage{ID: "h-1", Receives: 2,
				Hint: delivery.Hint{Key: d.Key, At: start, Drain: c.drain}}
			if left := s.deliver.Retry(t.Context(), []delivery.HintMessage{hint}); len(left) > 0 {
				t.Fatalf("%v must come again", left)
			}
			type made struct {
				Why       delivery.Why
				MessageID string
				Receives  int
			}
			var got []made
			for _, e := range s.journal.Entries() {
				if e.Event == delivery.EventAttempted {
					got = append(got, made{e.Why, e.MessageID, e.Receives})
				}
			}
			if diff := cmp.Diff([]made{{c.want, "h-1", 2}}, got); diff != "" {
				t.Errorf("the attempt (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWhyALogWentTwice has the acknowledgement of a message be lost, and asks the log lines: both deliveries
// name it, the second as handed out twice.
func TestWhyALogWentTwice(t *testing.T) {
	lost := false
	w, r := newWorld(func(call string) memory.Fault {
		if call == memory.CallAck && !lost {
			lost = true
			return memory.FailBefore
		}
		return memory.OK
	}, downFor(0))
	var lines bytes.Buffer
	w.Journal.Next = delivery.NewLines(&lines, "test")
	w.Send(message("log"))
	advance(t, w, time.Hour)
	if r.held["log"] != 2 {
		t.Fatalf("the log went %d times", r.held["log"])
	}
	type line struct {
		Msg       string `json:"msg"`
		LogID     string `json:"log_id"`
		MessageID string `json:"message_id"`
		Receives  int    `json:"receives"`
		Why       string `json:"why"`
		Outcome   string `json:"outcome"`
	}
	var got []line
	for text := range bytes.Lines(lines.Bytes()) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatal(err)
		}
		if l.LogID == "log" {
			got = append(got, l)
		}
	}
	id := w.Journal.Entries()[0].MessageID
	want := []line{
		{"delivery.attempted", "log", id, 1, "fresh", "delivered"},
		{"delivery.attempted", "log", id, 2, "fresh", "delivered"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
}

// TestTestsOfDestinationsCountAsNoLogs writes down a test: it has a line, and is in no metric.
func TestTestsOfDestinationsCountAsNoLogs(t *testing.T) {
	var out bytes.Buffer
	lines := delivery.NewLines(&out, "test")
	lines.Record(delivery.Entry{Event: delivery.EventAttempted, Why: delivery.WhyTest,
		Outcome: delivery.Delivered, At: start})
	lines.Flush(start)
	if got := out.String(); !bytes.Contains(out.Bytes(), []byte(`"why":"test"`)) || bytes.Count(out.Bytes(),
		[]byte("\n")) != 1 {
		t.Errorf("the lines are %s", got)
	}
}
