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
	// TimeLimit bounds one search; what was found by then is the answer, which says so.
	TimeLimit time.Duration
}

// line is a structured log line of an attempt, see delivery.Lines.
type line struct {
	Message       string           `json:"msg"`
	Time          time.Time        `json:"time"`
	LogID         string           `json:"log_id"`
	Hash          string           `json:"hash"`
	WorkspaceID   string           `json:"workspace_id"`
	DestinationID string           `json:"destination_id"`
	AcceptedAt    time.Time        `json:"accepted_at"`
	Kind          directory.Kind   `json:"kind"`
	Attempt       int              `json:"attempt"`
	Outcome       delivery.Outcome `json:"outcome"`
	Code          failure.Code     `json:"code"`
	DurationMS    int64            `json:"duration_ms"`
	NextAttemptAt time.Time        `json:"next_attempt_at"`
	Why           delivery.Why     `json:"why"`
	MessageID     string           `json:"message_id"`
	Receives      int              `json:"receives"`
}

// The spans that are searched one after the other, from the newest to the oldest. The service finds attempts
// in that order, but of a span without any it does not say how much it has looked through. So the first span
// is short, for what is asked most, and each further one longer than all before it: six make a week.
const (
	firstSpan  = 15 * time.Minute
	spanGrowth = 4
)

// earliest is from when on the service searches from the newest to the oldest.
const earliest = 1704067200_000 // 2024-01-01T00:00:00Z

// Attempts implements admin.Attempts.
func (r *Reader) Attempts(ctx context.Context, q admin.AttemptQuery) (admin.AttemptSearch, error) {
	limited, cancel := context.WithTimeout(ctx, r.TimeLimit)
	defer cancel()
	since, until := max(q.Since.UnixMilli(), earliest), q.Until.UnixMilli()
	s := search{reader: r, query: q, reached: until}
	for span := firstSpan.Milliseconds(); until >= since; span *= spanGrowth {
		from := max(since, until-span+1)
		if err := s.look(limited, from, until); err != nil && (limited.Err() == nil || ctx.Err() != nil) {
			return admin.AttemptSearch{}, fmt.Errorf("read the attempts from the log group %s: %w", r.Group,
				err)
		} else if err != nil || len(s.found) > q.Limit {
			return s.partial(), nil
		}
		until = from - 1
		s.reached = from
	}
	return admin.AttemptSearch{Records: newestFirst(s.found), Complete: true, SearchedUntil: q.Since}, nil
}

// search is what was found so far. Times are the log service's, in milliseconds.
type search struct {
	reader *Reader
	query  admin.AttemptQuery
	found  []logged // the newest first
	// reached is back to when all are found.
	reached int64
}

// logged is an attempt and when its line came to the log service, a little after it was made.
type logged struct {
	admin.AttemptRecord
	at int64
}

// look searches a span, until its beginning or until more is found than was asked for.
func (s *search) look(ctx context.Context, from, until int64) error {
	in := &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: &s.reader.Group, StartTime: &from, EndTime: &until, FilterPattern: aws.String(pattern(s.query)),
		Limit: aws.Int32(int32(s.query.Limit) + 1), StartFromHead: aws.Bool(false),
	}
	for pages := cloudwatchlogs.NewFilterLogEventsPaginator(s.reader.Client,
		in); pages.HasMorePages() && len(s.found) <= s.query.Limit; {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, e := range out.Events {
			s.reached = min(s.reached, aws.ToInt64(e.Timestamp))
			if record, ok := parse(aws.ToString(e.Message)); ok {
				s.found = append(s.found, logged{record, aws.ToInt64(e.Timestamp)})
			}
		}
	}
	return nil
}

// partial is the answer when the limit or the time came first.
func (s *search) partial() admin.AttemptSearch {
	if limit := s.query.Limit; len(s.found) > limit {
		s.found = s.found[:limit]
		s.reached = s.found[limit-1].at
	}
	return admin.AttemptSearch{Records: newestFirst(s.found), SearchedUntil: time.UnixMilli(s.reached).UTC()}
}

// newestFirst orders attempts by when they were made; lines of several instances come to the log service in
// another order.
func newestFirst(found []logged) []admin.AttemptRecord {
	records := make([]admin.AttemptRecord, len(found))
	for i, f := range found {
		records[i] = f.AttemptRecord
	}
	slices.SortStableFunc(records, func(a, b admin.AttemptRecord) int { return b.At.Compare(a.At) })
	return records
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
	if err := json.Unmarshal([]byte(message), &l); err != nil {
		return record, false
	}
	if e := delivery.Event(l.Message); e != delivery.EventAttempted && e != delivery.EventHeld {
		return record, false
	}
	return admin.AttemptRecord{
		Key: delivery.Key{DestinationID: l.DestinationID, WorkspaceID: l.WorkspaceID, LogID: l.LogID,
			AcceptedAt: l.AcceptedAt, Hash: l.Hash},
		Kind: l.Kind, Attempt: l.Attempt, Outcome: l.Outcome, Code: l.Code,
		At: l.Time, Took: time.Duration(l.DurationMS) * time.Millisecond, NextAt: l.NextAttemptAt,
		Why: l.Why, MessageID: l.MessageID, Receives: l.Receives,
	}, true
}
