package dynamo

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// TestAttentionIsSpread lists 1,600 failing destinations among healthy ones, and holds that none of the index's partitions takes more than a share
// of the writes.
func TestAttentionIsSpread(t *testing.T) {
	const failing = 1600
	d := &Directory{Client: tables(), Table: "directory", Now: time.Now}
	var want []string
	shards := make(map[string]int)
	for i := range failing + 100 {
		dest := directory.Destination{ID: fmt.Sprintf("dest-%04d", i), WorkspaceID: "ws", Kind: directory.HTTP, State: directory.Connected}
		if i < failing {
			dest.Health.State = directory.Failing
			want = append(want, dest.ID)
		}
		if _, err := d.PutDestination(t.Context(), dest); err != nil {
			t.Fatal(err)
		}
		if key := destinationItem(dest).text("attention"); key != "" {
			shards[key]++
		}
	}
	var got []string
	for dest, err := range d.Attention(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, dest.ID)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the destinations that need attention differ (-want +got):\n%s", diff)
	}
	if most := slices.Max(slices.Collect(maps.Values(shards))); len(shards) != attentionShards || most > 2*failing/attentionShards {
		t.Errorf("%d partitions, the fullest with %d of %d", len(shards), most, failing)
	}
}
