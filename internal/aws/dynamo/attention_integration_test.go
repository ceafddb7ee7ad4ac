//go:build integration

package dynamo

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// TestAttentionFollowsTheRecord has destinations fail and recover: the index shows those that need attention, of all its partitions.
func TestAttentionFollowsTheRecord(t *testing.T) {
	everyServer(t, func(t *testing.T, client *dynamodb.Client) {
		d := &Directory{Client: client, Table: createDirectory(t, client), Now: time.Now}
		var want, after []string
		for i := range 40 {
			dest := directory.Destination{ID: fmt.Sprintf("dest-%02d", i), WorkspaceID: "ws", State: directory.Connected, Draining: true}
			dest, err := d.PutDestination(t.Context(), dest)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, dest.ID)
			if i%2 == 0 {
				after = append(after, dest.ID)
			}
		}
		list := func(want []string) {
			t.Helper()
			var got []string
			for dest, err := range d.Attention(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, dest.ID)
			}
			slices.Sort(got)
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("destinations differ (-want +got):\n%s", diff)
			}
		}
		list(want)
		for i := 1; i < 40; i += 2 {
			dest := directory.Destination{ID: fmt.Sprintf("dest-%02d", i), WorkspaceID: "ws", State: directory.Connected, Revision: 1}
			if _, err := d.PutDestination(t.Context(), dest); err != nil {
				t.Fatal(err)
			}
		}
		list(after)
	})
}
