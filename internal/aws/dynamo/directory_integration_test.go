//go:build integration

package dynamo

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery/porttest"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// TestDestinationsChangeOneByOne shows that of two who change a destination at once, one wins and the other is told.
func TestDestinationsChangeOneByOne(t *testing.T) {
	everyServer(t, func(t *testing.T, client *dynamodb.Client) {
		d := &Directory{Client: client, Table: createDirectory(t, client), Now: time.Now}
		fresh := directory.Destination{ID: "dest-1", Name: "one", WorkspaceID: "ws-1", Kind: directory.HTTP, State: directory.Connected, Version: 1}
		put := func(step string, dest directory.Destination, want error) directory.Destination {
			t.Helper()
			got, err := d.PutDestination(t.Context(), dest)
			if !errors.Is(err, want) {
				t.Errorf("%s: error %v, want %v", step, err, want)
			}
			return got
		}
		first := put("create", fresh, nil)
		put("create again", fresh, directory.ErrChanged)
		mine, yours := first, first
		mine.Name, mine.Health.Refused, yours.Name = "mine", directory.Refusals{Since: time.UnixMilli(1).UTC(), Logs: 2, Code: failure.HTTPLogRefused}, "yours"
		mine = put("change", mine, nil)
		put("change what was changed", yours, directory.ErrChanged)
		got, err := d.CurrentDestination(t.Context(), "dest-1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(mine, got); diff != "" {
			t.Errorf("the destination differs (-want +got):\n%s", diff)
		}
		if err := d.DeleteDestination(t.Context(), first); !errors.Is(err, directory.ErrChanged) {
			t.Errorf("delete an old revision: %v, want %v", err, directory.ErrChanged)
		}
		if err := d.DeleteDestination(t.Context(), mine); err != nil {
			t.Errorf("delete: %v", err)
		}
		put("change what is gone", mine, directory.ErrChanged)
		if _, err := d.CurrentDestination(t.Context(), "dest-1"); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("after its deletion: %v, want %v", err, directory.ErrNotFound)
		}
	})
}

func TestWrites(t *testing.T) {
	everyServer(t, func(t *testing.T, client *dynamodb.Client) {
		porttest.Writes(t, func(t *testing.T, now func() time.Time) porttest.WrittenStore {
			return &Directory{Client: client, Table: createDirectory(t, client), Now: now}
		})
	})
}

func TestWorkspacesChangeOneByOne(t *testing.T) {
	everyServer(t, func(t *testing.T, client *dynamodb.Client) {
		d := &Directory{Client: client, Table: createDirectory(t, client), Now: time.Now}
		for _, id := range []string{"b", "a", "c"} {
			if err := d.PutWorkspace(t.Context(), directory.Workspace{ID: "ws-" + id, Kind: directory.Standalone}); err != nil {
				t.Fatal(err)
			}
			if _, err := d.PutDestination(t.Context(), directory.Destination{ID: "dest-" + id, WorkspaceID: "ws-a"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.PutWorkspace(t.Context(), directory.Workspace{ID: "ws-a", Kind: directory.AHQAdmin}); !errors.Is(err, directory.ErrChanged) {
			t.Errorf("create what is there: %v, want %v", err, directory.ErrChanged)
		}
		if err := d.PutWorkspace(t.Context(), directory.Workspace{ID: "ws-c", Kind: directory.AHQAdmin, Revision: 1}); err != nil {
			t.Errorf("replace: %v", err)
		}
		for _, step := range []struct {
			revision int
			want     error
		}{{1, directory.ErrChanged}, {2, nil}, {2, directory.ErrChanged}} { // an old one, the current one, and it is gone
			if err := d.DeleteWorkspace(t.Context(), directory.Workspace{ID: "ws-c", Revision: step.revision}); !errors.Is(err, step.want) {
				t.Errorf("delete revision %d: %v, want %v", step.revision, err, step.want)
			}
		}
		if w, err := d.CurrentWorkspace(t.Context(), "ws-b"); err != nil || w.Revision != 1 {
			t.Errorf("ws-b is %+v, error %v", w, err)
		}
	})
}

func TestListingOnServers(t *testing.T) {
	everyServer(t, func(t *testing.T, client *dynamodb.Client) {
		testListing(t, &Directory{Client: client, Table: createDirectory(t, client), Now: time.Now})
	})
}
