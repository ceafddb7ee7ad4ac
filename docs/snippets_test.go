// Package docs holds the tests of the documentation: every block of code in it is executed, compiled or parsed here, or says which account it needs.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the repository, from here.
const root = ".."

// snippet is a fenced block of code.
type snippet struct {
	page     string // from the repository's root
	line     int    // of its first line
	language string
	text     string
	// account is what a mark before the block says it needs: "an AWS account"; empty without a mark.
	account string
}

// mark stands in the line before a block that cannot be executed here.
var mark = regexp.MustCompile(`^<!-- needs (an? .+ account) -->$`)

// pages are all that is written for readers.
func pages(t *testing.T) []string {
	t.Helper()
	list := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			list = append(list, "docs/"+filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func read(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// snippets are the blocks of a page, in their order.
func snippets(t *testing.T, page string) []snippet {
	t.Helper()
	var list []snippet
	var open *snippet
	before := ""
	for i, line := range strings.Split(read(t, page), "\n") {
		switch {
		case open == nil && strings.HasPrefix(line, "```"):
			open = &snippet{page: page, line: i + 2, language: strings.TrimPrefix(line, "```")}
			if m := mark.FindStringSubmatch(before); m != nil {
				open.account = m[1]
			}
		case open != nil && line == "```":
			list = append(list, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
		if strings.TrimSpace(line) != "" {
			before = line
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block does not end", page, open.line)
	}
	return list
}

// all are the blocks in a language of every page.
func all(t *testing.T, language string) []snippet {
	t.Helper()
	var list []snippet
	for _, page := range pages(t) {
		for _, s := range snippets(t, page) {
			if s.language == language {
				list = append(list, s)
			}
		}
	}
	if len(list) == 0 {
		t.Fatalf("no page has a block of %q", language)
	}
	return list
}

// TestEveryBlockHasALanguageThatIsTested keeps a new kind of block from standing outside of the tests.
func TestEveryBlockHasALanguageThatIsTested(t *testing.T) {
	tested := []string{"sh", "go", "yaml", "json", "python", "js", "java", "text"}
	for _, page := range pages(t) {
		for _, s := range snippets(t, page) {
			if !slices.Contains(tested, s.language) {
				t.Errorf("%s:%d: no test knows the language %q; text is for what is no code", page, s.line, s.language)
			}
			if s.account != "" && s.language != "sh" {
				t.Errorf("%s:%d: only commands can need an account", page, s.line)
			}
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)

// TestLinksLeadSomewhere follows every link to a file of the repository.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
	}
}

// TestEveryPictureIsShown keeps pictures that no page shows from being drawn.
func TestEveryPictureIsShown(t *testing.T) {
	var text strings.Builder
	for _, page := range pages(t) {
		text.WriteString(read(t, page))
	}
	names, err := filepath.Glob("images/*.*g") // svg, png
	if err != nil || len(names) == 0 {
		t.Fatalf("pictures: %v, %v", names, err)
	}
	for _, name := range names {
		if !strings.Contains(text.String(), name) {
			t.Errorf("no page shows %s", name)
		}
	}
}
