package porttest

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// Directory is the suite of delivery.Directory. Open makes one into which exactly these workspaces and destinations
// were put, each once.
func Directory(t *testing.T, open func(*testing.T, []directory.Workspace, []directory.Destination) delivery.Directory) {
	full := directory.Workspace{
		ID: "ws-full", Name: "Ächme & <Söhne>", Kind: directory.EmbeddedCustomer, ParentID: "ws-bare",
		Admins: []string{"b@example.com", "a@example.com"}, ErrorRecipients: []string{"ops@example.com"}, ExternalID: "EXT7",
	}
	bare := directory.Workspace{ID: "ws-bare", Kind: directory.EmbeddedPartner}
	rich := directory.Destination{
		ID: "dest-a", Name: "Archive", WorkspaceID: full.ID, Kind: directory.S3, Shared: true, LogTypes: []string{"job_summary", "job_details"},
		Settings: json.RawMessage(`{"bucket":"b", "region":"eu-west-1"}`), ExternalID: full.ExternalID, State: directory.Disconnected, Generation: 3, StateSince: accepted,
		Health: directory.Health{State: directory.Failing, Since: accepted.Add(time.Hour), Code: "s3.refused", Answer: "HTTP 403 QuotaExceeded"}, Version: 7,
		Draining: true, LastLook: true, OpenedAt: accepted.Add(2 * time.Hour),
	}
	rich.Farewell = "activity-1"
	plain := directory.Destination{
		ID: "dest-b", WorkspaceID: full.ID, Kind: directory.HTTP, Settings: json.RawMessage(`{}`), State: directory.Connected,
		Health: directory.Health{State: directory.Healthy}, Version: 1,
	}
	orphan := plain
	orphan.ID, orphan.WorkspaceID = "dest-c", "ws-unknown"
	d := open(t, []directory.Workspace{full, bare}, []directory.Destination{plain, rich, orphan})
	for _, stored := range []*directory.Destination{&plain, &rich, &orphan} {
		stored.Revision = 1
	}
	full.Revision, bare.Revision = 1, 1

	workspaces := map[string]struct {
		id   string
		want directory.Workspace
		own  []directory.Destination
		err  error
	}{
		"with destinations, in the order of their ids": {id: full.ID, want: full, own: []directory.Destination{rich, plain}},
		"without destinations":                         {id: bare.ID, want: bare},
		"unknown":                                      {id: "ws-none", err: directory.ErrNotFound},
		"unknown, with a destination":                  {id: orphan.WorkspaceID, err: directory.ErrNotFound},
		"an id of a destination":                       {id: plain.ID, err: directory.ErrNotFound},
	}
	for name, test := range workspaces {
		for how, ask := range map[string]func() (directory.Workspace, []directory.Destination, error){
			"": func() (directory.Workspace, []directory.Destination, error) { return d.Workspace(t.Context(), test.id) },
			", as of now": func() (directory.Workspace, []directory.Destination, error) {
				return d.WorkspaceSince(t.Context(), test.id, time.Now())
			},
		} {
			t.Run("workspace "+name+how, func(t *testing.T) {
				got, own, err := ask()
				if !errors.Is(err, test.err) {
					t.Fatalf("error %v, want %v", err, test.err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("the workspace differs (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.own, own); diff != "" {
					t.Errorf("its destinations differ (-want +got):\n%s", diff)
				}
			})
		}
	}
	for _, want := range []directory.Destination{rich, plain, orphan} {
		t.Run("destination "+want.ID, func(t *testing.T) {
			got, err := d.Destination(t.Context(), want.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the destination differs (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("destination unknown", func(t *testing.T) {
		if _, err := d.Destination(t.Context(), full.ID); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("error %v, want %v", err, directory.ErrNotFound)
		}
	})
}
