package sink

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// renewing is the sink of one record of a destination. After an authentication failure it reads the record as it is now
// and, if an admin has changed it, sends the logs that failed once more, as the record says then.
type renewing struct {
	records Records
	vault   Vault
	env     environment

	now     atomic.Pointer[made]
	retired atomic.Bool
	// mu is held while the record is read after a failure, so that many logs failing at once read it once.
	mu sync.Mutex
}

// made is a sink, the reading of the record that it was made of, and what it has opened.
type made struct {
	destination directory.Destination
	sink        delivery.Sink
	connections *connections
}

// newRenewing makes the sink. The error is a *failure.Error if the record cannot work as it is.
func newRenewing(ctx context.Context, f *Factory, d directory.Destination) (*renewing, error) {
	r := &renewing{records: f.Records, vault: f.Vault, env: environment{
		network: f.Network, account: f.Account, now: f.Now, open: &f.open, room: f.Room, owner: d.WorkspaceID,
	}}
	if err := r.use(ctx, d); err != nil {
		return nil, err
	}
	return r, nil
}

// use makes a sink of the record, to send with from now on.
func (r *renewing) use(ctx context.Context, d directory.Destination) error {
	credentials, err := r.vault.Open(ctx, d)
	if err != nil {
		return err
	}
	env := r.env
	env.network.connections = &connections{open: env.open}
	s, err := build(d, credentials, env)
	if err != nil {
		return configInvalid(err)
	}
	before := r.now.Swap(&made{destination: d, sink: s, connections: env.network.connections})
	if before != nil {
		before.connections.closeIdle()
	}
	return nil
}

// serves says whether the sink is that of the record, as it was read or was changed since.
func (r *renewing) serves(d directory.Destination) bool {
	now := r.now.Load().destination
	return now.SameRecord(d) && now.Version >= d.Version
}

// closeIdle closes the connections that no request is using.
func (r *renewing) closeIdle() { r.now.Load().connections.closeIdle() }

// settled is how long net/http may take to put a connection among the idle ones after its answer was read.
const settled = time.Second

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
			time.AfterFunc(settled, r.closeIdle)
		}
	}()
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
	case err != nil: // the new settings or credentials cannot work, which is what the admin must hear now
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

// renew reads the record after an authentication failure. It answers what to send with now: before, if an admin has
// changed nothing, or if the record cannot be read or is another one. The error, a *failure.Error, says that what was
// changed cannot work.
func (r *renewing) renew(ctx context.Context, before *made) (*made, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now.Load(); now != before {
		return now, nil // another batch was here first
	}
	d, err := r.records.CurrentDestination(ctx, before.destination.ID)
	if err != nil || !d.SameRecord(before.destination) || d.Version == before.destination.Version {
		return before, nil
	}
	if err := r.use(ctx, d); err != nil {
		if _, ok := errors.AsType[*failure.Error](err); !ok {
			return before, nil // the vault cannot be asked now
		}
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
