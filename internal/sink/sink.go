// Package sink hands logs to destinations: one file a kind, each with its settings, its credentials and its map from the service's own errors
// to the catalogue's codes.
package sink

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// Secrets gives the credentials of destinations.
type Secrets interface {
	// Credentials gives a destination's credentials as the JSON object that its kind defines, or nil if it has none. They may be some minutes
	// old, unless fresh is true.
	Credentials(ctx context.Context, destinationID string, fresh bool) (json.RawMessage, error)
}

// Network says where sinks may connect to.
type Network struct {
	// AllowPrivate are ranges that are open besides the public ones. Metadata addresses stay closed.
	AllowPrivate []netip.Prefix
	// AllowHTTP lets a destination use plain http.
	AllowHTTP bool
}

// Factory makes sinks and keeps them, with their connections and sessions, until the destination's settings change. It implements
// delivery.Sinks and is safe for concurrent use.
type Factory struct {
	Secrets Secrets
	Network Network
	Now     func() time.Time

	mu    sync.Mutex
	sinks map[string]kept
}

// kept is a sink and what it was made for.
type kept struct {
	version int
	sink    delivery.Sink
}

// Sink gives the destination's sink. The error is a *failure.Error: the settings or the credentials cannot work.
func (f *Factory) Sink(ctx context.Context, d directory.Destination) (delivery.Sink, error) {
	f.mu.Lock()
	k, ok := f.sinks[d.ID]
	f.mu.Unlock()
	if ok && k.version == d.Version {
		return k.sink, nil
	}
	s, err := newRenewing(ctx, f.Secrets, d, environment{network: f.Network, now: f.Now})
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sinks == nil {
		f.sinks = make(map[string]kept)
	}
	f.sinks[d.ID] = kept{version: d.Version, sink: s}
	return s, nil
}
