package canary

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/auditrelay/auditrelay/internal/notice"
)

// Traces are what a deployment leaves in its log groups and schedules. It implements doctor.Traces.
type Traces struct {
	Logs *cloudwatchlogs.Client
	// NotifyGroup is the log group of the function notify.
	NotifyGroup string
	// Due gives the times of the schedules that are set for a destination.
	Due func(ctx context.Context, destinationID, incarnation string) ([]time.Time, error)
}

// Mailed looks for the line that notify writes once SES has taken a mail.
func (t *Traces) Mailed(ctx context.Context, destinationID string, since time.Time) (bool, error) {
	in := &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: &t.NotifyGroup, StartTime: aws.Int64(since.UnixMilli()),
		FilterPattern: aws.String(fmt.Sprintf(`{ $.msg = %q && $.destination_id = %q }`, notice.EventSent, destinationID)),
	}
	for pages := cloudwatchlogs.NewFilterLogEventsPaginator(t.Logs, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false, fmt.Errorf("read the log group %s: %w", t.NotifyGroup, err)
		}
		if len(page.Events) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// Timers are the times of the schedules that are set for a destination.
func (t *Traces) Timers(ctx context.Context, destinationID, incarnation string) ([]time.Time, error) {
	return t.Due(ctx, destinationID, incarnation)
}
