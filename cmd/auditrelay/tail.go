package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/auditrelay/auditrelay/internal/admin"
)

// overlap is how far each look goes back behind the one before: the log service shows lines late and out of order.
const overlap = time.Minute

// tail follows attempts.
type tail struct {
	client *client
	filter attemptFilter
	json   bool
	out    io.Writer
	errors io.Writer
	// from is where the next look begins.
	from time.Time
	// told are the attempts since from that were told.
	told map[admin.Attempt]bool
}

// follow looks again and again, until ctx ends or the time is over; both are its normal end.
func (t *tail) follow(ctx context.Context, every, during time.Duration) error {
	if during > 0 {
		limited, cancel := context.WithTimeout(ctx, during)
		defer cancel()
		ctx = limited
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := t.look(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

const (
	tailPage = 1000
	// tailPages bounds one look; at two seconds a look, that is 5,000 attempts a second.
	tailPages = 10
)

// look tells the attempts that are new, the oldest first. The API gives the newest first, so it is asked again for what is older.
func (t *tail) look(ctx context.Context) error {
	var fresh []admin.Attempt
	var until time.Time
	for n := range tailPages {
		var page admin.AttemptPage
		query := t.filter.query(t.from, until, tailPage)
		if _, err := t.client.do(ctx, call{method: http.MethodGet, path: "/v1/attempts", query: query, into: &page}); err != nil {
			return err
		}
		for _, a := range page.Items {
			if !t.told[key(a)] {
				t.told[key(a)] = true
				fresh = append(fresh, a)
			}
		}
		if page.Complete {
			break
		}
		if n+1 == tailPages || page.SearchedUntil.Equal(until) {
			fmt.Fprintf(t.errors, "there are more attempts than can be followed: of those from %s to %s some are not shown\n",
				t.from.UTC().Format(time.RFC3339), page.SearchedUntil.UTC().Format(time.RFC3339))
			break
		}
		until = page.SearchedUntil
	}
	if len(fresh) == 0 {
		return nil
	}
	t.forget(fresh[0].At)
	slices.Reverse(fresh)
	return t.tell(ctx, fresh)
}

// key is an attempt as a key of a map: a pointer would make each answer's attempt another.
func key(a admin.Attempt) admin.Attempt {
	a.NextAttemptAt = nil
	return a
}

// forget moves on to where the next look begins, a little before the newest attempt.
func (t *tail) forget(newest time.Time) {
	from := newest.Add(-overlap)
	if !from.After(t.from) {
		return
	}
	t.from = from
	for a := range t.told {
		if a.At.Before(from) {
			delete(t.told, a)
		}
	}
}

func (t *tail) tell(ctx context.Context, fresh []admin.Attempt) error {
	if !t.json {
		return attemptTable(fresh, t.client.now(ctx)).write(t.out)
	}
	for _, a := range fresh {
		if err := writeJSON(t.out, a, ""); err != nil {
			return err
		}
	}
	return nil
}
