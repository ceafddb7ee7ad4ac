package sink

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

func TestSendHalving(t *testing.T) {
	tests := []struct {
		name     string
		answer   func(logs []int) error // nil accepts
		want     []string               // per log; "" is delivered
		requests int
	}{
		{"all pass", func([]int) error { return nil }, []string{"", "", "", "", ""}, 1},
		{"one culprit", func(logs []int) error {
			if slices.Contains(logs, 3) {
				return &failure.Error{Code: failure.HTTPLogRefused}
			}
			return nil
		}, []string{"", "", "", "http.log_refused", ""}, 7},
		{"the receiver is down", func([]int) error { return &failure.Error{Code: failure.HTTPServerError} },
			[]string{"http.server_error", "http.server_error", "http.server_error", "http.server_error", "http.server_error"}, 1},
		{"down after the first half", func(logs []int) error {
			switch {
			case len(logs) == 5:
				return &failure.Error{Code: failure.HTTPLogRefused}
			case logs[0] == 0:
				return nil
			}
			return &failure.Error{Code: failure.HTTPServerError}
		}, []string{"", "", "http.server_error", "http.server_error", "http.server_error"}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requests := 0
			results := sendHalving(t.Context(), []int{0, 1, 2, 3, 4}, func(_ context.Context, logs []int) error {
				requests++
				return tt.answer(logs)
			})
			var got []string
			for _, r := range results {
				if r.Err == nil {
					got = append(got, "")
					continue
				}
				got = append(got, string(failure.Of(r.Err).Code))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if requests != tt.requests {
				t.Errorf("%d requests, want %d", requests, tt.requests)
			}
		})
	}
}

func TestSendHalvingStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	results := sendHalving(ctx, []int{0, 1}, func(context.Context, []int) error {
		cancel()
		return &failure.Error{Code: failure.HTTPLogTooLarge}
	})
	for i, r := range results {
		if !errors.Is(r.Err, delivery.ErrNotTried) {
			t.Errorf("log %d: %v, want %v", i, r.Err, delivery.ErrNotTried)
		}
	}
}

// A receiver that refuses whatever comes is told apart from one that refuses some logs, and neither costs many requests.
func TestSendSearching(t *testing.T) {
	logs := make([]int, 1000)
	for i := range logs {
		logs[i] = i
	}
	tests := []struct {
		name     string
		refuses  func(log int) bool
		requests int
		codes    map[string]int
	}{
		{"everything", func(int) bool { return true }, 33, map[string]int{"unknown": 1000}},
		{"one", func(log int) bool { return log == 500 }, 19, map[string]int{"": 999, "http.log_refused": 1}},
		{"the first twelve", func(log int) bool { return log < 12 }, 33, map[string]int{"": 985, "http.log_refused": 15}},
		{"the last twelve", func(log int) bool { return log >= 988 }, 37, map[string]int{"": 988, "http.log_refused": 12}},
		{"every other", func(log int) bool { return log%2 == 0 }, maxRequests, map[string]int{"": 14, "http.log_refused": 986}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requests := 0
			got := make(map[string]int)
			for _, r := range sendSearching(t.Context(), logs, failure.Unknown, func(_ context.Context, part []int) error {
				requests++
				if slices.ContainsFunc(part, tt.refuses) {
					return &failure.Error{Code: failure.HTTPLogRefused}
				}
				return nil
			}) {
				if r.Err == nil {
					got[""]++
					continue
				}
				got[string(failure.Of(r.Err).Code)]++
			}
			if diff := cmp.Diff(tt.codes, got); diff != "" || requests != tt.requests {
				t.Errorf("%d requests, want %d; logs by code (-want +got):\n%s", requests, tt.requests, diff)
			}
		})
	}
}
