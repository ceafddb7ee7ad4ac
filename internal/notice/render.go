package notice

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/legible"
)

// Mail is one mail, ready to be handed over.
type Mail struct {
	Kind          directory.NoticeKind
	DestinationID string
	To            []string
	Subject       string
	Text          string
	HTML          string
	// ListID is the value of the header List-Id, by which mail programs filter.
	ListID string
}

//go:embed templates
var embedded embed.FS

// Templates holds one folder a language with three files: words.tmpl for all that is said, mail.txt.tmpl and mail.html.tmpl for its two forms.
func Templates() (fs.FS, error) { return fs.Sub(embedded, "templates") }

// Renderer makes mails out of notices.
type Renderer struct {
	product, listID string
	words, text     *template.Template
	html            *htmltemplate.Template
}

// NewRenderer reads the templates of a language. Product stands in each subject and greeting, listID in the header List-Id.
func NewRenderer(templates fs.FS, locale, product, listID string) (*Renderer, error) {
	if !fs.ValidPath(locale) || strings.Contains(locale, "/") {
		return nil, fmt.Errorf("the mails' language %q is no name of a folder such as en", locale)
	}
	r := &Renderer{product: legible.Line(product), listID: listID}
	var err error
	if r.words, err = template.ParseFS(templates, path.Join(locale, "words.tmpl")); err != nil {
		return nil, fmt.Errorf("read the mails' words: %w", err)
	}
	if r.text, err = template.ParseFS(templates, path.Join(locale, "mail.txt.tmpl")); err != nil {
		return nil, fmt.Errorf("read the mails' text form: %w", err)
	}
	if r.html, err = htmltemplate.ParseFS(templates, path.Join(locale, "mail.html.tmpl")); err != nil {
		return nil, fmt.Errorf("read the mails' HTML form: %w", err)
	}
	return r, nil
}

// page is what templates can use. No value in it has a line break, a hidden character, a credential or a part
// of a log. Ids and names are bounded, hold no double quote, and no mail program makes a link of them; see
// legible.Name.
type page struct {
	Product      string
	AccountID    string
	AccountName  string
	ResourceID   string
	ResourceName string
	ResourceKind string
	ErrorTime    string
	Since        string
	// ChildID, ChildName and Types are whose logs, and which, no longer come to a destination that was cut off, or go to none. Without a child they are
	// the account's own.
	ChildID, ChildName, Types string
	// Unrouted is how many logs went to no destination.
	Unrouted string
	// Until is how long a deleted destination can be restored.
	Until string
	// Granular says that the failure stands in the catalogue; only then the next three are set. Status is the service's own
	// answer if the code is a general one.
	Granular    bool
	Status      string
	Code        string
	Description string
	// Refuses says that the destination fails because it refuses each log, for the log's own sake.
	Refuses bool
	// Cause is why logs wait: disconnected, disabled, failing, refused or backlog.
	Cause string
	// Losses are what an expiry warning is about; nil for the other kinds, and in notices of an earlier version.
	Losses *losses

	// These are said by words.tmpl.
	Subject   string
	EventType string
	Summary   string
	Guidance  string
}

// losses are logs that are about to be lost. The counts are written with their thousands apart.
type losses struct {
	Logs, Waiting string
	// One says that it is a single log, More that there are others, which were not counted.
	One, More bool
	First     string
	Codes     []lossCode
}

// lossCode is why so many logs were refused last. Code and Status are empty for logs that were not tried yet.
type lossCode struct{ Logs, Code, Status string }

// The most characters that are shown of a name, and of an id, whose own limit it is. In a subject both are
// shorter, so that what is the mail's own stays in sight, and an id of the usual 36 characters is whole.
const (
	longestName      = 100
	longestID        = 3 * 128 // an id of points alone, with their brackets
	longestInSubject = 40
)

// Render makes the mail of a notice. To is left empty.
func (r *Renderer) Render(n directory.Notice, owner directory.Workspace, d directory.Destination) (Mail, error) {
	p := page{
		Product:      r.product,
		AccountID:    legible.Name(owner.ID, longestID),
		AccountName:  legible.Name(owner.Name, longestName),
		ResourceID:   legible.Name(d.ID, longestID),
		ResourceName: legible.Name(d.Name, longestName),
		ResourceKind: kindName(d.Kind),
		ErrorTime:    timestamp(n.At),
		Since:        timestamp(n.Since),
	}
	p.Cause, p.Losses = causeOf(d), lossesOf(n.Losses)
	p.Refuses = n.Kind == directory.Involuntary && failure.Find(n.Code).Class == failure.Log
	if n.Child != nil {
		p.ChildID, p.ChildName = legible.Name(n.Child.ID, longestID), legible.Name(cmp.Or(n.Child.Name, n.Child.ID), longestName)
		p.Types = typesOf(n.Child.LogTypes, n.Child.Others)
	}
	if u := n.Unrouted; u != nil {
		p.Unrouted, p.Types = grouped(u.Logs), typesOf(u.LogTypes, u.Others)
		if u.WorkspaceID != owner.ID {
			p.ChildID, p.ChildName = legible.Name(u.WorkspaceID, longestID), legible.Name(cmp.Or(u.Name, u.WorkspaceID), longestName)
		}
	}
	if n.Kind == directory.Deletion {
		p.Until = timestamp(n.At.Add(directory.Grace))
	}
	if p.ResourceName == "" {
		p.ResourceName = p.ResourceID
	}
	if answer := legible.Name(n.Answer, longestName); failure.Known(n.Code) && (n.Code != failure.Unknown || answer != "") {
		e := failure.Find(n.Code)
		p.Granular, p.Status, p.Code = true, cmp.Or(answer, e.Status), string(e.Code)
		p.Description = r.ofCode("description", e.Code, e.Description)
		p.Guidance = r.ofCode("guidance", e.Code, e.Guidance)
	}
	kind := string(n.Kind)
	err := errors.Join(
		r.say(&p.Subject, kind+".subject", p.forSubject()),
		r.say(&p.EventType, kind+".type", p),
		r.say(&p.Summary, kind+".summary", p),
		r.say(&p.Guidance, kind+".guidance", p),
	)
	if err != nil {
		return Mail{}, err
	}
	var text, html strings.Builder
	if err := r.text.Execute(&text, p); err != nil {
		return Mail{}, fmt.Errorf("render the text of the %s mail: %w", n.Kind, err)
	}
	if err := r.html.Execute(&html, p); err != nil {
		return Mail{}, fmt.Errorf("render the HTML of the %s mail: %w", n.Kind, err)
	}
	return Mail{Kind: n.Kind, DestinationID: d.ID, Subject: p.Subject, Text: text.String(), HTML: html.String(), ListID: r.listID}, nil
}

// causeOf is the one word for why logs wait for a destination.
func causeOf(d directory.Destination) string {
	switch {
	case d.State == directory.Disconnected || d.State == directory.Disabled || d.State == directory.Deleted:
		return string(d.State)
	case d.Health.State == directory.Failing:
		return "failing"
	case d.Health.Refuses():
		return "refused"
	}
	return "backlog"
}

// typesShown is how many types of logs a mail names.
const typesShown = 10

func typesOf(types []string, others bool) string {
	list := make([]string, 0, typesShown+1)
	for _, t := range types[:min(typesShown, len(types))] {
		list = append(list, legible.Name(t, longestName))
	}
	if others || len(types) > typesShown {
		list = append(list, "others")
	}
	return strings.Join(list, ", ")
}

// codesShown is how many codes a mail names; the most frequent come first.
const codesShown = 5

func lossesOf(l *directory.Losses) *losses {
	if l == nil {
		return nil
	}
	shown := &losses{Logs: grouped(l.Logs), Waiting: grouped(l.Waiting), One: l.Logs == 1 && !l.More, More: l.More, First: timestamp(l.First)}
	for _, c := range l.Codes[:min(codesShown, len(l.Codes))] {
		line := lossCode{Logs: grouped(c.Logs)}
		if c.Code != "" {
			line.Code, line.Status = string(c.Code), failure.Find(c.Code).Status
			if !failure.Known(c.Code) {
				line.Code = legible.Name(line.Code, longestName)
			}
		}
		shown.Codes = append(shown.Codes, line)
	}
	return shown
}

// grouped writes a count with its thousands apart.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// say sets a field to what the words have under that name.
func (r *Renderer) say(field *string, name string, p page) error {
	var out strings.Builder
	if err := r.words.ExecuteTemplate(&out, name, p); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	*field = legible.Line(out.String())
	return nil
}

// ofCode is what a language says about a code, under "guidance.<code>" for example, or else the catalogue's own English.
func (r *Renderer) ofCode(what string, code failure.Code, english string) string {
	t := r.words.Lookup(what + "." + string(code))
	if t == nil {
		return english
	}
	var out strings.Builder
	if t.Execute(&out, nil) != nil {
		return english
	}
	return legible.Line(out.String())
}

// forSubject is the page with ids and names that are short enough for a subject.
func (p page) forSubject() page {
	for _, field := range []*string{&p.AccountID, &p.AccountName, &p.ResourceID, &p.ResourceName} {
		*field = legible.Short(*field, longestInSubject)
	}
	return p
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func kindName(k directory.Kind) string {
	switch k {
	case directory.S3:
		return "Amazon S3"
	case directory.HTTP:
		return "HTTP"
	case directory.AzureMonitor:
		return "Azure Monitor"
	case directory.AzureBlob:
		return "Azure Blob Storage"
	case directory.GCS:
		return "Google Cloud Storage"
	}
	return string(k)
}
