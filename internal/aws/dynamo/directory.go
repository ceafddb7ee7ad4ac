package dynamo

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Directory is the directory table. It implements delivery.Directory, delivery.DestinationStore and delivery.Writes.
type Directory struct {
	Client Client
	Table  string
	// Now is the time of writes. Whoever only reads needs none.
	Now func() time.Time

	entries entryMemory // what WrittenSince has read
}

// Workspace implements delivery.Directory with one query, however many destinations the workspace has up to 1 MB of them.
func (d *Directory) Workspace(ctx context.Context, id string) (directory.Workspace, []directory.Destination, error) {
	pages := dynamodb.NewQueryPaginator(d.Client, &dynamodb.QueryInput{
		TableName:                 &d.Table,
		IndexName:                 aws.String(ownerIndex),
		KeyConditionExpression:    aws.String("workspace_id = :id"),
		ExpressionAttributeValues: item{":id": text(id)},
	})
	var workspace directory.Workspace
	var own []directory.Destination
	known := false
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return workspace, nil, fmt.Errorf("query workspace %s: %w", id, err)
		}
		for _, row := range out.Items {
			if strings.HasPrefix(item(row).text(attrPK), workspacePrefix) {
				var err error
				if workspace, err = parseWorkspace(row); err != nil {
					return workspace, nil, err
				}
				known = true
				continue
			}
			dest, err := parseDestination(row)
			if err != nil {
				return workspace, nil, err
			}
			own = append(own, dest)
		}
	}
	if !known {
		return directory.Workspace{}, nil, directory.ErrNotFound
	}
	return workspace, own, nil
}

// Destination implements delivery.Directory. It is read eventually consistent: its answers are remembered for seconds anyway.
func (d *Directory) Destination(ctx context.Context, id string) (directory.Destination, error) {
	return d.destination(ctx, id, false)
}

// CurrentDestination gives a destination as of now, never older, for whoever changes it.
func (d *Directory) CurrentDestination(ctx context.Context, id string) (directory.Destination, error) {
	return d.destination(ctx, id, true)
}

func (d *Directory) destination(ctx context.Context, id string, consistent bool) (directory.Destination, error) {
	out, err := d.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &d.Table, Key: directoryKey(destinationPrefix, id), ConsistentRead: &consistent})
	if err != nil {
		return directory.Destination{}, fmt.Errorf("get destination %s: %w", id, err)
	}
	if out.Item == nil {
		return directory.Destination{}, directory.ErrNotFound
	}
	return parseDestination(out.Item)
}

// CurrentWorkspace gives a workspace as of now, never older, for whoever changes it.
func (d *Directory) CurrentWorkspace(ctx context.Context, id string) (directory.Workspace, error) {
	out, err := d.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &d.Table, Key: directoryKey(workspacePrefix, id), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return directory.Workspace{}, fmt.Errorf("get workspace %s: %w", id, err)
	}
	if out.Item == nil {
		return directory.Workspace{}, directory.ErrNotFound
	}
	return parseWorkspace(out.Item)
}

// PutWorkspace stores a workspace: a new one if its revision is 0, otherwise in place of that same revision of that record, else directory.ErrChanged.
// Its revision is one higher then. What is to be told of it is stored with it, both or neither.
func (d *Directory) PutWorkspace(ctx context.Context, w directory.Workspace, tell ...directory.Outgoing) error {
	condition, values := over(w.Incarnation, w.Revision)
	w.Revision++
	put := types.Put{TableName: &d.Table, Item: workspaceItem(w), ConditionExpression: condition, ExpressionAttributeValues: values}
	written := directory.Written{WorkspaceID: w.ID, Incarnation: w.Incarnation, Revision: w.Revision}
	return d.write(ctx, "put workspace "+w.ID, tell, written, types.TransactWriteItem{Put: &put})
}

// DeleteWorkspace removes that revision of a workspace's record, else directory.ErrChanged, and stores what is to be told of
// it, both or neither. Its destinations stay.
func (d *Directory) DeleteWorkspace(ctx context.Context, w directory.Workspace, tell ...directory.Outgoing) error {
	record := types.Delete{TableName: &d.Table, Key: directoryKey(workspacePrefix, w.ID)}
	record.ConditionExpression, record.ExpressionAttributeValues = over(w.Incarnation, w.Revision)
	written := directory.Written{WorkspaceID: w.ID, Incarnation: w.Incarnation, Removed: true}
	return d.write(ctx, "delete workspace "+w.ID, tell, written, types.TransactWriteItem{Delete: &record})
}

// PutDestination stores a destination: a new one if its revision is 0, otherwise in place of that same revision of that
// record, else directory.ErrChanged. The answer is the stored destination, its revision one higher. What is to be told of
// it is stored with it, both or neither.
func (d *Directory) PutDestination(ctx context.Context, dest directory.Destination, tell ...directory.Outgoing) (directory.Destination, error) {
	condition, values := over(dest.Incarnation, dest.Revision)
	dest.Revision++
	put := types.Put{TableName: &d.Table, Item: destinationItem(dest), ConditionExpression: condition, ExpressionAttributeValues: values}
	writes := []types.TransactWriteItem{{Put: &put}}
	if dest.Revision == 1 {
		writes = append(writes, d.enrol("ADD", dest))
	}
	written := directory.Written{WorkspaceID: dest.WorkspaceID, DestinationID: dest.ID, Incarnation: dest.Incarnation, Revision: dest.Revision}
	if err := d.write(ctx, "put destination "+dest.ID, tell, written, writes...); err != nil {
		return directory.Destination{}, err
	}
	return dest, nil
}

// over is the condition that there is this very record at that revision; 0 that there is none.
func over(incarnation string, revision int) (condition *string, values item) {
	if revision == 0 {
		return aws.String(notThere), nil
	}
	return aws.String("revision = :revision AND incarnation = :incarnation"),
		item{":revision": number(revision), ":incarnation": text(incarnation)}
}

// write stores or removes a record, with its entry among the writes and what is to be told of it.
func (d *Directory) write(ctx context.Context, operation string, tell []directory.Outgoing, w directory.Written, writes ...types.TransactWriteItem) error {
	entry, err := d.entry(ctx, w)
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	return d.together(ctx, operation, tell, append(writes, entry)...)
}

// DeleteDestination removes that revision of a destination's record, credentials included, else directory.ErrChanged, and
// stores what is to be told of it, both or neither.
func (d *Directory) DeleteDestination(ctx context.Context, dest directory.Destination, tell ...directory.Outgoing) error {
	record := types.Delete{TableName: &d.Table, Key: directoryKey(destinationPrefix, dest.ID)}
	record.ConditionExpression, record.ExpressionAttributeValues = over(dest.Incarnation, dest.Revision)
	written := directory.Written{WorkspaceID: dest.WorkspaceID, DestinationID: dest.ID, Incarnation: dest.Incarnation, Removed: true}
	return d.write(ctx, "delete destination "+dest.ID, tell, written, types.TransactWriteItem{Delete: &record}, d.enrol("DELETE", dest))
}

func changed(err error, operation string) error {
	if overtaken(err) {
		return directory.ErrChanged
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// Attention lists the destinations that need it, see directory.Destination.NeedsAttention, as of a moment ago.
func (d *Directory) Attention(ctx context.Context) iter.Seq2[directory.Destination, error] {
	return func(yield func(directory.Destination, error) bool) {
		for shard := range attentionShards {
			for row, err := range d.attention(ctx, strconv.Itoa(shard)) {
				if err != nil {
					yield(directory.Destination{}, err)
					return
				}
				dest, err := parseDestination(row)
				if !yield(dest, err) || err != nil {
					return
				}
			}
		}
	}
}
