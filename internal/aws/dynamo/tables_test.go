package dynamo

import (
	"strings"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/aws/dynamo/dynamotest"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/delivery/porttest"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
	noticetest "github.com/auditrelay/auditrelay/internal/notice/porttest"
)

// tables are new ones in memory, as they are in an account.
func tables() dynamotest.Client {
	t := &dynamotest.Tables{Now: time.Now}
	t.Create(dynamotest.Deliveries())
	t.Create(dynamotest.Directory())
	return dynamotest.Client{Tables: t}
}

func cacheInMemory(t *testing.T) *Cache {
	t.Helper()
	c, err := NewCache(tables(), "deliveries", &bucket{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPortsOverTablesInMemory holds the adapter, and the tables under it, against the suites that also run against emulators.
func TestPortsOverTablesInMemory(t *testing.T) {
	open := func(t *testing.T) porttest.Store { return cacheInMemory(t) }
	t.Run("cache", func(t *testing.T) { porttest.Cache(t, open) })
	t.Run("index", func(t *testing.T) { porttest.Index(t, open) })
	t.Run("receipts", func(t *testing.T) {
		porttest.Receipts(t, func(t *testing.T) delivery.Receipts { return cacheInMemory(t) })
	})
	t.Run("failed events", func(t *testing.T) {
		porttest.FailedEvents(t, func(t *testing.T) porttest.FailedStore {
			c := cacheInMemory(t)
			return porttest.FailedStore{Store: c, Recorded: func(t *testing.T) []delivery.FailedEvent { return recorded(t, c) }}
		})
	})
	t.Run("lists", func(t *testing.T) {
		porttest.Lists(t, func(t *testing.T) porttest.ListedStore { return cacheInMemory(t) })
	})
	t.Run("directory", func(t *testing.T) {
		porttest.Directory(t, func(t *testing.T, ws []directory.Workspace, ds []directory.Destination) delivery.Directory {
			d := &Directory{Client: tables(), Table: "directory", Now: time.Now}
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
		})
	})
	t.Run("writes", func(t *testing.T) {
		porttest.Writes(t, func(t *testing.T, now func() time.Time) porttest.WrittenStore {
			return &Directory{Client: tables(), Table: "directory", Now: now}
		})
	})
	t.Run("claims", func(t *testing.T) {
		noticetest.Claims(t, func(t *testing.T) notice.Claims { return &Claims{Client: tables(), Table: "directory"} })
	})
}

func recorded(t *testing.T, c *Cache) []delivery.FailedEvent {
	t.Helper()
	memory, ok := c.client.(dynamotest.Client)
	if !ok {
		t.Fatal("not in memory")
	}
	var all []delivery.FailedEvent
	for _, row := range memory.Tables.Items(c.table) {
		if !strings.HasPrefix(item(row).text(attrPK), failedPrefix) {
			continue
		}
		e, err := parseFailed(row)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}
