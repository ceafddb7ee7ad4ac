package notice

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// TestOwnerRule holds the six rows of the requirements: where streaming is enabled, and who gets the mail.
func TestOwnerRule(t *testing.T) {
	workspaces := map[string]directory.Workspace{
		"partner":  {ID: "partner", Kind: directory.EmbeddedPartner, Admins: []string{"partner admin"}},
		"customer": {ID: "customer", Kind: directory.EmbeddedCustomer, ParentID: "partner", Admins: []string{"customer admin"}},
		"ahq":      {ID: "ahq", Kind: directory.AHQAdmin, Admins: []string{"AHQ admin"}},
		"managed":  {ID: "managed", Kind: directory.AHQManaged, ParentID: "ahq", Admins: []string{"managed admin"}},
	}
	owned := func(by string, shared bool) []directory.Destination {
		return []directory.Destination{{ID: by, WorkspaceID: by, Shared: shared}}
	}
	for name, c := range map[string]struct {
		workspace string
		own       []directory.Destination
		parents   []directory.Destination
		want      string
	}{
		"embedded partner admin workspace":                  {"partner", owned("partner", true), nil, "partner admin"},
		"embedded customer workspace, shared destination":   {"customer", nil, owned("partner", true), "partner admin"},
		"embedded customer workspace, distinct destination": {"customer", owned("customer", false), owned("partner", true), "customer admin"},
		"AHQ admin workspace":                               {"ahq", owned("ahq", true), nil, "AHQ admin"},
		"AHQ managed workspace, shared destination":         {"managed", nil, owned("ahq", true), "AHQ admin"},
		"AHQ managed workspace, distinct destination":       {"managed", owned("managed", false), owned("ahq", true), "managed admin"},
	} {
		t.Run(name, func(t *testing.T) {
			routed := directory.Route("user_activity", c.own, c.parents)
			if len(routed) != 1 {
				t.Fatalf("a log of %s goes to %d destinations", c.workspace, len(routed))
			}
			owner := workspaces[routed[0].WorkspaceID]
			if diff := cmp.Diff([]string{c.want}, owner.Admins); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRecipients(t *testing.T) {
	for name, c := range map[string]struct {
		admins, errors []string
		want           []string
		bad            int
	}{
		"nobody":                      {},
		"admins before the list":      {admins: []string{"b@x.example", "a@x.example"}, errors: []string{"c@x.example"}, want: []string{"b@x.example", "a@x.example", "c@x.example"}},
		"the list alone":              {errors: []string{"ops@x.example"}, want: []string{"ops@x.example"}},
		"in both, spelled otherwise":  {admins: []string{"Ada@X.example"}, errors: []string{"ada@x.example", " ADA@X.EXAMPLE "}, want: []string{"Ada@X.example"}},
		"with a name":                 {admins: []string{"Ada Lovelace <ada@x.example>"}, errors: []string{"ada@x.example"}, want: []string{"ada@x.example"}},
		"what is no address":          {admins: []string{"", "ada", "ada@x.example\r\nBcc: eve@x.example", "bob@x.example"}, want: []string{"bob@x.example"}, bad: 3},
		"nothing but what is no such": {admins: []string{"ada"}, bad: 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, bad := Recipients(directory.Workspace{Admins: c.admins, ErrorRecipients: c.errors})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("recipients (-want +got):\n%s", diff)
			}
			if bad != c.bad {
				t.Errorf("%d are no addresses, want %d", bad, c.bad)
			}
		})
	}
}
