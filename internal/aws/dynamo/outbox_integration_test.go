//go:build integration

package dynamo

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// TestOutgoing stores what is to be told with each kind of change, both or neither, and lists and removes it.
func TestOutgoing(t *testing.T) {
	everyServer(t, func(t *testing.T, client *dynamodb.Client) {
		d := &Directory{Client: client, Table: createDirectory(t, client), Now: time.Now}
		at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
		outgoing := func(id string) directory.Outgoing {
			return directory.Outgoing{
				ID: id, At: at, Log: &events.Log{ID: id, WorkspaceID: "acme", Type: events.UserActivity, OccurredAt: at, Payload: json.RawMessage(`{"event":"x"}`)},
				Event: &events.Announcement{DetailType: events.DestinationChanged, Detail: json.RawMessage(`{"version":1}`), At: at},
			}
		}
		event := directory.Outgoing{ID: "health", At: at, Event: outgoing("x").Event}
		dest := directory.Destination{ID: "siem", WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Connected}
		check := func(step string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", step, err, want)
			}
		}
		check("put a workspace", d.PutWorkspace(t.Context(), directory.Workspace{ID: "acme"}, outgoing("a")), nil)
		stored, err := d.PutDestination(t.Context(), dest, outgoing("b"), event)
		check("create a destination", err, nil)
		_, err = d.PutDestination(t.Context(), dest, outgoing("never"))
		check("create it again", err, directory.ErrChanged)
		check("delete another revision", d.DeleteDestination(t.Context(), directory.Destination{ID: "siem", Revision: 7}, outgoing("never")), directory.ErrChanged)
		check("delete it", d.DeleteDestination(t.Context(), stored, outgoing("c")), nil)
		check("delete the workspace", d.DeleteWorkspace(t.Context(), directory.Workspace{ID: "acme", Revision: 1}, outgoing("d")), nil)
		check("keep", d.Keep(t.Context(), outgoing("e")), nil)
		for range 2 { // the second time it is gone already
			check("told", d.Told(t.Context(), "d"), nil)
		}

		var got []directory.Outgoing
		for o, err := range d.Outgoing(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, o)
		}
		want := []directory.Outgoing{outgoing("a"), outgoing("b"), outgoing("c"), outgoing("e"), event}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("what is to be told (-want +got):\n%s", diff)
		}
		for dest, err := range d.Attention(t.Context()) {
			t.Errorf("a destination needs attention: %+v, %v", dest, err)
		}
	})
}
