package delivery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// sent is a message of a producer: a log's id and its content.
type sent struct {
	id, content string
	after       time.Duration // when it was accepted
	receives    int
}

// log names what it brings.
func (s sent) log() string { return s.id + " " + s.content }

// messages are what the queue hands out.
func messages(all []sent) []delivery.Message {
	batch := make([]delivery.Message, len(all))
	for i, s := range all {
		body := fmt.Appendf(nil, `{"id":%q,"workspace_id":"acme","type":"user_activity","occurred_at":"2026-11-02T08:59:58Z","payload":{"stage":%q}}`,
			s.id, s.content)
		batch[i] = delivery.Message{ID: fmt.Sprint("m-", i+1), Body: body, SentAt: start.Add(s.after), Receives: max(1, s.receives)}
	}
	return batch
}

// arrivals is a receiver that counts what it was sent, by document.
type arrivals map[string]int

func (a arrivals) Sink(context.Context, directory.Destination) (delivery.Sink, error) { return a, nil }

func (a arrivals) Send(_ context.Context, logs []auditlog.Document) []delivery.Result {
	for _, log := range logs {
		a[log.Identity()]++
	}
	return make([]delivery.Result, len(logs))
}

// Two logs under one id are two deliveries, and what comes again is none, whether they are sent at once or have to wait.
func TestLogsUnderOneID(t *testing.T) {
	ms := time.Millisecond
	tests := []struct {
		name                string
		sent                []sent
		delivered, repeated int
	}{
		{"one log in one call", []sent{{"a", "request", 0, 1}, {"a", "request", 0, 1}}, 1, 1},
		{"one log in two calls", []sent{{"a", "request", 0, 1}, {"a", "request", 5 * ms, 1}}, 1, 1},
		{"one log three times", []sent{{"a", "x", 9 * ms, 1}, {"a", "x", 0, 1}, {"a", "x", 12 * ms, 1}}, 1, 2},
		{"two logs in one call", []sent{{"a", "request", 0, 1}, {"a", "response", 0, 1}}, 2, 0},
		{"two logs in two calls", []sent{{"a", "request", 0, 1}, {"a", "response", 5 * ms, 1}}, 2, 0},
		{"two of each", []sent{{"a", "x", 0, 1}, {"a", "y", 0, 1}, {"a", "x", 0, 1}, {"a", "y", ms, 1}}, 2, 2},
		{"two ids with one content", []sent{{"a", "x", 0, 1}, {"b", "x", 0, 1}}, 2, 0},
		{"one that was handed out before, of the same moment", []sent{{"a", "x", 0, 2}, {"a", "x", 0, 1}}, 1, 1},
		{"one that was handed out before, of another", []sent{{"a", "x", 0, 2}, {"a", "x", ms, 1}}, 2, 0},
		{"one of another moment, and then one that was", []sent{{"a", "x", 0, 1}, {"a", "x", ms, 2}}, 2, 0},
		{"both were", []sent{{"a", "x", 0, 2}, {"a", "x", ms, 2}}, 2, 0},
	}
	for _, tt := range tests {
		for _, state := range []directory.State{directory.Connected, directory.Disconnected} {
			s := newStage(t, works)
			got := arrivals{}
			s.deliver.Sinks = got
			s.put(t, func(d *directory.Destination) { d.State = state })
			batch := messages(tt.sent)
			s.to(start.Add(time.Second))
			if left := s.deliver.Accept(t.Context(), batch); len(left) > 0 {
				t.Errorf("%s, %s: %v must come again", tt.name, state, left)
			}
			want := memory.Ledger{Accepted: tt.delivered + tt.repeated, Delivered: tt.delivered, Repeated: tt.repeated}
			waiting := 0
			if state != directory.Connected {
				want.Delivered, want.Pending, waiting = 0, tt.delivered, tt.delivered
			}
			if diff := cmp.Diff(want, s.journal.Ledger()); diff != "" {
				t.Errorf("%s, %s: ledger (-want +got):\n%s", tt.name, state, diff)
			}
			if s.cache.Len() != waiting || len(s.cache.All()) != waiting {
				t.Errorf("%s, %s: %d wait, want %d", tt.name, state, s.cache.Len(), waiting)
			}
			sum := 0
			for _, n := range got {
				sum += n
			}
			if sum != tt.delivered-waiting {
				t.Errorf("%s, %s: sent %v, want %d", tt.name, state, got, tt.delivered-waiting)
			}
		}
	}
}

func works(time.Time, string) error { return nil }

// While one log waits, another comes under its id, and the first one's message comes again, after an invocation that died.
func TestASecondLogIsNotTakenForTheOneThatWaits(t *testing.T) {
	s := newStage(t, works)
	got := arrivals{}
	s.deliver.Sinks = got
	s.put(t, func(d *directory.Destination) { d.State = directory.Disconnected })
	batch := messages([]sent{{"a", "request", 0, 1}, {"a", "response", 0, 2}, {"a", "request", 0, 2}})
	for _, m := range batch {
		if left := s.deliver.Accept(t.Context(), []delivery.Message{m}); len(left) > 0 {
			t.Errorf("%v must come again", left)
		}
	}
	var want []string
	for _, d := range s.cache.All() {
		want = append(want, d.Document.Identity())
		if d.Document.Hash() != d.Hash || d.Revision != 1 {
			t.Errorf("%s has the hash %s in its key, and revision %d", d.Document.Identity(), d.Hash, d.Revision)
		}
	}
	if len(want) != 2 || want[0] == want[1] {
		t.Fatalf("in the cache wait %v", want)
	}
	s.put(t, func(d *directory.Destination) { d.State = directory.Connected })
	var hints []delivery.HintMessage
	for i, d := range s.cache.All() {
		hints = append(hints, delivery.HintMessage{ID: fmt.Sprint("h-", i), Hint: delivery.Hint{Key: d.Key, At: d.NextAt, Drain: true}, Receives: 1})
	}
	if left := s.deliver.Retry(t.Context(), hints); len(left) > 0 {
		t.Errorf("the hints %v must come again", left)
	}
	if diff := cmp.Diff(arrivals{want[0]: 1, want[1]: 1}, got); diff != "" || s.cache.Len() != 0 {
		t.Errorf("%d still wait; sent (-want +got):\n%s", s.cache.Len(), diff)
	}
}

// A message that was handed out before has its delivery in the cache, and one that brings the same log in the same moment does not make it anew.
func TestARepeatLeavesTheDeliveryThatWaits(t *testing.T) {
	s := newStage(t, func(time.Time, string) error { return errUnavailable })
	s.deliver.Accept(t.Context(), messages([]sent{{"a", "x", 0, 1}}))
	want := s.cache.All()
	s.to(s.now().Add(time.Second))
	again := messages([]sent{{"a", "x", 0, 2}, {"a", "x", 0, 1}})
	for _, batch := range [][]delivery.Message{again, {again[1], again[0]}} {
		if left := s.deliver.Accept(t.Context(), batch); len(left) > 0 {
			t.Errorf("%v must come again", left)
		}
	}
	if diff := cmp.Diff(want, s.cache.All()); diff != "" || len(want) != 1 || want[0].Attempts != 1 {
		t.Errorf("%d waited; in the cache (-before +after):\n%s", len(want), diff)
	}
}

// Of one log that waited long on the queue and came again just now, the delivery has the seven days of the second.
func TestARepeatHasItsSevenDays(t *testing.T) {
	s := newStage(t, func(time.Time, string) error { return errUnavailable })
	old, now := -6*24*time.Hour, time.Second
	s.to(start.Add(now))
	s.deliver.Accept(t.Context(), messages([]sent{{"a", "x", old, 1}, {"a", "x", now, 1}, {"a", "x", old, 1}}))
	var got []time.Time
	for _, d := range s.cache.All() {
		got = append(got, d.AcceptedAt)
	}
	if diff := cmp.Diff([]time.Time{start.Add(now)}, got); diff != "" {
		t.Errorf("accepted (-want +got):\n%s", diff)
	}
	var told []string
	for _, e := range s.journal.Entries() {
		if e.Event == delivery.EventAccepted || e.Event == delivery.EventRepeated {
			told = append(told, fmt.Sprintf("%s %s %s", e.Event, e.MessageID, e.Reason))
		}
	}
	want := []string{"delivery.accepted m-2 ", "delivery.repeated m-1 message m-2 has brought the same log", "delivery.repeated m-3 message m-2 has brought the same log"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}

// Whatever comes in whatever company: each different log arrives, and the ledger adds up.
func TestEachLogArrives(t *testing.T) {
	one := rapid.Custom(func(t *rapid.T) sent {
		return sent{
			id: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "id"), content: rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "content"),
			after: time.Duration(rapid.IntRange(0, 2).Draw(t, "ms")) * time.Millisecond, receives: rapid.IntRange(1, 3).Draw(t, "receives"),
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		all := rapid.SliceOfN(one, 1, 12).Draw(rt, "sent")
		s := newStage(t, works)
		got := arrivals{}
		s.deliver.Sinks = got
		if left := s.deliver.Accept(t.Context(), messages(all)); len(left) > 0 {
			rt.Fatalf("%v must come again", left)
		}
		different := make(map[string]bool)
		for _, m := range all {
			different[m.log()] = true
		}
		if len(got) != len(different) {
			rt.Fatalf("of %d different logs %d arrived", len(different), len(got))
		}
		if l := s.journal.Ledger(); l.Pending != 0 || l.Accepted != l.Delivered+l.Repeated {
			rt.Fatalf("ledger %+v", l)
		}
	})
}

// Lines and metrics tell repeats from logs: one that is handed out again counts as nothing.
func TestRepeatsAreLinesAndAMetric(t *testing.T) {
	s := newStage(t, works)
	var out bytes.Buffer
	lines := delivery.NewLines(&out, "test")
	s.journal.Next = lines
	s.deliver.Accept(t.Context(), messages([]sent{{"a", "x", 0, 1}, {"a", "x", 0, 1}, {"a", "y", 0, 1}, {"a", "y", 0, 2}}))
	lines.Flush(start)
	type line struct {
		Msg                           string
		MessageID                     string `json:"message_id"`
		Hash, Reason                  string
		Accepted, Delivered, Repeated int
	}
	var got []line
	for text := range bytes.Lines(out.Bytes()) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatal(err)
		}
		if l.Msg != string(delivery.EventAttempted) {
			got = append(got, l)
		}
	}
	docs := hashes(t, "x", "y")
	want := []line{
		{Msg: "delivery.repeated", MessageID: "m-2", Hash: docs[0], Reason: "message m-1 has brought the same log"},
		{Msg: "delivery.repeated", MessageID: "m-4", Hash: docs[1], Reason: "message m-3 has brought the same log"},
		{Accepted: 2, Delivered: 2, Repeated: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// hashes are those of the logs under the id a with these contents.
func hashes(t *testing.T, contents ...string) (list []string) {
	t.Helper()
	for _, c := range contents {
		log, err := auditlog.Decode(messages([]sent{{"a", c, 0, 1}})[0].Body)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := auditlog.Prepare(log)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, doc.Hash())
	}
	return list
}
