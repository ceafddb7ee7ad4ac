// Package sink hands logs to destinations: one file a kind, each with its settings, its credentials and its map from the service's own errors
// to the catalogue's codes.
package sink

import (
	"context"
	"encoding/json"
	"net/netip"
)

// Secrets gives the credentials of destinations.
type Secrets interface {
	// Credentials gives a destination's credentials as the JSON object that its kind defines, or nil if it has none. They may be some minutes
	// old, an hour if they have not changed for long, unless fresh is true.
	Credentials(ctx context.Context, destinationID string, fresh bool) (json.RawMessage, error)
}

// Network says where sinks may connect to.
type Network struct {
	// AllowPrivate are ranges that are open besides the public ones. Metadata addresses stay closed.
	AllowPrivate []netip.Prefix
	// AllowHTTP lets a destination use plain http.
	AllowHTTP bool

	// connections, if set, takes note of what is opened.
	connections *connections
}
