// Package eventbridge publishes events on a bus.
package eventbridge

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"golang.org/x/sync/errgroup"

	"github.com/auditrelay/auditrelay/events"
)

// Bus implements connection.Bus and delivery.Bus.
type Bus struct {
	Client *eventbridge.Client
	// Name is the bus's name or ARN.
	Name string
}

const (
	// entriesACall is how many events a call takes. A call may be of 256 KB; an event of ours has less than 3 KB.
	entriesACall = 10
	// callsAtOnce bounds the calls of one PublishAll. A call takes some ten milliseconds, and the smallest quota is 400 of an
	// account a second.
	callsAtOnce = 16
	// triesOfAnEntry and firstPause bound how often an event is offered again that the bus left out, as it does when it is throttled:
	// after 100 and 200 ms.
	triesOfAnEntry = 3
	firstPause     = 100 * time.Millisecond
)

// Publish implements connection.Bus.
func (b *Bus) Publish(ctx context.Context, a events.Announcement) error {
	return b.PublishAll(ctx, []events.Announcement{a})[0]
}

// PublishAll implements delivery.Bus, ten events a call.
func (b *Bus) PublishAll(ctx context.Context, as []events.Announcement) []error {
	errs := make([]error, len(as))
	var group errgroup.Group
	group.SetLimit(callsAtOnce)
	for first := 0; first < len(as); first += entriesACall {
		last := min(first+entriesACall, len(as))
		group.Go(func() error {
			b.publish(ctx, as[first:last], errs[first:last])
			return nil
		})
	}
	_ = group.Wait() // each event has its own error
	return errs
}

// publish puts the events of one call on the bus, and offers those again that it leaves out. A call may take some of its events and
// leave others out: its answer has an entry for each, in their order.
func (b *Bus) publish(ctx context.Context, as []events.Announcement, errs []error) {
	var left []int
	entries := make([]types.PutEventsRequestEntry, len(as))
	for i, a := range as {
		if entries[i], errs[i] = b.entry(a); errs[i] == nil {
			left = append(left, i)
		}
	}
	for try := 0; len(left) > 0; try++ {
		if left = b.put(ctx, as, entries, left, errs); try+1 == triesOfAnEntry || len(left) > 0 && !pause(ctx, firstPause<<try) {
			return
		}
	}
}

// put makes one call with the entries at those places, and answers the places of those that may be offered again.
func (b *Bus) put(ctx context.Context, as []events.Announcement, entries []types.PutEventsRequestEntry, places []int, errs []error) (left []int) {
	chosen := make([]types.PutEventsRequestEntry, len(places))
	for j, i := range places {
		chosen[j] = entries[i]
	}
	out, err := b.Client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: chosen})
	for j, i := range places {
		switch {
		case err != nil:
			errs[i] = fmt.Errorf("put %s on the bus: %w", as[i].DetailType, err)
		case j >= len(out.Entries):
			errs[i] = fmt.Errorf("put %s on the bus: its answer leaves out the event", as[i].DetailType)
		case out.Entries[j].ErrorCode != nil:
			errs[i] = fmt.Errorf("put %s on the bus: it refused the event: %s", as[i].DetailType, *out.Entries[j].ErrorCode)
			left = append(left, i)
		default:
			errs[i] = nil
		}
	}
	return left
}

func (b *Bus) entry(a events.Announcement) (types.PutEventsRequestEntry, error) {
	detail, err := json.Marshal(a.Detail)
	if err != nil {
		return types.PutEventsRequestEntry{}, fmt.Errorf("write the detail of %s: %w", a.DetailType, err)
	}
	return types.PutEventsRequestEntry{
		EventBusName: &b.Name, Source: aws.String(events.Source), DetailType: aws.String(a.DetailType), Detail: aws.String(string(detail)), Time: aws.Time(a.At),
	}, nil
}

// pause waits, and says whether ctx has not ended meanwhile.
func pause(ctx context.Context, length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
