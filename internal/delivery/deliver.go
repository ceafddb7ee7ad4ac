package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
)

// Deliver takes logs from the ingest and the retry queue to their destinations. It is safe for concurrent use.
type Deliver struct {
	Directory    Directory
	Destinations DestinationStore
	Sinks        Sinks
	Cache        Cache
	Failed       FailedEvents
	Retries      RetryQueue
	Rejected     RejectedQueue
	Payloads     Payloads
	Budget       Budget
	Notices      Notices
	Drains       DrainQueue
	Bus          Bus
	Journal      Journal
	Now          func() time.Time
	// PayloadBucket is the name of the bucket that Payloads reads; a pointer to another one is rejected.
	PayloadBucket string
	// TimeLimit is how long the attempts of one destination may take in one invocation. It must leave time for the writes that follow.
	TimeLimit time.Duration
}

// Accept takes fresh messages through their first attempt. It answers the ids of the messages that must be handed out again; all others are
// settled: each of their deliveries is delivered, safe in the cache, or known to go nowhere.
func (d *Deliver) Accept(ctx context.Context, batch []Message) (unsettled []string) {
	var inline, large []Message
	for _, m := range batch {
		if _, pointer, _ := auditlog.ParsePointer(m.Body); pointer {
			large = append(large, m)
		} else {
			inline = append(inline, m)
		}
	}
	unsettled = open(d.accept(ctx, inline, func(m Message) ([]byte, error) { return m.Body, nil }))
	return append(unsettled, d.acceptLarge(ctx, large)...)
}

// accept takes messages whose logs read gives.
func (d *Deliver) accept(ctx context.Context, batch []Message, read func(Message) ([]byte, error)) []*settlement {
	messages := make([]*settlement, len(batch))
	var trials []trial
	seen := make(map[Key]int, len(batch)) // places in trials
	var rejections []Rejection
	var rejected []*settlement
	for i, m := range batch {
		messages[i] = &settlement{id: m.ID}
		ts, err := d.route(ctx, m, read, messages[i])
		var bad *auditlog.Invalid
		switch {
		case errors.As(err, &bad):
			rejections = append(rejections, Rejection{Message: m, Reason: bad.Reason, At: d.Now()})
			rejected = append(rejected, messages[i])
		case err != nil:
			d.fault(messages[i:i+1], err)
		}
		for _, t := range ts {
			t.messages = []*settlement{messages[i]}
			if first, ok := seen[t.Key]; ok { // sent twice in one millisecond: one delivery settles both
				trials[first].messages = append(trials[first].messages, messages[i])
				continue
			}
			seen[t.Key] = len(trials)
			trials = append(trials, t)
		}
	}
	if len(rejections) > 0 {
		d.reject(ctx, rejections, rejected)
	}
	d.run(ctx, d.unknown(ctx, trials))
	return messages
}

// Retry takes deliveries from the cache to which hints have led. It answers the ids of the messages that must be handed out again.
func (d *Deliver) Retry(ctx context.Context, batch []HintMessage) (unsettled []string) {
	messages := make([]*settlement, len(batch))
	keys := make([]Key, 0, len(batch))
	seen := make(map[Key]bool, len(batch))
	for i, m := range batch {
		messages[i] = &settlement{id: m.ID}
		if !seen[m.Hint.Key] {
			seen[m.Hint.Key] = true
			keys = append(keys, m.Hint.Key)
		}
	}
	cached, err := d.Cache.Load(ctx, keys)
	if err != nil {
		d.fault(nil, fmt.Errorf("load %d deliveries from the cache: %w", len(keys), err))
		for _, m := range messages {
			m.reopen()
		}
		return open(messages)
	}
	var trials []trial
	var early []Ride
	for i, m := range batch {
		delivery, ok := cached[m.Hint.Key]
		if !ok {
			continue // delivered or given up meanwhile
		}
		dest, known, err := d.destination(ctx, delivery.DestinationID)
		if err != nil {
			d.fault(messages[i:i+1], err)
			continue
		}
		now := d.Now()
		t := trial{Delivery: delivery, dest: dest, messages: messages[i : i+1], drain: m.Hint.Drain, reserved: m.Hint.Reserved}
		switch t.verdict = readmit(delivery, m.Hint, dest, known, now); t.verdict {
		case drop:
			continue
		case wait:
			early = append(early, ride(m.Hint, now))
			continue
		}
		delete(cached, m.Hint.Key) // a second hint in the same batch finds nothing to do
		trials = append(trials, t)
	}
	d.hint(ctx, early)
	d.run(ctx, trials)
	return open(messages)
}
