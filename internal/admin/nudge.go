package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// nudged is how many logs are tried at once: as many as a failing destination may have attempts in a minute, since the oldest of them may be refused
// for their own sake.
const nudged = 10

// nudge has the oldest logs that wait for a failing destination tried now, because there is reason to hope that it takes them again. The first that is
// taken ends the failure and starts the drain; otherwise that would be found out with the next retry of the table, which can be days away. The
// admin's request has succeeded already, so that it fails is our own affair.
func (a *API) nudge(ctx context.Context, d directory.Destination) {
	if d.State != directory.Connected || d.Health.State != directory.Failing {
		return
	}
	oldest, err := a.Pending.Pending(ctx, d.ID, delivery.Key{}, nudged)
	if err == nil {
		rides := make([]delivery.Ride, len(oldest))
		for i, p := range oldest {
			rides[i] = delivery.Ride{Hint: delivery.Hint{Key: p.Key, At: p.NextAt, Drain: true, Why: delivery.WhyProbe}}
		}
		err = errors.Join(a.Retries.Send(ctx, rides)...)
	}
	if err != nil {
		a.Fault(about(ctx, fmt.Errorf("have the oldest logs for destination %s tried: %w", d.ID, err)))
	}
}

// mayMend says whether a change of these fields can be what ends a failure.
func mayMend(fields []string) bool {
	return slices.ContainsFunc(fields, func(f string) bool {
		return f == "credentials" || f == "external_id" || strings.HasPrefix(f, "settings.")
	})
}
