package admin_test

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/admin"
)

var update = flag.Bool("update", false, "write docs/openapi.json from the Go types")

func TestDocumentIsCurrent(t *testing.T) {
	const page = "../../docs/openapi.json"
	want, err := admin.Document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(page, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/openapi.json is not what the Go types say; run make docs (-types +page):\n%.4000s", diff)
	}
}
