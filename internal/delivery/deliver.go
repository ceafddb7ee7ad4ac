package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Directory answers where logs go. Its answers may be some seconds old. What it does not know gives directory.ErrNotFound.
type Directory interface {
	// Workspace gives a workspace with the destinations that it owns.
	Workspace(ctx context.Context, id string) (directory.Workspace, []directory.Destination, error)
	// Destination gives one destination.
	Destination(ctx context.Context, id string) (directory.Destination, error)
}

// Sinks gives the sink of a destination, ready to send. An error (a *failure.Error) is every log's failure.
type Sinks interface {
	Sink(ctx context.Context, d directory.Destination) (Sink, error)
}

// Sink hands logs to one destination. It answers for each log, in the order of logs: a nil error when the destination has taken it for good,
// a *failure.Error when not, ErrNotTried when ctx ended before the log's turn. A log may be sent again later; a sink names objects by the log
// so that the destination holds it once.
type Sink interface {
	Send(ctx context.Context, logs []auditlog.Document) []Result
}

// Result is a sink's answer for one log.
type Result struct {
	Err error
	// Took is how long the request took that the log was part of.
	Took time.Duration
}

// Cache is the persistent store of deliveries. An error means that the write may or may not have happened; doing it again is safe.
type Cache interface {
	// Load gives those deliveries of keys that are in the cache, as of now, never older.
	Load(ctx context.Context, keys []Key) (map[Key]Delivery, error)
	// Save stores deliveries and answers for each: nil when it is durable. Revision 0 is stored whether or not the cache holds the key;
	// any other only over the same revision, else ErrChanged. The stored revision is one higher.
	Save(ctx context.Context, ds []Delivery) []error
	// Remove deletes deliveries and answers for each. A key that is not there is no error.
	Remove(ctx context.Context, keys []Key) []error
}

// FailedEvents is the record of deliveries given up, kept for 30 days.
type FailedEvents interface {
	// GiveUp replaces a delivery by its failed event, both or neither. When the delivery is gone or changed it answers ErrChanged; when the
	// event was recorded before, nil.
	GiveUp(ctx context.Context, e FailedEvent, revision int) error
}

// RetryQueue carries hints to the next attempt.
type RetryQueue interface {
	// Send puts hints on the queue and answers for each. A delay is whole seconds, 0 to 900; any other is an error.
	Send(ctx context.Context, rides []Ride) []error
}

// Ride is a hint and how long the queue holds it back.
type Ride struct {
	Hint
	Delay time.Duration
}

// RejectedQueue takes messages that are no valid logs, for a person to look at.
type RejectedQueue interface {
	// Reject puts messages on the queue and answers for each. The body is kept as it came.
	Reject(ctx context.Context, rs []Rejection) []error
}

// Rejection is a message that is no valid log.
type Rejection struct {
	Message
	Reason string
	At     time.Time
}

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
		t := trial{Delivery: delivery, dest: dest, messages: messages[i : i+1], drain: m.Hint.Drain}
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

// trial is a delivery on its way through one invocation.
type trial struct {
	Delivery
	dest        directory.Destination
	verdict     verdict
	messages    []*settlement
	redelivered bool
	drain       bool // led here by a drain or a probe, before its time
}

// reopen has the trial's messages handed out again.
func (t trial) reopen() {
	for _, m := range t.messages {
		m.reopen()
	}
}

// settlement is a queue message and whether any of its deliveries is still open.
type settlement struct {
	id            string
	zeroRetention bool
	open          atomic.Bool
}

func (s *settlement) reopen() { s.open.Store(true) }

func open(messages []*settlement) (ids []string) {
	for _, m := range messages {
		if m.open.Load() {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// route decodes and prepares one message and finds its destinations. The error is an *auditlog.Invalid if the message is no valid log.
func (d *Deliver) route(ctx context.Context, m Message, read func(Message) ([]byte, error), s *settlement) ([]trial, error) {
	body, err := read(m)
	if err != nil {
		return nil, err
	}
	log, err := auditlog.Decode(body)
	if err != nil {
		return nil, err
	}
	s.zeroRetention = log.ZeroRetention
	destinations, known, err := d.routes(ctx, log)
	if err != nil {
		return nil, err
	}
	key := Key{WorkspaceID: log.WorkspaceID, LogID: log.ID, AcceptedAt: m.SentAt.UTC().Truncate(time.Millisecond)}
	entry := Entry{At: d.Now(), Key: key, Type: log.Type, MessageID: m.ID, Redelivered: m.Receives > 1}
	if len(destinations) == 0 {
		entry.Event, entry.Reason = EventUnrouted, "no destination of the workspace or shared by its parent wants this type"
		if !known {
			entry.Reason = "the workspace is not in the directory"
		}
		d.Journal.Record(entry)
		return nil, nil
	}
	doc, err := auditlog.Prepare(log)
	if err != nil {
		return nil, err
	}
	trials := make([]trial, len(destinations))
	for i, dest := range destinations {
		key.DestinationID = dest.ID
		trials[i] = trial{
			Delivery:    Delivery{Key: key, Document: doc},
			dest:        dest,
			verdict:     admit(dest),
			redelivered: m.Receives > 1,
		}
		entry.Event, entry.Key, entry.Kind = EventAccepted, key, dest.Kind
		d.Journal.Record(entry)
	}
	return trials, nil
}

func (d *Deliver) routes(ctx context.Context, log auditlog.Log) (picked []directory.Destination, known bool, err error) {
	workspace, own, err := d.Directory.Workspace(ctx, log.WorkspaceID)
	if errors.Is(err, directory.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("look up workspace %s: %w", log.WorkspaceID, err)
	}
	if picked = directory.Route(log.Type, own, nil); len(picked) > 0 || workspace.ParentID == "" {
		return picked, true, nil
	}
	_, parents, err := d.Directory.Workspace(ctx, workspace.ParentID)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return nil, false, fmt.Errorf("look up parent workspace %s: %w", workspace.ParentID, err)
	}
	return directory.Route(log.Type, own, parents), true, nil
}

// destination finds a destination; known is false when it was deleted. Its logs stay in the cache for their seven days all the same.
func (d *Deliver) destination(ctx context.Context, id string) (dest directory.Destination, known bool, err error) {
	dest, err = d.Directory.Destination(ctx, id)
	if errors.Is(err, directory.ErrNotFound) {
		return directory.Destination{ID: id}, false, nil
	}
	if err != nil {
		return dest, false, fmt.Errorf("look up destination %s: %w", id, err)
	}
	return dest, true, nil
}

// unknown leaves out deliveries that the cache holds already. Only a message that was handed out before can have one there: its earlier
// invocation may have cached it and died before it could say so.
func (d *Deliver) unknown(ctx context.Context, trials []trial) []trial {
	var keys []Key
	for _, t := range trials {
		if t.redelivered {
			keys = append(keys, t.Key)
		}
	}
	if len(keys) == 0 {
		return trials
	}
	cached, err := d.Cache.Load(ctx, keys)
	if err != nil {
		d.fault(nil, fmt.Errorf("load %d deliveries from the cache: %w", len(keys), err))
	}
	var rest []trial
	for _, t := range trials {
		if _, ok := cached[t.Key]; ok {
			continue
		}
		if err != nil && t.redelivered {
			t.reopen()
			continue
		}
		rest = append(rest, t)
	}
	return rest
}

// groupsAtOnce bounds the destinations that one invocation deals with at the same time.
const groupsAtOnce = 64

// run takes each destination's trials through their verdicts, the destinations beside each other, so that a slow one delays only itself.
func (d *Deliver) run(ctx context.Context, trials []trial) {
	groups := make(map[string][]trial)
	var order []string
	for _, t := range trials {
		if groups[t.DestinationID] == nil {
			order = append(order, t.DestinationID)
		}
		groups[t.DestinationID] = append(groups[t.DestinationID], t)
	}
	if len(order) == 1 {
		d.group(ctx, trials)
		return
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, groupsAtOnce)
	for _, id := range order {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			d.group(ctx, groups[id])
		})
	}
	wg.Wait()
}

// group deals with the trials of one destination. A bug that panics here costs this group one more delivery of its messages, not its neighbours.
func (d *Deliver) group(ctx context.Context, trials []trial) {
	defer func() {
		if p := recover(); p != nil {
			d.Journal.Record(Entry{Event: EventFault, At: d.Now(), Key: Key{DestinationID: trials[0].DestinationID}, Reason: fmt.Sprintf("panic: %v", p)})
			for _, t := range trials {
				t.reopen()
			}
		}
	}()
	var tries, holds []trial
	for _, t := range trials {
		switch t.verdict {
		case try:
			tries = append(tries, t)
		case giveUp:
			d.giveUp(ctx, t)
		default:
			holds = append(holds, t)
		}
	}
	var over []trial
	if len(tries) > 0 {
		tries, over = d.ration(ctx, tries[0].dest, tries)
	}
	d.park(ctx, append(holds, over...))
	if len(tries) > 0 {
		d.attempt(ctx, tries)
	}
}

// park leaves deliveries in the cache until their destination takes logs again, or their end. One that is parked already costs no write.
func (d *Deliver) park(ctx context.Context, trials []trial) {
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
}

// attempt hands logs to their destination and settles each by its result.
func (d *Deliver) attempt(ctx context.Context, trials []trial) {
	started := d.Now()
	results := d.send(ctx, trials)
	now := d.Now()
	var done, again []trial
	for i := range trials {
		t := &trials[i]
		switch err := results[i].Err; {
		case errors.Is(err, ErrNotTried):
			t.NextAt, t.Parked = later(now.Add(heldFor), t.Key), false
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
			t.Attempts++
			t.Code = f.Code
			t.NextAt, t.Parked = Decide(t.Delivery, f, now), false
			d.recordAttempt(*t, Failed, f, started, results[i].Took)
			again = append(again, *t)
		}
	}
	d.remove(ctx, done)
	d.save(ctx, again)
	e, f := weigh(trials, results)
	d.observe(ctx, trials[0].dest, e, f)
}

func (d *Deliver) send(ctx context.Context, trials []trial) []Result {
	ctx, cancel := context.WithTimeout(ctx, d.TimeLimit)
	defer cancel()
	dest := trials[0].dest
	sink, err := d.Sinks.Sink(ctx, dest)
	if err != nil {
		results := make([]Result, len(trials))
		for i := range results {
			results[i].Err = err
		}
		return results
	}
	docs := make([]auditlog.Document, len(trials))
	for i, t := range trials {
		docs[i] = t.Document
	}
	return sink.Send(ctx, docs)
}

// save makes deliveries durable. The hint goes first: if the write fails, the hint finds an older state and does nothing, and the message
// comes again; the other way about, a death between the two would leave the delivery to requeue's sweep.
func (d *Deliver) save(ctx context.Context, trials []trial) {
	if len(trials) == 0 {
		return
	}
	now := d.Now()
	var rides []Ride
	deliveries := make([]Delivery, len(trials))
	for i := range trials {
		t := &trials[i]
		t.NextAt = t.NextAt.Truncate(time.Millisecond)
		r := ride(Hint{Key: t.Key, At: t.NextAt}, now)
		if t.Riding = r.Delay <= rideLimit; t.Riding {
			rides = append(rides, r)
		}
		deliveries[i] = t.Delivery
	}
	d.hint(ctx, rides)
	for i, err := range d.Cache.Save(ctx, deliveries) {
		if err != nil && !errors.Is(err, ErrChanged) {
			d.fault(trials[i].messages, fmt.Errorf("save delivery of log %s to %s: %w", trials[i].LogID, trials[i].DestinationID, err))
		}
	}
}

// remove deletes what was delivered.
func (d *Deliver) remove(ctx context.Context, trials []trial) {
	if len(trials) == 0 {
		return
	}
	keys := make([]Key, len(trials))
	for i, t := range trials {
		keys[i] = t.Key
	}
	for i, err := range d.Cache.Remove(ctx, keys) {
		if err != nil {
			d.fault(trials[i].messages, fmt.Errorf("remove delivered log %s from the cache: %w", trials[i].LogID, err))
		}
	}
}

// giveUp ends a delivery. The failed event is announced by expire, from the cache's stream.
func (d *Deliver) giveUp(ctx context.Context, t trial) {
	e := FailedEvent{Key: t.Key, Type: t.Document.Type, FailedAt: d.Now(), Attempts: t.Attempts, Code: t.Code}
	if err := d.Failed.GiveUp(ctx, e, t.Revision); err != nil && !errors.Is(err, ErrChanged) {
		d.fault(t.messages, fmt.Errorf("record the failed event of log %s: %w", t.LogID, err))
	}
}

// hint sends hints. One that cannot be sent is not fatal: requeue's sweep finds the delivery.
func (d *Deliver) hint(ctx context.Context, rides []Ride) {
	if len(rides) == 0 {
		return
	}
	for i, err := range d.Retries.Send(ctx, rides) {
		if err != nil {
			d.fault(nil, fmt.Errorf("send the hint of log %s, which the sweep must find now: %w", rides[i].LogID, err))
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
		d.Journal.Record(Entry{Event: EventRejected, At: r.At, MessageID: r.ID, Redelivered: r.Receives > 1, Reason: r.Reason})
	}
}

// fault records that something of our own failed, and has the messages that it concerns handed out again.
func (d *Deliver) fault(messages []*settlement, err error) {
	for _, m := range messages {
		m.reopen()
	}
	d.Journal.Record(Entry{Event: EventFault, At: d.Now(), Reason: err.Error()})
}

func (d *Deliver) recordAttempt(t trial, o Outcome, f *failure.Error, at time.Time, took time.Duration) {
	e := Entry{Event: EventAttempted, At: at, Key: t.Key, Type: t.Document.Type, Kind: t.dest.Kind, Attempt: t.Attempts, Outcome: o, Took: took}
	if f != nil {
		e.Code, e.Detail, e.NextAt = f.Code, f.Detail, t.NextAt
	}
	d.Journal.Record(e)
}

func (d *Deliver) recordHeld(t trial) {
	d.Journal.Record(Entry{Event: EventHeld, At: d.Now(), Key: t.Key, Type: t.Document.Type, Kind: t.dest.Kind, Attempt: t.Attempts + 1, Outcome: Held,
		Code: t.Code, NextAt: t.NextAt})
}

// ride gives a hint the delay that brings it at its time or within the second after, never before.
func ride(h Hint, now time.Time) Ride {
	delay := max(0, h.At.Sub(now))
	if part := delay % time.Second; part > 0 {
		delay += time.Second - part
	}
	return Ride{Hint: h, Delay: delay}
}

// later bounds a time by the delivery's expiry.
func later(t time.Time, k Key) time.Time {
	if end := k.ExpiresAt(); t.After(end) {
		return end
	}
	return t
}
