package failure

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestNetwork provokes each failure for real, on the loopback interface, and classifies what net/http returns.
func TestNetwork(t *testing.T) {
	const secret = "?token=CANARY"
	for name, c := range map[string]struct {
		provoke func(t *testing.T) error
		want    Code
		detail  string
	}{
		"port without a listener": {func(t *testing.T) error { return get(t, http.DefaultTransport, "http://"+closedPort(t)+secret) },
			NetRefused, "connection refused"},
		"name that does not exist": {func(t *testing.T) error {
			return get(t, resolving(nameServer(t, nameError)), "http://receiver.invalid/"+secret)
		}, NetDNS, "the host name does not resolve"},
		"name server that is silent": {func(t *testing.T) error {
			return get(t, resolving(nameServer(t, silence)), "http://receiver.invalid/"+secret)
		}, NetDNS, "the name server did not answer in time"},
		"cancelled while the name is looked up": {func(t *testing.T) error {
			ctx, cancel := context.WithCancel(t.Context())
			asked := func([]byte) []byte { cancel(); return nil }
			return request(ctx, t, resolving(nameServer(t, asked)), "http://receiver.invalid/"+secret)
		}, NetInterrupted, "the attempt was cut short"},
		"deadline passes": {func(t *testing.T) error {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			return request(ctx, t, http.DefaultTransport, hanging(t)+secret)
		}, NetTimeout, "no answer in time"},
		"time-out of the transport": {func(t *testing.T) error {
			return get(t, &http.Transport{ResponseHeaderTimeout: 20 * time.Millisecond}, hanging(t)+secret)
		}, NetTimeout, "no answer in time"},
		"cancelled": {func(t *testing.T) error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return request(ctx, t, http.DefaultTransport, hanging(t)+secret)
		}, NetInterrupted, "the attempt was cut short"},
		"closed before the answer": {func(t *testing.T) error {
			return get(t, http.DefaultTransport, "http://"+listener(t, func(c net.Conn) { readRequest(c) })+secret)
		}, NetReset, "the connection was closed before the answer was complete"},
		"reset before the answer": {func(t *testing.T) error {
			return get(t, http.DefaultTransport, "http://"+listener(t, func(c net.Conn) {
				readRequest(c)
				_ = c.(*net.TCPConn).SetLinger(0)
			})+secret)
		}, NetReset, "the connection was closed before the answer was complete"},
		"closed within the answer": {func(t *testing.T) error {
			return get(t, http.DefaultTransport, "http://"+listener(t, func(c net.Conn) {
				readRequest(c)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
			})+secret)
		}, NetReset, "the connection was closed before the answer was complete"},
		"expired certificate": {func(t *testing.T) error {
			return get(t, trusting(t, certificateFor(t, "127.0.0.1", time.Now().Add(-time.Hour)), "127.0.0.1"), "https://receiver/"+secret)
		}, NetTLS, "the certificate has expired or is not yet valid"},
		"certificate for another host": {func(t *testing.T) error {
			return get(t, trusting(t, certificateFor(t, "other.example", time.Now().Add(time.Hour)), "127.0.0.1"), "https://receiver/"+secret)
		}, NetTLS, "the certificate is for another host name"},
		"certificate with a common name alone": {func(t *testing.T) error {
			return get(t, trusting(t, selfSigned(t, func(c *x509.Certificate) { c.Subject.CommonName = "receiver" }), "receiver"), "https://receiver/"+secret)
		}, NetTLS, "the certificate names its host only in the common name; it needs a subject alternative name"},
		"certificate with a common name alone, of an address": {func(t *testing.T) error {
			return get(t, trusting(t, selfSigned(t, func(c *x509.Certificate) { c.Subject.CommonName = "127.0.0.1" }), "127.0.0.1"), "https://receiver/"+secret)
		}, NetTLS, "the certificate names its host only in the common name; it needs a subject alternative name"},
		"certificate without any name": {func(t *testing.T) error {
			return get(t, trusting(t, selfSigned(t, func(*x509.Certificate) {}), "receiver"), "https://receiver/"+secret)
		}, NetTLS, "the certificate names no host; it needs a subject alternative name"},
		"certificate for an address as a name": {func(t *testing.T) error {
			return get(t, trusting(t, selfSigned(t, func(c *x509.Certificate) { c.DNSNames = []string{"127.0.0.1"} }), "127.0.0.1"), "https://receiver/"+secret)
		}, NetTLS, "the certificate is for another host name"},
		"certificate of a client": {func(t *testing.T) error {
			return get(t, trusting(t, selfSigned(t, func(c *x509.Certificate) {
				c.DNSNames, c.ExtKeyUsage = []string{"receiver"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			}), "receiver"), "https://receiver/"+secret)
		}, NetTLS, "the certificate is not for servers: its extended key usage leaves server authentication out"},
		"authority that is not trusted": {func(t *testing.T) error {
			s := httptest.NewUnstartedServer(nil)
			s.Config.ErrorLog = silent()
			s.StartTLS()
			t.Cleanup(s.Close)
			return get(t, new(http.Transport), s.URL+secret)
		}, NetTLS, "the certificate's authority is not trusted"},
		"https to a receiver of plain http": {func(t *testing.T) error {
			s := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(s.Close)
			return get(t, new(http.Transport), strings.Replace(s.URL, "http", "https", 1)+secret)
		}, NetTLS, "the peer does not speak TLS"},
		"https to something else": {func(t *testing.T) error {
			return get(t, new(http.Transport), "https://"+listener(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example ESMTP\r\n") })+secret)
		}, NetTLS, "the peer does not speak TLS"},
		"no TLS version in common": {func(t *testing.T) error {
			s := httptest.NewUnstartedServer(nil)
			s.Config.ErrorLog = silent()
			s.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
			s.StartTLS()
			t.Cleanup(s.Close)
			return get(t, &http.Transport{TLSClientConfig: &tls.Config{MaxVersion: tls.VersionTLS12}}, s.URL+secret)
		}, NetTLS, "the peer ended the handshake: tls: protocol version not supported"},
		"no route to the host": {func(t *testing.T) error {
			return get(t, &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}
			}}, "http://receiver/"+secret)
		}, NetUnreachable, "no route to the host"},
		"no route to the network": {func(t *testing.T) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ENETUNREACH}
		}, NetUnreachable, "no route to the host"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.provoke(t)
			if err == nil {
				t.Fatal("no error was provoked")
			}
			got := Network(err)
			if got == nil {
				t.Fatalf("not classified: %T %v", err, err)
			}
			if diff := cmp.Diff(Error{Code: c.want, Detail: c.detail}, Error{Code: got.Code, Detail: got.Detail}); diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if !errors.Is(got, err) || strings.Contains(got.Error(), "CANARY") {
				t.Errorf("%q must lead to its cause and not show it", got)
			}
		})
	}
}

func TestNetworkLeavesOtherErrorsAlone(t *testing.T) {
	for _, err := range []error{nil, errors.New("HTTP 503"), &Error{Code: HTTPServerError}} {
		if got := Network(err); got != nil {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func get(t *testing.T, transport http.RoundTripper, url string) error {
	t.Helper()
	return request(t.Context(), t, transport, url)
}

// request gives the error of a GET, or of reading its answer.
func request(ctx context.Context, t *testing.T, transport http.RoundTripper, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// closedPort is a loopback address at which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// listener hands each connection to serve and closes it after that.
func listener(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			c.Close()
		}
	}()
	return l.Addr().String()
}

func readRequest(c net.Conn) {
	buf := make([]byte, 4096)
	_, _ = c.Read(buf)
}

// hanging is the URL of a server that answers nothing.
func hanging(t *testing.T) string {
	t.Helper()
	return "http://" + listener(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
}

// trusting is a transport that trusts the authority of cert and reaches, under any name, a server that shows cert; it expects the name host.
func trusting(t *testing.T, cert tls.Certificate, host string) *http.Transport {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config.ErrorLog = silent()
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: host},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
		},
	}
}

// certificateFor is a certificate that signs itself.
func certificateFor(t *testing.T, host string, notAfter time.Time) tls.Certificate {
	t.Helper()
	return selfSigned(t, func(c *x509.Certificate) {
		c.NotAfter = notAfter
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = []net.IP{ip}
		} else {
			c.DNSNames = []string{host}
		}
	})
}

// selfSigned is a certificate that signs itself and is valid for an hour, with a change.
func selfSigned(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
