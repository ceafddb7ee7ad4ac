package docs

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const securityPage = "docs/security.md"

// unproven are the sections of docs/security.md that promise nothing: they say what others must see to, and what no test shows.
var unproven = map[string]bool{"What is on the operator": true, "What was not tried here": true}

var (
	cited   = regexp.MustCompile(`\[(Test\w+)\](?:[^(:\w]|$)`)
	defined = regexp.MustCompile(`(?m)^\[(Test\w+)\]: (\S+)$`)
)

// notTried is a row's last cell if it leaves its proof to the section of that name. Only rows of what is kept may.
const notTried = "| not tried here |"

// claims are the bullets, paragraphs and rows of a page that promise something. The page's opening, titles, heads of tables,
// and what only introduces the next block promise nothing. The table of bounds has a test of its own for each row.
func claims(page string) []string {
	var list []string
	section, kept, bounds := "", false, false
	for block := range strings.SplitSeq(page, "\n\n") {
		block = strings.TrimSpace(block)
		switch {
		case strings.HasPrefix(block, "#"):
			level, title, _ := strings.Cut(block, " ")
			kept = level == "###"
			if level == "##" {
				section = title
			}
		case strings.HasPrefix(block, "<!-- "):
			bounds = block == "<!-- bounds -->"
		case section == "" || unproven[section] || bounds || defined.MatchString(block):
		case strings.HasPrefix(block, "| "):
			for _, row := range strings.Split(block, "\n")[2:] {
				if !kept || !strings.HasSuffix(row, notTried) {
					list = append(list, row)
				}
			}
		case strings.HasPrefix(block, "- "):
			list = append(list, strings.Split("\n"+block, "\n- ")[1:]...)
		case !strings.HasSuffix(block, ":"):
			list = append(list, block)
		}
	}
	return list
}

// without are the claims that no test stands beside.
func without(page string) []string {
	var list []string
	for _, c := range claims(page) {
		if !cited.MatchString(c) {
			list = append(list, c)
		}
	}
	return list
}

func TestEveryClaimOfSecurityHasATest(t *testing.T) {
	page := read(t, securityPage)
	for _, c := range without(page) {
		t.Errorf("%s: no test is named beside\n%s", securityPage, c)
	}
	if n := len(claims(page)); n < 50 {
		t.Errorf("%d claims were found: the page's form has changed", n)
	}
}

func TestTestsOfSecurityExist(t *testing.T) {
	page := read(t, securityPage)
	files := make(map[string]string)
	for _, m := range defined.FindAllStringSubmatch(page, -1) {
		files[m[1]] = m[2]
		text, err := os.ReadFile(path.Join(root, path.Dir(securityPage), m[2]))
		if err != nil || !strings.Contains(string(text), "\nfunc "+m[1]+"(t *testing.T) {") {
			t.Errorf("%s: %s is not in %s", securityPage, m[1], m[2])
		}
	}
	used := make(map[string]bool)
	for _, m := range cited.FindAllStringSubmatch(page, -1) {
		used[m[1]] = true
		if files[m[1]] == "" {
			t.Errorf("%s: nothing says where %s is", securityPage, m[1])
		}
	}
	for name := range files {
		if !used[name] {
			t.Errorf("%s: %s stands beside nothing", securityPage, name)
		}
	}
}

func TestClaims(t *testing.T) {
	const page = "# Security\n\nAn opening.\n\n## Promises\n\nHeld. ([TestA], [TestB])\n\nBare,\non two lines.\n\nA list:\n\n" +
		"- held ([TestA])\n- bare, [a page](a.md)\n  with [TestA](a_test.go)\n- TestA\n\n" +
		"| what | held by |\n|---|---|\n| a | [TestA] |\n| b | |\n| c | not tried here |\n\n" +
		"### Kept\n\n| what | held by |\n|---|---|\n| d | not tried here |\n| e | |\n\n" +
		"## What is on the operator\n\nBare.\n\n## More promises\n\nBare again.\n\n[TestA]: a_test.go\n"
	want := []string{
		"Bare,\non two lines.", "bare, [a page](a.md)\n  with [TestA](a_test.go)", "TestA", "| b | |", "| c | not tried here |",
		"| e | |", "Bare again.",
	}
	if diff := cmp.Diff(want, without(page)); diff != "" {
		t.Errorf("claims without a test (-want +got):\n%s", diff)
	}
}
