package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/klauspost/compress/gzip"

	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// answer is what a service says when it fails: the bytes of its documentation or of a recorded exchange.
type answer struct {
	status int
	header map[string]string
	body   string
}

func (a answer) write(w http.ResponseWriter) {
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// scripted starts a server that is in the scenario: it gives the scenario's answer if there is one, fails below HTTP if the scenario says so, and
// otherwise is the service that take plays. It gives the server's URL.
func scripted(t *testing.T, s sinktest.Scenario, answers map[sinktest.Scenario]answer, take http.Handler) string {
	t.Helper()
	var cut sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if a, ok := answers[s]; ok {
			a.write(w)
			return
		}
		switch s {
		case sinktest.Hangs:
			<-r.Context().Done()
			return
		case sinktest.CutOnce:
			first := false
			cut.Do(func() { first = true })
			if first {
				take.ServeHTTP(httptest.NewRecorder(), r)
				hangUp(w)
				return
			}
		}
		take.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	if s == sinktest.Refuses {
		server.Close()
	}
	return server.URL
}

// hangUp closes the connection in the middle of an answer.
func hangUp(w http.ResponseWriter) {
	connection, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = buffer.WriteString("HTTP/1.1 200 OK\r\n")
	_ = buffer.Flush()
	_ = connection.Close()
}

// local lets sinks connect to servers of the test.
func local() Network {
	return Network{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, AllowHTTP: true}
}

func localEnvironment() environment {
	return environment{network: local(), account: ownAccount, now: time.Now}
}

// ownAccount is by the environment.
func ownAccount(ctx context.Context) (aws.Config, error) { return config.LoadDefaultConfig(ctx) }

// logIDs adds up the log ids that stand in an object, one log or gzipped NDJSON.
func logIDs(t *testing.T, content []byte, count map[string]int) {
	t.Helper()
	if bytes.HasPrefix(content, []byte{0x1f, 0x8b}) {
		r, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			t.Fatalf("open a stored batch: %v", err)
		}
		if content, err = io.ReadAll(r); err != nil {
			t.Fatalf("read a stored batch: %v", err)
		}
	}
	for line := range bytes.Lines(content) {
		var log struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(line, &log); err != nil {
			t.Fatalf("a stored log is not valid JSON: %v", err)
		}
		count[log.ID]++
	}
}

// asJSON makes settings or credentials.
func asJSON(t *testing.T, v any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
