package local_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/local"
)

// status is what an address answers to a request that calls it by a host.
func status(t *testing.T, method, address, path, host, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestForeignHostsAreMisdirected calls everything that auditrelay local listens with, as a page does whose
// name was pointed at 127.0.0.1.
func TestForeignHostsAreMisdirected(t *testing.T) {
	w := sampleWorld(t)
	server := httptest.NewServer((&local.Server{World: w}).Handler())
	defer server.Close()
	receiver, err := local.StartReceiver()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = receiver.Close() }()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for _, c := range []struct{ method, address, path, body string }{
		{http.MethodGet, server.URL, "/", ""},
		{http.MethodGet, server.URL, "/assets/console.js", ""},
		{http.MethodGet, server.URL, "/attempts", ""},
		{http.MethodGet, server.URL, "/mail", ""},
		{http.MethodGet, server.URL, "/rejected", ""},
		{http.MethodGet, server.URL, "/nothing/here", ""},
		{http.MethodGet, server.URL, "/v1/openapi.json", ""},
		{http.MethodGet, server.URL, "/v1/destinations", ""},
		{http.MethodPatch, server.URL, "/v1/destinations/siem", `{"settings":{"url":"http://127.0.0.1:2/"}}`},
		{http.MethodPost, server.URL, "/clock/advance", `{"by":"1h"}`},
		{http.MethodPost, server.URL, "/ingest", "{}"},
		{http.MethodPut, server.URL, "/payloads/a", "{}"},
		{http.MethodOptions, server.URL, "/v1/destinations", ""},
		{http.MethodPost, strings.TrimSuffix(receiver.URL(), "/logs"), "/logs", `{"id":"a"}`},
	} {
		for _, host := range []string{"rebind.attacker.example" + port, "rebind.attacker.example",
			"127.0.0.1.attacker.example" + port, "localhost.attacker.example", "192.0.2.1" + port} {
			if got := status(t, c.method, c.address, c.path, host,
				c.body); got != http.StatusMisdirectedRequest {
				t.Errorf("%s %s called %s: %d, want 421", c.method, c.path, host, got)
			}
		}
	}
	if diff := cmp.Diff([]int{0, 0}, []int{w.Ingest.Queue.Len(),
		receiver.Requests()}); diff != "" || !w.Clock.Now().Equal(monday) {
		t.Errorf("a foreign page has sent something (-want +got):\n%s", diff)
	}
	if got := status(t, http.MethodGet, server.URL, "/clock", "", ""); got != http.StatusOK {
		t.Errorf("by its own address: %d", got)
	}
}

func TestOwnHosts(t *testing.T) {
	at := func(address string) *net.TCPAddr { return &net.TCPAddr{IP: net.ParseIP(address), Port: 8686} }
	loopback := at("127.0.0.1")
	for name, c := range map[string]struct {
		host   string
		called net.Addr
		names  []string
		own    bool
	}{
		"its address":                    {"127.0.0.1:8686", loopback, nil, true},
		"without its port":               {"127.0.0.1", loopback, nil, true},
		"by way of another port":         {"localhost:9999", at("172.17.0.2"), nil, true},
		"in capital letters":             {"LocalHost:8686", loopback, nil, true},
		"another address of loopback":    {"127.8.9.10:8686", loopback, nil, true},
		"IPv6":                           {"[::1]:8686", at("::1"), nil, true},
		"IPv6 without its port":          {"[::1]", at("::1"), nil, true},
		"IPv4 in IPv6":                   {"[::ffff:127.0.0.1]:8686", loopback, nil, true},
		"the address that was called":    {"10.1.2.3:8686", at("10.1.2.3"), nil, true},
		"a name that it was given":       {"Relay:8686", at("172.17.0.2"), []string{"relay"}, true},
		"every address, as it listens":   {"0.0.0.0:8686", loopback, []string{"0.0.0.0", "::"}, true},
		"another name":                   {"relay:8686", at("172.17.0.2"), []string{"other"}, false},
		"an address that was not called": {"10.1.2.4:8686", at("10.1.2.3"), nil, false},
		"every address, unasked":         {"0.0.0.0:8686", loopback, nil, false},
		"nothing":                        {"", loopback, []string{""}, false},
		"a port alone":                   {":8686", loopback, []string{""}, false},
		"a name that begins like it":     {"localhost.evil.example:8686", loopback, nil, false},
		"a name that ends like it":       {"evil.localhost:8686", loopback, nil, false},
		"a number for an address":        {"2130706433:8686", loopback, nil, false},
		"with a user":                    {"localhost@evil.example", loopback, nil, false},
		"with a space":                   {"localhost evil.example", loopback, nil, false},
		"two ports":                      {"localhost:1:2", loopback, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(context.WithValue(t.Context(), http.LocalAddrContextKey,
				c.called), http.MethodGet, "/clock", nil)
			r.Host = c.host
			rec := httptest.NewRecorder()
			(&local.Server{World: sampleWorld(t), Hosts: c.names}).Handler().ServeHTTP(rec, r)
			want := http.StatusMisdirectedRequest
			if c.own {
				want = http.StatusOK
			}
			if rec.Code != want {
				t.Errorf("%d, want %d", rec.Code, want)
			}
		})
	}
}

// TestRunKnowsItsNames starts the whole runner where every address is listened at.
func TestRunKnowsItsNames(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = in.CloseWithError(local.Run(ctx, local.Options{Listen: "0.0.0.0:0", Hosts: []string{"relay"},
			Directory: local.Sample("http://127.0.0.1:1/"), Out: in}))
	}()
	defer func() { stop(); <-ended }()
	var address string
	if _, err := fmt.Fscanf(out, "ready %s\n", &address); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	told, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{told.Host: 200, "relay": 200, "0.0.0.0:" + told.Port(): 200,
		"relay.evil.example": 421} {
		if got := status(t, http.MethodGet, "http://127.0.0.1:"+told.Port(), "/clock", host,
			""); got != want {
			t.Errorf("called %s: %d, want %d", host, got, want)
		}
	}
}
