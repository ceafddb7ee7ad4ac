package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// externalID gives the external id that a record keeps. A request may only repeat it.
func externalID(kept, asked string) (string, error) {
	if asked != "" && asked != kept {
		return "", invalidField("body.external_id", "is made by this system and cannot be chosen or changed; leave it out")
	}
	return kept, nil
}

// withExternalID gives a destination of a kind that assumes roles the external id of its owner as it is now, and makes one
// for an owner that was stored before there were any.
func (a *API) withExternalID(ctx context.Context, d directory.Destination, asked string) (directory.Destination, error) {
	if d.Kind.AssumesRoles() {
		for range writesAtMost {
			owner, err := a.ownerWithExternalID(ctx, d.WorkspaceID)
			if errors.Is(err, directory.ErrChanged) {
				continue
			}
			if err != nil {
				return d, err
			}
			d.ExternalID = owner.ExternalID
			_, err = externalID(d.ExternalID, asked)
			return d, err
		}
		return d, changedMeanwhile()
	}
	_, err := externalID("", asked)
	return d, err
}

// ownerWithExternalID gives a workspace, with an external id if it is there; what is missing is said by check. The error
// is directory.ErrChanged if the workspace was written meanwhile.
func (a *API) ownerWithExternalID(ctx context.Context, id string) (directory.Workspace, error) {
	owner, err := a.Workspaces.CurrentWorkspace(ctx, id)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return directory.Workspace{}, nil
	case err != nil:
		return owner, a.internal(ctx, fmt.Errorf("look up workspace %s: %w", id, err))
	case owner.ExternalID != "":
		return owner, nil
	}
	owner.ExternalID = directory.NewExternalID()
	tell, err := a.workspaceActivity(ctx, connection.WorkspaceUpdated, owner)
	if err != nil {
		return owner, err
	}
	if err := a.Workspaces.PutWorkspace(ctx, owner, tell); errors.Is(err, directory.ErrChanged) {
		return owner, err
	} else if err != nil {
		return owner, a.internal(ctx, err)
	}
	a.Outbox.Tell(ctx, tell)
	return owner, nil
}
