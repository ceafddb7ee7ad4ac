package sink

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

func TestHTTPSignatures(t *testing.T) {
	secret := func(b byte) string {
		return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(b), 24)))
	}
	var header http.Header
	var body []byte
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
	})
	for _, gzip := range []bool{false, true} {
		s := httpFor(t, map[string]any{"url": server.URL, "gzip": gzip}, map[string]any{"signing_secrets": []string{secret('a'), secret('b')}})
		if err := s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err; err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			secret string
			known  bool
		}{{secret('a'), true}, {secret('b'), true}, {secret('c'), false}} {
			verifier, err := standardwebhooks.NewWebhook(c.secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := verifier.Verify(body, header); (err == nil) != c.known {
				t.Errorf("gzip %v, secret %s: verification gives %v", gzip, c.secret, err)
			}
		}
		if id := header.Get("Webhook-Id"); id != "ws-1:log-000:"+sinktest.Logs(1, 10)[0].Hash() {
			t.Errorf("webhook-id %q", id)
		}
	}
}

// What the official libraries cannot verify is refused when it is saved; what is stored goes on being signed as it was.
func TestSignaturesThatNobodyCanVerify(t *testing.T) {
	const gzip = "credentials.signing_secrets: cannot be used with settings.gzip"
	const several = "credentials.signing_secrets: cannot be used with several JSON documents in a request"
	const secrets = `"signing_secrets":["whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"]`
	for _, c := range []struct{ settings, credentials, want string }{
		{`{"url":"https://h.example","gzip":true}`, `{` + secrets + `}`, gzip},
		{`{"url":"https://h.example","gzip":true,"format":"json_array"}`, `{` + secrets + `}`, gzip},
		{`{"url":"https://h.example","gzip":true,"preset":"datadog"}`, `{"token":"t",` + secrets + `}`, gzip},
		{`{"url":"https://h.example","format":"ndjson"}`, `{` + secrets + `}`, several},
		{`{"url":"https://h.example","format":"ndjson","max_batch":1}`, `{` + secrets + `}`, several},
		{`{"url":"https://h.example","preset":"splunk_hec"}`, `{"token":"t",` + secrets + `}`, several},
		{`{"url":"https://h.example","preset":"sumo_logic"}`, `{"token":"t",` + secrets + `}`, several},
		{`{"url":"https://h.example","preset":"elastic"}`, `{"token":"t",` + secrets + `}`, several},
		{`{"url":"https://h.example"}`, `{` + secrets + `}`, ""},
		{`{"url":"https://h.example","format":"json_array"}`, `{` + secrets + `}`, ""},
		{`{"url":"https://h.example","preset":"grafana_loki"}`, `{` + secrets + `}`, ""},
		{`{"url":"https://h.example","format":"ndjson","gzip":true}`, `{}`, ""},
		{`{"url":"https://h.example","format":"ndjson","gzip":true}`, `{"signing_secrets":[]}`, ""},
	} {
		d := directory.Destination{Kind: directory.HTTP, Settings: []byte(c.settings)}
		err := Validate(d, []byte(c.credentials), Network{})
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.settings, err, c.want)
		}
		if _, err := build(d, []byte(c.credentials), environment{}); err != nil {
			t.Errorf("%s, stored: %v", c.settings, err)
		}
	}
}

// authority is a token endpoint and a receiver that takes only its latest token.
type authority struct {
	mu       sync.Mutex
	issued   int // tokens
	requests int // to the token endpoint
	revoked  bool
	form     string
	answer   func(w http.ResponseWriter) bool
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.URL.Path == "/token" {
		a.requests++
		if a.answer != nil && a.answer(w) {
			return
		}
		user, password, _ := r.BasicAuth()
		_ = r.ParseForm()
		a.form = user + " " + password + " " + r.Form.Encode()
		a.issued++
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":3600}`, a.issued)
		return
	}
	_, _ = io.ReadAll(r.Body)
	if a.revoked || r.Header.Get("Authorization") != fmt.Sprintf("Bearer token-%d", a.issued) {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func oauthSink(t *testing.T, url string) *httpSink {
	return httpFor(t,
		map[string]any{"url": url + "/logs", "oauth": map[string]any{"token_url": url + "/token", "scopes": []string{"write", "logs"}, "audience": "api"}},
		map[string]any{"oauth": map[string]any{"client_id": "client-1", "client_secret": "oauth-secret"}})
}

func TestHTTPOAuth(t *testing.T) {
	var a authority
	server := serve(t, a.ServeHTTP)
	s := oauthSink(t, server.URL)
	send := func() []string { return codes(s.Send(t.Context(), sinktest.Logs(20, 10))) }
	none := make([]string, 20)
	if diff := cmp.Diff(none, send()); diff != "" || a.requests != 1 {
		t.Errorf("the first logs: %d tokens asked for, want 1 (-want +got):\n%s", a.requests, diff)
	}
	if want := "client-1 oauth-secret audience=api&grant_type=client_credentials&scope=write+logs"; a.form != want {
		t.Errorf("token request %q, want %q", a.form, want)
	}
	a.issued = 7 // as if the token had been revoked
	if diff := cmp.Diff(none, send()); diff != "" || a.requests != 2 {
		t.Errorf("after a revocation: %d tokens asked for, want 2 (-want +got):\n%s", a.requests, diff)
	}
	a.revoked = true
	got := s.Send(t.Context(), sinktest.Logs(1, 10))
	if diff := cmp.Diff([]string{string(failure.HTTPUnauthorized)}, codes(got)); diff != "" || a.requests != 3 {
		t.Errorf("a token that is never good enough: %d tokens asked for, want 3 (-want +got):\n%s", a.requests, diff)
	}
}

func TestHTTPOAuthRefused(t *testing.T) {
	answer := func(status int, body string) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Retry-After", "30")
			w.Header().Set("Location", "/logs")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter) bool
		want   failure.Code
		detail string
		most   int // token requests: the library tries two forms of authentication
	}{
		{"invalid_client", answer(401, `{"error":"invalid_client","error_description":"oauth-secret"}`), failure.HTTPTokenRefused, "token endpoint: HTTP 401 invalid_client", 2},
		{"invalid_scope", answer(400, `{"error":"invalid_scope"}`), failure.HTTPTokenRefused, "token endpoint: HTTP 400 invalid_scope", 2},
		{"forbidden", answer(403, ``), failure.HTTPTokenRefused, "token endpoint: HTTP 403", 2},
		{"not found", answer(404, ``), failure.HTTPTokenRefused, "token endpoint: HTTP 404", 2},
		{"no token in it", answer(200, `{}`), failure.HTTPTokenRefused, "the token endpoint's answer holds no token", 2},
		{"no JSON", answer(200, `<html>`), failure.HTTPTokenRefused, "the token endpoint's answer holds no token", 2},
		{"fault", answer(503, ``), failure.HTTPServerError, "token endpoint: HTTP 503", 20},
		{"throttled", answer(429, ``), failure.HTTPThrottled, "token endpoint: HTTP 429", 20},
		{"redirect", answer(302, ``), failure.HTTPRedirect, "token endpoint: HTTP 302", 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := authority{answer: c.answer}
			server := serve(t, a.ServeHTTP)
			for _, r := range oauthSink(t, server.URL).Send(t.Context(), sinktest.Logs(10, 10)) {
				f := failure.Of(r.Err)
				if f.Code != c.want || f.Detail != c.detail {
					t.Errorf("got %v (cause %v), want %s: %s", f, f.Err, c.want, c.detail)
				}
				if strings.Contains(r.Err.Error(), "secret") {
					t.Errorf("the error shows the token endpoint's words: %v", r.Err)
				}
			}
			if a.requests > c.most {
				t.Errorf("%d token requests, want at most %d", a.requests, c.most)
			}
		})
	}
}

func TestHTTPOAuthNetwork(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	got := codes(oauthSink(t, server.URL).Send(t.Context(), sinktest.Logs(1, 10)))
	if diff := cmp.Diff([]string{string(failure.NetRefused)}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// identity makes a certificate that its own key has signed, in PEM form.
func identity(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func TestHTTPTLS(t *testing.T) {
	clientCertificate, clientKey := identity(t, "client")
	otherCertificate, otherKey := identity(t, "other")
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM([]byte(clientCertificate))
	plain := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	mutual := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	mutual.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MaxVersion: tls.VersionTLS12}
	for _, server := range []*httptest.Server{plain, mutual} {
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		t.Cleanup(server.Close)
	}
	unencrypted := serve(t, func(http.ResponseWriter, *http.Request) {})
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: plain.Certificate().Raw}))
	for _, c := range []struct {
		name, url, ca    string
		certificate, key string
		want             failure.Code
	}{
		{"custom CA", plain.URL, ca, "", "", ""},
		{"unknown CA", plain.URL, "", "", "", failure.NetTLS},
		{"wrong host", strings.Replace(plain.URL, "127.0.0.1", "localhost", 1), ca, "", "", failure.NetTLS},
		{"no TLS behind https", strings.Replace(unencrypted.URL, "http:", "https:", 1), ca, "", "", failure.NetTLS},
		{"client certificate", mutual.URL, ca, clientCertificate, clientKey, ""},
		{"another client certificate", mutual.URL, ca, otherCertificate, otherKey, failure.NetTLS},
		{"no client certificate", mutual.URL, ca, "", "", failure.NetTLS},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httpFor(t, map[string]any{"url": c.url, "ca": c.ca}, map[string]any{"client_certificate": c.certificate, "client_key": c.key})
			var got failure.Error
			if err := s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err; err != nil {
				got = *failure.Of(err)
			}
			if got.Code != c.want {
				t.Errorf("got %s (cause %v), want %s", got.Code, got.Err, c.want)
			}
		})
	}
}
