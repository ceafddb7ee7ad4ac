package sink

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// The two benchmarks show what the sink costs over the least that any sender must do: compare their ns/op.

func BenchmarkHTTPSingle(b *testing.B) {
	url := benchServer(b)
	s, err := newHTTP([]byte(`{"url":"`+url+`","concurrency":8}`), []byte(`{"bearer":"x"}`), localEnvironment())
	if err != nil {
		b.Fatal(err)
	}
	docs := sinktest.Logs(100, 1500)
	for b.Loop() {
		for _, r := range s.Send(b.Context(), docs) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	}
}

func BenchmarkBarePost(b *testing.B) {
	url := benchServer(b)
	transport := local().transport(nil, 8)
	client := &http.Client{Transport: transport, Timeout: defaultTimeout}
	docs := sinktest.Logs(100, 1500)
	for b.Loop() {
		inParallel(len(docs), 8, func(i int) {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(docs[i].JSON))
			if err != nil {
				b.Error(err)
				return
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer x")
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		})
	}
}

func benchServer(b *testing.B) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	b.Cleanup(server.Close)
	return server.URL
}
