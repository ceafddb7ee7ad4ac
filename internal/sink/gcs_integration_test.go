//go:build integration

package sink

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// fakeGCSServer is an emulator of Cloud Storage. It is built apart and run as a process: as an imported package it would bring gRPC, OpenTelemetry
// and Envoy into go.mod. The first build takes minutes, later ones come from the cache.
const fakeGCSServer = "github.com/fsouza/fake-gcs-server@v1.52.3"

// fakeGCS is a bucket of fake-gcs-server.
type fakeGCS struct {
	scriptedGCS
	url string
}

func (g fakeGCS) Open(t *testing.T, scenario sinktest.Scenario) sinktest.Receiver {
	name := resourceName(t)
	if scenario != sinktest.Missing {
		g.call(t, http.MethodPost, "/storage/v1/b?project=test", asJSON(t, map[string]string{"name": name}))
	}
	settings := map[string]string{"bucket": name, "layout": string(g.layout), "endpoint": scripted(t, scenario, nil, forward(t, g.url, reasons{}))}
	s, err := build(directory.Destination{ID: "d-1", Kind: directory.GCS, Settings: asJSON(t, settings)},
		asJSON(t, map[string]string{"service_account": g.account.file(t, nil)}), localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	held := func(t *testing.T) map[string]int {
		var list struct {
			Items []struct{ Name string }
		}
		if err := json.Unmarshal(g.call(t, http.MethodGet, "/storage/v1/b/"+name+"/o", nil), &list); err != nil {
			t.Fatal(err)
		}
		count := make(map[string]int)
		for _, item := range list.Items {
			logIDs(t, g.call(t, http.MethodGet, "/storage/v1/b/"+name+"/o/"+url.PathEscape(item.Name)+"?alt=media", nil), count)
		}
		return count
	}
	return sinktest.Receiver{Sink: s, Held: held, Secrets: []string{g.account.pem, "ya29.token"}}
}

// call asks the server itself, and fails the test unless it answers 200.
func (g fakeGCS) call(t *testing.T, method, path string, body []byte) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, g.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	content := readAll(t, response.Body)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, content)
	}
	return content
}

func (fakeGCS) Deviations() []sinktest.Deviation {
	return []sinktest.Deviation{
		{Scenario: sinktest.BadCredentials, Reason: "fake-gcs-server takes every token"},
		{Scenario: sinktest.NoPermission, Reason: "fake-gcs-server knows no permissions"},
		{Scenario: sinktest.Throttled, Reason: "fake-gcs-server never throttles"},
		{Scenario: sinktest.Broken, Reason: "fake-gcs-server cannot be made to fail"},
	}
}

// reasons corrects what fake-gcs-server names as the reason of an error, its status in words, to what Cloud Storage names.
type reasons struct{}

func (reasons) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil || response.StatusCode < 400 {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	body = bytes.ReplaceAll(body, []byte(`"reason":"Precondition Failed"`), []byte(`"reason":"conditionNotMet"`))
	body = bytes.ReplaceAll(body, []byte(`"reason":"Not Found"`), []byte(`"reason":"notFound"`))
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	response.Header.Del("Content-Length")
	return response, err
}

// Besides, its simple uploads (uploadType=media) ignore ifGenerationMatch, which its multipart ones honour.
func TestGCSAgainstFakeServer(t *testing.T) {
	at, account := startFakeGCS(t), newGoogleAccount(t)
	for _, l := range []layout{layoutObject, layoutBatch} {
		t.Run(string(l), func(t *testing.T) { sinktest.Run(t, fakeGCS{scriptedGCS{account, l}, at}) })
	}
}

func startFakeGCS(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	install := exec.CommandContext(t.Context(), "go", "install", fakeGCSServer)
	install.Env = append(os.Environ(), "GOBIN="+dir)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", fakeGCSServer, err, out)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	_ = l.Close()
	server := exec.CommandContext(t.Context(), filepath.Join(dir, "fake-gcs-server"),
		"-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", port, "-public-host", address, "-log-level", "error")
	server.Stdout, server.Stderr = io.Discard, os.Stderr
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	limit := time.After(time.Minute)
	for again := time.NewTicker(50 * time.Millisecond); ; {
		if c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
			_ = c.Close()
			return "http://" + address
		}
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("%s does not listen on %s", fakeGCSServer, address)
		}
	}
}
