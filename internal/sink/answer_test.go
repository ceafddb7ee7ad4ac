package sink

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// caller is a kind of destination, by way of each library that reads answers for it: those of the service itself, and those of its token endpoint.
type caller struct {
	kind     directory.Kind
	settings map[string]any
	secret   map[string]any
	// refused and taken are the codes for an answer of 400 and one of 200 that say nothing.
	refused, taken failure.Code
}

func (c caller) open(t *testing.T) delivery.Sink {
	t.Helper()
	d := directory.Destination{ID: "d", Kind: c.kind, Settings: asJSON(t, c.settings)}
	s, err := build(d, asJSON(t, c.secret), localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// callers are all that send requests to an address that a tenant names.
func callers(t *testing.T, url string) map[string]caller {
	google := newGoogleAccount(t)
	entra := func(authority string) map[string]any {
		return map[string]any{"tenant_id": testTenant, "client_id": testClient, "authority_host": authority}
	}
	with := func(base map[string]any, more map[string]any) map[string]any {
		for name, value := range more {
			base[name] = value
		}
		return base
	}
	application := map[string]any{"client_secret": testClientSecret}
	rule := map[string]any{"rule_id": testRule, "stream": "Custom-X_CL", "endpoint": url}
	container := map[string]any{"account": "acct", "container": "cont", "endpoint": url}
	return map[string]caller{
		"http": {
			directory.HTTP, map[string]any{"url": url}, nil,
			failure.HTTPLogRefused, "",
		},
		"http, elastic": {
			directory.HTTP, map[string]any{"url": url, "preset": "elastic"}, nil,
			failure.HTTPLogRefused, failure.HTTPUnexpectedReply,
		},
		"http, splunk": {
			directory.HTTP, map[string]any{"url": url, "preset": "splunk_hec"}, map[string]any{"token": "t"},
			failure.HTTPLogRefused, failure.HTTPUnexpectedReply,
		},
		"http, token": {
			directory.HTTP, map[string]any{"url": url, "oauth": map[string]string{"token_url": url}},
			map[string]any{"oauth": map[string]string{"client_id": "c", "client_secret": "s"}},
			failure.HTTPTokenRefused, failure.HTTPTokenRefused,
		},
		"s3": {
			directory.S3, map[string]any{"bucket": "bucket-x", "endpoint": url},
			map[string]any{"access_key_id": "A", "secret_access_key": "B"},
			failure.S3Rejected, "",
		},
		"azure_blob, key": {
			directory.AzureBlob, container, map[string]any{"account_key": testAccountKey},
			failure.AzureBlobRejected, failure.Unknown,
		},
		"azure_blob, token": {
			directory.AzureBlob, with(entra(url), map[string]any{"account": "acct", "container": "cont"}), application,
			failure.AzureBlobPermissionMismatch, failure.AzureBlobPermissionMismatch,
		},
		"azure_monitor": {
			directory.AzureMonitor, with(entra(tokenEndpoint(t, testToken, nil)), rule), application,
			failure.AzureMonitorRejected, failure.Unknown,
		},
		"azure_monitor, token": {
			directory.AzureMonitor, with(entra(url), rule), application,
			failure.AzureMonitorCredentialsInvalid, failure.AzureMonitorCredentialsInvalid,
		},
		"azure_monitor, legacy": {
			directory.AzureMonitor,
			map[string]any{"api": "legacy", "workspace_id": testTenant, "log_type": "X", "endpoint": url},
			map[string]any{"shared_key": testSharedKey},
			failure.AzureMonitorRejected, "",
		},
		"gcs": {
			directory.GCS, map[string]any{"bucket": "acme-audit", "endpoint": url},
			map[string]any{"service_account": google.file(t, nil)},
			failure.GCSRejected, "",
		},
		"gcs, token": {
			directory.GCS, map[string]any{"bucket": "acme-audit", "endpoint": url},
			map[string]any{"service_account": google.file(t, map[string]string{"token_uri": url})},
			failure.GCSCredentialsInvalid, failure.GCSCredentialsInvalid,
		},
	}
}

// A receiver whose answer never ends takes neither memory nor time, whichever library reads it, and what its status says counts.
func TestAnswersWithoutEndAreBounded(t *testing.T) {
	const most = 16 << 20 // bytes allocated for one log, tokens included; the SDKs' clients take most of it
	bomb := zeros(t)
	nested := []byte(strings.Repeat(`{"x":[[`, 3000) + strings.Repeat(`]]}`, 3000) + strings.Repeat(" ", 64<<10))
	for name, attack := range map[string]struct {
		status int
		encode string
		chunk  []byte
	}{
		"an error":        {400, "", bytes.Repeat([]byte("<Error>{"), 8<<10)},
		"a success":       {200, "", bytes.Repeat([]byte(`{"x":[[`), 8<<10)},
		"a nested error":  {400, "", nested},
		"a gzipped error": {400, "gzip", bomb},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if attack.encode != "" {
					w.Header().Set("Content-Encoding", attack.encode)
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(attack.status)
				for {
					n, err := w.Write(attack.chunk)
					sent.Add(int64(n))
					if err != nil {
						return
					}
				}
			}))
			t.Cleanup(server.Close)
			for name, c := range callers(t, server.URL) {
				t.Run(name, func(t *testing.T) {
					s := c.open(t)
					before := allocated()
					got := codes(s.Send(t.Context(), sinktest.Logs(1, 10)))
					if used := allocated() - before; used > most {
						t.Errorf("%d MB were allocated, at most %d are allowed", used>>20, most>>20)
					}
					want := c.refused
					if attack.status == 200 {
						want = c.taken
					}
					if diff := cmp.Diff([]string{string(want)}, got); diff != "" {
						t.Errorf("code (-want +got):\n%s", diff)
					}
				})
			}
		})
	}
}

// An answer that hangs anywhere ends with the time that the attempt has.
func TestAnswersThatHangEndInTime(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":               "",
		"half a status":         "HTTP/1.1 40",
		"half a header":         "HTTP/1.1 400 Bad Request\r\nX: y\r\n",
		"half a body":           "HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n{",
		"chunks":                "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
		"informational answers": strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 4),
	} {
		t.Run(name, func(t *testing.T) {
			for name, c := range callers(t, hanging(t, answer)) {
				t.Run(name, func(t *testing.T) {
					s := c.open(t)
					ctx, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
					defer cancel()
					begun := time.Now()
					if got := s.Send(ctx, sinktest.Logs(1, 10))[0]; got.Err == nil {
						t.Error("a log counts as delivered")
					}
					if took := time.Since(begun); took > 2*time.Second {
						t.Errorf("it took %v", took)
					}
				})
			}
		})
	}
}

// A header without an end is cut off too.
func TestHeadersWithoutEndAreBounded(t *testing.T) {
	line := "X-Pad: " + strings.Repeat("x", 1000) + "\r\n"
	for name, answer := range map[string]string{
		"of an error":           "HTTP/1.1 400 Bad Request\r\n" + strings.Repeat(line, 4000),
		"informational answers": strings.Repeat("HTTP/1.1 103 Early Hints\r\n"+line+"\r\n", 4000),
	} {
		t.Run(name, func(t *testing.T) {
			for name, c := range callers(t, hanging(t, answer)) {
				t.Run(name, func(t *testing.T) {
					s := c.open(t)
					before := allocated()
					if got := s.Send(t.Context(), sinktest.Logs(1, 10))[0]; got.Err == nil {
						t.Error("a log counts as delivered")
					}
					if used := allocated() - before; used > 16<<20 {
						t.Errorf("%d MB were allocated", used>>20)
					}
				})
			}
		})
	}
}

// hanging starts a server that reads a request's header, answers with these bytes, and then neither goes on nor closes the connection.
func hanging(t *testing.T, answer string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, answer)
				_, _ = io.Copy(io.Discard, c) // until the client goes
				_ = c.Close()
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// zeros is a megabyte of them, gzipped.
func zeros(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// allocated is how many bytes this process has allocated since its start.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
