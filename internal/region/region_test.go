package region_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/region"
)

var update = flag.Bool("update", false, "write the table of regions into docs/deploy.md")

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		stack, mails string
		want         string // the refusal, as "found → do"
	}{
		"everything":                 {stack: "eu-central-1"},
		"no function URLs":           {stack: "eu-central-2"},
		"GovCloud":                   {stack: "us-gov-west-1"},
		"the sovereign cloud":        {stack: "eusc-de-east-1"},
		"mails from elsewhere":       {stack: "ap-east-1", mails: "ap-southeast-1"},
		"a region that is newer":     {stack: "eu-west-9"},
		"mails from a newer one":     {stack: "ap-east-1", mails: "ap-east-9"},
		"no SES":                     {stack: "ap-east-1", want: "ap-east-1 has no SES, by which mails leave → give mailRegion, a region with SES, such as `--context mailRegion=ap-southeast-1`"},
		"no SES in Mexico":           {stack: "mx-central-1", want: "mx-central-1 has no SES, by which mails leave → give mailRegion, a region with SES, such as `--context mailRegion=us-east-1`"},
		"mails from where no SES is": {stack: "eu-central-1", mails: "ap-east-2", want: "ap-east-2 has no SES, by which mails leave → give mailRegion, a region with SES, such as `--context mailRegion=eu-central-1`"},
		"China":                      {stack: "cn-north-1", want: "cn-north-1 has no SES, by which mails leave → deploy in another partition: this one has no SES at all"},
		"China with mails from abroad": {stack: "cn-northwest-1", mails: "ap-southeast-1", want: "mails cannot leave from ap-southeast-1: it is in another partition of AWS than cn-northwest-1, " +
			"and no role reaches from one into the other → deploy in another partition: this one has no SES at all"},
		"GovCloud with mails from outside": {stack: "us-gov-east-1", mails: "us-east-1", want: "mails cannot leave from us-east-1: it is in another partition of AWS than us-gov-east-1, " +
			"and no role reaches from one into the other → give mailRegion, a region with SES, such as `--context mailRegion=us-gov-east-1`"},
	} {
		t.Run(name, func(t *testing.T) {
			err := region.Check(test.stack, test.mails)
			got := ""
			if refused, ok := errors.AsType[*region.Refusal](err); ok {
				got = refused.Found + " → " + refused.Do
			}
			if got != test.want || (err != nil) != (test.want != "") {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// TestAdviceHolds holds that what a refusal advises is not refused, wherever the stack is.
func TestAdviceHolds(t *testing.T) {
	for _, r := range region.All() {
		_, after, advised := strings.Cut(fmt.Sprint(region.Check(r.Name, "")), "mailRegion=")
		if mails := strings.TrimSuffix(after, "`"); advised && region.Check(r.Name, mails) != nil {
			t.Errorf("%s: it is advised to mail from %s: %v", r.Name, mails, region.Check(r.Name, mails))
		}
	}
}

// TestRegionsAreDocumented holds the table of docs/deploy.md to the package's.
func TestRegionsAreDocumented(t *testing.T) {
	const page, begin, end = "../../docs/deploy.md", "<!-- regions -->\n", "<!-- /regions -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the table", page)
	}
	want := "\n" + table() + "\n"
	if *update {
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, old); diff != "" {
		t.Errorf("%s is not what the table says; run make docs (-table +page):\n%s", page, diff)
	}
}

// table is one line for regions that are alike.
func table() string {
	alike := make(map[string][]string)
	for _, r := range region.All() {
		what := "everything"
		if refused, ok := errors.AsType[*region.Refusal](region.Check(r.Name, "")); ok {
			what = "all but mails: " + strings.ReplaceAll(refused.Do, "`--context mailRegion=", "`mailRegion=")
			if !strings.Contains(refused.Do, "mailRegion") {
				what = "nothing: refused, since there is no SES in the partition"
			}
		}
		key := region.Partition(r.Name) + "` | " + what
		alike[key] = append(alike[key], "`"+r.Name+"`")
	}
	var lines []string
	for what, names := range alike {
		lines = append(lines, "| "+strings.Join(names, ", ")+" | `"+what+" |\n")
	}
	slices.Sort(lines)
	return "| regions | partition | what works |\n|---|---|---|\n" + strings.Join(lines, "")
}
