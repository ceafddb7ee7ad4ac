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

func TestErrorsOfDestinationPagesAreCurrent(t *testing.T) {
	const begin, end = "<!-- errors -->\n", "<!-- /errors -->"
	for page, kind := range map[string]string{"s3": "S3", "http": "HTTP", "azure_monitor": "Azure Monitor", "azure_blob": "Azure Blob", "gcs": "Google Cloud Storage"} {
		path := "../../docs/destinations/" + page + ".md"
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, opened := strings.Cut(string(text), begin)
		_, after, closed := strings.Cut(rest, end)
		if !opened || !closed {
			t.Fatalf("%s has no place for errors between %s and %s", path, begin, end)
		}
		want := before + begin + Table(kind) + end + after
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(want, string(text)); diff != "" {
			t.Errorf("%s is not what the catalogue says; run make docs (-catalogue +page):\n%s", path, diff)
		}
		if n := strings.Count(Table(kind), "\n| "); n < 4 {
			t.Errorf("%s: %d errors; is %q a kind of the catalogue?", path, n, kind)
		}
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
