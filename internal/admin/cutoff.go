package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// cutOffsAtMost is how many of a parent's destinations are told of one change: what is told is stored in one transaction with it, which takes a hundred
// items.
const cutOffsAtMost = 90

// cutOffs is what is to be told to the parent's admins of a change by which a child's own destination takes logs that went to the parent's: for each of those
// that lose logs an entry of the parent's activity audit and a notice. It says whose logs and which, and nothing of who made the change or where they go.
func (a *API) cutOffs(ctx context.Context, after directory.Destination, fields []string) ([]directory.Outgoing, error) {
	if after.Revision > 0 && !slices.Contains(fields, "log_types") {
		return nil, nil
	}
	child, own, err := a.Workspaces.WorkspaceSince(ctx, after.WorkspaceID, a.Now())
	if errors.Is(err, directory.ErrNotFound) || err == nil && child.ParentID == "" {
		return nil, nil
	}
	if err != nil {
		return nil, a.internal(ctx, fmt.Errorf("look up workspace %s: %w", after.WorkspaceID, err))
	}
	parent, shared, err := a.Workspaces.WorkspaceSince(ctx, child.ParentID, a.Now())
	if errors.Is(err, directory.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, a.internal(ctx, fmt.Errorf("look up parent workspace %s: %w", child.ParentID, err))
	}
	is := append(slices.DeleteFunc(slices.Clone(own), func(d directory.Destination) bool { return d.ID == after.ID }), after)
	cuts := directory.CutOffs(own, is, shared)
	tells := make([]directory.Outgoing, 0, len(cuts))
	for _, cut := range cuts[:min(cutOffsAtMost, len(cuts))] {
		done := connection.Activity{Event: connection.DestinationCutOff, Workspace: parent, Destination: cut.Destination, Child: child.ID, LogTypes: cut.Types}
		done.At, done.By = a.Now(), connection.System()
		tell, err := done.Outgoing()
		if err != nil {
			return nil, a.internal(ctx, err)
		}
		d := cut.Destination
		tell.Notice = &directory.Notice{
			Kind: directory.CutOffNotice, DestinationID: d.ID, Incarnation: d.Incarnation, Since: tell.At, At: tell.At,
			Child: &directory.Child{ID: child.ID, Name: child.Name, LogTypes: cut.Types, Others: cut.Others},
		}
		tells = append(tells, tell)
	}
	return tells, nil
}
