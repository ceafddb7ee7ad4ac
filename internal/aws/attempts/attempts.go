// Package attempts reads the attempts that the functions wrote down, from their log groups.
package attempts

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Reader reads the log group of the function deliver. It implements admin.Attempts.
type Reader struct {
	Client *cloudwatchlogs.Client
	Group  string
	// TimeLimit bounds one search; what was found by then is the answer.
	TimeLimit time.Duration
}

// line is a structured log line of an attempt, see delivery.Lines.
type line struct {
	Message       string           `json:"msg"`
	Time          time.Time        `json:"time"`
	LogID         string           `json:"log_id"`
	WorkspaceID   string           `json:"workspace_id"`
	DestinationID string           `json:"destination_id"`
	AcceptedAt    time.Time        `json:"accepted_at"`
	Kind          directory.Kind   `json:"kind"`
	Attempt       int              `json:"attempt"`
	Outcome       delivery.Outcome `json:"outcome"`
	Code          failure.Code     `json:"code"`
	DurationMS    int64            `json:"duration_ms"`
	NextAttemptAt time.Time        `json:"next_attempt_at"`
}

// Attempts implements admin.Attempts.
func (r *Reader) Attempts(ctx context.Context, q admin.AttemptQuery) ([]admin.AttemptRecord, error) {
	limited, cancel := context.WithTimeout(ctx, r.TimeLimit)
	defer cancel()
	in := &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: &r.Group, StartTime: aws.Int64(q.Since.UnixMilli()), FilterPattern: aws.String(pattern(q)), Limit: aws.Int32(int32(q.Limit)),
	}
	if !q.Until.IsZero() {
		in.EndTime = aws.Int64(q.Until.UnixMilli())
	}
	var found []admin.AttemptRecord
	for pages := cloudwatchlogs.NewFilterLogEventsPaginator(r.Client, in); pages.HasMorePages() && len(found) < q.Limit; {
		out, err := pages.NextPage(limited)
		if limited.Err() != nil && ctx.Err() == nil {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the attempts from the log group %s: %w", r.Group, err)
		}
		for _, e := range out.Events {
			if record, ok := parse(aws.ToString(e.Message)); ok {
				found = append(found, record)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b admin.AttemptRecord) int { return a.At.Compare(b.At) })
	return found[:min(q.Limit, len(found))], nil
}

// pattern is the filter for structured lines of attempts. Ids hold no quotes.
func pattern(q admin.AttemptQuery) string {
	terms := []string{fmt.Sprintf(`($.msg = %q || $.msg = %q)`, delivery.EventAttempted, delivery.EventHeld)}
	if q.LogID != "" {
		terms = append(terms, fmt.Sprintf(`$.log_id = %q`, q.LogID))
	}
	if q.DestinationID != "" {
		terms = append(terms, fmt.Sprintf(`$.destination_id = %q`, q.DestinationID))
	}
	return "{ " + strings.Join(terms, " && ") + " }"
}

// parse reads a line; ok is false for one of another kind.
func parse(message string) (record admin.AttemptRecord, ok bool) {
	var l line
	if json.Unmarshal([]byte(message), &l) != nil || (l.Message != string(delivery.EventAttempted) && l.Message != string(delivery.EventHeld)) {
		return record, false
	}
	return admin.AttemptRecord{
		Key:  delivery.Key{DestinationID: l.DestinationID, WorkspaceID: l.WorkspaceID, LogID: l.LogID, AcceptedAt: l.AcceptedAt},
		Kind: l.Kind, Attempt: l.Attempt, Outcome: l.Outcome, Code: l.Code, At: l.Time, Took: time.Duration(l.DurationMS) * time.Millisecond, NextAt: l.NextAttemptAt,
	}, true
}
