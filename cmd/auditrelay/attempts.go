package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// attemptFilter says which attempts are wanted.
type attemptFilter struct {
	log, destination string
}

func (f *attemptFilter) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.log, "log", "", "only of the log of this id")
	cmd.Flags().StringVar(&f.destination, "destination", "", "only to this destination")
}

func (f *attemptFilter) query(since time.Time, limit int) url.Values {
	query := url.Values{"since": {since.UTC().Format(time.RFC3339Nano)}, "limit": {fmt.Sprint(limit)}}
	if f.log != "" {
		query.Set("log_id", f.log)
	}
	if f.destination != "" {
		query.Set("destination_id", f.destination)
	}
	return query
}

func attemptsCommand() *cobra.Command {
	var r remote
	var f attemptFilter
	var since time.Duration
	var limit int
	cmd := &cobra.Command{
		Use:   "attempts",
		Short: "List attempts, the oldest first",
		Example: `  auditrelay attempts --local --log 3f2a --destination siem
  auditrelay attempts --local --since 1h -o json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > 1000 {
				return usageError("--limit must be 1 to 1000")
			}
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			now := c.now(cmd.Context())
			var page admin.AttemptPage
			_, err = c.do(cmd.Context(), call{method: http.MethodGet, path: "/v1/attempts", query: f.query(now.Add(-since), limit), into: &page})
			if err != nil {
				return err
			}
			return r.show(cmd, page.Items, func() *table {
				t := attemptTable(page.Items, now)
				t.headings = []string{"TIME", "LOG", "DESTINATION", "ATTEMPT", "OUTCOME", "CODE", "TOOK", "NEXT"}
				t.empty = "there were no attempts in that time"
				return t
			})
		},
	}
	r.flags(cmd)
	f.flags(cmd)
	cmd.Flags().DurationVar(&since, "since", delivery.Lifetime, "how far to look back")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many to show at most")
	return cmd
}

func attemptTable(list []admin.Attempt, now time.Time) *table {
	t := &table{}
	for _, a := range list {
		t.add(when(&a.At, now), text("%s", a.LogID), text("%s", a.DestinationID), text("%d", a.Attempt), outcomeCell(a.Outcome),
			text("%s", dash(string(a.Code))), text("%d ms", a.DurationMS), when(a.NextAttemptAt, now))
	}
	return t
}

func outcomeCell(o delivery.Outcome) cell {
	switch o {
	case delivery.Delivered:
		return text("%s", o).in(green)
	case delivery.Held:
		return text("%s", o).in(yellow)
	}
	return text("%s", o).in(red)
}

func tailCommand() *cobra.Command {
	var r remote
	var f attemptFilter
	var since, every, during time.Duration
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow attempts as they are made, until Ctrl-C",
		Long: `Follow attempts as they are made, until Ctrl-C. On AWS an attempt shows some seconds after it was made. With -o json each is a JSON object on a
line of its own.`,
		Example: `  auditrelay tail --local
  auditrelay tail --local --destination siem -o json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every <= 0 {
				return usageError("--every must be more than nothing, such as 2s")
			}
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			t := tail{client: c, filter: f, json: r.format == "json", out: cmd.OutOrStdout(), from: c.now(cmd.Context()).Add(-since), told: make(map[admin.Attempt]bool)}
			return t.follow(cmd.Context(), every, during)
		},
	}
	r.flags(cmd)
	f.flags(cmd)
	cmd.Flags().DurationVar(&since, "since", 0, "begin with attempts of that time before now")
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "how often to ask")
	cmd.Flags().DurationVar(&during, "for", 0, "end after that time; 0 is never")
	return cmd
}
