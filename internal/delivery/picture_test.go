package delivery

import (
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/picture"
)

var update = flag.Bool("update", false, "draw docs/images/life.svg and docs/images/states.svg")

// TestLifePictureIsCurrent draws the steps as the package's comment tells them, and the table of the retries.
func TestLifePictureIsCurrent(t *testing.T) {
	steps := toldSteps(t)
	if len(steps) != 10 {
		t.Fatalf("the package's comment has %d steps, and the picture has a part for each of ten: %q", len(steps), steps)
	}
	times := picture.Schedule{Pauses: retryDelays[:], Last: lastAttempt, Lifetime: Lifetime}
	for path, svg := range map[string][]byte{
		"../../docs/images/life.svg":   picture.Life(steps, times),
		"../../docs/images/states.svg": picture.Life(nil, times), // for the README
	} {
		if err := picture.Hold(path, svg, *update); err != nil {
			t.Error(err)
		}
	}
}

// TestRetriesPageTellsTheTable compares the table of docs/retries.md with the schedule.
func TestRetriesPageTellsTheTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/retries.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \| ([\d,]+) min`).FindAllStringSubmatch(string(page), -1) {
		got = append(got, m[1]+": "+strings.ReplaceAll(m[2], ",", ""))
	}
	var want []string
	for i, delay := range retryDelays {
		want = append(want, fmt.Sprintf("%d: %d", i+2, int(delay.Minutes())))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attempt: minutes before it (-schedule +page):\n%s", diff)
	}
}

// toldSteps are the first sentences of the steps in doc.go.
func toldSteps(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	begins := regexp.MustCompile(`^\s*\d+\.\s+(.*)$`)
	var steps []string
	open := false
	for line := range strings.Lines(file.Doc.Text()) {
		line = strings.TrimRight(line, "\n")
		if m := begins.FindStringSubmatch(line); m != nil {
			steps, open = append(steps, m[1]), true
		} else if strings.HasPrefix(line, "    ") && open {
			steps[len(steps)-1] += " " + strings.TrimSpace(line)
		} else {
			open = false
		}
		if open {
			if first, _, more := strings.Cut(steps[len(steps)-1]+" ", ". "); more {
				steps[len(steps)-1], open = first+".", false
			}
		}
	}
	linked := strings.NewReplacer("[", "", "]", "")
	for i := range steps {
		steps[i] = linked.Replace(steps[i])
	}
	return steps
}
