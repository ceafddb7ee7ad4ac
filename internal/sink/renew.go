package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// renewing is a destination's sink that follows its credentials. Ones that were changed are used within the time for which Secrets keeps them;
// and after an authentication failure they are read at once and, if they have changed, the logs that failed are sent once more.
type renewing struct {
	secrets     Secrets
	destination directory.Destination
	env         environment

	now     atomic.Pointer[made]
	retired atomic.Bool
	// mu is held while credentials are read after a failure, so that many logs failing at once read them once.
	mu sync.Mutex
}

// made is a sink, the credentials that it was made with, and what it has opened.
type made struct {
	credentials json.RawMessage
	sink        delivery.Sink
	connections *connections
}

// newRenewing makes the sink, of credentials as of now if fresh is true. The error is a *failure.Error.
func newRenewing(ctx context.Context, secrets Secrets, d directory.Destination, env environment, fresh bool) (*renewing, error) {
	r := &renewing{secrets: secrets, destination: d, env: env}
	credentials, err := secrets.Credentials(ctx, d.ID, fresh)
	if err != nil {
		return nil, &failure.Error{Code: failure.ConfigCredentials, Err: err}
	}
	if err := r.use(credentials); err == nil {
		return r, nil
	} else if fresh {
		return nil, err
	}
	// What cannot work may have been corrected since it was kept.
	if credentials, err = secrets.Credentials(ctx, d.ID, true); err != nil {
		return nil, &failure.Error{Code: failure.ConfigCredentials, Err: err}
	}
	if err := r.use(credentials); err != nil {
		return nil, err
	}
	return r, nil
}

// use makes a sink of the credentials, to send with from now on.
func (r *renewing) use(credentials json.RawMessage) error {
	env := r.env
	env.network.connections = &connections{open: env.open}
	s, err := build(r.destination, credentials, env)
	if err != nil {
		return configInvalid(err)
	}
	before := r.now.Swap(&made{credentials: bytes.Clone(credentials), sink: s, connections: env.network.connections})
	if before != nil {
		before.connections.closeIdle()
	}
	return nil
}

// closeIdle closes the connections that no request is using.
func (r *renewing) closeIdle() { r.now.Load().connections.closeIdle() }

// retire keeps no connection from now on: what is under way is sent to its end.
func (r *renewing) retire() {
	r.retired.Store(true)
	r.closeIdle()
}

// Send implements delivery.Sink.
func (r *renewing) Send(ctx context.Context, logs []auditlog.Document) []delivery.Result {
	defer func() {
		if r.retired.Load() {
			r.closeIdle()
		}
	}()
	r.follow(ctx)
	before := r.now.Load()
	results := before.sink.Send(ctx, logs)
	var failed []int
	for i, result := range results {
		if result.Err != nil && authentication(failure.Of(result.Err).Code) {
			failed = append(failed, i)
		}
	}
	if len(failed) == 0 {
		return results
	}
	after, err := r.renew(ctx, before)
	switch {
	case err != nil: // the new credentials cannot work, which is what the admin must hear now
		for _, i := range failed {
			results[i].Err = err
		}
		return results
	case after == before:
		return results
	}
	again := make([]auditlog.Document, len(failed))
	for j, i := range failed {
		again[j] = logs[i]
	}
	for j, result := range after.sink.Send(ctx, again) {
		if errors.Is(result.Err, delivery.ErrNotTried) {
			continue // the first attempt stands
		}
		results[failed[j]] = result
	}
	return results
}

// follow uses credentials that have changed meanwhile. Ones that cannot be read or cannot work leave the sink as it is, for as long as the
// destination still takes the old ones.
func (r *renewing) follow(ctx context.Context) {
	credentials, err := r.secrets.Credentials(ctx, r.destination.ID, false)
	if err != nil || bytes.Equal(credentials, r.now.Load().credentials) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !bytes.Equal(credentials, r.now.Load().credentials) {
		_ = r.use(credentials) // an authentication failure tells
	}
}

// renew reads the credentials after an authentication failure. It answers what to send with now: before, if nothing has changed or if the
// credentials cannot be read. The error says that there are new ones and that they cannot work.
func (r *renewing) renew(ctx context.Context, before *made) (*made, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now.Load(); now != before {
		return now, nil // another batch was here first
	}
	credentials, err := r.secrets.Credentials(ctx, r.destination.ID, true)
	if err != nil || bytes.Equal(credentials, before.credentials) {
		return before, nil
	}
	if err := r.use(credentials); err != nil {
		return nil, err
	}
	return r.now.Load(), nil
}

// authentication says whether other credentials may end a failure. Receivers answer 403 to a token that they do not know as often as to one
// that lacks a permission, and a refused client certificate shows as a failure of TLS.
func authentication(code failure.Code) bool {
	switch code {
	case failure.S3CredentialsWrong, failure.S3PermissionDenied, failure.S3OwnerUnconfirmed, failure.S3Refused,
		failure.HTTPUnauthorized, failure.HTTPForbidden, failure.HTTPTokenRefused, failure.NetTLS,
		failure.AzureMonitorInvalidAuthorization, failure.AzureMonitorCredentialsInvalid, failure.AzureMonitorSignatureError,
		failure.AzureBlobPermissionMismatch, failure.AzureBlobInvalidAuthentication,
		failure.GCSCredentialsInvalid, failure.GCSPermissionDenied:
		return true
	}
	return false
}
