package dynamo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// rollPrefix is before the id of a workspace whose roll an item is: the ids of the destinations that it owns. The index owner says the same and shows a
// write late; the roll is read as of now. A destination that is older than the rolls stands in the index alone.
const rollPrefix = "L#"

// enrol adds a destination to its workspace's roll, or deletes it, in a transaction with its record.
func (d *Directory) enrol(clause string, dest directory.Destination) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName: &d.Table, Key: directoryKey(rollPrefix, dest.WorkspaceID), UpdateExpression: aws.String(clause + " owned :id"),
		ExpressionAttributeValues: item{":id": &types.AttributeValueMemberSS{Value: []string{dest.ID}}},
	}}
}

// WorkspaceSince implements delivery.Directory with consistent reads of the roll and the records: as of now, whatever time is given.
func (d *Directory) WorkspaceSince(ctx context.Context, id string, _ time.Time) (directory.Workspace, []directory.Destination, error) {
	var workspace directory.Workspace
	var roll item
	ids := make(map[string]bool)
	var errs [3]error
	each(len(errs), func(i int) {
		switch i {
		case 0:
			workspace, errs[i] = d.CurrentWorkspace(ctx, id)
		case 1:
			roll, errs[i] = d.read(ctx, directoryKey(rollPrefix, id))
		default:
			var indexed []directory.Destination
			if _, indexed, errs[i] = d.Workspace(ctx, id); errors.Is(errs[i], directory.ErrNotFound) {
				errs[i] = nil // the index is late, or the record is gone
			}
			for _, dest := range indexed {
				ids[dest.ID] = true
			}
		}
	})
	if errors.Is(errs[0], directory.ErrNotFound) {
		return directory.Workspace{}, nil, directory.ErrNotFound
	}
	if err := errors.Join(errs[:]...); err != nil {
		return directory.Workspace{}, nil, fmt.Errorf("look up workspace %s as of now: %w", id, err)
	}
	if set, ok := roll["owned"].(*types.AttributeValueMemberSS); ok {
		for _, owned := range set.Value {
			ids[owned] = true
		}
	}
	own, err := d.current(ctx, id, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		return directory.Workspace{}, nil, err
	}
	return workspace, own, nil
}

// current gives those of the destinations that a workspace owns now.
func (d *Directory) current(ctx context.Context, workspaceID string, ids []string) ([]directory.Destination, error) {
	records, errs := make([]directory.Destination, len(ids)), make([]error, len(ids))
	each(len(ids), func(i int) { records[i], errs[i] = d.CurrentDestination(ctx, ids[i]) })
	var own []directory.Destination
	for i, err := range errs {
		if err != nil && !errors.Is(err, directory.ErrNotFound) {
			return nil, err
		}
		if err == nil && records[i].WorkspaceID == workspaceID {
			own = append(own, records[i])
		}
	}
	return own, nil
}
