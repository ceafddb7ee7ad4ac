package sinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// canary stands in every log's payload; no error may show it.
const canary = "canary-6f1d2c"

// generalCodes are those that every kind gives unless its Codes say otherwise.
func generalCodes() map[Scenario]failure.Code {
	return map[Scenario]failure.Code{
		Hangs:   failure.NetTimeout,
		Refuses: failure.NetRefused,
		CutOnce: failure.NetReset,
	}
}

// Run runs the suite.
func Run(t *testing.T, target Target) {
	deviations := make(map[Scenario]Deviation)
	for _, d := range target.Deviations() {
		deviations[d.Scenario] = d
	}
	codes := generalCodes()
	for s, code := range target.Codes() {
		codes[s] = code
	}
	t.Run("success", func(t *testing.T) { success(t, target.Open(t, Works)) })
	t.Run("batch", func(t *testing.T) { batch(t, target.Open(t, Works)) })
	t.Run("nothing to send", func(t *testing.T) { nothing(t, target.Open(t, Works)) })
	t.Run("idempotent rewrite", func(t *testing.T) { rewrite(t, target.Open(t, Works)) })
	t.Run("different logs under one id", func(t *testing.T) { namesakes(t, target.Open(t, Works)) })
	t.Run("cancelled context", func(t *testing.T) { cancelled(t, target.Open(t, Works)) })
	for _, s := range []Scenario{BadCredentials, NoPermission, Missing, Throttled, Broken, Hangs, Refuses, CutOnce} {
		deviation, deviates := deviations[s]
		if deviates && deviation.Code == "" && !deviation.NoRetryAfter {
			t.Logf("left out: %s: %s", s, deviation.Reason)
			continue
		}
		want := failure.Error{Code: codes[s]}
		if deviation.Code != "" {
			want.Code = deviation.Code
		}
		if s == Throttled && !deviation.NoRetryAfter {
			want.RetryAfter = ThrottledFor
		}
		t.Run(string(s), func(t *testing.T) { fails(t, s, target.Open(t, s), want) })
	}
}

// Logs makes n logs with ids log-000, log-001 and so on, of workspace ws-1, the payload of each at least size bytes long.
func Logs(n, size int) []auditlog.Document {
	docs := make([]auditlog.Document, n)
	for i := range docs {
		id := fmt.Sprintf("log-%03d", i)
		docs[i] = auditlog.Document{
			ID:          id,
			WorkspaceID: "ws-1",
			Type:        "user_activity",
			JSON: fmt.Appendf(nil, `{"id":%q,"type":"user_activity","workspace_id":"ws-1","occurred_at":"2026-11-02T09:30:00Z","payload":{"event":%q,"pad":%q}}`,
				id, canary, strings.Repeat("x", size)),
		}
	}
	return docs
}

func success(t *testing.T, r Receiver) {
	docs := Logs(1, 100)
	results := r.Sink.Send(t.Context(), docs)
	delivered(t, docs, results)
	held(t, r, docs)
}

func batch(t *testing.T, r Receiver) {
	docs := Logs(25, 2000)
	delivered(t, docs, r.Sink.Send(t.Context(), docs))
	held(t, r, docs)
}

func nothing(t *testing.T, r Receiver) {
	if got := r.Sink.Send(t.Context(), nil); len(got) != 0 {
		t.Errorf("results for no log: %v", got)
	}
	held(t, r, nil)
}

func rewrite(t *testing.T, r Receiver) {
	docs := Logs(3, 100)
	delivered(t, docs, r.Sink.Send(t.Context(), docs))
	delivered(t, docs, r.Sink.Send(t.Context(), docs))
	held(t, r, docs)
}

// namesakes sends three logs under one id, twice: two of one workspace, whose producer did not keep its ids apart, and one of another.
func namesakes(t *testing.T, r Receiver) {
	docs := slices.Repeat(Logs(1, 100), 3)
	docs[1].JSON = bytes.Replace(docs[1].JSON, []byte("09:30"), []byte("09:31"), 1)
	docs[2].WorkspaceID, docs[2].JSON = "ws-2", bytes.Replace(docs[2].JSON, []byte("ws-1"), []byte("ws-2"), 1)
	for range 2 {
		delivered(t, docs, r.Sink.Send(t.Context(), docs))
		if diff := cmp.Diff(map[string]int{docs[0].ID: 3}, r.Held(t)); diff != "" {
			t.Errorf("logs that the receiver holds, by log id (-want +got):\n%s", diff)
		}
	}
}

func cancelled(t *testing.T, r Receiver) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	docs := Logs(3, 100)
	for i, result := range answered(t, docs, r.Sink.Send(ctx, docs)) {
		if !errors.Is(result.Err, delivery.ErrNotTried) {
			t.Errorf("log %d: got %v, want ErrNotTried", i, result.Err)
		}
	}
	held(t, r, nil)
}

// hangTime is how long the suite lets a receiver hang.
const hangTime = 50 * time.Millisecond

func fails(t *testing.T, s Scenario, r Receiver, want failure.Error) {
	ctx := t.Context()
	if s == Hangs {
		short, cancel := context.WithTimeout(ctx, hangTime)
		defer cancel()
		ctx = short
	}
	docs := Logs(1, 100)
	result := answered(t, docs, r.Sink.Send(ctx, docs))[0]
	f, ok := errors.AsType[*failure.Error](result.Err)
	if !ok {
		t.Fatalf("got %v, want a *failure.Error", result.Err)
	}
	got := failure.Error{Code: f.Code, RetryAfter: f.RetryAfter}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b error) bool { return true })); diff != "" {
		t.Errorf("failure (-want +got), detail %q, cause %T:\n%s", f.Detail, f.Err, diff)
	}
	if !failure.Known(f.Code) {
		t.Errorf("code %s is not in the catalogue", f.Code)
	}
	silent(t, result.Err, append(r.Secrets, canary))
	if s == CutOnce {
		delivered(t, docs, r.Sink.Send(t.Context(), docs))
		held(t, r, docs)
	}
}

// silent checks that an error shows none of the secrets, however it is printed.
func silent(t *testing.T, err error, secrets []string) {
	t.Helper()
	var line bytes.Buffer
	slog.New(slog.NewJSONHandler(&line, nil)).Error("failed", slog.Any("err", err))
	shown := line.String() + fmt.Sprintf("%s %v %+v %q", err, err, err, err)
	for _, secret := range secrets {
		if secret != "" && strings.Contains(shown, secret) {
			t.Errorf("a secret or a payload shows in the error %q", err)
		}
	}
}

func answered(t *testing.T, docs []auditlog.Document, results []delivery.Result) []delivery.Result {
	t.Helper()
	if len(results) != len(docs) {
		t.Fatalf("%d results for %d logs", len(results), len(docs))
	}
	return results
}

func delivered(t *testing.T, docs []auditlog.Document, results []delivery.Result) {
	t.Helper()
	for i, result := range answered(t, docs, results) {
		if result.Err != nil {
			t.Errorf("log %s: %v (cause %v)", docs[i].ID, result.Err, errors.Unwrap(result.Err))
		}
		if result.Took <= 0 {
			t.Errorf("log %s: took %v", docs[i].ID, result.Took)
		}
	}
}

// held checks that the receiver holds each log exactly once and nothing else.
func held(t *testing.T, r Receiver, docs []auditlog.Document) {
	t.Helper()
	want := make(map[string]int, len(docs))
	for _, d := range docs {
		want[d.ID] = 1
	}
	if diff := cmp.Diff(want, r.Held(t)); diff != "" {
		t.Errorf("copies that the receiver holds, by log id (-want +got):\n%s", diff)
	}
}
