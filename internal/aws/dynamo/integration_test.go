//go:build integration

package dynamo

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/aws/emulator"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/delivery/porttest"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// everyServer runs a test against each DynamoDB server.
func everyServer(t *testing.T, test func(t *testing.T, client *dynamodb.Client)) {
	eachServer(t, func(t *testing.T, _ emulator.Server, client *dynamodb.Client) { test(t, client) })
}

// eachServer says which server it is, for tests that know its deviations.
func eachServer(t *testing.T, test func(t *testing.T, s emulator.Server, client *dynamodb.Client)) {
	for _, s := range []emulator.Server{emulator.DynamoDBLocal, emulator.Moto} {
		t.Run(string(s), func(t *testing.T) {
			t.Parallel()
			test(t, s, dynamodb.NewFromConfig(emulator.Start(t, s)))
		})
	}
}

func TestPorts(t *testing.T) {
	// moto looks at a condition and then writes, and lets another request in between.
	deviations := map[emulator.Server][]string{emulator.Moto: {porttest.TwoWriters}}
	eachServer(t, func(t *testing.T, s emulator.Server, client *dynamodb.Client) {
		open := func(t *testing.T) porttest.Store { return openCache(t, client) }
		t.Run("cache", func(t *testing.T) { porttest.Cache(t, open, deviations[s]...) })
		t.Run("index", func(t *testing.T) { porttest.Index(t, open) })
		t.Run("receipts", func(t *testing.T) {
			porttest.Receipts(t, func(t *testing.T) delivery.Receipts { return openCache(t, client) })
		})
		t.Run("drains", func(t *testing.T) {
			porttest.Drains(t, func(t *testing.T) delivery.DrainProgress { return openCache(t, client) })
		})
		t.Run("turns", func(t *testing.T) {
			porttest.Turns(t, func(t *testing.T) delivery.TurnProgress { return openCache(t, client) })
		})
		t.Run("budget", func(t *testing.T) {
			porttest.Budget(t, func(t *testing.T) delivery.Budget { return &Budget{Client: client, Table: createDirectory(t, client)} })
		})
		t.Run("failed events", func(t *testing.T) {
			porttest.FailedEvents(t, func(t *testing.T) porttest.FailedStore {
				c := openCache(t, client)
				return porttest.FailedStore{Store: c, Recorded: func(t *testing.T) []delivery.FailedEvent { return failedEvents(t, c) }}
			})
		})
		t.Run("lists", func(t *testing.T) {
			porttest.Lists(t, func(t *testing.T) porttest.ListedStore { return openCache(t, client) })
		})
		t.Run("directory", func(t *testing.T) { porttest.Directory(t, openDirectory(client)) })
	})
}

func openCache(t *testing.T, client *dynamodb.Client) *Cache {
	t.Helper()
	c, err := NewCache(client, createDeliveries(t, client), &bucket{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func openDirectory(client *dynamodb.Client) func(*testing.T, []directory.Workspace, []directory.Destination) delivery.Directory {
	return func(t *testing.T, ws []directory.Workspace, ds []directory.Destination) delivery.Directory {
		d := &Directory{Client: client, Table: createDirectory(t, client), Now: time.Now}
		for _, w := range ws {
			if err := d.PutWorkspace(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
		for _, dest := range ds {
			if _, err := d.PutDestination(t.Context(), dest); err != nil {
				t.Fatal(err)
			}
		}
		return d
	}
}

func failedEvents(t *testing.T, c *Cache) []delivery.FailedEvent {
	t.Helper()
	var all []delivery.FailedEvent
	client, ok := c.client.(*dynamodb.Client)
	if !ok {
		t.Fatal("no client of a server")
	}
	pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: &c.table})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range out.Items {
			if !strings.HasPrefix(item(row).text(attrPK), failedPrefix) {
				continue
			}
			e, err := parseFailed(row)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
	}
	return all
}

func createDeliveries(t *testing.T, client *dynamodb.Client) string {
	return createTable(t, client, &dynamodb.CreateTableInput{
		KeySchema:            []types.KeySchemaElement{hashKey("pk"), rangeKey("sk")},
		AttributeDefinitions: []types.AttributeDefinition{defined("pk", "S"), defined("sk", "S"), defined("ds", "N"), defined("du", "N")},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName:  aws.String("due"),
			KeySchema:  []types.KeySchemaElement{hashKey("ds"), rangeKey("du")},
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"rd"}},
		}},
	})
}

func createDirectory(t *testing.T, client *dynamodb.Client) string {
	return createTable(t, client, &dynamodb.CreateTableInput{
		KeySchema: []types.KeySchemaElement{hashKey("pk")},
		AttributeDefinitions: []types.AttributeDefinition{
			defined("pk", "S"), defined("workspace_id", "S"), defined("attention", "S"), defined("listed", "S"),
		},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{directoryIndex("owner", "workspace_id"), directoryIndex("attention", "attention"), {
			IndexName:  aws.String("listed"),
			KeySchema:  []types.KeySchemaElement{hashKey("listed"), rangeKey("pk")},
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"parent_id"}},
		}},
	})
}

func directoryIndex(name, hash string) types.GlobalSecondaryIndex {
	return types.GlobalSecondaryIndex{
		IndexName: &name, KeySchema: []types.KeySchemaElement{hashKey(hash), rangeKey("pk")}, Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
	}
}

func createTable(t *testing.T, client *dynamodb.Client, in *dynamodb.CreateTableInput) string {
	t.Helper()
	in.TableName = aws.String("t-" + rand.Text())
	in.BillingMode = types.BillingModePayPerRequest
	if _, err := client.CreateTable(t.Context(), in); err != nil {
		t.Fatalf("create a table: %v", err)
	}
	t.Cleanup(func() {
		_, _ = client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: in.TableName})
	})
	return *in.TableName
}

func hashKey(name string) types.KeySchemaElement {
	return types.KeySchemaElement{AttributeName: &name, KeyType: types.KeyTypeHash}
}

func rangeKey(name string) types.KeySchemaElement {
	return types.KeySchemaElement{AttributeName: &name, KeyType: types.KeyTypeRange}
}

func defined(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
	return types.AttributeDefinition{AttributeName: &name, AttributeType: kind}
}
