package dynamo

import (
	"context"
	"errors"
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
	Client *dynamodb.Client
	Table  string
	// Now is the time of writes. Whoever only reads needs none.
	Now func() time.Time
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
				workspace, known = parseWorkspace(row), true
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

// PutWorkspace stores a workspace, new or not.
func (d *Directory) PutWorkspace(ctx context.Context, w directory.Workspace) error {
	i := workspaceItem(w)
	i.setWritten(d.Now())
	if _, err := d.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &d.Table, Item: i}); err != nil {
		return fmt.Errorf("put workspace %s: %w", w.ID, err)
	}
	return nil
}

// DeleteWorkspace removes a workspace. One that is not there is no error. Its destinations stay.
func (d *Directory) DeleteWorkspace(ctx context.Context, id string) error {
	key := directoryKey(workspacePrefix, id)
	if err := d.remove(ctx, &types.Delete{TableName: &d.Table, Key: key}, id); err != nil {
		return fmt.Errorf("delete workspace %s: %w", id, err)
	}
	return nil
}

// PutDestination stores a destination: a new one if its revision is 0, otherwise in place of that same revision, else directory.ErrChanged. The
// answer is the stored destination, its revision one higher.
func (d *Directory) PutDestination(ctx context.Context, dest directory.Destination) (directory.Destination, error) {
	in := &dynamodb.PutItemInput{TableName: &d.Table, ConditionExpression: aws.String(notThere)}
	if dest.Revision > 0 {
		in.ConditionExpression = aws.String("revision = :revision")
		in.ExpressionAttributeValues = item{":revision": number(dest.Revision)}
	}
	dest.Revision++
	i := destinationItem(dest)
	i.setWritten(d.Now())
	in.Item = i
	if _, err := d.Client.PutItem(ctx, in); err != nil {
		return directory.Destination{}, changed(err, "put destination "+dest.ID)
	}
	return dest, nil
}

// DeleteDestination removes that revision of a destination, else directory.ErrChanged.
func (d *Directory) DeleteDestination(ctx context.Context, id string, revision int) error {
	dest, err := d.CurrentDestination(ctx, id)
	if errors.Is(err, directory.ErrNotFound) {
		return directory.ErrChanged
	}
	if err != nil {
		return err
	}
	err = d.remove(ctx, &types.Delete{
		TableName:                 &d.Table,
		Key:                       directoryKey(destinationPrefix, id),
		ConditionExpression:       aws.String("revision = :revision"),
		ExpressionAttributeValues: item{":revision": number(revision)},
	}, dest.WorkspaceID)
	if canceled, ok := errors.AsType[*types.TransactionCanceledException](err); ok && aws.ToString(canceled.CancellationReasons[0].Code) == "ConditionalCheckFailed" {
		return directory.ErrChanged
	}
	if err != nil {
		return fmt.Errorf("delete destination %s: %w", id, err)
	}
	return nil
}

func changed(err error, operation string) error {
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return directory.ErrChanged
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// Attention lists the destinations that need it, see directory.Destination.NeedsAttention, as of a moment ago.
func (d *Directory) Attention(ctx context.Context) iter.Seq2[directory.Destination, error] {
	return func(yield func(directory.Destination, error) bool) {
		for shard := range attentionShards {
			for dest, err := range d.attention(ctx, strconv.Itoa(shard)) {
				if !yield(dest, err) || err != nil {
					return
				}
			}
		}
	}
}

// attention lists one partition of the index.
func (d *Directory) attention(ctx context.Context, shard string) iter.Seq2[directory.Destination, error] {
	return func(yield func(directory.Destination, error) bool) {
		pages := dynamodb.NewQueryPaginator(d.Client, &dynamodb.QueryInput{
			TableName:                 &d.Table,
			IndexName:                 aws.String(attentionIndex),
			KeyConditionExpression:    aws.String("attention = :shard"),
			ExpressionAttributeValues: item{":shard": text(shard)},
		})
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			if err != nil {
				yield(directory.Destination{}, fmt.Errorf("query the destinations that need attention: %w", err))
				return
			}
			for _, row := range out.Items {
				dest, err := parseDestination(row)
				if !yield(dest, err) || err != nil {
					return
				}
			}
		}
	}
}

// Workspaces lists all workspaces, in no particular order.
func (d *Directory) Workspaces(ctx context.Context) iter.Seq2[directory.Workspace, error] {
	return func(yield func(directory.Workspace, error) bool) {
		for row, err := range d.scan(ctx, workspacePrefix) {
			if err != nil {
				yield(directory.Workspace{}, err)
				return
			}
			if !yield(parseWorkspace(row), nil) {
				return
			}
		}
	}
}

// Destinations lists all destinations, in no particular order.
func (d *Directory) Destinations(ctx context.Context) iter.Seq2[directory.Destination, error] {
	return func(yield func(directory.Destination, error) bool) {
		for row, err := range d.scan(ctx, destinationPrefix) {
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

// scan reads the whole table, for people's questions, not for logs.
func (d *Directory) scan(ctx context.Context, prefix string) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		pages := dynamodb.NewScanPaginator(d.Client, &dynamodb.ScanInput{
			TableName:                 &d.Table,
			FilterExpression:          aws.String("begins_with(pk, :prefix)"),
			ExpressionAttributeValues: item{":prefix": text(prefix)},
		})
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			if err != nil {
				yield(nil, fmt.Errorf("scan the directory: %w", err))
				return
			}
			for _, row := range out.Items {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}
