package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// groupsAtOnce bounds the destinations that one invocation deals with at the same time: all of a batch, as a rule, so that none waits for one that
// hangs.
const groupsAtOnce = 128

// run takes each destination's trials through their verdicts, the destinations beside each other, so that a slow one delays only itself.
func (d *Deliver) run(ctx context.Context, trials []trial) {
	groups := make(map[string][]trial)
	var order []string
	for _, t := range trials {
		record := t.dest.Identity() // in the middle of a batch, a destination may be deleted and another made under its id
		if groups[record] == nil {
			order = append(order, record)
		}
		groups[record] = append(groups[record], t)
	}
	if len(order) == 1 {
		d.group(ctx, trials)
		return
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, groupsAtOnce)
	for _, record := range inTurn(order, func(record string) string { return groups[record][0].dest.WorkspaceID }) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			d.group(ctx, groups[record])
		})
	}
	wg.Wait()
}

// inTurn puts destinations in an order in which each owner's first comes before anybody's second: an owner of hundreds delays nobody else's.
func inTurn(records []string, owner func(record string) string) []string {
	place := make(map[string]int, len(records)) // among its owner's
	count := make(map[string]int)
	for _, r := range records {
		place[r] = count[owner(r)]
		count[owner(r)]++
	}
	slices.SortStableFunc(records, func(a, b string) int { return place[a] - place[b] })
	return records
}

// group deals with the trials of one destination. A bug that panics here costs this group one more delivery of its messages, not its neighbours.
func (d *Deliver) group(ctx context.Context, trials []trial) {
	defer func() {
		if p := recover(); p != nil {
			d.fault(nil, about(Key{DestinationID: trials[0].DestinationID}, fmt.Errorf("panic: %v", p)))
			for _, t := range trials {
				t.reopen()
			}
		}
	}()
	var tries, holds, ended []trial
	for _, t := range trials {
		switch t.verdict {
		case try:
			tries = append(tries, t)
		case giveUp:
			ended = append(ended, t)
		default:
			holds = append(holds, t)
		}
	}
	d.giveUp(ctx, ended)
	var over []trial
	if len(tries) > 0 {
		tries, over = d.ration(ctx, tries[0].dest, tries)
	}
	d.hold(ctx, append(holds, over...))
	switch {
	case len(tries) == 0:
	case tries[0].Revision == 0 && tries[0].dest.Health.State == directory.Failing:
		d.handOver(ctx, tries)
	default:
		d.attempt(ctx, tries)
	}
}

// handOver leaves fresh logs of a failing destination to the retry queue, for an attempt at once. A destination that fails may hang, and here it
// would hold up a batch of fresh logs of others for each of its own; there the attempts at all failing destinations stand together in a few batches.
func (d *Deliver) handOver(ctx context.Context, trials []trial) {
	for i := range trials {
		t := &trials[i]
		t.NextAt, t.Parked, t.reserved = d.Now().Add(handOverIn), false, true
	}
	d.save(ctx, trials)
}

// hold parks what is not tried now. If the destination takes logs, because they are over its rate or it is known by now to have recovered, a drain sends
// them.
func (d *Deliver) hold(ctx context.Context, trials []trial) {
	if parked := d.park(ctx, trials); len(parked) > 0 {
		d.own(ctx, parked[0].DestinationID, parked)
	}
}

// park leaves deliveries in the cache until their destination takes logs again, or their end, and answers those that were not parked before: one that
// was costs no write.
func (d *Deliver) park(ctx context.Context, trials []trial) []trial {
	var moved []trial
	for _, t := range trials {
		if t.drain || t.Revision > 0 && t.Parked {
			continue // it waits in the cache as it is
		}
		t.NextAt, t.Parked = t.ExpiresAt(), true
		d.recordHeld(t)
		moved = append(moved, t)
	}
	d.save(ctx, moved)
	for i := range moved {
		moved[i].Revision++ // as it is stored
	}
	return moved
}

// own sees to it that somebody looks after parked deliveries: the watch while their destination fails, a reconnect or a restore if it is not connected, and
// otherwise a drain; the farewell of a deleted destination gets a time of its own. It asks the record after they were parked, and their messages are settled only if it has its answer. So there is no moment, and no memory of
// an earlier state, in which they can be parked for a destination that is well and has nobody look.
func (d *Deliver) own(ctx context.Context, destinationID string, parked []trial) {
	current, err := d.callDrain(ctx, destinationID)
	if err != nil {
		d.fault(nil, about(Key{DestinationID: destinationID}, err))
		for _, t := range parked {
			t.reopen()
		}
		return
	}
	if current.State != directory.Deleted {
		return
	}
	var farewells []trial
	for _, t := range parked {
		if current.Accepts(t.WorkspaceID, t.LogID) {
			t.NextAt, t.Parked, t.kept = d.Now().Add(farewellIn), false, false
			farewells = append(farewells, t)
		}
	}
	d.save(ctx, farewells)
}

// farewellIn is when the farewell of a deleted destination is tried that was held by who did not know of the deletion: most know by then.
const farewellIn = 15 * time.Second

// attempt hands logs to their destination and settles each by its result.
func (d *Deliver) attempt(ctx context.Context, trials []trial) {
	started := d.Now()
	results := d.send(ctx, trials)
	now := d.Now()
	var done, again []trial
	for i := range trials {
		t := &trials[i]
		t.reserved = false
		switch err := results[i].Err; {
		case errors.Is(err, ErrNotTried) && t.drain && t.Parked:
			d.recordHeld(*t) // it waits in the cache as it is
		case errors.Is(err, ErrNotTried):
			t.NextAt, t.Parked = postponed(t.Delivery, now), false
			d.recordHeld(*t)
			again = append(again, *t)
		case err == nil:
			t.Attempts++
			d.recordAttempt(*t, Delivered, nil, started, results[i].Took)
			if t.Revision > 0 {
				done = append(done, *t)
			}
		default:
			f := failure.Of(err)
			if t.Tried.Before(t.dest.OpenedAt) {
				t.Forgiven = t.Attempts
			}
			t.Attempts++
			t.Code, t.Tried = f.Code, started.Truncate(time.Millisecond)
			next := Decide(t.Delivery, f, now)
			if t.kept = t.turn || t.drain && !t.Parked && t.NextAt.After(now) && t.NextAt.Before(next); t.kept {
				next = t.NextAt // an attempt before its time, by a drain or a person, does not put the log off
			}
			t.NextAt, t.Parked = next, t.turn
			d.recordAttempt(*t, Failed, f, started, results[i].Took)
			again = append(again, *t)
		}
	}
	d.remove(ctx, done)
	d.save(ctx, again)
	d.observe(ctx, trials[0].dest, weigh(trials, results))
}

func (d *Deliver) send(ctx context.Context, trials []trial) []Result {
	limit := d.TimeLimit
	if deadline, ok := ctx.Deadline(); ok { // destinations that came before this one may have taken their time
		limit = min(limit, time.Until(deadline)-settleTime)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if ctx.Err() != nil {
		return sameResult(len(trials), ErrNotTried)
	}
	dest := trials[0].dest
	sink, err := d.Sinks.Sink(ctx, dest)
	if err != nil {
		if _, theirs := errors.AsType[*failure.Error](err); !theirs {
			d.fault(nil, aboutDestination(dest, fmt.Errorf("make the sink of destination %s: %w", dest.ID, err)))
			err = ErrNotTried
		}
		return sameResult(len(trials), err)
	}
	docs := make([]auditlog.Document, len(trials))
	for i, t := range trials {
		docs[i] = t.Document
	}
	return sink.Send(ctx, docs)
}

// sameResult is one answer for n logs.
func sameResult(n int, err error) []Result {
	results := make([]Result, n)
	for i := range results {
		results[i].Err = err
	}
	return results
}

// save makes deliveries durable. The hint goes first: if the write fails, the hint finds an older state and does nothing, and the message
// comes again; the other way about, a death between the two would leave the delivery to requeue's sweep. A hint that came before its write was durable
// found nothing, so one that may have is sent again.
func (d *Deliver) save(ctx context.Context, trials []trial) {
	if len(trials) == 0 {
		return
	}
	now := d.Now()
	var rides []Ride
	deliveries := make([]Delivery, len(trials))
	for i := range trials {
		t := &trials[i]
		if t.kept {
			deliveries[i] = t.Delivery
			continue
		}
		t.NextAt = t.NextAt.Truncate(time.Millisecond)
		r := ride(Hint{Key: t.Key, At: t.NextAt, Reserved: t.reserved}, now)
		r.Delay = max(r.Delay, handOverIn)
		if t.Riding = r.Delay <= rideLimit; t.Riding {
			rides = append(rides, r)
		}
		deliveries[i] = t.Delivery
	}
	d.hint(ctx, rides)
	errs := d.Cache.Save(ctx, deliveries)
	for i, err := range errs {
		if err != nil && !errors.Is(err, ErrChanged) {
			d.fault(trials[i].messages, about(trials[i].Key, fmt.Errorf("save delivery of log %s to %s: %w", trials[i].LogID, trials[i].DestinationID, err)))
		}
	}
	d.hint(ctx, overtaking(rides, d.Now().Sub(now)))
}

// overtaking are the hints that may have come while their write, which took so long, was under way.
func overtaking(rides []Ride, took time.Duration) []Ride {
	var again []Ride
	for _, r := range rides {
		if r.Delay <= took {
			r.Delay = 0
			again = append(again, r)
		}
	}
	return again
}

// remove deletes what was delivered.
func (d *Deliver) remove(ctx context.Context, trials []trial) {
	if len(trials) == 0 {
		return
	}
	for i, err := range d.Cache.Remove(ctx, keysOf(trials)) {
		if err != nil {
			d.fault(trials[i].messages, about(trials[i].Key, fmt.Errorf("remove delivered log %s from the cache: %w", trials[i].LogID, err)))
		}
	}
}

// giveUp ends deliveries. Their failed events are announced by expire, from the cache's stream.
func (d *Deliver) giveUp(ctx context.Context, trials []trial) {
	if len(trials) == 0 {
		return
	}
	ends := make([]End, len(trials))
	for i, t := range trials {
		ends[i] = End{Revision: t.Revision, FailedEvent: FailedEvent{
			Key: t.Key, Owner: t.Owner, Type: t.Document.Type, FailedAt: d.Now(), Attempts: t.Attempts, Code: t.Code,
		}}
	}
	for i, err := range d.Failed.GiveUp(ctx, ends) {
		if err != nil && !errors.Is(err, ErrChanged) {
			t := trials[i]
			d.fault(t.messages, about(t.Key, fmt.Errorf("record the failed event of log %s: %w", t.LogID, err)))
		}
	}
}

// hint sends hints. One that cannot be sent is not fatal: requeue's sweep finds the delivery.
func (d *Deliver) hint(ctx context.Context, rides []Ride) {
	if len(rides) == 0 {
		return
	}
	for i, err := range d.Retries.Send(ctx, rides) {
		if err != nil {
			d.fault(nil, about(rides[i].Key, fmt.Errorf("send the hint of log %s, which the sweep must find now: %w", rides[i].LogID, err)))
		}
	}
}

func (d *Deliver) reject(ctx context.Context, rejections []Rejection, messages []*settlement) {
	for i, err := range d.Rejected.Reject(ctx, rejections) {
		if err != nil {
			d.fault(messages[i:i+1], fmt.Errorf("put message %s on the rejected queue: %w", rejections[i].ID, err))
			continue
		}
		r := rejections[i]
		d.Journal.Record(Entry{Event: EventRejected, At: r.At, MessageID: r.ID, Receives: r.Receives, Redelivered: r.Receives > 1,
			Reason: r.Reason})
	}
}

func (d *Deliver) recordAttempt(t trial, o Outcome, f *failure.Error, at time.Time, took time.Duration) {
	e := t.entry(EventAttempted, at)
	e.Attempt, e.Outcome, e.Took = t.Attempts, o, took
	if f != nil {
		e.Code, e.Detail, e.NextAt = f.Code, f.Detail, t.NextAt
	}
	d.Journal.Record(e)
}

func (d *Deliver) recordHeld(t trial) {
	e := t.entry(EventHeld, d.Now())
	e.Attempt, e.Outcome, e.Code, e.NextAt = t.Attempts+1, Held, t.Code, t.NextAt
	d.Journal.Record(e)
}

// ride gives a hint the delay that brings it at its time or within the second after, never before.
func ride(h Hint, now time.Time) Ride {
	return Ride{Hint: h, Delay: wholeSeconds(h.At.Sub(now))}
}

// wholeSeconds is a delay as a queue takes it: not negative, and never shorter.
func wholeSeconds(delay time.Duration) time.Duration {
	return (max(0, delay) + time.Second - 1).Truncate(time.Second)
}

// postponed is when a log is tried that could not be tried for lack of time: by its end at the latest, unless this is its late first attempt, see late.
func postponed(d Delivery, now time.Time) time.Time {
	to, end := now.Add(heldFor), d.ExpiresAt()
	if to.After(end) && (d.Attempts > 0 || now.Before(end)) {
		return end
	}
	return to
}
