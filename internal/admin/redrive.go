package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// RedriveInput says which of the logs that wait are tried now. A log is meant if it meets every condition that is given.
type RedriveInput struct {
	DestinationID string       `json:"destination_id,omitempty" maxLength:"128"`
	Code          failure.Code `json:"code,omitempty" maxLength:"64" doc:"The failure code of the last attempt."`
	LogType       string       `json:"log_type,omitempty" maxLength:"64"`
	AcceptedFrom  time.Time    `json:"accepted_from,omitzero" required:"false" doc:"Accepted at this time or later."`
	AcceptedTo    time.Time    `json:"accepted_to,omitzero" required:"false" doc:"Accepted before this time."`
	Next          string       `json:"next,omitempty" maxLength:"600" doc:"Where to go on: the value of next of the answer before, with the same conditions."`
}

// RedriveResult is what came of it.
type RedriveResult struct {
	Queued int `json:"queued" doc:"How many logs are tried now."`
	Looked int `json:"looked" doc:"How many that wait were looked at; at most 10,000, of 200 destinations, a request."`
	// Skipped are destinations that take nothing as they are.
	Skipped []string `json:"skipped" doc:"Destinations that are disconnected, disabled or deleted; reconnect or restore them instead."`
	Next    *string  `json:"next" doc:"Send it with the same conditions to go on; null at the end."`
}

func (a *API) redriveRoutes(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "redrive", Method: http.MethodPost, Path: "/v1/redrive",
		Summary: "Try logs that wait now, before their time", Tags: []string{"deliveries"}, MaxBodyBytes: maxBody,
		Description: "At least one condition must be given. While a destination fails, attempts stay held back to a few a minute.",
		Errors:      []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge}}, a.redrive)
}

func (in RedriveInput) check() error {
	if in.DestinationID == "" && in.Code == "" && in.LogType == "" && in.AcceptedFrom.IsZero() && in.AcceptedTo.IsZero() {
		return invalidField("body", "must have at least one of destination_id, code, log_type, accepted_from and accepted_to")
	}
	if !in.AcceptedTo.IsZero() && !in.AcceptedFrom.Before(in.AcceptedTo) {
		return invalidField("body.accepted_to", "must be after accepted_from")
	}
	return nil
}

// meant says whether a delivery meets the conditions.
func (in RedriveInput) meant(d delivery.Delivery) bool {
	return (in.Code == "" || d.Code == in.Code) &&
		(in.LogType == "" || d.Document.Type == in.LogType) &&
		!d.AcceptedAt.Before(in.AcceptedFrom) &&
		(in.AcceptedTo.IsZero() || d.AcceptedAt.Before(in.AcceptedTo))
}

func (a *API) redrive(ctx context.Context, in *struct{ Body RedriveInput }) (*struct{ Body RedriveResult }, error) {
	if err := in.Body.check(); err != nil {
		return nil, err
	}
	after, err := parseKeyCursor(in.Body.Next)
	if err != nil || in.Body.Next != "" && in.Body.DestinationID != "" && after.DestinationID != in.Body.DestinationID {
		return nil, badCursor()
	}
	ids, err := a.destinationIDs(ctx, in.Body.DestinationID, after.DestinationID, redrivenAtMost+1)
	if err != nil {
		return nil, err
	}
	result := RedriveResult{Skipped: make([]string, 0)}
	for n, id := range ids {
		if n == redrivenAtMost {
			result.Next = keyCursor(before(id))
			break
		}
		d, err := a.Destinations.CurrentDestination(ctx, id)
		if errors.Is(err, directory.ErrNotFound) && in.Body.DestinationID == "" {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, a.destinationError(ctx, id, err)
		}
		if d.State != directory.Connected {
			if in.Body.DestinationID != "" && d.State == directory.Deleted {
				return nil, a.wasDeleted(d)
			}
			if in.Body.DestinationID != "" {
				return nil, problem(http.StatusConflict, "the destination is %s; reconnect it, which sends all that waits", d.State)
			}
			result.Skipped = append(result.Skipped, id)
			continue
		}
		from := delivery.Key{}
		if id == after.DestinationID {
			from = after
		}
		if err := a.redriveOne(ctx, in.Body, d, from, &result); err != nil {
			return nil, err
		}
		if result.Next != nil {
			break
		}
	}
	return &struct{ Body RedriveResult }{result}, nil
}

// redrivenAtMost is how many destinations one request looks at: at 30 ms for one without a backlog they take 6 s of the function's 29.
const redrivenAtMost = 200

// before is a key that comes before each of a destination's deliveries, for a cursor that begins with it.
func before(destinationID string) delivery.Key {
	return delivery.Key{DestinationID: destinationID, WorkspaceID: "-", LogID: "-", AcceptedAt: time.UnixMilli(0).UTC()}
}

// redriveOne sends hints for one destination's deliveries, until its end or that of the request's bound.
func (a *API) redriveOne(ctx context.Context, in RedriveInput, d directory.Destination, from delivery.Key, result *RedriveResult) error {
	ctx = concerned(ctx, failure.Concern{DestinationID: d.ID, WorkspaceID: d.WorkspaceID})
	var tell directory.Outgoing
	for {
		page, err := a.Pending.Pending(ctx, d.ID, from, readAtOnce)
		if err != nil {
			return a.internal(ctx, err)
		}
		var rides []delivery.Ride
		for _, p := range page {
			if p.For(d) && in.meant(p) {
				rides = append(rides, delivery.Ride{Hint: delivery.Hint{Key: p.Key, At: p.NextAt, Drain: true, Why: delivery.WhyRedrive}})
			}
		}
		if len(rides) > 0 && tell.ID == "" { // kept first: a redrive of which half the hints went is told of too
			if tell, err = a.destinationActivity(ctx, connection.DeliveriesRedriven, d); err != nil {
				return err
			}
			if err := a.Outbox.Keep(ctx, tell); err != nil {
				return a.internal(ctx, err)
			}
		}
		if err := errors.Join(a.Retries.Send(ctx, rides)...); err != nil {
			return a.internal(ctx, fmt.Errorf("send hints to redrive destination %s: %w", d.ID, err))
		}
		result.Queued += len(rides)
		result.Looked += len(page)
		if len(page) < readAtOnce {
			break
		}
		from = page[len(page)-1].Key
		if result.Looked >= countedAtMost {
			result.Next = keyCursor(from)
			break
		}
	}
	if tell.ID != "" {
		a.Outbox.Tell(ctx, tell)
	}
	return nil
}
