package failure

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/errors.md from the catalogue")

func TestErrorsPageIsCurrent(t *testing.T) {
	const page = "../../docs/errors.md"
	if *update {
		if err := os.WriteFile(page, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Markdown(), string(got)); diff != "" {
		t.Errorf("docs/errors.md is not what the catalogue says; run make docs (-catalogue +page):\n%s", diff)
	}
}

func TestErrorsPageHasEveryCodeUnderItsAnchor(t *testing.T) {
	page := Markdown()
	for _, e := range Catalogue() {
		if n := strings.Count(page, `<a id="`+string(e.Code)+`"></a>`); n != 1 {
			t.Errorf("%s has %d anchors", e.Code, n)
		}
		for _, text := range []string{e.Description, e.Guidance, e.Status} {
			if !strings.Contains(page, text) {
				t.Errorf("%s: %q is missing", e.Code, text)
			}
		}
	}
	if n := strings.Count(page, "\n## "); n != 6 {
		t.Errorf("%d kinds have a section; the catalogue's kinds must stand together", n)
	}
}
