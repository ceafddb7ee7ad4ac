package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// destinationActivity is what is to be told of a change of a destination. It is stored with the change.
func (a *API) destinationActivity(ctx context.Context, event connection.Event, d directory.Destination, fields ...string) (directory.Outgoing, error) {
	return a.destinationEntry(ctx, connection.Activity{Event: event, Destination: d, Fields: fields})
}

// testActivity is what is to be told of a test of a destination.
func (a *API) testActivity(ctx context.Context, d directory.Destination, logID string) (directory.Outgoing, error) {
	return a.destinationEntry(ctx, connection.Activity{Event: connection.DestinationTested, Destination: d, Test: logID, Hosts: sink.Hosts(d)})
}

func (a *API) destinationEntry(ctx context.Context, done connection.Activity) (directory.Outgoing, error) {
	d := done.Destination
	owner, err := a.Workspaces.CurrentWorkspace(ctx, d.WorkspaceID)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return directory.Outgoing{}, a.internal(ctx, fmt.Errorf("look up workspace %s for the activity audit: %w", d.WorkspaceID, err))
	}
	owner.ID = d.WorkspaceID
	done.Workspace = owner
	return a.activity(ctx, done)
}

// workspaceActivity is what is to be told of a change of a workspace.
func (a *API) workspaceActivity(ctx context.Context, event connection.Event, w directory.Workspace) (directory.Outgoing, error) {
	return a.activity(ctx, connection.Activity{Event: event, Workspace: w})
}

func (a *API) activity(ctx context.Context, done connection.Activity) (directory.Outgoing, error) {
	done.At, done.By = a.Now(), callerFrom(ctx)
	tell, err := done.Outgoing()
	if err != nil {
		return directory.Outgoing{}, a.internal(ctx, err)
	}
	return tell, nil
}
