package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/auditrelay/auditrelay/internal/directory"
)

func (a *API) deletionRoutes(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "delete-destination", Method: http.MethodDelete, Path: "/v1/destinations/{id}",
		Summary: "Delete a destination; for eight hours it can be restored",
		Description: "The destination is sent the entry of the activity audit about its deletion, if it wants user_activity, and nothing else; its admins get one mail. " +
			"Its state is deleted until grace_ends_at, and logs that come until then wait for it beside those that waited already. Then it is removed, with its credentials. " +
			"Logs that wait stay in the cache for the rest of their seven days and become failed events, unless a destination of the same owner is created under the same id before: it gets them. " +
			"It may be repeated: one that is deleted already stays as it is. With purge=true, a deleted destination is removed now.",
		Tags: []string{"destinations"}, DefaultStatus: http.StatusNoContent,
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable}},
		a.deleteDestination)
	huma.Register(api, huma.Operation{OperationID: "restore-destination", Method: http.MethodPost, Path: "/v1/destinations/{id}/restore",
		Summary: "Take the deletion of a destination back", Tags: []string{"destinations"}, MaxBodyBytes: maxBody,
		Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge},
		Description: "It is the same destination, with its settings, credentials and incarnation, and is connected, whatever it was before its deletion; what waits is sent first. " +
			"It must take a test log first, unless verify is false. After grace_ends_at it is not found.",
	}, a.restore)
}

func (a *API) deleteDestination(ctx context.Context, in *struct {
	DestinationPath
	Conditions
	Purge bool `query:"purge" doc:"Remove a destination that is deleted already, now instead of at grace_ends_at. One that is not deleted answers 409."`
}) (*struct{}, error) {
	may := func(d directory.Destination) error { return in.check(fmt.Sprintf("destination %q", d.ID), etag(d)) }
	if in.Purge {
		if err := a.Connections.Purge(ctx, in.ID, callerFrom(ctx), may); err != nil {
			return nil, a.deletionError(ctx, in.ID, err)
		}
		return nil, nil
	}
	_, err := a.Connections.Delete(ctx, in.ID, callerFrom(ctx), may)
	if conflict, ok := errors.AsType[*directory.Conflict](err); ok && conflict.State == directory.Deleted {
		return nil, nil // by this very request perhaps, whose answer was lost
	}
	if err != nil {
		return nil, a.deletionError(ctx, in.ID, err)
	}
	return nil, nil
}

// deletionError is transitionError for changes that hold preconditions too.
func (a *API) deletionError(ctx context.Context, id string, err error) error {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	return a.transitionError(ctx, id, err)
}

func (a *API) restore(ctx context.Context, in *struct {
	DestinationPath
	Verification
	Body *VerifyInput
}) (*destinationAnswer, error) {
	d, err := a.Destinations.CurrentDestination(ctx, in.ID)
	if err != nil {
		return nil, a.destinationError(ctx, in.ID, err)
	}
	if in.wanted(in.Body.verify()) && d.State == directory.Deleted {
		if err := a.verifyStored(ctx, d); err != nil {
			return nil, err
		}
	}
	d, err = a.Connections.Restore(ctx, in.ID, callerFrom(ctx))
	if err != nil {
		return nil, a.transitionError(ctx, in.ID, err)
	}
	return answerDestination(http.StatusOK, d), nil
}

// verifyStored refuses a destination that does not take a test log with the credentials that are stored.
func (a *API) verifyStored(ctx context.Context, d directory.Destination) error {
	credentials, err := a.Vault.Open(ctx, d)
	if err != nil {
		return a.vaultError(ctx, err)
	}
	return a.verify(ctx, d, credentials)
}

// wasDeleted answers whoever would change or use a destination that is deleted.
func (a *API) wasDeleted(d directory.Destination) error {
	return problem(http.StatusConflict, "destination %q was deleted at %s; until %s it can be restored: POST /v1/destinations/%s/restore", d.ID,
		d.StateSince.UTC().Format(time.RFC3339), d.GraceEnds().UTC().Format(time.RFC3339), d.ID)
}

// makeRoom removes the deleted destination whose id another one is about to get; zero if there is none. Its restoration ends here, so it comes after
// all that could refuse the other one.
func (a *API) makeRoom(ctx context.Context, deleted directory.Destination) error {
	if deleted.ID == "" {
		return nil
	}
	err := a.Connections.Purge(ctx, deleted.ID, callerFrom(ctx), func(d directory.Destination) error {
		if !d.SameRecord(deleted) || d.Generation != deleted.Generation {
			return changedMeanwhile()
		}
		return nil
	})
	if err == nil || errors.Is(err, directory.ErrNotFound) { // its time has come meanwhile
		return nil
	}
	return a.deletionError(ctx, deleted.ID, err)
}
