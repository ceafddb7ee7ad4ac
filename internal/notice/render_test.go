package notice

import (
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

var update = flag.Bool("update", false, "write the golden files anew")

func newRenderer(t *testing.T) *Renderer {
	t.Helper()
	templates, err := Templates()
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRenderer(templates, "en", "Acme Integrations", "<connection-notices.acme.example>")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var (
	acme = directory.Workspace{ID: "acme", Name: "Acme Corporation", Kind: directory.Standalone}
	siem = directory.Destination{ID: "acme-siem", Name: "Acme SIEM", WorkspaceID: "acme", Kind: directory.HTTP}
	noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
)

// lure is what somebody would call a destination who wants others to be mailed it.
const lure = "SIEM\". Your account is locked.\r\n\r\nSign in at \u200bhttps://evil.example/login or www.evil.\u00adexample, \u202ewrite to a@evil.example or " +
	"call \\\\evil.example\\share, within 24 hours. http://192.0.2.7/ is for those who are in a hurry and read on to the end of a long name"

// TestGolden holds whole mails: testdata/*.txt is the subject and the text form, *.html the other. Write them anew with -update, and look at them.
func TestGolden(t *testing.T) {
	bucket := directory.Destination{ID: "acme-archive", Name: "Acme Archive", WorkspaceID: "acme", Kind: directory.S3}
	hostile := directory.Workspace{ID: "evil", Name: "<script>alert(1)</script>\r\nBcc: eve@evil.example {{.Product}} & \u202e\"Söhne\""}
	trap := directory.Destination{ID: "trap", Name: "</td></table><img src=x onerror=alert(1)>\n\nFrom: ceo", WorkspaceID: "evil", Kind: directory.AzureBlob}
	in := func(s directory.State) directory.Destination {
		d := siem
		d.State = s
		return d
	}
	failing, refusing := in(directory.Connected), in(directory.Connected)
	failing.Health = directory.Health{State: directory.Failing, Since: noon.Add(-6 * 24 * time.Hour), Code: failure.HTTPNotFound}
	refusing.Health = directory.Health{State: directory.Healthy, Refused: directory.Refusals{Since: noon.Add(-6 * 24 * time.Hour), Code: failure.HTTPLogRefused}}
	many := warning(failure.HTTPNotFound, directory.CodeCount{Code: failure.HTTPNotFound, Logs: 10_000})
	many.Losses.More = true
	for name, c := range map[string]struct {
		notice directory.Notice
		owner  directory.Workspace
		d      directory.Destination
	}{
		"involuntary-granular":        {directory.Notice{Kind: directory.Involuntary, Since: noon.Add(-time.Hour), Code: failure.HTTPUnauthorized, At: noon}, acme, siem},
		"involuntary-s3":              {directory.Notice{Kind: directory.Involuntary, Since: noon, Code: failure.S3RegionMismatch, At: noon}, acme, bucket},
		"involuntary-general":         {directory.Notice{Kind: directory.Involuntary, Since: noon.Add(-time.Hour), Code: failure.Unknown, At: noon}, acme, siem},
		"involuntary-answer":          {directory.Notice{Kind: directory.Involuntary, Since: noon.Add(-time.Hour), Code: failure.S3Refused, Answer: "HTTP 403 QuotaExceeded", At: noon}, acme, bucket},
		"involuntary-unknown":         {directory.Notice{Kind: directory.Involuntary, Since: noon.Add(-time.Hour), Code: failure.Unknown, Answer: "HTTP 418", At: noon}, acme, siem},
		"voluntary":                   {directory.Notice{Kind: directory.Voluntary, Generation: 2, Since: noon.Add(-8 * time.Hour), At: noon}, acme, siem},
		"recovered":                   {directory.Notice{Kind: directory.Recovered, Since: noon.Add(-51 * time.Hour), Code: failure.HTTPUnauthorized, At: noon}, acme, siem},
		"involuntary-refuses":         {directory.Notice{Kind: directory.Involuntary, Since: noon.Add(-time.Hour), Code: failure.HTTPLogTooLarge, At: noon}, acme, siem},
		"expiry-warning":              {warning(failure.HTTPNotFound, directory.CodeCount{Code: failure.HTTPNotFound, Logs: 1204}, directory.CodeCount{Logs: 96}), acme, failing},
		"expiry-warning-disabled":     {warning("", directory.CodeCount{Logs: 24}), acme, in(directory.Disabled)},
		"expiry-warning-disconnected": {warning("", directory.CodeCount{Logs: 24}), acme, in(directory.Disconnected)},
		"expiry-warning-deleted":      {warning("", directory.CodeCount{Logs: 24}), acme, in(directory.Deleted)},
		"expiry-warning-refused": {warning(failure.HTTPLogRefused, directory.CodeCount{Code: failure.HTTPLogRefused, Logs: 70},
			directory.CodeCount{Code: failure.HTTPLogTooLarge, Logs: 3}, directory.CodeCount{Code: "http.of_a_later_version", Logs: 1}), acme, refusing},
		"cut-off": {directory.Notice{Kind: directory.CutOffNotice, Since: noon, At: noon,
			Child: &directory.Child{ID: "orbit", Name: "Orbit Inc.", LogTypes: []string{"job_summary", "user_activity"}, Others: true}}, acme, siem},
		"unrouted": {directory.Notice{Kind: directory.UnroutedNotice, Since: noon, At: noon, Unrouted: &directory.Unrouted{
			WorkspaceID: acme.ID, Name: acme.Name, OwnerID: acme.ID, Logs: 1204, LogTypes: []string{"job_details", "login_events"}}}, acme, siem},
		"unrouted-child": {directory.Notice{Kind: directory.UnroutedNotice, Since: noon, At: noon, Unrouted: &directory.Unrouted{
			WorkspaceID: "orbit", Name: "Orbit Inc.", OwnerID: acme.ID, Logs: 1, LogTypes: []string{"job_details"}, Others: true}}, acme, siem},
		"expiry-warning-one":     {warning(failure.HTTPLogRefused, directory.CodeCount{Code: failure.HTTPLogRefused, Logs: 1}), acme, refusing},
		"expiry-warning-many":    {many, acme, failing},
		"expiry-warning-backlog": {warning("", directory.CodeCount{Logs: 12_000}), acme, in(directory.Connected)},
		"expiry-warning-earlier": {directory.Notice{Kind: directory.ExpiryWarning, Since: noon.Add(-6 * 24 * time.Hour), Code: failure.HTTPNotFound, At: noon}, acme, failing},
		"deletion":               {directory.Notice{Kind: directory.Deletion, Generation: 2, At: noon}, acme, siem},
		"hostile-names":          {directory.Notice{Kind: directory.Involuntary, Since: noon, Code: failure.AzureBlobContainerNotFound, At: noon}, hostile, trap},
		"lure": {directory.Notice{Kind: directory.Involuntary, Since: noon, Code: failure.HTTPUnauthorized, At: noon},
			directory.Workspace{ID: "login.evil.example", Name: lure}, directory.Destination{ID: strings.Repeat("evil.example.", 9), Name: lure, Kind: directory.HTTP}},
		"without-names": {directory.Notice{Kind: directory.Voluntary, At: noon}, directory.Workspace{ID: "acme"}, directory.Destination{ID: "acme-siem", Kind: directory.HTTP}},
	} {
		t.Run(name, func(t *testing.T) {
			mail, err := newRenderer(t).Render(c.notice, c.owner, c.d)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", "Subject: "+mail.Subject+"\nList-Id: "+mail.ListID+"\n\n"+mail.Text)
			golden(t, name+".html", mail.HTML)
			if strings.ContainsAny(mail.Subject, "\r\n") {
				t.Errorf("the subject has a line break: %q", mail.Subject)
			}
		})
	}
}

// warning is an expiry warning about logs that failed for so many reasons.
func warning(code failure.Code, codes ...directory.CodeCount) directory.Notice {
	l := directory.Losses{First: noon.Add(23 * time.Hour), Until: noon.Add(24 * time.Hour), Codes: codes}
	for _, c := range codes {
		l.Logs += c.Logs
	}
	l.Waiting = l.Logs * 7
	return directory.Notice{Kind: directory.ExpiryWarning, Since: noon.Add(-6 * 24 * time.Hour), Code: code, At: noon, Losses: &l}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestContents looks for everything that the requirements want in every mail about every code of the catalogue, in both forms.
func TestContents(t *testing.T) {
	r := newRenderer(t)
	for _, kind := range []directory.NoticeKind{directory.Involuntary, directory.Voluntary, directory.Recovered, directory.ExpiryWarning, directory.Deletion} {
		for _, e := range append(failure.Catalogue(), failure.Entry{}, failure.Entry{Code: "http.of_a_later_version"}) {
			mail, err := r.Render(directory.Notice{Kind: kind, Since: noon, Code: e.Code, At: noon}, acme, siem)
			if err != nil {
				t.Fatal(err)
			}
			wants := []string{"Account ID", acme.ID, "Resource name", siem.Name, "Resource ID", siem.ID, "Event type", "Event summary", "Error time",
				"2026-11-02 12:00:00 UTC", "What to do"}
			granular := e.Status != "" && e.Code != failure.Unknown
			if granular {
				wants = append(wants, "Error code", string(e.Code), e.Status, e.Description)
			}
			if granular && (kind == directory.Involuntary || kind == directory.ExpiryWarning) {
				wants = append(wants, e.Guidance)
			}
			page := html.UnescapeString(mail.HTML)
			for _, want := range wants {
				if !strings.Contains(mail.Text, want) {
					t.Errorf("%s of %q: the text form lacks %q", kind, e.Code, want)
				}
				if !strings.Contains(page, want) {
					t.Errorf("%s of %q: the HTML form lacks %q", kind, e.Code, want)
				}
			}
			if !granular && strings.Contains(mail.Text, "Error code") {
				t.Errorf("%s of %q: the general mail has an error code", kind, e.Code)
			}
		}
	}
}

// TestNamesAreNoLure mails a lure in every value that a customer chooses, by the words of every kind, and by a template of somebody else that shows all.
func TestNamesAreNoLure(t *testing.T) {
	var all strings.Builder
	for field := range reflect.TypeFor[page]().Fields() {
		fmt.Fprintf(&all, "{{.%s}}\n", field.Name)
	}
	words := `{{define "involuntary.subject"}}{{.AccountName}} {{.AccountID}} {{.ResourceName}} {{.ResourceID}}{{end}}` +
		`{{define "involuntary.type"}}t{{end}}{{define "involuntary.summary"}}{{.ResourceName}}{{end}}{{define "involuntary.guidance"}}g{{end}}`
	theirs, err := NewRenderer(fstest.MapFS{
		"xx/words.tmpl": {Data: []byte(words)}, "xx/mail.txt.tmpl": {Data: []byte(all.String())}, "xx/mail.html.tmpl": {Data: []byte(all.String())},
	}, "xx", "Acme", "<l>")
	if err != nil {
		t.Fatal(err)
	}
	ours := newRenderer(t)
	for name, c := range map[string]struct {
		renderer *Renderer
		kind     directory.NoticeKind
	}{
		"involuntary": {ours, directory.Involuntary}, "voluntary": {ours, directory.Voluntary}, "recovered": {ours, directory.Recovered},
		"expiry warning": {ours, directory.ExpiryWarning}, "another template": {theirs, directory.Involuntary},
	} {
		t.Run(name, func(t *testing.T) {
			mail, err := c.renderer.Render(directory.Notice{Kind: c.kind, Since: noon, Code: failure.NetDNS, Answer: lure, At: noon},
				directory.Workspace{ID: strings.Repeat("evil.example", 10), Name: lure},
				directory.Destination{ID: strings.Repeat("www.evil.example", 8), Name: lure, Kind: directory.HTTP})
			if err != nil {
				t.Fatal(err)
			}
			for form, text := range map[string]string{"subject": mail.Subject, "text": mail.Text, "HTML": html.UnescapeString(mail.HTML)} {
				for _, live := range []string{"://", "www.", "evil.example", "@evil", `\\\\`, "192.0.2.7", "SIEM\"", "\u200b", "\u202e", "\u00ad", "\r"} {
					if strings.Contains(text, live) {
						t.Errorf("the %s holds %q:\n%s", form, live, text)
					}
				}
			}
			if n := utf8.RuneCountInString(mail.Subject); n > 5*longestInSubject {
				t.Errorf("the subject has %d characters: %s", n, mail.Subject)
			}
			if strings.Contains(mail.Subject, "evil[.]") && !strings.Contains(mail.Subject, "…") {
				t.Errorf("nothing says that the subject was shortened: %s", mail.Subject)
			}
		})
	}
}

// TestSubjectIsStable holds that filters can go by the subject: it does not depend on what fails or when.
func TestSubjectIsStable(t *testing.T) {
	r := newRenderer(t)
	subjects := make(map[string]bool)
	for _, code := range []failure.Code{failure.HTTPUnauthorized, failure.Unknown, failure.NetDNS} {
		for hour := range 3 {
			mail, err := r.Render(directory.Notice{Kind: directory.Involuntary, Since: noon, Code: code, At: noon.Add(time.Duration(hour) * time.Hour)}, acme, siem)
			if err != nil {
				t.Fatal(err)
			}
			subjects[mail.Subject] = true
		}
	}
	if want := map[string]bool{`[Acme Integrations] Log streaming interrupted: "Acme SIEM" (acme-siem)`: true}; !cmp.Equal(want, subjects) {
		t.Errorf("subjects %v, want %v", subjects, want)
	}
}

// TestLocale renders in a language that has its own words for one code and the catalogue's for the others.
func TestLocale(t *testing.T) {
	templates := fstest.MapFS{
		"de/words.tmpl": {Data: []byte(`{{define "involuntary.subject"}}Unterbrochen: {{.ResourceName}}{{end}}{{define "involuntary.type"}}Unterbrechung{{end}}` +
			`{{define "involuntary.summary"}}Fehler{{end}}{{define "involuntary.guidance"}}{{.Guidance}}{{end}}{{define "guidance.http.unauthorized"}}Neues Token anlegen.{{end}}`)},
		"de/mail.txt.tmpl":  {Data: []byte("{{.EventType}}: {{.Guidance}}")},
		"de/mail.html.tmpl": {Data: []byte("<p>{{.EventType}}: {{.Guidance}}</p>")},
	}
	r, err := NewRenderer(templates, "de", "Acme", "<l.acme.example>")
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[failure.Code]string{
		failure.HTTPUnauthorized: "Unterbrechung: Neues Token anlegen.",
		failure.HTTPNotFound:     "Unterbrechung: " + failure.Find(failure.HTTPNotFound).Guidance,
	} {
		mail, err := r.Render(directory.Notice{Kind: directory.Involuntary, Code: code}, acme, siem)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, mail.Text); diff != "" {
			t.Errorf("%s (-want +got):\n%s", code, diff)
		}
	}
	for _, locale := range []string{"", "fr", "../en", "en/words.tmpl"} {
		if _, err := NewRenderer(templates, locale, "Acme", "<l>"); err == nil {
			t.Errorf("the language %q was taken", locale)
		}
	}
}
