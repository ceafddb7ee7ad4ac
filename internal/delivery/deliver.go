package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	// FreshFrom and HintsFrom are the queues of Accept's and of Retry's batches. Without one, messages are settled by the answer alone.
	FreshFrom Source
	HintsFrom Source
	Rejected  RejectedQueue
	Payloads  Payloads
	Budget    Budget
	Notices   Notices
	Drains    DrainQueue
	Outbox    Outbox
	// Receipts has logs known that are sent again. Without them each message of its own is delivered, unless one batch has both.
	Receipts Receipts
	Journal  Journal
	Now      func() time.Time
	// PayloadBucket is the name of the bucket that Payloads reads; a pointer to another one is rejected.
	PayloadBucket string
	// KeepUnread has rejected messages kept that are no JSON objects. Nobody can tell whether those ask for
	// zero retention, so by default only their size and hash are.
	KeepUnread bool
	// TimeLimit is how long the attempts of one destination may take in one invocation. It must leave time for the writes that follow.
	TimeLimit time.Duration

	taken    takings
	unrouted unroutedTold
}

// Accept takes fresh messages through their first attempt. It answers the ids of the messages that must be handed out again; all others are
// settled: each of their deliveries is delivered, safe in the cache, or known to go nowhere.
func (d *Deliver) Accept(ctx context.Context, batch []Message) (unsettled []string) {
	about := func(m Message) handout { return handout{m.ID, m.Handle, m.Receives} }
	return oneByOne(ctx, d, d.FreshFrom, batch, about, func(part []Message) []string { return d.acceptAll(ctx, part) })
}

// acceptAll takes fresh messages together: those of the queue beside each other, and then each that leads to a large log.
func (d *Deliver) acceptAll(ctx context.Context, batch []Message) (unsettled []string) {
	var inline, large []Message
	for _, m := range batch {
		if _, pointer, _ := auditlog.ParsePointer(m.Body); pointer {
			large = append(large, m)
		} else {
			inline = append(inline, m)
		}
	}
	known := make(map[Content]Receipt)
	unsettled = open(d.accept(ctx, inline, func(m Message) ([]byte, error) { return m.Body, nil }, known))
	return append(unsettled, d.acceptLarge(ctx, large, known)...)
}

// accept takes messages whose logs read gives. What it deals with is known from there on.
func (d *Deliver) accept(ctx context.Context, batch []Message, read func(Message) ([]byte, error), known map[Content]Receipt) []*settlement {
	messages := make([]*settlement, len(batch))
	look := d.look()
	var trials []trial
	var rejections []Rejection
	var rejected []*settlement
	for i, m := range batch {
		messages[i] = &settlement{id: m.ID, receives: m.Receives}
		body, err := read(m)
		var ts []trial
		if err == nil {
			ts, err = d.route(ctx, m, body, messages[i], look)
		}
		var bad *auditlog.Invalid
		switch {
		case errors.As(err, &bad):
			m.Body, messages[i].forget = d.kept(m.Body, body)
			rejections = append(rejections, Rejection{Message: m, Reason: bad.Reason, At: d.Now()})
			rejected = append(rejected, messages[i])
		case err != nil:
			d.fault(messages[i:i+1], err)
		}
		trials = append(trials, ts...)
	}
	if len(rejections) > 0 {
		d.reject(ctx, rejections, rejected)
	}
	trials = d.admitted(ctx, trials, known)
	d.run(ctx, d.unknown(ctx, trials))
	d.remember(ctx, trials, known)
	d.tellUnrouted(ctx, look)
	return messages
}

// Retry takes deliveries from the cache to which hints have led. It answers the ids of the messages that must be handed out again: those of large logs
// too for which the time does not suffice.
func (d *Deliver) Retry(ctx context.Context, batch []HintMessage) (unsettled []string) {
	about := func(m HintMessage) handout { return handout{m.ID, m.Handle, m.Receives} }
	return oneByOne(ctx, d, d.HintsFrom, batch, about, func(part []HintMessage) []string { return d.retryAll(ctx, part) })
}

func (d *Deliver) retryAll(ctx context.Context, batch []HintMessage) (unsettled []string) {
	left := make([]hinted, len(batch))
	messages := make([]*settlement, len(batch))
	for i, m := range batch {
		messages[i] = &settlement{id: m.ID, receives: m.Receives}
		left[i] = hinted{m.Hint, messages[i]}
	}
	for first := true; len(left) > 0; first = false {
		if !first && !d.timeLeft(ctx) {
			for _, h := range left {
				h.message.reopen()
			}
			break
		}
		left = d.retry(ctx, left)
	}
	return open(messages)
}

// hinted is a message of the retry queue and the hint in it.
type hinted struct {
	Hint
	message *settlement
}

// retry takes as many of the deliveries as there is room for, and answers the hints to the rest.
func (d *Deliver) retry(ctx context.Context, batch []hinted) (rest []hinted) {
	keys := make([]Key, 0, len(batch))
	seen := make(map[Key]bool, len(batch))
	for _, h := range batch {
		if !seen[h.Key] {
			seen[h.Key] = true
			keys = append(keys, h.Key)
		}
	}
	cached, further, err := d.Cache.Load(ctx, keys)
	if err != nil {
		d.fault(nil, aboutAll(keys, fmt.Errorf("load %d deliveries from the cache: %w", len(keys), err)))
		for _, h := range batch {
			h.message.reopen()
		}
		return nil
	}
	look := d.look()
	var trials []trial
	var early []Ride
	for _, h := range batch {
		delivery, ok := cached[h.Key]
		if !ok {
			if slices.Contains(further, h.Key) {
				rest = append(rest, h)
			}
			continue // delivered or given up meanwhile
		}
		dest, known, err := look.destination(ctx, delivery)
		if err != nil {
			d.fault([]*settlement{h.message}, about(delivery.Key, err))
			continue
		}
		now := d.Now()
		t := trial{Delivery: delivery, dest: dest, messages: []*settlement{h.message}, drain: h.Drain, turn: h.turn() && delivery.Parked, reserved: h.Reserved}
		t.why = h.why(delivery.Attempts)
		switch t.verdict = readmit(delivery, h.Hint, dest, known, now); t.verdict {
		case drop:
			if delivery.Parked && !h.Drain { // this hint may have led to its parking, by an invocation that died
				d.own(ctx, dest.ID, []trial{t})
			}
			continue
		case wait:
			early = append(early, ride(h.Hint, now))
			continue
		}
		delete(cached, h.Key) // a second hint in the same batch finds nothing to do
		trials = append(trials, t)
	}
	d.hint(ctx, early)
	d.run(ctx, trials)
	return rest
}
