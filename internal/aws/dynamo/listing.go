package dynamo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// The index listed holds the keys of workspaces and of destinations, by id, and nothing of what else is in the table, of which TTL leaves millions
// behind. A record stands in it under one key all its life, so that it costs a write only when the record is made or removed, or gets another parent.
const (
	listedIndex        = "listed"
	attrListed         = "listed"
	listedWorkspaces   = "workspaces"
	listedDestinations = "destinations"
)

// WorkspacesAfter implements admin.Listing.
func (d *Directory) WorkspacesAfter(ctx context.Context, after string, limit int) ([]directory.Workspace, error) {
	return listRecords(ctx, d, listedWorkspaces, workspacePrefix, after, limit, parseWorkspace)
}

// DestinationsAfter implements admin.Listing.
func (d *Directory) DestinationsAfter(ctx context.Context, after string, limit int) ([]directory.Destination, error) {
	return listRecords(ctx, d, listedDestinations, destinationPrefix, after, limit, parseDestination)
}

// Child implements admin.Listing.
func (d *Directory) Child(ctx context.Context, parent string) (string, error) {
	pages := dynamodb.NewQueryPaginator(d.Client, &dynamodb.QueryInput{
		TableName: &d.Table, IndexName: aws.String(listedIndex), KeyConditionExpression: aws.String("listed = :kind"),
		FilterExpression: aws.String("parent_id = :parent"), ExpressionAttributeValues: item{":kind": text(listedWorkspaces), ":parent": text(parent)},
	})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("look for children of workspace %s: %w", parent, err)
		}
		if len(out.Items) > 0 {
			return item(out.Items[0]).id(), nil
		}
	}
	return "", nil
}

// listRecords reads keys from the index and then their records from the table. A record that was removed a moment ago may still have its key there, so it
// reads on until the page is full.
func listRecords[T any](ctx context.Context, d *Directory, kind, prefix, after string, limit int, parse func(item) (T, error)) ([]T, error) {
	found := make([]T, 0)
	for len(found) < limit {
		want := limit - len(found)
		keys, err := d.listedKeys(ctx, kind, prefix+after, want)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", kind, err)
		}
		records, err := readAll(ctx, d.Client, d.Table, keys, true)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", kind, err)
		}
		slices.SortFunc(records, func(a, b item) int { return strings.Compare(a.text(attrPK), b.text(attrPK)) })
		for _, row := range records {
			record, err := parse(row)
			if err != nil {
				return nil, err
			}
			found = append(found, record)
		}
		if len(keys) < want {
			break
		}
		after = keys[len(keys)-1].id()
	}
	return found, nil
}

// listedKeys gives up to limit keys of the index that come after the given one.
func (d *Directory) listedKeys(ctx context.Context, kind, after string, limit int) ([]item, error) {
	var keys []item
	pages := dynamodb.NewQueryPaginator(d.Client, &dynamodb.QueryInput{
		TableName: &d.Table, IndexName: aws.String(listedIndex), KeyConditionExpression: aws.String("listed = :kind AND pk > :after"),
		ProjectionExpression: aws.String(attrPK), Limit: aws.Int32(int32(limit)), ExpressionAttributeValues: item{":kind": text(kind), ":after": text(after)},
	})
	for pages.HasMorePages() && len(keys) < limit {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("query the index: %w", err)
		}
		for _, row := range out.Items {
			keys = append(keys, row)
		}
	}
	return keys[:min(limit, len(keys))], nil
}
