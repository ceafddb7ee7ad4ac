package local_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/local"
)

// A workspace of the file has the external id that stands there, or a random one of this start; its S3 destinations carry it.
func TestWorkspacesOfTheFileHaveExternalIDs(t *testing.T) {
	const file = `workspaces:
  - {id: named, kind: standalone, external_id: EXT-7}
  - {id: unnamed, kind: standalone}
destinations:
  - {id: a, workspace_id: named, kind: s3, settings: &s3 {bucket: audit-logs, region: eu-central-1, role_arn: "arn:aws:iam::222222222222:role/auditrelay-writer"}}
  - {id: b, workspace_id: unnamed, kind: s3, settings: *s3}
  - {id: c, workspace_id: named, kind: http, settings: {url: "https://siem.example"}}
`
	d, err := local.ParseFile("f.yaml", []byte(file), local.Network())
	if err != nil {
		t.Fatal(err)
	}
	random := make(map[string]bool)
	for range 2 {
		w := local.NewWorld(time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC), nil)
		if err := w.Apply(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		unnamed, err := w.Directory.CurrentWorkspace(t.Context(), "unnamed")
		if err != nil || len(unnamed.ExternalID) < 20 {
			t.Fatalf("the workspace without one has %q (%v)", unnamed.ExternalID, err)
		}
		random[unnamed.ExternalID] = true
		got := make(map[string]string)
		for dest, err := range w.Directory.Destinations(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got[dest.ID] = dest.ExternalID
		}
		if diff := cmp.Diff(map[string]string{"a": "EXT-7", "b": unnamed.ExternalID, "c": ""}, got); diff != "" {
			t.Errorf("external ids of the destinations (-want +got):\n%s", diff)
		}
	}
	if len(random) != 2 {
		t.Errorf("two starts gave the workspace the same external id %v", random)
	}
}
