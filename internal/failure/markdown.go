package failure

import (
	"fmt"
	"strings"
)

// Markdown is docs/errors.md: the catalogue for people, a section a destination kind and an anchor a code.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`<!-- Made from internal/failure/catalogue.go by "make docs". Change the catalogue, not this page. -->

# Error codes

Every attempt that fails gets one of these codes. It stands in the log line of the attempt, in the destination's health, in failed events and
in mails, together with the error as the service itself names it. A link to a code is ` + "`errors.md#` and the code" + `.

| class | who ends it | what happens |
|---|---|---|
| connection | an admin | The log is kept and retried for seven days. The admins get a mail at once, at most one in 24 hours. |
| transient | it ends by itself | The log is kept and retried for seven days. The admins get a mail if it lasts over an hour. |
| log | the producer, or the receiver's rules | Only this log is kept and retried; others pass. The connection is not blamed. |

| code | kind | error | class |
|---|---|---|---|
`)
	for _, e := range catalogue {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s |\n", e.Code, e.Code, e.Kind, e.Status, e.Class)
	}
	kind := ""
	for _, e := range catalogue {
		if e.Kind != kind {
			kind = e.Kind
			fmt.Fprintf(&b, "\n## %s\n", heading(kind))
		}
		fmt.Fprintf(&b, "\n### <a id=\"%s\"></a>`%s`\n\n%s · %s\n\n%s\n\n**What to do:** %s\n", e.Code, e.Code, e.Status, e.Class, e.Description, e.Guidance)
	}
	return b.String()
}

// Table is what a destination kind's page has of the catalogue: the errors that somebody must act on.
func Table(kind string) string {
	var b strings.Builder
	b.WriteString("| error | code | it means | what to do |\n|---|---|---|---|\n")
	for _, e := range catalogue {
		if e.Kind == kind && e.Class != Transient {
			fmt.Fprintf(&b, "| %s | [`%s`](../errors.md#%s) | %s | %s |\n", e.Status, e.Code, e.Code, e.Description, e.Guidance)
		}
	}
	b.WriteString("\nThrottling, time-outs and faults of the service end by themselves; these and the network's are in [errors](../errors.md).\n")
	return b.String()
}

func heading(kind string) string {
	if kind == "Any" {
		return "Any kind of destination"
	}
	return kind
}
