package sink

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// A receiver that refuses every log, one request after the other, is not taken for one that refuses single logs.
func TestReceiverThatHasNeverTakenALogIsDoubted(t *testing.T) {
	const log, connection, tooLarge = "http.log_refused", "http.unexpected_status", "http.log_too_large"
	times := func(n int, code string) []string { return slices.Repeat([]string{code}, n) }
	for name, c := range map[string]struct {
		answers []int // of the receiver, one after the other; the last one stays
		logs    []int // the log of each Send
		want    []string
	}{
		"different logs": {[]int{400}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, slices.Concat(times(7, log), times(3, connection))},
		"one log":        {[]int{400}, slices.Repeat([]int{5}, 10), times(10, log)},
		"one was taken": {[]int{200, 400}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
			slices.Concat(times(1, ""), times(9, log))},
		"one is taken after all": {[]int{400, 422, 400, 400, 400, 400, 400, 400, 200, 400}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
			slices.Concat(times(7, log), times(1, connection), times(1, ""), times(1, log))},
		"too large": {[]int{413}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, times(10, tooLarge)},
	} {
		for _, format := range []string{"single", "ndjson"} {
			t.Run(name+"/"+format, func(t *testing.T) {
				var requests atomic.Int32
				server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(c.answers[min(int(requests.Add(1)), len(c.answers))-1])
				})
				s := httpFor(t, map[string]any{"url": server.URL, "format": format}, nil)
				docs := sinktest.Logs(10, 10)
				var got []string
				for _, i := range c.logs {
					got = append(got, codes(s.Send(t.Context(), docs[i:i+1]))...)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("codes (-want +got):\n%s", diff)
				}
			})
		}
	}
	t.Run("together", func(t *testing.T) {
		server := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
		s := httpFor(t, map[string]any{"url": server.URL}, nil)
		if diff := cmp.Diff(times(30, connection), codes(s.Send(t.Context(), sinktest.Logs(30, 10)))); diff != "" {
			t.Errorf("codes (-want +got):\n%s", diff)
		}
	})
}

// So does Azure Monitor with a stream whose columns do not fit.
func TestMonitorThatHasNeverTakenALogIsDoubted(t *testing.T) {
	for _, api := range []monitorAPI{ingestionAPI(), legacyAPI()} {
		t.Run(api.name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
			s := openMonitor(t, server.URL, api)
			var results []delivery.Result
			for _, doc := range sinktest.Logs(10, 10) {
				results = append(results, s.Send(t.Context(), []auditlog.Document{doc})...)
			}
			want := slices.Concat(slices.Repeat([]string{"azure_monitor.rejected"}, 7), slices.Repeat([]string{"unknown"}, 3))
			if diff := cmp.Diff(want, codes(results)); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
		})
	}
}
