//go:build e2e

package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// receiver is a customer's HTTP endpoint. It keeps what it took, by log, and counts what it refused.
type receiver struct {
	url     string
	status  atomic.Int32
	refused atomic.Int32

	mu   sync.Mutex
	took map[string][]string
}

func openReceiver(t *testing.T, status int) *receiver {
	t.Helper()
	r := &receiver{took: make(map[string][]string)}
	r.status.Store(int32(status))
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if status := int(r.status.Load()); status != http.StatusOK || err != nil {
		r.refused.Add(1)
		w.WriteHeader(status)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := strings.Split(request.Header.Get("Webhook-Id")+"::", ":")[1]
	r.took[id] = append(r.took[id], string(body))
}

// bodies are those of the requests with that log.
func (r *receiver) bodies(id string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.took[id]...)
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.took)
}
