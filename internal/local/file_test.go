package local_test

import (
	"strings"
	"testing"

	"github.com/auditrelay/auditrelay/internal/local"
)

const sampleFile = `workspaces:
  - id: acme
    name: Acme
    kind: standalone
    admins: [ada@acme.example]
destinations:
  - id: siem
    name: SIEM
    workspace_id: acme
    kind: http
    settings:
      url: http://127.0.0.1:9000/
`

// Every mistake is told with the key or the field, and the line on which it stands, and no credential is told.
func TestFileNamesTheMistake(t *testing.T) {
	const unknown = "is not known for this kind of destination"
	for name, c := range map[string]struct{ old, new, want string }{
		"nothing wrong":               {"", "", ""},
		"key of the file":             {"destinations:", "colour: red\ndestinations:", `f.yaml:6: unknown field "colour"`},
		"key of a workspace":          {"    kind: standalone\n", "    kind: standalone\n    colour: red\n", `f.yaml:5: unknown field "colour"`},
		"key of a destination":        {"    kind: http\n", "    kind: http\n    colour: red\n", `f.yaml:11: unknown field "colour"`},
		"key of the settings":         {":9000/\n", ":9000/\n      colour: red\n", "f.yaml:13: destinations[0].settings.colour: " + unknown},
		"key of the credentials":      {":9000/\n", ":9000/\n    credentials: {colour: SECRET}\n", "f.yaml:13: destinations[0].credentials.colour: " + unknown},
		"credential of a wrong type":  {":9000/\n", ":9000/\n    credentials: {bearer: [SECRET]}\n", "f.yaml:13: destinations[0].credentials.bearer: must be a string, not a list"},
		"credentials that are a text": {":9000/\n", ":9000/\n    credentials: SECRET\n", "f.yaml:13: string was used where mapping is expected"},
		"setting of a wrong type":     {":9000/\n", ":9000/\n      max_batch: many\n", "f.yaml:13: destinations[0].settings.max_batch: must be a whole number, not a string"},
		"shared is a word":            {"    kind: http\n", "    kind: http\n    shared: maybe\n", "f.yaml:11: must be true or false"},
		"no mail address":             {"ada@acme.example", "Ada <ada@acme.example>", "f.yaml:5: workspaces[0].admins[0]: must be a mail address such as ada@acme.example, without a name"},
		"no mail address to tell":     {"    kind: standalone\n", "    kind: standalone\n    error_recipients: [ada]\n", "f.yaml:5: workspaces[0].error_recipients[0]: must be a mail address such as ada@acme.example, without a name"},
		"an external id":              {"    kind: standalone\n", "    kind: standalone\n    external_id: EXT-7\n", ""},
		"no external id":              {"    kind: standalone\n", "    kind: standalone\n    external_id: a b\n", "f.yaml:5: workspaces[0].external_id: must be 2 to 1,000 of A-Z a-z 0-9 _ + = , . @ : / -"},
		"an external id of a setting": {"kind: http\n    settings:\n      url: http://127.0.0.1:9000/\n", "kind: s3\n    settings:\n      external_id: EXT-7\n", "f.yaml:12: destinations[0].settings.external_id: is made by this system, one a workspace: leave it out; the workspace shows it as external_id"},
		"two documents":               {":9000/\n", ":9000/\n---\nworkspaces: []\n", "f.yaml:14: must be one document; what follows --- would be left out"},
		"one document, marked":        {"workspaces:\n", "---\nworkspaces:\n", ""},
		"unknown workspace":           {"workspace_id: acme", "workspace_id: other", `f.yaml:9: destinations[0].workspace_id: there is no workspace "other" in this file`},
		"unknown kind":                {"kind: http", "kind: ftp", `f.yaml:10: destinations[0].kind: must be one of s3, http, azure_monitor, azure_blob, gcs, not "ftp"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := local.ParseFile("f.yaml", []byte(strings.Replace(sampleFile, c.old, c.new, 1)), local.Network())
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
