package console

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// TestPicturesAreCurrent compares what the documentation's pictures of the console were taken of with what is there now. A browser draws no two
// pictures alike, so their sources are held, and the pictures as they were taken.
func TestPicturesAreCurrent(t *testing.T) {
	const root = "../../../"
	record, err := os.ReadFile(root + "docs/images/console.sha256")
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, pattern := range []string{
		"internal/local/console/templates/*", "internal/local/console/assets/*", "internal/local/browser/pictures.mjs", "internal/local/browser/stage.mjs",
		"docs/images/console*.png",
	} {
		found, err := filepath.Glob(root + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	var now strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&now, "%x  %s\n", sha256.Sum256(text), filepath.ToSlash(strings.TrimPrefix(path, root)))
	}
	if diff := cmp.Diff(string(record), now.String()); diff != "" {
		t.Errorf("the pictures of the console are stale; look at the pages and run make pictures (-taken of +now):\n%s", diff)
	}
}

func TestEveryKindHasAName(t *testing.T) {
	for _, kind := range directory.Kinds() {
		if kindName(kind) == string(kind) {
			t.Errorf("%s has no name", kind)
		}
	}
}
