package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// PendingDelivery is a log that waits in the cache for a destination.
type PendingDelivery struct {
	LogID         string       `json:"log_id"`
	Hash          string       `json:"hash,omitempty" doc:"The beginning of the SHA-256 of the log as it is sent, before the destination's template: it tells apart two logs under one id."`
	WorkspaceID   string       `json:"workspace_id"`
	DestinationID string       `json:"destination_id"`
	Attempts      int          `json:"attempts" doc:"Tries that were made; 0 for a log that only waits."`
	AcceptedAt    time.Time    `json:"accepted_at"`
	NextAttemptAt *time.Time   `json:"next_attempt_at" doc:"Null when no attempt is planned before the expiry."`
	ExpiresAt     time.Time    `json:"expires_at" doc:"When it is given up."`
	Code          failure.Code `json:"code" doc:"Why the last attempt failed, see docs/errors.md; empty before the first."`
}

// PendingPage is a page of deliveries that wait.
type PendingPage struct {
	Items []PendingDelivery `json:"items" nullable:"false"`
	Next  *string           `json:"next" doc:"Where the next page begins, or null."`
}

// Backlog sums up what waits for a destination.
type Backlog struct {
	DestinationID string `json:"destination_id"`
	Count         int    `json:"count"`
	// More says that Count stopped at its bound.
	More             bool       `json:"more" doc:"There are more than count; it is not counted further than 10,000."`
	OldestAcceptedAt *time.Time `json:"oldest_accepted_at" doc:"Null when nothing waits."`
	FirstExpiresAt   *time.Time `json:"first_expires_at" doc:"When the first log is lost unless the destination takes it; null when nothing waits."`
	// ExpireInADay counts those that a warning is about.
	ExpireInADay int         `json:"expire_in_a_day" doc:"How many of them are lost within 24 hours unless the destination takes them."`
	Codes        []CodeCount `json:"codes" nullable:"false" doc:"Why they wait, the most frequent code first."`
}

// CodeCount is how many logs wait for a reason.
type CodeCount struct {
	Code  failure.Code `json:"code" doc:"Why their last attempt failed, see docs/errors.md; empty for those that were not tried yet."`
	Count int          `json:"count"`
}

// FailedEvent is a delivery that was given up.
type FailedEvent struct {
	LogID         string       `json:"log_id"`
	Hash          string       `json:"hash,omitempty" doc:"The beginning of the SHA-256 of the log as it is sent, before the destination's template: it tells apart two logs under one id."`
	WorkspaceID   string       `json:"workspace_id"`
	DestinationID string       `json:"destination_id"`
	Type          string       `json:"type"`
	AcceptedAt    time.Time    `json:"accepted_at"`
	FailedAt      time.Time    `json:"failed_at"`
	Attempts      int          `json:"attempts"`
	Code          failure.Code `json:"code"`
}

// FailedPage is a page of failed events.
type FailedPage struct {
	Items []FailedEvent `json:"items" nullable:"false"`
	Next  *string       `json:"next" doc:"Where the next page begins, or null."`
}

// Attempt is one attempt, or one time that a log was held.
type Attempt struct {
	LogID         string           `json:"log_id"`
	Hash          string           `json:"hash,omitempty" doc:"The beginning of the SHA-256 of the log as it is sent, before the destination's template: it tells apart two logs under one id."`
	WorkspaceID   string           `json:"workspace_id"`
	DestinationID string           `json:"destination_id"`
	Kind          directory.Kind   `json:"kind"`
	Attempt       int              `json:"attempt" doc:"Counts from 1, the first try."`
	Outcome       delivery.Outcome `json:"outcome" enum:"delivered,failed,held"`
	Code          failure.Code     `json:"code"`
	At            time.Time        `json:"at"`
	DurationMS    int64            `json:"duration_ms"`
	NextAttemptAt *time.Time       `json:"next_attempt_at"`
	Why           delivery.Why     `json:"why" doc:"Why it was made: fresh, retry, probe, turn, drain or redrive. Empty for what was written down before that was."`
	MessageID     string           `json:"message_id" doc:"The message of the queue that led to it."`
	Receives      int              `json:"receives" doc:"How often that message had been handed out by then; more than once is why a log may go twice."`
}

// AttemptPage is attempts, the newest first, and how far they were looked for. Without items it says that there were none only if it is complete.
type AttemptPage struct {
	Items         []Attempt `json:"items" nullable:"false"`
	Complete      bool      `json:"complete" doc:"There are no others in the time that was asked for. False if limit or the time for a search was reached first."`
	SearchedUntil time.Time `json:"searched_until" doc:"Back to this time, every attempt is listed. Ask again with it as until for older ones, if complete is false."`
}

func (a *API) deliveryRoutes(api huma.API) {
	tags := []string{"deliveries"}
	huma.Register(api, huma.Operation{OperationID: "list-deliveries", Method: http.MethodGet, Path: "/v1/deliveries",
		Summary: "List what waits for a destination, the oldest first", Tags: tags, Errors: []int{http.StatusUnprocessableEntity},
		Description: "In pages. They are shown without payload."}, a.listPending)
	huma.Register(api, huma.Operation{OperationID: "get-backlog", Method: http.MethodGet, Path: "/v1/destinations/{id}/backlog",
		Summary: "Sum up what waits for a destination", Tags: tags, Errors: []int{http.StatusNotFound},
		Description: "How many logs and why they wait, the oldest, and when the first is lost unless the destination takes it."}, a.backlog)
	huma.Register(api, huma.Operation{OperationID: "list-attempts", Method: http.MethodGet, Path: "/v1/attempts",
		Summary: "List attempts, the newest first", Tags: tags, Errors: []int{http.StatusUnprocessableEntity},
		Description: "From the log service, which shows an attempt some seconds after it was made, and in which a search may run out of time: see complete."}, a.listAttempts)
	huma.Register(api, huma.Operation{OperationID: "list-failed", Method: http.MethodGet, Path: "/v1/failed",
		Summary: "List failed events of the last 30 days", Tags: tags, Errors: []int{http.StatusUnprocessableEntity},
		Description: "By destination, and of each by acceptance. Without destination_id those of all, deleted ones too. A list is a moment behind."}, a.listFailed)
}

func (a *API) listPending(ctx context.Context, in *struct {
	Paging
	DestinationID string `query:"destination_id" required:"true" minLength:"1" maxLength:"128" pattern:"^[A-Za-z0-9._-]+$" patternDescription:"the id of a destination"`
}) (*struct{ Body PendingPage }, error) {
	after, err := parseKeyCursor(in.Next)
	if err != nil || in.Next != "" && after.DestinationID != in.DestinationID {
		return nil, badCursor()
	}
	found, err := a.Pending.Pending(ctx, in.DestinationID, after, in.Limit+1)
	if err != nil {
		return nil, a.internal(ctx, err)
	}
	out := &struct{ Body PendingPage }{PendingPage{Items: make([]PendingDelivery, 0, len(found))}}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		out.Body.Next = keyCursor(found[in.Limit-1].Key)
	}
	for _, d := range found {
		out.Body.Items = append(out.Body.Items, PendingDelivery{
			LogID: d.LogID, Hash: d.Hash, WorkspaceID: d.WorkspaceID, DestinationID: d.DestinationID, Attempts: d.Attempts, AcceptedAt: d.AcceptedAt,
			NextAttemptAt: nextAttempt(d.Key, d.NextAt), ExpiresAt: d.ExpiresAt(), Code: d.Code,
		})
	}
	return out, nil
}

// nextAttempt is nil when no attempt is left: the time of the delivery's end is none.
func nextAttempt(k delivery.Key, at time.Time) *time.Time {
	if at.IsZero() || !at.Before(k.ExpiresAt()) {
		return nil
	}
	return &at
}

const (
	// readAtOnce is how many deliveries one read asks for.
	readAtOnce = 1000
	// countedAtMost bounds how many are read to answer one request.
	countedAtMost = 10_000
)

func (a *API) backlog(ctx context.Context, in *DestinationPath) (*struct{ Body Backlog }, error) {
	d, err := a.Destinations.CurrentDestination(ctx, in.ID)
	if err != nil {
		return nil, a.destinationError(ctx, in.ID, err)
	}
	b := Backlog{DestinationID: d.ID}
	codes := make(map[failure.Code]int)
	var after delivery.Key
	soon := a.Now().Add(24 * time.Hour)
	for b.More = true; b.More && b.Count < countedAtMost; {
		page, err := a.Pending.Pending(ctx, d.ID, after, readAtOnce)
		if err != nil {
			return nil, a.internal(ctx, err)
		}
		if b.OldestAcceptedAt == nil && len(page) > 0 {
			accepted, expires := page[0].AcceptedAt, page[0].ExpiresAt()
			b.OldestAcceptedAt, b.FirstExpiresAt = &accepted, &expires
		}
		for _, p := range page {
			b.Count++
			codes[p.Code]++
			if !p.ExpiresAt().After(soon) {
				b.ExpireInADay++
			}
			after = p.Key
		}
		b.More = len(page) == readAtOnce
	}
	b.Codes = make([]CodeCount, 0, len(codes))
	for _, c := range directory.ByCode(codes) {
		b.Codes = append(b.Codes, CodeCount{Code: c.Code, Count: c.Logs})
	}
	return &struct{ Body Backlog }{b}, nil
}

func (a *API) listAttempts(ctx context.Context, in *struct {
	LogID         string    `query:"log_id" maxLength:"128" pattern:"^[A-Za-z0-9._-]*$" patternDescription:"the id of a log"`
	DestinationID string    `query:"destination_id" maxLength:"128" pattern:"^[A-Za-z0-9._-]*$" patternDescription:"the id of a destination"`
	Since         time.Time `query:"since" doc:"Default: seven days ago."`
	Until         time.Time `query:"until" doc:"Included. Default: now."`
	Limit         int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}) (*struct{ Body AttemptPage }, error) {
	q := AttemptQuery{LogID: in.LogID, DestinationID: in.DestinationID, Since: in.Since, Until: in.Until, Limit: in.Limit}
	if q.Since.IsZero() {
		q.Since = a.Now().Add(-delivery.Lifetime)
	}
	if now := a.Now(); q.Until.IsZero() || q.Until.After(now) {
		q.Until = now
	}
	found, err := a.Attempts.Attempts(ctx, q)
	if err != nil {
		return nil, a.internal(ctx, err)
	}
	out := &struct{ Body AttemptPage }{AttemptPage{
		Items: make([]Attempt, len(found.Records)), Complete: found.Complete, SearchedUntil: found.SearchedUntil,
	}}
	for i, r := range found.Records {
		out.Body.Items[i] = Attempt{
			LogID: r.LogID, Hash: r.Hash, WorkspaceID: r.WorkspaceID, DestinationID: r.DestinationID, Kind: r.Kind, Attempt: r.Attempt, Outcome: r.Outcome, Code: r.Code,
			At: r.At, DurationMS: r.Took.Milliseconds(), NextAttemptAt: nextAttempt(r.Key, r.NextAt), Why: r.Why, MessageID: r.MessageID, Receives: r.Receives,
		}
	}
	return out, nil
}

func (a *API) listFailed(ctx context.Context, in *struct {
	Paging
	DestinationID string `query:"destination_id" maxLength:"128" pattern:"^[A-Za-z0-9._-]*$" patternDescription:"the id of a destination"`
	Order         string `query:"order" enum:"oldest,newest" default:"oldest" doc:"Which of a destination's come first."`
}) (*struct{ Body FailedPage }, error) {
	after, err := parseKeyCursor(in.Next)
	if err != nil || in.Next != "" && in.DestinationID != "" && after.DestinationID != in.DestinationID {
		return nil, badCursor()
	}
	found, err := a.Failed.Failed(ctx, in.DestinationID, after, in.Order == "newest", in.Limit+1)
	if err != nil {
		return nil, a.internal(ctx, err)
	}
	return answerFailed(found, in.Limit), nil
}

func answerFailed(found []delivery.FailedEvent, limit int) *struct{ Body FailedPage } {
	out := &struct{ Body FailedPage }{FailedPage{Items: make([]FailedEvent, 0, len(found))}}
	if len(found) > limit {
		found = found[:limit]
		out.Body.Next = keyCursor(found[limit-1].Key)
	}
	for _, e := range found {
		out.Body.Items = append(out.Body.Items, FailedEvent{
			LogID: e.LogID, Hash: e.Hash, WorkspaceID: e.WorkspaceID, DestinationID: e.DestinationID, Type: e.Type, AcceptedAt: e.AcceptedAt, FailedAt: e.FailedAt,
			Attempts: e.Attempts, Code: e.Code,
		})
	}
	return out
}

// destinationIDs gives the one destination that is asked for, or up to limit of all by id, from the given one on.
func (a *API) destinationIDs(ctx context.Context, only, from string, limit int) ([]string, error) {
	if only != "" {
		return []string{only}, nil
	}
	var ids []string
	if from != "" {
		ids = append(ids, from)
	}
	page, err := a.Listing.DestinationsAfter(ctx, from, limit-len(ids))
	if err != nil {
		return nil, a.internal(ctx, err)
	}
	for _, d := range page {
		ids = append(ids, d.ID)
	}
	return ids, nil
}
