package dynamo

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// attentive plays the directory table with the index attention.
type attentive struct {
	mu   sync.Mutex
	rows map[string]map[string]any // by pk
}

func (a *attentive) answer(operation string, request map[string]any) (string, string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	value := func(from any, name string) string {
		m, _ := from.(map[string]any)[name].(map[string]any)
		s, _ := m["S"].(string)
		return s
	}
	switch operation {
	case "PutItem":
		row, _ := request["Item"].(map[string]any)
		a.rows[value(row, "pk")] = row
		return "", ""
	case "Query":
		found := []map[string]any{}
		for _, pk := range slices.Sorted(maps.Keys(a.rows)) {
			if shard := value(a.rows[pk], "attention"); shard != "" && shard == value(request["ExpressionAttributeValues"], ":key") {
				found = append(found, a.rows[pk])
			}
		}
		text, err := json.Marshal(map[string]any{"Items": found})
		if err != nil {
			panic("dynamo: rows are no JSON: " + err.Error())
		}
		return string(text), ""
	}
	return "", "ValidationException"
}

// TestAttentionIsSpread lists 1,600 failing destinations among healthy ones, and holds that none of the index's partitions takes more than a share
// of the writes.
func TestAttentionIsSpread(t *testing.T) {
	const failing = 1600
	table := &attentive{rows: make(map[string]map[string]any)}
	d := &Directory{Client: (&service{answer: table.answer}).client(), Table: "directory", Now: time.Now}
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
