package main

import (
	"context"
	"io"
	"net/http"
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

// look tells the attempts that are new.
func (t *tail) look(ctx context.Context) error {
	const page = 1000
	for {
		var answer admin.AttemptPage
		_, err := t.client.do(ctx, call{method: http.MethodGet, path: "/v1/attempts", query: t.filter.query(t.from, page), into: &answer})
		if err != nil {
			return err
		}
		var fresh []admin.Attempt
		for _, a := range answer.Items {
			next := a.NextAttemptAt
			a.NextAttemptAt = nil // a pointer would make each answer's attempt another key
			if !t.told[a] {
				t.told[a] = true
				a.NextAttemptAt = next
				fresh = append(fresh, a)
			}
		}
		if err := t.tell(ctx, fresh); err != nil {
			return err
		}
		if len(answer.Items) > 0 {
			t.forget(answer.Items[len(answer.Items)-1].At, len(answer.Items) == page)
		}
		if len(answer.Items) < page || len(fresh) == 0 {
			return nil
		}
	}
}

// forget moves on to where the next look begins: a little before the last attempt, or at it when there are more.
func (t *tail) forget(last time.Time, more bool) {
	from := last.Add(-overlap)
	if more {
		from = last
	}
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
	if len(fresh) == 0 {
		return nil
	}
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
