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

// query asks for attempts from since to until; a zero until is now.
func (f *attemptFilter) query(since, until time.Time, limit int) url.Values {
	query := url.Values{"since": {since.UTC().Format(time.RFC3339Nano)}, "limit": {fmt.Sprint(limit)}}
	if !until.IsZero() {
		query.Set("until", until.UTC().Format(time.RFC3339Nano))
	}
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
	var until string
	var limit int
	cmd := &cobra.Command{
		Use:   "attempts",
		Short: "List attempts, the newest first, and say how far they were looked for",
		Long: `List attempts, the newest first, and say how far they were looked for.

A search of a large deployment's log may run out of time. Then the list ends where the search did, and a line on standard error says so and how to go
on; with -o json, complete is false and searched_until is that time. Attempts of the last seconds may not show yet.`,
		Example: `  auditrelay attempts --local --log 3f2a --destination siem
  auditrelay attempts --local --since 1h -o json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > 1000 {
				return usageError("--limit must be 1 to 1000")
			}
			end, err := parseTime("--until", until)
			if err != nil {
				return err
			}
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			now := c.now(cmd.Context())
			from := now
			if !end.IsZero() {
				from = end
			}
			var page admin.AttemptPage
			query := f.query(from.Add(-since), end, limit)
			if _, err := c.do(cmd.Context(), call{method: http.MethodGet, path: "/v1/attempts", query: query, into: &page}); err != nil {
				return err
			}
			if rest := unsearched(page, limit); rest != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), rest)
			}
			return r.show(cmd, page, func() *table {
				t := attemptTable(page.Items, now)
				if t.headings = nil; len(page.Items) > 0 {
					t.headings = []string{"TIME", "LOG", "DESTINATION", "ATTEMPT", "OUTCOME", "CODE", "TOOK", "NEXT", "WHY"}
				} else if page.Complete {
					t.empty = "there were no attempts in that time"
				}
				return t
			})
		},
	}
	r.flags(cmd)
	f.flags(cmd)
	cmd.Flags().DurationVar(&since, "since", delivery.Lifetime, "how far to look back, from --until")
	cmd.Flags().StringVar(&until, "until", "", "only those of this time and before, RFC 3339 (default now)")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many to show at most")
	return cmd
}

// unsearched says what a list lacks, and how to see it; nothing if it is complete.
func unsearched(page admin.AttemptPage, limit int) string {
	if page.Complete {
		return ""
	}
	until := page.SearchedUntil.UTC().Format(time.RFC3339Nano)
	if len(page.Items) >= limit {
		return fmt.Sprintf("these are the newest %d; for older ones go on with --until %s", len(page.Items), until)
	}
	return fmt.Sprintf("the search ran out of time: what is older than %s was not looked at; go on with --until %[1]s, or name --log or --destination, or a shorter --since", until)
}

func attemptTable(list []admin.Attempt, now time.Time) *table {
	t := &table{}
	for _, a := range list {
		t.add(when(&a.At, now), text("%s", a.LogID), text("%s", a.DestinationID), text("%d", a.Attempt), outcomeCell(a.Outcome),
			text("%s", dash(string(a.Code))), text("%d ms", a.DurationMS), when(a.NextAttemptAt, now),
			text("%s", dash(string(a.Why))))
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
			t := tail{client: c, filter: f, json: r.format == "json", out: cmd.OutOrStdout(), errors: cmd.ErrOrStderr(), from: c.now(cmd.Context()).Add(-since), told: make(map[admin.Attempt]bool)}
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
