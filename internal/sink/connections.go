package sink

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// connections are the transports that were made for one sink and one set of credentials.
type connections struct {
	// open, if set, counts open connections.
	open       *atomic.Int64
	transports []*http.Transport
}

// closeIdle closes the connections that no request is using.
func (c *connections) closeIdle() {
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
}

// dial opens connections by way of a dialer and counts them for as long as they are open.
func (n Network) dial(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	if n.connections == nil || n.connections.open == nil {
		return d.DialContext
	}
	open := n.connections.open
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		open.Add(1)
		return &counted{Conn: conn, closed: sync.OnceFunc(func() { open.Add(-1) })}, nil
	}
}

// counted is a connection that says once that it is closed.
type counted struct {
	net.Conn
	closed func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	defer c.closed()
	return c.Conn.Close()
}
