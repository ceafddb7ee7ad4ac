package main

import (
	"net/url"

	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/admin"
)

func failedCommand() *cobra.Command {
	var r remote
	var destination string
	var newest bool
	var limit int
	cmd := &cobra.Command{
		Use:   "failed",
		Short: "List failed events: logs that were given up after seven days, for 30 days",
		Example: `  auditrelay failed --local
  auditrelay failed --local --destination archive --newest --limit 20`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usageError("--limit must be 1 or more")
			}
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			query := make(url.Values)
			if destination != "" {
				query.Set("destination_id", destination)
			}
			if newest {
				query.Set("order", "newest")
			}
			list, err := pages[admin.FailedEvent](cmd.Context(), c, "/v1/failed", query, limit)
			if err != nil {
				return err
			}
			now := c.now(cmd.Context())
			return r.show(cmd, list, func() *table {
				t := &table{headings: []string{"FAILED", "LOG", "WORKSPACE", "DESTINATION", "TYPE", "ACCEPTED", "ATTEMPTS", "CODE"}, empty: "there are no failed events"}
				for _, e := range list {
					t.add(when(&e.FailedAt, now), text("%s", e.LogID), text("%s", e.WorkspaceID), text("%s", e.DestinationID), text("%s", e.Type),
						when(&e.AcceptedAt, now), text("%d", e.Attempts), text("%s", dash(string(e.Code))))
				}
				return t
			})
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&destination, "destination", "", "only of this destination, which may have been deleted")
	cmd.Flags().BoolVar(&newest, "newest", false, "of each destination the newest first")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many to show at most")
	return cmd
}

func pendingCommand() *cobra.Command {
	var r remote
	var limit int
	cmd := &cobra.Command{
		Use:     "pending DESTINATION",
		Short:   "List what waits for a destination, the oldest first",
		Example: "  auditrelay pending siem --local --limit 20",
		Args:    oneID("destination"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return usageError("--limit must be 1 or more")
			}
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			list, err := pages[admin.PendingDelivery](cmd.Context(), c, "/v1/deliveries", url.Values{"destination_id": {args[0]}}, limit)
			if err != nil {
				return err
			}
			now := c.now(cmd.Context())
			return r.show(cmd, list, func() *table {
				t := &table{headings: []string{"ACCEPTED", "LOG", "WORKSPACE", "ATTEMPTS", "CODE", "NEXT ATTEMPT", "EXPIRES"}, empty: "nothing waits for this destination"}
				for _, d := range list {
					t.add(when(&d.AcceptedAt, now), text("%s", d.LogID), text("%s", d.WorkspaceID), text("%d", d.Attempts), text("%s", dash(string(d.Code))),
						when(d.NextAttemptAt, now), when(&d.ExpiresAt, now))
				}
				return t
			})
		},
	}
	r.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 100, "how many to show at most")
	return cmd
}
