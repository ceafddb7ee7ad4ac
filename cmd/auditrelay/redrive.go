package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/failure"
)

func redriveCommand() *cobra.Command {
	var r remote
	var in admin.RedriveInput
	var code, from, to string
	cmd := &cobra.Command{
		Use:   "redrive",
		Short: "Try logs that wait now, before their time",
		Long: `Try logs that wait now, before their time: those that meet every condition that is given, at least one.

While a destination fails, attempts stay held back to a few a minute, so redrive what is healthy again, or was fixed. A destination that is
disconnected or disabled takes nothing; reconnect it, which sends all that waits.`,
		Example: `  auditrelay redrive --local --destination siem
  auditrelay redrive --local --code http.log_refused --type job_details
  auditrelay redrive --local --destination siem --from 2026-11-02T09:00:00Z --to 2026-11-02T10:00:00Z`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			in.Code = failure.Code(code)
			if in.AcceptedFrom, err = parseTime("--from", from); err != nil {
				return err
			}
			if in.AcceptedTo, err = parseTime("--to", to); err != nil {
				return err
			}
			if in == (admin.RedriveInput{}) {
				return usageError("say what to try now, by at least one of --destination, --code, --type, --from and --to")
			}
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			total, err := redriveAll(cmd, c, in)
			if err != nil {
				return err
			}
			return r.show(cmd, total, func() *table {
				t := &table{}
				t.add(text("%d logs are tried now, of %d that wait", total.Queued, total.Looked))
				if len(total.Skipped) > 0 {
					t.add(text("left out, since they are disconnected or disabled: %s", strings.Join(total.Skipped, ", ")).in(yellow))
				}
				return t
			})
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&in.DestinationID, "destination", "", "only for this destination")
	cmd.Flags().StringVar(&code, "code", "", "only those whose last attempt failed with this code, see docs/errors.md")
	cmd.Flags().StringVar(&in.LogType, "type", "", "only logs of this type")
	cmd.Flags().StringVar(&from, "from", "", "only those accepted at this time or later, RFC 3339")
	cmd.Flags().StringVar(&to, "to", "", "only those accepted before this time, RFC 3339")
	var codes []string
	for _, e := range failure.Catalogue() {
		codes = append(codes, string(e.Code))
	}
	_ = cmd.RegisterFlagCompletionFunc("code", cobra.FixedCompletions(codes, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// redriveAll asks again until everything was looked at.
func redriveAll(cmd *cobra.Command, c *client, in admin.RedriveInput) (admin.RedriveResult, error) {
	total := admin.RedriveResult{Skipped: []string{}}
	for {
		var part admin.RedriveResult
		if _, err := c.do(cmd.Context(), call{method: http.MethodPost, path: "/v1/redrive", body: in, into: &part}); err != nil {
			return total, err
		}
		total.Queued += part.Queued
		total.Looked += part.Looked
		for _, id := range part.Skipped {
			if !slices.Contains(total.Skipped, id) {
				total.Skipped = append(total.Skipped, id)
			}
		}
		if part.Next == nil {
			return total, nil
		}
		in.Next = *part.Next
	}
}

func parseTime(flag, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return t, usageError(fmt.Sprintf("%s must be an RFC 3339 time such as 2026-11-02T09:30:00Z", flag))
	}
	return t, nil
}
