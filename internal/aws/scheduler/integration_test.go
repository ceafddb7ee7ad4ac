//go:build integration

package scheduler

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/aws/emulator"
	"github.com/auditrelay/auditrelay/internal/connection"
)

// TestTimers shows what is stored of a timer. No emulator lets a schedule go off.
func TestTimers(t *testing.T) {
	client := scheduler.NewFromConfig(emulator.Start(t, emulator.Moto))
	if _, err := client.CreateScheduleGroup(t.Context(), &scheduler.CreateScheduleGroupInput{Name: aws.String("auditrelay-dev")}); err != nil {
		t.Fatal(err)
	}
	timers := &Timers{
		Client: client, Group: "auditrelay-dev", RoleARN: "arn:aws:iam::123456789012:role/schedules",
		TargetARN: "arn:aws:lambda:eu-central-1:123456789012:function:disconnect", DeadLettersARN: "arn:aws:sqs:eu-central-1:123456789012:schedules-dead",
	}
	timer := connection.Timer{DestinationID: "siem", Incarnation: "A", Generation: 2, At: time.Now().Add(8 * time.Hour).Truncate(time.Millisecond)}
	for range 2 { // again is the same
		if err := timers.Set(t.Context(), timer); err != nil {
			t.Fatal(err)
		}
	}
	got, err := client.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: aws.String(name(timer)), GroupName: &timers.Group})
	if err != nil {
		t.Fatal(err)
	}
	want := &scheduler.GetScheduleOutput{
		Name: aws.String(name(timer)), GroupName: &timers.Group, Description: aws.String("ends the eight hours of destination siem"),
		ScheduleExpression: aws.String(expression(timer.At)), ScheduleExpressionTimezone: aws.String("UTC"),
		FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff}, ActionAfterCompletion: types.ActionAfterCompletionDelete,
		State: types.ScheduleStateEnabled,
		Target: &types.Target{
			Arn: &timers.TargetARN, RoleArn: &timers.RoleARN, Input: aws.String(`{"destination_id":"siem","incarnation":"A","generation":2}`),
			RetryPolicy:      &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(185), MaximumEventAgeInSeconds: aws.Int32(86400)},
			DeadLetterConfig: &types.DeadLetterConfig{Arn: &timers.DeadLettersARN},
		},
	}
	if diff := cmp.Diff(form(t, want), form(t, got)); diff != "" {
		t.Errorf("schedule (-want +got):\n%s", diff)
	}
	due, err := timers.Due(t.Context(), "siem", timer.Incarnation)
	if diff := cmp.Diff([]time.Time{timer.At.Add(time.Second - time.Nanosecond).UTC().Truncate(time.Second)}, due); err != nil || diff != "" {
		t.Errorf("due %v (-want +got):\n%s", err, diff)
	}
	if other, err := timers.Due(t.Context(), "siem", "another"); err != nil || other != nil {
		t.Errorf("of another destination: %v, %v", other, err)
	}
	for range 2 { // again is no error
		if err := timers.Cancel(t.Context(), timer); err != nil {
			t.Fatal(err)
		}
	}
	_, err = client.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: aws.String(name(timer)), GroupName: &timers.Group})
	if _, gone := errors.AsType[*types.ResourceNotFoundException](err); !gone {
		t.Errorf("after the cancel: %v", err)
	}
	if err := (&Timers{Client: client, Group: "no-such-group", TargetARN: timers.TargetARN, RoleARN: timers.RoleARN, DeadLettersARN: timers.DeadLettersARN}).Set(t.Context(), timer); err == nil {
		t.Error("a timer was set in a group that does not exist")
	}
}

// form is an answer's fields, without what the service adds.
func form(t *testing.T, s *scheduler.GetScheduleOutput) map[string]any {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, added := range []string{"Arn", "CreationDate", "LastModificationDate", "ResultMetadata", "StartDate", "EndDate"} {
		delete(fields, added)
	}
	return fields
}
