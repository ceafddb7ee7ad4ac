package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/local"
)

func destinationCommand() *cobra.Command {
	var r remote
	cmd := group(&cobra.Command{
		Use:   "destination",
		Short: "List, show, put, delete, restore, disconnect, reconnect and test destinations",
	})
	r.flags(cmd)
	cmd.AddCommand(destinationList(&r), destinationGet(&r), destinationPut(&r), destinationDelete(&r), destinationMove(&r, "restore",
		"Take a deletion back within its eight hours; what waits is sent first"), destinationMove(&r, "disconnect",
		"Stop delivery; logs wait, and eight hours later the destination is disabled"), destinationMove(&r, "reconnect",
		"Start delivery again, with what waits first"), destinationTest(&r))
	return cmd
}

func destinationPath(id string, more ...string) string {
	return strings.Join(append([]string{"/v1/destinations", url.PathEscape(id)}, more...), "/")
}

func destinationList(r *remote) *cobra.Command {
	var workspace string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List destinations",
		Example: `  auditrelay destination list --local
  auditrelay destination list --local --workspace acme -o json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			list, err := listDestinations(cmd, c, workspace)
			if err != nil {
				return err
			}
			return r.show(cmd, list, func() *table { return destinationTable(list) })
		},
	}
	cmd.Flags().StringVar(&workspace, "workspace", "", "only those that this workspace owns")
	return cmd
}

func listDestinations(cmd *cobra.Command, c *client, workspace string) ([]admin.Destination, error) {
	query := make(url.Values)
	if workspace != "" {
		query.Set("workspace_id", workspace)
	}
	return pages[admin.Destination](cmd.Context(), c, "/v1/destinations", query, 0)
}

func destinationTable(list []admin.Destination) *table {
	t := &table{headings: []string{"ID", "NAME", "WORKSPACE", "KIND", "SHARED", "LOG TYPES", "STATE", "HEALTH"}, empty: "there are no destinations"}
	for _, d := range list {
		types := strings.Join(d.LogTypes, ", ")
		if types == "" {
			types = "all"
		}
		t.add(text("%s", d.ID), text("%s", d.Name), text("%s", d.WorkspaceID), text("%s", d.Kind), text("%v", d.Shared), text("%s", types),
			stateCell(d.State), healthCell(d.Health))
	}
	return t
}

func stateCell(s directory.State) cell {
	switch s {
	case directory.Connected:
		return text("%s", s).in(green)
	case directory.Disconnected:
		return text("%s", s).in(yellow)
	}
	return text("%s", s).in(red)
}

func healthCell(h admin.Health) cell {
	if h.State == directory.Healthy && h.Refused != nil {
		return text("%s, refuses: %s", h.State, h.Refused.Code).in(yellow)
	}
	if h.State == directory.Healthy {
		return text("%s", h.State).in(green)
	}
	return text("%s: %s", h.State, h.Code).in(red)
}

func destinationGet(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:     "get ID",
		Short:   "Show a destination and what waits for it; credentials are never shown",
		Example: "  auditrelay destination get siem --local",
		Args:    oneID("destination"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			var d admin.Destination
			if _, err := c.do(cmd.Context(), call{method: http.MethodGet, path: destinationPath(args[0]), into: &d}); err != nil {
				return err
			}
			var b admin.Backlog
			if _, err := c.do(cmd.Context(), call{method: http.MethodGet, path: destinationPath(args[0], "backlog"), into: &b}); err != nil {
				return err
			}
			now := c.now(cmd.Context())
			return r.show(cmd, d, func() *table {
				t := &table{}
				t.add(text("id"), text("%s", d.ID))
				t.add(text("name"), text("%s", dash(d.Name)))
				t.add(text("workspace"), text("%s", d.WorkspaceID))
				t.add(text("kind"), text("%s", d.Kind))
				t.add(text("shared"), text("%v", d.Shared))
				t.add(text("log types"), text("%s", dash(strings.Join(d.LogTypes, ", "))))
				t.add(text("settings"), text("%s", string(d.Settings)))
				if d.ExternalID != "" {
					t.add(text("external id"), text("%s", d.ExternalID))
				}
				t.add(text("state"), stateCell(d.State))
				t.add(text("since"), when(&d.StateSince, now))
				if d.GraceEndsAt != nil {
					t.add(text("until"), when(d.GraceEndsAt, now))
				}
				t.add(text("health"), healthCell(d.Health))
				t.add(text("failing since"), when(d.Health.Since, now))
				t.add(text("took a log"), when(d.Health.TakenAt, now))
				if r := d.Health.Refused; r != nil {
					t.add(text("refuses logs since"), when(&r.Since, now))
				}
				t.add(text("waiting"), text("%s", atLeast(b.Count, b.More)))
				t.add(text("why they wait"), why(b))
				t.add(text("lost in a day"), text("%s", atLeast(b.ExpireInADay, b.ExpireInADay == b.Count && b.More)))
				t.add(text("version"), text("%d", d.Version))
				for _, w := range d.Warnings {
					t.add(text("warning").in(yellow), text("%s: %s", w.Field, w.Message))
				}
				return t
			})
		},
	}
}

func destinationPut(r *remote) *cobra.Command {
	var file string
	var noVerify bool
	cmd := &cobra.Command{
		Use:   "put ID -f FILE",
		Short: "Create a destination, or replace it, from a YAML or JSON file",
		Long: `Create a destination, or replace it, from a YAML or JSON file with name, workspace_id, kind, shared, log_types, settings and credentials.

A marked test log is sent first, and nothing is changed if the destination does not take it; --no-verify skips that.
Credentials that the file does not give stay as they are. To keep several in one file, see auditrelay apply.`,
		Example: `  auditrelay destination put siem --local -f siem.yaml
  echo '{"workspace_id":"acme","kind":"http","settings":{"url":"https://siem.example/logs"}}' | auditrelay destination put siem --local -f -`,
		Args: oneID("destination"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return usageError("-f is missing: the file that describes the destination, or - for standard input")
			}
			body, err := readObject(file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			var d admin.Destination
			_, err = c.do(cmd.Context(), call{method: http.MethodPut, path: destinationPath(args[0]), query: verify(noVerify), body: body, into: &d})
			if err != nil {
				return err
			}
			for _, w := range d.Warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s: %s\n", w.Field, w.Message)
			}
			return r.show(cmd, d, func() *table { return destinationTable([]admin.Destination{d}) })
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the file, or - for standard input")
	cmd.Flags().BoolVar(&noVerify, "no-verify", false, "do not send a test log first")
	return cmd
}

func verify(no bool) url.Values {
	if no {
		return url.Values{"verify": {"false"}}
	}
	return nil
}

// readObject reads a YAML or JSON object. Its errors quote nothing of it, since it may hold credentials.
func readObject(file string, stdin io.Reader) (map[string]any, error) {
	source, err := local.ReadYAML(file, stdin)
	if err != nil {
		return nil, fmt.Errorf("read the destination: %w", err)
	}
	tree, err := local.ParseYAML(source)
	if bound, ok := errors.AsType[*local.BoundError](err); ok {
		return nil, fmt.Errorf("read the destination: %w", bound.In(file))
	}
	var object map[string]any
	if err != nil || len(tree.Docs) == 0 || tree.Docs[0].Body == nil || yaml.NodeToValue(tree.Docs[0].Body, &object) != nil || object == nil {
		return nil, usageError(file + " is not a YAML or JSON object")
	}
	if _, err := json.Marshal(object); err != nil {
		return nil, usageError(file + " holds something that is no JSON, a key that is no text for example")
	}
	return object, nil
}

func destinationDelete(r *remote) *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "delete ID",
		Short: "Delete a destination; for eight hours it can be restored",
		Long: `Delete a destination. It is sent the entry of the activity audit about that and nothing else, and its admins get one mail.

For eight hours it can be restored, and logs wait for it. Then it is removed with its credentials, and logs that wait become failed events as their
seven days end. --purge removes one that is deleted already, now.`,
		Example: `  auditrelay destination delete siem --local
  auditrelay destination delete siem --local --purge`,
		Args: oneID("destination"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			var query url.Values
			if purge {
				query = url.Values{"purge": {"true"}}
			}
			_, err = c.do(cmd.Context(), call{method: http.MethodDelete, path: destinationPath(args[0]), query: query})
			return err
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove a destination that is deleted already, without waiting for the end of its eight hours")
	return cmd
}

// destinationMove disconnects, reconnects or restores.
func destinationMove(r *remote, action, short string) *cobra.Command {
	var noVerify bool
	cmd := &cobra.Command{
		Use:     action + " ID",
		Short:   short,
		Example: "  auditrelay destination " + action + " siem --local",
		Args:    oneID("destination"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			var d admin.Destination
			_, err = c.do(cmd.Context(), call{method: http.MethodPost, path: destinationPath(args[0], action), query: verify(noVerify), into: &d})
			if err != nil {
				return err
			}
			return r.show(cmd, d, func() *table { return destinationTable([]admin.Destination{d}) })
		},
	}
	if action != "disconnect" {
		cmd.Flags().BoolVar(&noVerify, "no-verify", false, "do not send a test log first")
	}
	return cmd
}

func destinationTest(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:     "test ID",
		Short:   "Send a marked test log and tell how the destination took it",
		Example: "  auditrelay destination test siem --local",
		Args:    oneID("destination"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			var result admin.TestResult
			if _, err := c.do(cmd.Context(), call{method: http.MethodPost, path: destinationPath(args[0], "test"), into: &result}); err != nil {
				return err
			}
			if err := r.show(cmd, result, func() *table { return testTable(result) }); err != nil {
				return err
			}
			if !result.OK {
				return errTestFailed
			}
			return nil
		},
	}
}

func testTable(result admin.TestResult) *table {
	t := &table{}
	if result.OK {
		t.add(text("taken").in(green), text("%s in %d ms", result.LogID, result.DurationMS))
		return t
	}
	t.add(text("refused").in(red), text("%s in %d ms", result.LogID, result.DurationMS))
	t.add(text("code"), text("%s", result.Code))
	t.add(text("error"), text("%s", result.Status))
	t.add(text("meaning"), text("%s", result.Description))
	t.add(text("what to do"), text("%s", result.Guidance))
	if result.Detail != "" {
		t.add(text("detail"), text("%s", result.Detail))
	}
	return t
}
