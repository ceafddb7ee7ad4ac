package delivery

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"time"
)

// Lines is the journal of a deployment: one JSON line a fact, and metrics in CloudWatch's embedded metric format, which need no call of their own.
// It is safe for concurrent use.
type Lines struct {
	handler   slog.Handler
	out       io.Writer
	namespace string

	mu     sync.Mutex
	counts map[string]*counts
}

// NewLines writes lines to out and metrics under the CloudWatch namespace.
func NewLines(out io.Writer, namespace string) *Lines {
	locked := &lockedWriter{out: out}
	return &Lines{handler: slog.NewJSONHandler(locked, nil), out: locked, namespace: namespace, counts: make(map[string]*counts)}
}

// Record writes the entry's line and counts it.
func (l *Lines) Record(e Entry) {
	l.count(e)
	if e.Event == EventAccepted {
		return // one line an attempt is enough: each accepted delivery has a first attempt or is held
	}
	level := slog.LevelInfo
	if e.Event == EventFault || e.Event == EventFailed || e.Event == EventStuck {
		level = slog.LevelError
	} else if e.Event == EventRejected || e.Outcome == Failed {
		level = slog.LevelWarn
	}
	r := slog.NewRecord(e.At, level, string(e.Event), 0)
	addText(&r, "message_id", e.MessageID)
	if e.Receives > 0 {
		r.AddAttrs(slog.Int("receives", e.Receives))
	}
	addText(&r, "log_id", e.LogID)
	addText(&r, "hash", e.Hash)
	addText(&r, "workspace_id", e.WorkspaceID)
	addText(&r, "destination_id", e.DestinationID)
	addText(&r, "kind", string(e.Kind))
	addText(&r, "type", e.Type)
	addTime(&r, "accepted_at", e.AcceptedAt)
	switch e.Event {
	case EventAttempted, EventHeld:
		r.AddAttrs(slog.Int("attempt", e.Attempt), slog.String("outcome", string(e.Outcome)))
	case EventFailed:
		r.AddAttrs(slog.Int("attempts", e.Attempt))
	}
	addText(&r, "why", string(e.Why))
	addText(&r, "code", string(e.Code))
	addText(&r, "detail", e.Detail)
	if e.Event == EventAttempted {
		r.AddAttrs(slog.Int64("duration_ms", e.Took.Milliseconds()))
	}
	addTime(&r, "next_attempt_at", e.NextAt)
	addTime(&r, "failed_at", e.FailedAt)
	addText(&r, "reason", e.Reason)
	_ = l.handler.Handle(context.Background(), r) // standard output of the function: nobody is left to tell
	if e.Event == EventStuck {
		l.write("", &counts{Stuck: 1}, e.At) // at once: the message may end the process
	}
}

func addText(r *slog.Record, key, value string) {
	if value != "" {
		r.AddAttrs(slog.String(key, value))
	}
}

func addTime(r *slog.Record, key string, t time.Time) {
	if !t.IsZero() {
		r.AddAttrs(slog.Time(key, t))
	}
}

// counts are the metrics of one destination kind, or of none.
type counts struct {
	Accepted       int `json:"Accepted,omitempty"`
	Delivered      int `json:"Delivered,omitempty"`
	Failed         int `json:"Failed,omitempty"`
	Unrouted       int `json:"Unrouted,omitempty"`
	Rejected       int `json:"Rejected,omitempty"`
	Repeated       int `json:"Repeated,omitempty"`
	Attempts       int `json:"Attempts,omitempty"`
	AttemptsFailed int `json:"AttemptsFailed,omitempty"`
	Held           int `json:"Held,omitempty"`
	Faults         int `json:"Faults,omitempty"`
	Stuck          int `json:"Stuck,omitempty"`
	// OldestAge is the age of the oldest waiting log in seconds, the largest of all that were measured.
	OldestAge int `json:"OldestAge,omitempty"`
}

func (l *Lines) count(e Entry) {
	if e.Why == WhyTest {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts[string(e.Kind)]
	if c == nil {
		c = new(counts)
		l.counts[string(e.Kind)] = c
	}
	switch e.Event {
	case EventAccepted:
		c.Accepted += first(e)
	case EventAttempted:
		c.Attempts++
		if e.Outcome == Delivered {
			c.Delivered++
		} else {
			c.AttemptsFailed++
		}
	case EventHeld:
		c.Held++
	case EventFailed:
		c.Failed++
	case EventUnrouted:
		c.Unrouted += first(e)
	case EventRejected:
		c.Rejected += first(e)
	case EventRepeated:
		c.Repeated += first(e)
	case EventFault:
		c.Faults++
	case EventWaiting:
		c.OldestAge = max(c.OldestAge, int(e.At.Sub(e.AcceptedAt).Seconds()))
	}
}

// first is 0 for a fact of a message that was handed out before and was counted then.
func first(e Entry) int {
	if e.Redelivered {
		return 0
	}
	return 1
}

// Flush writes the metrics counted since the last flush, one line a destination kind. A function calls it at the end of each invocation.
func (l *Lines) Flush(now time.Time) {
	l.mu.Lock()
	counted := l.counts
	l.counts = make(map[string]*counts)
	l.mu.Unlock()
	for kind, c := range counted {
		l.write(kind, c, now)
	}
}

// write writes the metrics of a destination kind, or of none.
func (l *Lines) write(kind string, c *counts, now time.Time) {
	line, err := json.Marshal(c)
	if err != nil || len(line) == len("{}") {
		return
	}
	var values map[string]any
	if json.Unmarshal(line, &values) != nil {
		return
	}
	dimensions := [][]string{{}}
	metrics := make([]map[string]string, 0, len(values))
	for name := range values {
		metrics = append(metrics, map[string]string{"Name": name, "Unit": unit(name)})
	}
	if kind != "" {
		values["kind"] = kind
		dimensions = append(dimensions, []string{"kind"})
	}
	values["_aws"] = map[string]any{
		"Timestamp":         now.UnixMilli(),
		"CloudWatchMetrics": []map[string]any{{"Namespace": l.namespace, "Dimensions": dimensions, "Metrics": metrics}},
	}
	_ = json.NewEncoder(l.out).Encode(values)
}

func unit(metric string) string {
	if metric == "OldestAge" {
		return "Seconds"
	}
	return "Count"
}

// lockedWriter keeps lines whole when many goroutines write.
type lockedWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}
