package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// remote are the flags of every command over the API.
type remote struct {
	reach
	output
}

func (r *remote) flags(cmd *cobra.Command) {
	r.reach.flags(cmd)
	r.output.flags(cmd)
	cmd.PersistentPreRunE = func(*cobra.Command, []string) error { return r.check() }
}

func workspaceCommand() *cobra.Command {
	var r remote
	cmd := group(&cobra.Command{
		Use:   "workspace",
		Short: "List, show, put and delete workspaces",
	})
	r.flags(cmd)
	cmd.AddCommand(workspaceList(&r), workspaceGet(&r), workspaceTrust(&r), workspacePut(&r), workspaceDelete(&r))
	return cmd
}

func workspaceList(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List all workspaces",
		Example: "  auditrelay workspace list --local",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			list, err := pages[admin.Workspace](cmd.Context(), c, "/v1/workspaces", nil, 0)
			if err != nil {
				return err
			}
			return r.show(cmd, list, func() *table { return workspaceTable(list) })
		},
	}
}

func workspaceTable(list []admin.Workspace) *table {
	t := &table{headings: []string{"ID", "NAME", "KIND", "PARENT", "ADMINS"}, empty: "there are no workspaces"}
	for _, w := range list {
		t.add(text("%s", w.ID), text("%s", w.Name), text("%s", w.Kind), text("%s", dash(w.ParentID)), text("%s", dash(strings.Join(w.Admins, ", "))))
	}
	return t
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func workspaceGet(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:     "get ID",
		Short:   "Show a workspace",
		Example: "  auditrelay workspace get acme --local -o json",
		Args:    oneID("workspace"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			var w admin.Workspace
			if _, err := c.do(cmd.Context(), call{method: http.MethodGet, path: "/v1/workspaces/" + url.PathEscape(args[0]), into: &w}); err != nil {
				return err
			}
			return r.show(cmd, w, func() *table {
				t := &table{}
				t.add(text("id"), text("%s", w.ID))
				t.add(text("name"), text("%s", dash(w.Name)))
				t.add(text("kind"), text("%s", w.Kind))
				t.add(text("parent"), text("%s", dash(w.ParentID)))
				t.add(text("admins"), text("%s", dash(strings.Join(w.Admins, ", "))))
				t.add(text("error recipients"), text("%s", dash(strings.Join(w.ErrorRecipients, ", "))))
				t.add(text("external id"), text("%s", dash(w.ExternalID)))
				return t
			})
		},
	}
}

// workspaceTrust writes the policy alone, as aws iam create-role takes it.
func workspaceTrust(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:     "trust ID",
		Short:   "Write the trust policy for the roles of a workspace's S3 destinations",
		Example: "  auditrelay workspace trust acme --api https://….execute-api.eu-central-1.amazonaws.com/api",
		Args:    oneID("workspace"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			var policy json.RawMessage
			if _, err := c.do(cmd.Context(), call{method: http.MethodGet, path: "/v1/workspaces/" + url.PathEscape(args[0]) + "/trust-policy", into: &policy}); err != nil {
				return err
			}
			return writeJSON(cmd.OutOrStdout(), policy, "  ")
		},
	}
}

func workspacePut(r *remote) *cobra.Command {
	var in admin.WorkspaceInput
	var kind string
	cmd := &cobra.Command{
		Use:   "put ID --kind KIND",
		Short: "Create a workspace, or replace it as a whole",
		Example: `  auditrelay workspace put acme --local --kind standalone --name "Acme Corp" --admin ada@acme.example
  auditrelay workspace put shop --local --kind embedded_customer --parent orbit`,
		Args: oneID("workspace"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if kind == "" {
				return usageError("--kind is missing: standalone, embedded_partner, embedded_customer, ahq_admin or ahq_managed")
			}
			in.Kind = directory.WorkspaceKind(kind)
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			var w admin.Workspace
			if _, err := c.do(cmd.Context(), call{method: http.MethodPut, path: "/v1/workspaces/" + url.PathEscape(args[0]), body: in, into: &w}); err != nil {
				return err
			}
			return r.show(cmd, w, func() *table { return workspaceTable([]admin.Workspace{w}) })
		},
	}
	cmd.Flags().StringVar(&kind, "kind", "", "standalone, embedded_partner, embedded_customer, ahq_admin or ahq_managed")
	cmd.Flags().StringVar(&in.Name, "name", "", "the account's name, as mails show it")
	cmd.Flags().StringVar(&in.ParentID, "parent", "", "the partner or AHQ admin workspace")
	cmd.Flags().StringArrayVar(&in.Admins, "admin", nil, "mail address of an admin; may be repeated")
	cmd.Flags().StringArrayVar(&in.ErrorRecipients, "error-recipient", nil, "mail address that gets the same mails; may be repeated")
	var kinds []string
	for _, k := range directory.WorkspaceKinds() {
		kinds = append(kinds, string(k))
	}
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(kinds, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func workspaceDelete(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:     "delete ID",
		Short:   "Delete a workspace that has no destinations and no children",
		Example: "  auditrelay workspace delete acme --local",
		Args:    oneID("workspace"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			_, err = c.do(cmd.Context(), call{method: http.MethodDelete, path: "/v1/workspaces/" + url.PathEscape(args[0])})
			return err
		},
	}
}
