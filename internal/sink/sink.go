// Package sink hands logs to destinations: one file a kind, each with its settings, its credentials and its map from the service's own errors
// to the catalogue's codes.
package sink

import (
	"context"
	"encoding/json"
	"net/netip"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Vault opens the credentials that are sealed in a destination's record.
type Vault interface {
	// Open gives them as the JSON object that the destination's kind defines, or nil if it has none. The error is a
	// *failure.Error if they cannot be opened at all; any other says that they cannot be had now.
	Open(ctx context.Context, d directory.Destination) (json.RawMessage, error)
}

// Records gives destinations as they are.
type Records interface {
	// CurrentDestination gives a destination as of now, never older, or directory.ErrNotFound.
	CurrentDestination(ctx context.Context, id string) (directory.Destination, error)
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
