package local

import (
	"context"
	"net"
	"net/http"
	"slices"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// actor is who the activity audit names for requests to the local runner.
const actor = "local"

// admin serves the management API over this world.
func (w *World) admin() http.Handler {
	api := &admin.API{
		Workspaces:   w.Directory,
		Destinations: w.Directory,
		Listing:      w.Directory,
		Vault:        w.Vault,
		Connections:  w.Connections,
		Outbox:       w.outbox,
		Pending:      w.Cache,
		Failed:       w.Cache,
		Attempts:     entries{w},
		Retries:      w.Retry,
		Network:      Network(),
		Account:      w.account,
		Now:          w.Clock.Now,
		Caller: func(r *http.Request) connection.Caller {
			host, _, _ := net.SplitHostPort(r.RemoteAddr) // a listener's address always has a port
			return connection.Caller{Identity: actor, IPAddress: host, UserAgent: r.UserAgent()}
		},
		Journal: lines{w},
		Fault:   w.fault,
	}
	return api.Handler()
}

// lines tells of tests of destinations where lines are written, and not in the ledger: no customer's log is in them.
type lines struct{ world *World }

// Record implements delivery.Journal.
func (l lines) Record(e delivery.Entry) {
	if next := l.world.Journal.Next; next != nil {
		next.Record(e)
	}
}

// entries are the attempts in the journal.
type entries struct{ world *World }

// Attempts implements admin.Attempts.
func (e entries) Attempts(_ context.Context, q admin.AttemptQuery) (admin.AttemptSearch, error) {
	var found []admin.AttemptRecord
	for _, a := range e.world.Journal.Entries() {
		tried := a.Event == delivery.EventAttempted || a.Event == delivery.EventHeld
		if !tried || (q.LogID != "" && a.LogID != q.LogID) || (q.DestinationID != "" && a.DestinationID != q.DestinationID) ||
			a.At.Before(q.Since) || a.At.After(q.Until) {
			continue
		}
		found = append(found, admin.AttemptRecord{
			Key: a.Key, Kind: a.Kind, Attempt: a.Attempt, Outcome: a.Outcome, Code: a.Code, At: a.At, Took: a.Took, NextAt: a.NextAt,
			Why: a.Why, MessageID: a.MessageID, Receives: a.Receives,
		})
	}
	slices.Reverse(found)
	slices.SortStableFunc(found, func(a, b admin.AttemptRecord) int { return b.At.Compare(a.At) })
	if len(found) <= q.Limit {
		return admin.AttemptSearch{Records: found, Complete: true, SearchedUntil: q.Since}, nil
	}
	found = found[:q.Limit]
	return admin.AttemptSearch{Records: found, SearchedUntil: found[q.Limit-1].At}, nil
}
