package failure

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"time"
)

// nameServer answers each DNS query with what answer makes of it, or not at all if that is nil.
func nameServer(t *testing.T, answer func(query []byte) []byte) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if a := answer(buf[:n]); a != nil {
				_, _ = c.WriteTo(a, from)
			}
		}
	}()
	return c.LocalAddr().String()
}

// nameError answers that the name does not exist (RCODE 3).
func nameError(query []byte) []byte {
	answer := append([]byte(nil), query...)
	answer[2] |= 0x80 // this is a response
	answer[3] = answer[3]&0xf0 | 3
	return answer
}

func silence([]byte) []byte { return nil }

// resolving is a transport that asks the name server and gives it 50 ms for all its tries.
func resolving(nameServer string) *http.Transport {
	dialer := &net.Dialer{Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", nameServer)
		},
	}, Timeout: 50 * time.Millisecond}
	return &http.Transport{DialContext: dialer.DialContext}
}

// silent keeps a test server's complaints about handshakes that fail on purpose out of the test's output.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }
