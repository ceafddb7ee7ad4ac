package sink

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

func TestHTTPBatchBodies(t *testing.T) {
	a, b := auditlog.Document{ID: "a", JSON: []byte(`{"id":"a"}`)}, auditlog.Document{ID: "b", JSON: []byte(`{"id":"b"}`)}
	for _, c := range []struct{ format, template, want, contentType string }{
		{"ndjson", "", "{\"id\":\"a\"}\n{\"id\":\"b\"}\n", "application/x-ndjson"},
		{"json_array", "", `[{"id":"a"},{"id":"b"}]`, "application/json"},
		{"ndjson", "{\n\"m\":{{{log_message}}}}", "{ \"m\":{\"id\":\"a\"}}\n{ \"m\":{\"id\":\"b\"}}\n", "application/x-ndjson"},
		{"json_array", `{"no":"placeholder"}`, `[{"id":"a"},{"id":"b"}]`, "application/json"},
	} {
		var body []byte
		var header http.Header
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ = io.ReadAll(r.Body)
			header = r.Header
		})
		s := httpFor(t, map[string]any{"url": server.URL, "format": c.format, "template": c.template}, nil)
		for i, r := range s.Send(t.Context(), []auditlog.Document{a, b}) {
			if r.Err != nil {
				t.Errorf("log %d: %v", i, r.Err)
			}
		}
		if string(body) != c.want || header.Get("Content-Type") != c.contentType {
			t.Errorf("%s %s: got %q as %s", c.format, c.template, body, header.Get("Content-Type"))
		}
		if id := header.Get("Webhook-Id"); !strings.HasPrefix(id, "batch-") || len(id) != len("batch-")+32 {
			t.Errorf("%s: webhook-id %q", c.format, id)
		}
	}
}

func TestHTTPBatchLimits(t *testing.T) {
	var mu sync.Mutex
	var sizes []int
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		sizes = append(sizes, len(body))
	})
	docs := slices.Concat(sinktest.Logs(3, 400_000), sinktest.Logs(1, 1_500_000), sinktest.Logs(5, 10))
	s := httpFor(t, map[string]any{"url": server.URL, "format": "json_array", "max_batch": 2, "concurrency": 1}, nil)
	for i, r := range s.Send(t.Context(), docs) {
		if r.Err != nil {
			t.Errorf("log %d: %v", i, r.Err)
		}
	}
	one := func(n int) int { return len(sinktest.Logs(1, n)[0].JSON) }
	want := []int{2*one(400_000) + 3, one(400_000) + 2, one(1_500_000) + 2, 2*one(10) + 3, 2*one(10) + 3, one(10) + 2}
	if diff := cmp.Diff(want, sizes); diff != "" {
		t.Errorf("sizes of the requests (-want +got):\n%s", diff)
	}
}

// picky refuses every request that holds one of the culprits.
type picky struct {
	status   int
	culprits []string
	requests atomic.Int32
}

func (p *picky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.requests.Add(1)
	ids, _ := idsIn(r)
	for _, id := range ids {
		if slices.Contains(p.culprits, id) || len(p.culprits) == 0 {
			w.WriteHeader(p.status)
			return
		}
	}
}

func TestHTTPBatchRefused(t *testing.T) {
	alternate := make([]string, 0, 50)
	for i := range 50 {
		alternate = append(alternate, fmt.Sprintf("log-%03d", 2*i))
	}
	for _, c := range []struct {
		name      string
		status    int
		n         int
		culprits  []string
		delivered int
		refused   failure.Code
		requests  int32 // at most
	}{
		{"one culprit", 400, 100, []string{"log-042"}, 99, failure.HTTPLogRefused, 15},
		{"first and last", 422, 100, []string{"log-000", "log-099"}, 98, failure.HTTPLogRefused, 27},
		{"too large", 413, 100, []string{"log-007"}, 99, failure.HTTPLogTooLarge, 15},
		{"a few, all of them", 400, 4, nil, 0, failure.HTTPLogRefused, 7},
		{"all of them", 400, 100, nil, 0, failure.HTTPUnexpectedReply, 25},
		{"all of the most", 400, 1000, nil, 0, failure.HTTPUnexpectedReply, 33},
		{"every other", 400, 100, alternate, -1, failure.HTTPLogRefused, maxRequests},
	} {
		t.Run(c.name, func(t *testing.T) {
			receiver := &picky{status: c.status, culprits: c.culprits}
			server := serve(t, receiver.ServeHTTP)
			s := httpFor(t, map[string]any{"url": server.URL, "format": "ndjson", "max_batch": 1000}, nil)
			docs := sinktest.Logs(c.n, 10)
			delivered := 0
			for i, code := range codes(s.Send(t.Context(), docs)) {
				switch {
				case code == "":
					delivered++
					if slices.Contains(c.culprits, docs[i].ID) {
						t.Errorf("%s counts as delivered", docs[i].ID)
					}
				case code != string(c.refused):
					t.Errorf("%s: %s, want %s", docs[i].ID, code, c.refused)
				case c.delivered >= 0 && c.culprits != nil && !slices.Contains(c.culprits, docs[i].ID):
					t.Errorf("%s is refused for its neighbour's sake", docs[i].ID)
				}
			}
			if c.delivered >= 0 && delivered != c.delivered {
				t.Errorf("%d delivered, want %d", delivered, c.delivered)
			}
			if got := receiver.requests.Load(); got > c.requests {
				t.Errorf("%d requests, want at most %d", got, c.requests)
			}
		})
	}
}
