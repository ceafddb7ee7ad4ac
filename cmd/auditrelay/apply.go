package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/sink"
)

func applyCommand() *cobra.Command {
	var r remote
	var file string
	var dryRun, noVerify, credentials bool
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make workspaces and destinations what a YAML file says",
		Long: `Make workspaces and destinations what a YAML file says, the same file that auditrelay local takes.

The plan is printed first: what is created, and which fields of what are updated. What agrees already is not touched, and nothing is ever deleted.
Credentials cannot be read back and compared: they are sent with new destinations, with those whose address changes,
and with all of them if --credentials is given.
If a step is refused, those before it stand; correct the file and apply it again.`,
		Example: `  auditrelay apply --local -f streams.yaml --dry-run
  auditrelay apply --api https://….execute-api.eu-central-1.amazonaws.com/api -f streams.yaml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usageError("-f is missing: the YAML file with workspaces and destinations")
			}
			wanted, err := local.ReadFile(file, anyNetwork())
			if err != nil {
				return err
			}
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			workspaces, err := pages[admin.Workspace](cmd.Context(), c, "/v1/workspaces", nil, 0)
			if err != nil {
				return err
			}
			destinations, err := listDestinations(cmd, c, "")
			if err != nil {
				return err
			}
			p, err := newPlan(wanted, workspaces, destinations, credentials)
			if err != nil {
				return err
			}
			if err := r.show(cmd, p, func() *table { return planTable(p) }); err != nil || dryRun {
				return err
			}
			return carryOut(cmd, c, p, noVerify)
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVarP(&file, "file", "f", "", "the YAML file")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the plan and change nothing")
	cmd.Flags().BoolVar(&noVerify, "no-verify", false, "do not send a test log to destinations before they are saved")
	cmd.Flags().BoolVar(&credentials, "credentials", false, "send the file's credentials of every destination, not only of new ones")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	return cmd
}

// anyNetwork leaves it to the API which receivers may be reached.
func anyNetwork() sink.Network {
	return sink.Network{AllowHTTP: true, AllowPrivate: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
}

func planTable(p plan) *table {
	t := &table{}
	for _, s := range p.Steps {
		sign := text("+").in(green)
		if s.Action == "update" {
			sign = text("~").in(yellow)
		}
		t.add(sign, text("%s", s.Action), text("%s", s.What), text("%s", s.ID), text("%s", strings.Join(s.Fields, ", ")))
	}
	t.add(text("="), text("%d unchanged", p.Unchanged))
	return t
}

func carryOut(cmd *cobra.Command, c *client, p plan, noVerify bool) error {
	for i, s := range p.Steps {
		if err := s.carryOut(cmd, c, noVerify); err != nil {
			return fmt.Errorf("%s %s %s: %w (%d of %d steps were done)", s.Action, s.What, s.ID, err, i, len(p.Steps))
		}
	}
	if len(p.Steps) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "done: %d steps\n", len(p.Steps))
	}
	return nil
}

// errPlanIsOld says that somebody else changed what the plan was made for.
var errPlanIsOld = errors.New("it was changed since the plan was made; apply again")

func (s step) carryOut(cmd *cobra.Command, c *client, noVerify bool) error {
	ask := call{method: http.MethodPut, path: s.path, body: s.body}
	if s.What == "destination" {
		ask.query, ask.create = verify(noVerify), s.Action == "create"
	}
	if s.What == "destination" && s.Action == "update" {
		var now admin.Destination
		etag, err := c.do(cmd.Context(), call{method: http.MethodGet, path: s.path, into: &now})
		if err != nil {
			return err
		}
		if now.Incarnation != s.planned.Incarnation || now.Version != s.planned.Version || now.Generation != s.planned.Generation {
			return errPlanIsOld
		}
		ask.ifMatch = etag
	}
	_, err := c.do(cmd.Context(), ask)
	return err
}
