package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// standing is how one destination stands.
type standing struct {
	admin.Destination
	Backlog admin.Backlog `json:"backlog"`
}

func statusCommand() *cobra.Command {
	var r remote
	var workspace string
	cmd := &cobra.Command{
		Use:   "status [DESTINATION…]",
		Short: "How destinations stand: state, health, backlog, oldest log, time to first loss",
		Example: `  auditrelay status --local
  auditrelay status siem archive --api https://….execute-api.eu-central-1.amazonaws.com/api -o json`,
		Args: func(_ *cobra.Command, args []string) error { return strayAddress(args) },
		RunE: func(cmd *cobra.Command, ids []string) error {
			c, err := r.open(cmd.Context())
			if err != nil {
				return err
			}
			list, err := listDestinations(cmd, c, workspace)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if !slices.ContainsFunc(list, func(d admin.Destination) bool { return d.ID == id }) {
					_, err := c.do(cmd.Context(), call{method: http.MethodGet, path: destinationPath(id)})
					if err == nil {
						err = usageError(fmt.Sprintf("destination %s does not belong to workspace %s", id, workspace))
					}
					return err
				}
			}
			if len(ids) > 0 {
				list = slices.DeleteFunc(list, func(d admin.Destination) bool { return !slices.Contains(ids, d.ID) })
			}
			standings, err := standingsOf(cmd, c, list)
			if err != nil {
				return err
			}
			now := c.now(cmd.Context())
			return r.show(cmd, standings, func() *table { return statusTable(standings, now) })
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&workspace, "workspace", "", "only destinations that this workspace owns")
	return cmd
}

// backlogsAtOnce bounds the requests under way.
const backlogsAtOnce = 8

func standingsOf(cmd *cobra.Command, c *client, list []admin.Destination) ([]standing, error) {
	standings := make([]standing, len(list))
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	slots := make(chan struct{}, backlogsAtOnce)
	for i, d := range list {
		standings[i].Destination = d
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			_, errs[i] = c.do(cmd.Context(), call{method: http.MethodGet, path: destinationPath(d.ID, "backlog"), into: &standings[i].Backlog})
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return standings, nil
}

// soon is when a coming loss is shown in red.
const soon = 24 * time.Hour

func statusTable(standings []standing, now time.Time) *table {
	t := &table{headings: []string{"DESTINATION", "STATE", "HEALTH", "SINCE", "WAITING", "OLDEST LOG", "FIRST LOSS"}, empty: "there are no destinations"}
	for _, s := range standings {
		since := s.Health.Since
		if s.State != directory.Connected {
			since = &s.StateSince
		}
		loss := when(s.Backlog.FirstExpiresAt, now)
		if at := s.Backlog.FirstExpiresAt; at != nil && at.Sub(now) < soon {
			loss = loss.in(red)
		}
		t.add(text("%s", s.ID), stateCell(s.State), healthCell(s.Health), when(since, now), text("%s", atLeast(s.Backlog.Count, s.Backlog.More)), when(s.Backlog.OldestAcceptedAt, now), loss)
	}
	return t
}

// atLeast is a count with a plus if there are more.
func atLeast(n int, more bool) string {
	if more {
		return fmt.Sprintf("%d+", n)
	}
	return fmt.Sprint(n)
}

// why says why logs wait, the most frequent code first: how many, and their share.
func why(b admin.Backlog) cell {
	var parts []string
	for _, c := range b.Codes {
		code := string(c.Code)
		if code == "" {
			code = "not tried yet"
		}
		parts = append(parts, fmt.Sprintf("%d %s (%d %%)", c.Count, code, (100*c.Count+b.Count/2)/b.Count))
	}
	return text("%s", dash(strings.Join(parts, ", ")))
}
