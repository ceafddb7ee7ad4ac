package sink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// metadata are the addresses at which clouds hand out a machine's own credentials. No setting opens them: 169.254.0.0/16 is the link-local
// range of AWS, Azure and Google (169.254.169.254, ECS's 169.254.170.2, EKS's 169.254.170.23), fd00:ec2::/32 is AWS's IPv6 one (IMDS ::254,
// DNS ::253, EKS ::23), 100.100.100.200 is Alibaba's, 168.63.129.16 Azure's wire server, fd20:ce::254 Google's.
// The list does not change; slices cannot be constants.
func metadata() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("169.254.0.0/16"),
		netip.MustParsePrefix("168.63.129.16/32"),
		netip.MustParsePrefix("100.100.100.200/32"),
		netip.MustParsePrefix("fd00:ec2::/32"),
		netip.MustParsePrefix("fd20:ce::254/128"),
		netip.MustParsePrefix("fe80::/10"),
	}
}

// guard decides on each address that is about to be dialled, after DNS and on every attempt, so a name that resolves to a forbidden address
// does not get through, however its answers change.
type guard struct {
	never    []netip.Prefix
	open     []netip.Prefix
	guardian *ssrf.Guardian
}

func (n Network) guard() *guard {
	// The guardian decides on public addresses alone. The ranges opened by the operator are checked here, because an address can wear
	// several forms, and the metadata addresses go first in each.
	return &guard{never: metadata(), open: n.AllowPrivate, guardian: ssrf.New(ssrf.WithAnyPort())}
}

// control is a net.Dialer's Control.
func (g *guard) control(network, address string, c syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: the address is not an IP address and a port", ssrf.ErrInvalidHostPort)
	}
	addr := at.Addr().WithZone("")
	for _, form := range forms(addr) {
		if contains(g.never, form) {
			return fmt.Errorf("%w: a metadata or link-local address", ssrf.ErrProhibitedIP)
		}
	}
	if contains(g.open, addr.Unmap()) {
		return nil
	}
	return g.guardian.Safe(network, address, c)
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forms gives an address and the IPv4 address that it may stand for: mapped (::ffff:a.b.c.d), compatible (::a.b.c.d), translated by NAT64
// (64:ff9b::/96, RFC 6052, and 64:ff9b:1::/48, RFC 8215, as used with a /96 inside it), or tunnelled by 6to4 (2002::/16, RFC 3056).
func forms(a netip.Addr) []netip.Addr {
	if a.Is4() {
		return []netip.Addr{a}
	}
	b := a.As16()
	tail := netip.AddrFrom4([4]byte(b[12:16]))
	switch {
	case a.Is4In6(),
		netip.MustParsePrefix("::/96").Contains(a),
		netip.MustParsePrefix("64:ff9b::/96").Contains(a),
		netip.MustParsePrefix("64:ff9b:1::/48").Contains(a):
		return []netip.Addr{a, tail}
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return []netip.Addr{a, netip.AddrFrom4([4]byte(b[2:6]))}
	}
	return []netip.Addr{a}
}

// dialTimeout bounds one connection's set-up, name resolution included.
const dialTimeout = 5 * time.Second

// dialer opens connections that have passed the guard. Everything that connects to an address from a destination's settings uses it.
func (n Network) dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: n.guard().control}
}

// idleTimeout is how long an unused connection is kept for the next invocation: less than the 60 s after which common load balancers close it.
const idleTimeout = 50 * time.Second

// transport makes the HTTP transport of one destination, through the guard. parallel is how many connections are kept. tlsConfig may be nil.
func (n Network) transport(tlsConfig *tls.Config, parallel int) http.RoundTripper {
	return n.through(n.dialer(), tlsConfig, parallel)
}

// maxHeader is how many bytes an answer's header may have.
const maxHeader = 64 << 10

// through makes a transport over a dialer. It takes no proxy from the environment, since a proxy would dial unguarded, and it speaks HTTP/1.1 only: a
// process that was frozen between two invocations sees at once that a connection was closed meanwhile, where HTTP/2 would wait for an answer on it.
// What it reads of an answer is bounded.
func (n Network) through(d *net.Dialer, tlsConfig *tls.Config, parallel int) http.RoundTripper {
	if tlsConfig == nil {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	dial := n.dial(d)
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return patient{c}, nil
		},
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    dialTimeout,
		MaxIdleConnsPerHost:    parallel,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	if n.connections != nil {
		n.connections.transports = append(n.connections.transports, t)
	}
	return bounded{t}
}

// patient is a connection on which an answer is heard although sending failed. Receivers answer 413 or 401 to the header of a large request and close
// the connection without reading the rest. The transport would report that the request could not be sent, while the answer that says why has
// arrived and is about to be read.
type patient struct{ net.Conn }

// heardTime is how long a failed Write waits for the answer to be read. It has arrived by then, or there is none.
const heardTime = 100 * time.Millisecond

// Write implements net.Conn.
func (p patient) Write(b []byte) (int, error) {
	n, err := p.Conn.Write(b)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		time.Sleep(heardTime)
	}
	return n, err
}

// network classifies an error below HTTP, the guard's refusal included. It answers nil when err is none of these.
func network(err error) *failure.Error {
	if errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) || errors.Is(err, ssrf.ErrInvalidHostPort) {
		return &failure.Error{Code: failure.NetBlocked, Detail: "the address is private, local or reserved", Err: err}
	}
	return failure.Network(err)
}
