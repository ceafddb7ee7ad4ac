package sink

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"

	"code.dny.dev/ssrf"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

func TestGuard(t *testing.T) {
	const blocked, open = true, false
	everything := []string{"0.0.0.0/0", "::/0"}
	for _, c := range []struct {
		address string
		allow   []string
		want    bool
	}{
		{"93.184.216.34", nil, open},
		{"2606:2800:220:1::1", nil, open},
		{"127.0.0.1", nil, blocked},
		{"127.8.9.10", nil, blocked},
		{"::1", nil, blocked},
		{"0.0.0.0", nil, blocked},
		{"::", nil, blocked},
		{"10.1.2.3", nil, blocked},
		{"172.16.0.1", nil, blocked},
		{"192.168.1.1", nil, blocked},
		{"100.64.0.1", nil, blocked},
		{"192.0.2.1", nil, blocked},
		{"198.18.0.1", nil, blocked},
		{"224.0.0.1", nil, blocked},
		{"255.255.255.255", nil, blocked},
		{"fc00::1", nil, blocked},
		{"fe80::1", nil, blocked},
		{"fe80::1%eth0", nil, blocked},
		{"ff02::1", nil, blocked},
		{"2001:db8::1", nil, blocked},
		{"169.254.169.254", nil, blocked},
		{"fd00:ec2::254", nil, blocked},
		{"::ffff:127.0.0.1", nil, blocked},
		{"::ffff:93.184.216.34", nil, blocked},
		{"64:ff9b::7f00:1", nil, blocked},
		{"2002:7f00:1::", nil, blocked},

		{"10.20.3.4", []string{"10.20.0.0/16"}, open},
		{"10.21.3.4", []string{"10.20.0.0/16"}, blocked},
		{"::ffff:10.20.3.4", []string{"10.20.0.0/16"}, open},
		{"127.0.0.1", []string{"127.0.0.0/8"}, open},
		{"::1", []string{"::1/128"}, open},
		{"fd12::1", []string{"fd12::/16"}, open},

		// No setting opens the metadata addresses, in whatever form.
		{"169.254.169.254", everything, blocked},
		{"169.254.170.2", everything, blocked},
		{"169.254.0.1", []string{"169.254.0.0/16"}, blocked},
		{"::ffff:169.254.169.254", everything, blocked},
		{"::169.254.169.254", everything, blocked},
		{"64:ff9b::a9fe:a9fe", everything, blocked},
		{"64:ff9b:1::a9fe:a9fe", everything, blocked},
		{"2002:a9fe:a9fe::1", everything, blocked},
		{"fd00:ec2::254", everything, blocked},
		{"fd00:ec2::253", everything, blocked},
		{"fd20:ce::254", everything, blocked},
		{"100.100.100.200", everything, blocked},
		{"168.63.129.16", everything, blocked},
		{"fe80::a9fe:a9fe", everything, blocked},
	} {
		n := Network{}
		for _, prefix := range c.allow {
			n.AllowPrivate = append(n.AllowPrivate, netip.MustParsePrefix(prefix))
		}
		addr := netip.MustParseAddr(c.address)
		network := "tcp4"
		if addr.Is6() {
			network = "tcp6"
		}
		err := n.guard().control(network, netip.AddrPortFrom(addr, 443).String(), nil)
		if got := err != nil; got != c.want {
			t.Errorf("%s with %v open: blocked %v (%v), want %v", c.address, c.allow, got, err, c.want)
		}
		if err != nil && !errors.Is(err, ssrf.ErrProhibitedIP) {
			t.Errorf("%s: the error %v does not say that the address is prohibited", c.address, err)
		}
	}
	for _, address := range []string{"", "localhost:80", "1.2.3.4"} {
		if err := (Network{}).guard().control("tcp4", address, nil); !errors.Is(err, ssrf.ErrInvalidHostPort) {
			t.Errorf("%q: got %v", address, err)
		}
	}
	if err := (Network{}).guard().control("udp4", "93.184.216.34:443", nil); !errors.Is(err, ssrf.ErrProhibitedNetwork) {
		t.Errorf("udp: got %v", err)
	}
}

// A name is judged by the addresses that it resolves to, when it is dialled.
func TestGuardDials(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, host := range []string{"localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433.nip.invalid"} {
		connection, err := (Network{}).dialer().DialContext(context.Background(), "tcp", host+":"+port)
		if err == nil {
			_ = connection.Close()
			t.Errorf("%s was dialled", host)
			continue
		}
		want := failure.NetBlocked
		if host == "2130706433.nip.invalid" {
			want = failure.NetDNS
		}
		if f := network(err); f == nil || f.Code != want {
			t.Errorf("%s: %v becomes %v, want %s", host, err, f, want)
		}
	}
}

func TestHTTPBlocked(t *testing.T) {
	server := serve(t, (&picky{status: 200}).ServeHTTP)
	t.Setenv("HTTP_PROXY", server.URL)
	t.Setenv("HTTPS_PROXY", server.URL)
	env := localEnvironment()
	env.network = Network{AllowHTTP: true}
	s, err := newHTTP(asJSON(t, map[string]any{"url": server.URL}), nil, env)
	if err != nil {
		t.Fatal(err)
	}
	got := s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err
	if failure.Of(got).Code != failure.NetBlocked {
		t.Errorf("got %v, want %s", got, failure.NetBlocked)
	}
	if (Network{}).transport(nil, 1).(bounded).next.Proxy != nil {
		t.Error("a proxy from the environment would dial what the guard refuses")
	}
}

// A receiver answers 413 as soon as it has seen the header of a large request, and closes the connection with the rest unread.
func TestAnswerToAnUnreadRequestIsHeard(t *testing.T) {
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
				_, _ = c.Read(make([]byte, 1024))
				_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				_ = c.Close() // what was not read makes it a reset
			}()
		}
	}()
	s := httpFor(t, map[string]any{"url": "http://" + listener.Addr().String()}, nil)
	for range 20 {
		got := codes(s.Send(t.Context(), sinktest.Logs(1, 8_000_000)))
		if diff := cmp.Diff([]string{"http.log_too_large"}, got); diff != "" {
			t.Fatalf("codes (-want +got):\n%s", diff)
		}
	}
}
