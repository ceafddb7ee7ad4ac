package foreign

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/logfile"
)

var update = flag.Bool("update", false, "write the table of docs/producers.md from the sources")

// sample gives the events of a source's file in testdata.
func sample(t *testing.T, s Source) [][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", s.Name+".*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%s has the samples %v, %v", s.Name, names, err)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for v, err := range logfile.Documents(bytes.NewReader(text), s.Records...) {
		if err != nil || v.Bad != nil {
			t.Fatal(err, v.Bad)
		}
		list = append(list, bytes.Clone(v.JSON))
	}
	return list
}

// hash stands for the hexadecimal digits of a hash in the table below.
var hash = regexp.MustCompile(`(^|[.-])([0-9a-f]{64}|[0-9a-f]{32})$`)

func TestSources(t *testing.T) {
	want := map[string][]string{
		"1password":  {"2026-03-15T16:33:50-03:00 56YE2TYN2VFYRLNSHKPW5NVT5E", "2026-03-15T19:34:02Z A7QBIPVKNXDUTJ2MCAEW3YFLOZ"},
		"atlassian":  {"2026-04-02T08:15:09.482Z 7c1f2b30-9d54-4a8e-b1c7-2", "2026-04-02T08:16:00Z 7c1f2b30-9d54-4a8e-b1c7-3"},
		"auth0":      {"2026-04-02T08:15:09.482Z 90020260402081509482000000000000001223372036854775811", "2026-04-02T08:15:10Z 90020260402081510000000000000000001223372036854775812"},
		"cloudtrail": {"2026-05-06T07:08:09Z 0d8f7f1e-6a1c-4f0e-9d3b-0c6f5a2f8e11", "2026-05-06T07:08:10Z 5f0b7f3c-02d4-4a76-8a53-8f9d1d4d7a02"},
		"entra": {
			"2026-02-03T04:05:06.7008009Z 66ea54eb-6301-4ee5-be62-ff5a759b0100", "2026-02-03T04:05:07Z Directory_ABCDE_12345", "2026-02-03T16:05:08Z Directory_ABCDE_12346",
			"2026-02-03T16:05:09Z Directory_ABCDE_12347", "2026-02-03T17:05:10+01:00 Directory_ABCDE_12348", "2026-02-03T04:05:11.25Z Directory_ABCDE_12349",
		},
		"gcp": {
			"2026-06-07T08:09:10.123456789Z 1x8m3kf6a2.2026-06-07T08_09_10.123456789Z.projects_acme-prod_logs_cloudaudit.googleapis.com_2Fa-HASH",
			"2026-06-07T08:09:10.123456789Z 1x8m3kf6a2.2026-06-07T08_09_10.123456789Z.projects_acme-test_logs_cloudaudit.googleapis.com_2Fa-HASH",
		},
		"github": {"2026-06-07T08:09:10.123Z q7P-2d_kRlYtuDcZHPrBDV", "2026-06-07T08:09:11Z Zm9vL2Jhcis_PT8_Zm9vYg__-HASH", "2026-06-07T08:09:12.999Z HASH"},
		"gitlab": {"2026-07-08T09:10:11.213Z 3f2c1b0a-8d7e-4c6b-9a5f-1e2d3c4b5a69"},
		"google_workspace": {
			"2026-08-09T10:11:12.131Z login.2026-08-09T10_11_12.131Z.-5521094823745098123.C03az79cb-HASH", "2026-08-09T10:11:12.131Z admin.2026-08-09T10_11_12.131Z.358068855354.C03az79cb-HASH",
		},
		"kubernetes": {
			"2026-09-10T11:12:13.141516Z c5f48f91-d4da-4659-97eb-56bdbcd0817c.RequestReceived.HASH",
			"2026-09-10T11:12:13.15Z c5f48f91-d4da-4659-97eb-56bdbcd0817c.ResponseComplete.HASH", "2026-09-10T11:12:13.150001Z c5f48f91-d4da-4659-97eb-56bdbcd0817c.ResponseComplete.HASH",
		},
		"office365":  {"2026-10-11T12:13:14Z 0f1e2d3c-4b5a-4697-8877-665544332211", "2026-10-11T12:13:15Z 0f1e2d3c-4b5a-4697-8877-665544332212"},
		"ocsf":       {"2026-10-11T12:13:14.123Z 2f9d8c7b-6a5e-4d3c-8b2a-1f0e9d8c7b6a", "2026-10-11T12:13:15Z HASH"},
		"okta":       {"2026-01-02T03:04:05.006Z d2b7f6a1-0c1d-11f1-9f5e-0242ac120002", "2026-01-02T03:04:06.007Z d2b7f6a1-0c1d-11f1-9f5e-0242ac120003"},
		"salesforce": {"2026-03-04T05:06:07Z 1c0f7f4a-57d1-4c07-9f5f-7c7c0b8f2b10", "2026-03-04T05:06:08.009Z 1c0f7f4a-57d1-4c07-9f5f-7c7c0b8f2b11"},
		"slack":      {"2026-01-02T03:04:05Z 9d1f0c2b-3e4a-4b5c-8d6e-7f8091a2b3c4"},
		"vault":      {"2026-04-05T06:07:08.910111213Z 8f2a7c1e-5b3d-4e9f-8a6b-0c1d2e3f4a5b.request.HASH", "2026-04-05T06:07:08.9112Z 8f2a7c1e-5b3d-4e9f-8a6b-0c1d2e3f4a5b.response.HASH"},
	}
	got := make(map[string][]string)
	ids := make(map[string]bool)
	for _, s := range Sources() {
		for _, event := range sample(t, s) {
			l, err := s.Form.Log("acme", event)
			if err != nil {
				t.Errorf("%s: %v", s.Name, err)
				continue
			}
			if !bytes.Equal(l.Payload, event) || l.Type != "user_activity" || l.WorkspaceID != "acme" || ids[l.ID] {
				t.Errorf("%s: %v", s.Name, l)
			}
			ids[l.ID] = true
			got[s.Name] = append(got[s.Name], l.OccurredAt.Format(time.RFC3339Nano)+" "+hash.ReplaceAllString(l.ID, "${1}HASH"))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSourcesAreFoundByName(t *testing.T) {
	names := make([]string, 0, len(Sources()))
	for _, s := range Sources() {
		names = append(names, s.Name)
		if found, err := FindSource(s.Name); err != nil || found.Title != s.Title {
			t.Errorf("%s is %v, %v", s.Name, found, err)
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("%v are not in the order of their names", names)
	}
	if _, err := FindSource("Okta"); err == nil || !strings.Contains(err.Error(), "google_workspace, kubernetes") {
		t.Errorf("a name that is none: %v", err)
	}
}

func code(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

// TestSourcesTableIsCurrent holds the table of docs/producers.md.
func TestSourcesTableIsCurrent(t *testing.T) {
	const page, begin, end = "../../docs/producers.md", "<!-- sources -->\n", "<!-- /sources -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, opened := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("%s has no place between %s and %s", page, begin, end)
	}
	table := "| `--from` | | id | time | arrays |\n|---|---|---|---|---|\n"
	for _, s := range Sources() {
		ways := make([]string, len(s.Form.ID))
		for i, way := range s.Form.ID {
			ways[i] = "`" + strings.Join(way, "` + `") + "`"
		}
		table += fmt.Sprintf("| `%s` | [%s](%s) | %s | %s | %s |\n", s.Name, s.Title, s.Page, strings.Join(ways, ", else "), code(s.Form.Time), code(s.Records))
	}
	want := before + begin + table + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s is not what the sources say; run make docs (-sources +page):\n%s", page, diff)
	}
}
