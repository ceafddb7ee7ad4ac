// Package scheduler keeps the timers of disconnects and deletions as one-time schedules of EventBridge Scheduler.
package scheduler

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// Timers implements connection.Timers: one schedule a disconnect or deletion, in the group of the deployment, deleted by the service once it has gone off.
type Timers struct {
	Client *scheduler.Client
	Group  string
	// RoleARN is the role in which the service invokes the function TargetARN; what it cannot invoke goes to the queue DeadLettersARN.
	RoleARN        string
	TargetARN      string
	DeadLettersARN string
	// KeyARN is the key that schedules are encrypted with; empty for the service's own.
	KeyARN string
}

// Event is what a schedule invokes the function disconnect with.
type Event struct {
	DestinationID string `json:"destination_id"`
	Incarnation   string `json:"incarnation"`
	Generation    int    `json:"generation"`
}

const (
	// triesAtMost and eventAge bound how often, and for how long, the service tries to invoke the function; they are its own limits.
	triesAtMost = 185
	eventAge    = 24 * time.Hour
)

// Set implements connection.Timers.
func (s *Timers) Set(ctx context.Context, t connection.Timer) error {
	input, err := json.Marshal(Event{DestinationID: t.DestinationID, Incarnation: t.Incarnation, Generation: t.Generation})
	if err != nil {
		return fmt.Errorf("write the event of a schedule: %w", err)
	}
	in := &scheduler.CreateScheduleInput{
		Name:                       aws.String(name(t)),
		GroupName:                  &s.Group,
		Description:                aws.String("ends the eight hours of destination " + t.DestinationID),
		ScheduleExpression:         aws.String(expression(t.At)),
		ScheduleExpressionTimezone: aws.String("UTC"),
		FlexibleTimeWindow:         &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
		ActionAfterCompletion:      types.ActionAfterCompletionDelete,
		Target: &types.Target{
			Arn:              &s.TargetARN,
			RoleArn:          &s.RoleARN,
			Input:            aws.String(string(input)),
			RetryPolicy:      &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(triesAtMost), MaximumEventAgeInSeconds: aws.Int32(int32(eventAge / time.Second))},
			DeadLetterConfig: &types.DeadLetterConfig{Arn: &s.DeadLettersARN},
		},
	}
	if s.KeyARN != "" {
		in.KmsKeyArn = &s.KeyARN
	}
	return s.create(ctx, in, t)
}

const (
	// createTries and createPause bound how long Set waits for a deletion that is under way: 200, 400 and 800 ms
	// between its tries, well within the time of the request that wants the timer.
	createTries = 4
	createPause = 200 * time.Millisecond
)

// create makes the schedule of a timer, over a deletion that is under way. A group is deleted in the background,
// with all that is in it (EventBridge Scheduler API Reference, DeleteScheduleGroup), and until then, and for a
// moment after a group is made, the service refuses what is to go in.
func (s *Timers) create(ctx context.Context, in *scheduler.CreateScheduleInput, t connection.Timer) error {
	// One token for all tries, so that a try whose answer was lost is the one that is repeated.
	in.ClientToken = aws.String(rand.Text())
	for try := range createTries {
		if try > 0 {
			select {
			case <-time.After(createPause << (try - 1)):
			case <-ctx.Done():
				return fmt.Errorf("create the schedule of destination %s: %w", t.DestinationID, ctx.Err())
			}
		}
		_, err := s.Client.CreateSchedule(ctx, in)
		if err == nil {
			return nil
		}
		if _, conflict := errors.AsType[*types.ConflictException](err); conflict {
			if there, err := s.exists(ctx, t); err != nil || there {
				return err
			}
		} else if !unsettled(err) {
			return fmt.Errorf("create the schedule of destination %s: %w", t.DestinationID, err)
		}
	}
	return fmt.Errorf("create the schedule of destination %s: %w", t.DestinationID, connection.ErrTimersUnsettled)
}

// exists says whether a timer is set. A schedule of its name is this very timer: see name.
func (s *Timers) exists(ctx context.Context, t connection.Timer) (bool, error) {
	_, err := s.Client.GetSchedule(ctx, &scheduler.GetScheduleInput{Name: aws.String(name(t)), GroupName: &s.Group})
	if err == nil {
		return true, nil
	}
	if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone {
		return false, nil
	}
	return false, fmt.Errorf("look for the schedule of destination %s: %w", t.DestinationID, err)
}

// unsettled says whether a create was refused for a group that is not there at the moment, or for too many calls.
func unsettled(err error) bool {
	_, gone := errors.AsType[*types.ResourceNotFoundException](err)
	_, throttled := errors.AsType[*types.ThrottlingException](err)
	return gone || throttled
}

// Cancel implements connection.Timers.
func (s *Timers) Cancel(ctx context.Context, t connection.Timer) error {
	_, err := s.Client.DeleteSchedule(ctx, &scheduler.DeleteScheduleInput{Name: aws.String(name(t)), GroupName: &s.Group})
	if _, gone := errors.AsType[*types.ResourceNotFoundException](err); err != nil && !gone {
		return fmt.Errorf("delete the schedule of destination %s: %w", t.DestinationID, err)
	}
	return nil
}

// name is made of the destination (hashed, since a name has at most 64 characters), the generation and the time. A disconnect that died before it
// was written down leaves a schedule of the same generation behind; by the time, the next one's is another.
func name(t connection.Timer) string {
	return fmt.Sprintf("%s%d-%d", prefix(t.DestinationID, t.Incarnation), t.Generation, t.At.UnixMilli())
}

// prefix is how the names of a destination's schedules begin.
func prefix(destinationID, incarnation string) string {
	sum := sha256.Sum256([]byte(directory.Identity(destinationID, incarnation)))
	return hex.EncodeToString(sum[:10]) + "-"
}

// Due gives the times of the schedules that are set for a destination.
func (s *Timers) Due(ctx context.Context, destinationID, incarnation string) ([]time.Time, error) {
	var due []time.Time
	in := &scheduler.ListSchedulesInput{GroupName: &s.Group, NamePrefix: aws.String(prefix(destinationID, incarnation))}
	for pages := scheduler.NewListSchedulesPaginator(s.Client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the schedules of destination %s: %w", destinationID, err)
		}
		for _, entry := range page.Schedules {
			one, err := s.Client.GetSchedule(ctx, &scheduler.GetScheduleInput{Name: entry.Name, GroupName: &s.Group})
			if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("look at a schedule of destination %s: %w", destinationID, err)
			}
			at, err := time.Parse("at("+expressionTime+")", aws.ToString(one.ScheduleExpression))
			if err != nil {
				return nil, fmt.Errorf("read a schedule of destination %s: %w", destinationID, err)
			}
			due = append(due, at)
		}
	}
	return due, nil
}

// expressionTime is a time as the service writes it.
const expressionTime = "2006-01-02T15:04:05"

// expression is the time in whole seconds, never before the timer's.
func expression(at time.Time) string {
	return "at(" + at.Add(time.Second-time.Nanosecond).UTC().Truncate(time.Second).Format(expressionTime) + ")"
}
