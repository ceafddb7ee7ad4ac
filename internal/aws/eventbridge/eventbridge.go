// Package eventbridge publishes events on a bus.
package eventbridge

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/auditrelay/auditrelay/events"
)

// Bus implements connection.Bus.
type Bus struct {
	Client *eventbridge.Client
	// Name is the bus's name or ARN.
	Name string
}

// Publish implements connection.Bus.
func (b *Bus) Publish(ctx context.Context, a events.Announcement) error {
	detail, err := json.Marshal(a.Detail)
	if err != nil {
		return fmt.Errorf("write the detail of %s: %w", a.DetailType, err)
	}
	out, err := b.Client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &b.Name,
		Source:       aws.String(events.Source),
		DetailType:   &a.DetailType,
		Detail:       aws.String(string(detail)),
		Time:         &a.At,
	}}})
	if err != nil {
		return fmt.Errorf("put %s on the bus: %w", a.DetailType, err)
	}
	for _, e := range out.Entries {
		if e.ErrorCode != nil {
			return fmt.Errorf("put %s on the bus: it refused the event: %s", a.DetailType, *e.ErrorCode)
		}
	}
	return nil
}
