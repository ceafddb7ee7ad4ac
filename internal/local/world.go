// Package local runs every function in one process, on the in-memory ports and a virtual clock. It plays what AWS does around the functions:
// it hands queue messages to them in batches, runs requeue every minute, follows the cache's stream, and lets TTL remove what expired.
package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/notice"
	"github.com/auditrelay/auditrelay/internal/sink"
	"github.com/auditrelay/auditrelay/internal/vault"
)

const (
	// visibility is how long a message stays hidden that a function did not settle, as in the deployed stack. Of
	// ingest it is delivery.IngestAgain.
	visibility = 7 * time.Minute
	// batchSize is how many messages a function gets at once, as in the deployed stack.
	batchSize = 100
	// invocationsAtOnce bounds the functions that run at the same time.
	invocationsAtOnce = 64
	// watchedAtOnce is how many destinations the watch looks at beside each other, as in the deployed stack.
	watchedAtOnce = 8
	// requeueEvery is the rate of the rule that runs requeue.
	requeueEvery = time.Minute
	// streamPause is how long the stream waits before it hands out again what failed.
	streamPause = time.Second
	// ttlLag is how late TTL removes things; DynamoDB says within a few days.
	ttlLag = 48 * time.Hour
	// attemptLimit is real time: how long a destination's attempts may take in one invocation.
	attemptLimit = 20 * time.Second
)

// PayloadBucket is the name by which pointers call the payload bucket of a world.
const PayloadBucket = "payloads"

// World is the whole system in memory.
type World struct {
	Clock     *Clock
	Directory *memory.Directory
	Vault     *vault.Vault
	Cache     *memory.Cache
	Ingest    *memory.IngestQueue
	Retry     *memory.RetryQueue
	Drain     *memory.DrainQueue
	Notices   *memory.NoticeQueue
	Rejected  *memory.RejectedQueue
	Payloads  *memory.Payloads
	Journal   *memory.Journal

	Timers      *memory.Timers
	Bus         *memory.Bus
	Mail        *memory.Mailer
	MailJournal *memory.MailJournal
	Connections *connection.Service

	outbox   *connection.Outbox
	account  sink.Account
	deliver  delivery.Deliver
	receipts *memory.Receipts
	notify   notice.Notify
	requeue  delivery.Requeue
	watch    delivery.Watch
	drain    delivery.Drain
	expire   delivery.Expire

	turn     chan struct{} // holds a value while somebody moves the clock
	followed time.Time     // the real time until which Run has moved the clock
	nextTick time.Time
	nextTTL  time.Time
	streamAt time.Time // the stream is not read again before, after a failure
	slots    chan struct{}
	inFlight sync.WaitGroup
	wake     chan struct{}
}

// NewWorld makes an empty world that begins at start. The hook may be nil.
func NewWorld(start time.Time, hook memory.Hook) *World {
	clock := &Clock{now: start}
	w := &World{
		Clock:     clock,
		Directory: &memory.Directory{Hook: hook},
		Cache:     memory.NewCache(clock.Now),
		Ingest:    &memory.IngestQueue{Queue: memory.Queue[[]byte]{Now: clock.Now, Visibility: delivery.IngestAgain, Hook: hook}},
		Retry:     &memory.RetryQueue{Queue: memory.Queue[delivery.Hint]{Now: clock.Now, Visibility: visibility, Hook: hook}, Hook: hook},
		Drain:     &memory.DrainQueue{Queue: memory.Queue[string]{Now: clock.Now, Visibility: visibility, Hook: hook}, Hook: hook},
		Notices:   &memory.NoticeQueue{Queue: memory.Queue[directory.Notice]{Now: clock.Now, Visibility: visibility, Hook: hook}, Hook: hook},
		Rejected:  &memory.RejectedQueue{Hook: hook},
		Payloads:  &memory.Payloads{Hook: hook},
		Journal:   &memory.Journal{},
		nextTick:  start.Truncate(requeueEvery).Add(requeueEvery),
		nextTTL:   start.Truncate(time.Hour).Add(time.Hour),
		turn:      make(chan struct{}, 1),
		slots:     make(chan struct{}, invocationsAtOnce),
		wake:      make(chan struct{}, 1),
	}
	w.Cache.Hook = hook
	w.receipts = &memory.Receipts{Hook: hook}
	keys := &memory.Keys{Hook: hook}
	w.Vault = &vault.Vault{Keys: keys, Wrapper: keys, Now: clock.Now}
	w.deliver = delivery.Deliver{
		Directory: w.Directory, Destinations: w.Directory, Cache: w.Cache, Failed: w.Cache, Retries: w.Retry, Rejected: w.Rejected,
		Budget: &memory.Budget{Hook: hook}, Notices: w.Notices, Drains: w.Drain, Journal: w.Journal, Now: clock.Now, TimeLimit: attemptLimit,
		Payloads: w.Payloads, PayloadBucket: PayloadBucket,
		FreshFrom: memory.Source[[]byte]{Queue: &w.Ingest.Queue}, HintsFrom: memory.Source[delivery.Hint]{Queue: &w.Retry.Queue},
	}
	w.requeue = delivery.Requeue{Index: w.Cache, Retries: w.Retry, Now: clock.Now, Budget: time.Minute}
	w.watch = delivery.Watch{Progress: &memory.Turns{Hook: hook}, Attention: w.Directory, Destinations: w.Directory, Backlog: w.Cache, Retries: w.Retry, Notices: w.Notices, Drains: w.Drain, Now: clock.Now,
		AtOnce: watchedAtOnce, Budget: time.Minute}
	w.drain = delivery.Drain{
		Destinations: w.Directory, Backlog: w.Cache, Progress: &memory.Drains{Hook: hook}, Retries: w.Retry, Journal: w.Journal, Now: clock.Now,
	}
	w.expire = delivery.Expire{Directory: w.Directory, Failed: w.Cache, Outbox: w.Directory, Journal: w.Journal, Now: clock.Now}
	w.openConnections(hook)
	return w
}

// SetSinks says where logs are delivered; it is called once, before the world runs.
func (w *World) SetSinks(s delivery.Sinks) { w.deliver.Sinks = s }

// KeepUnread has rejected messages kept that are no JSON objects; it is called once, before the world runs.
func (w *World) KeepUnread() { w.deliver.KeepUnread = true }

// Dedupe has logs known that are sent again within a day; it is called once, before the world runs.
func (w *World) Dedupe() { w.deliver.Receipts = w.receipts }

// Send puts one message on the ingest queue. A message that the queue refuses for its size is kept as rejected, with the reason.
func (w *World) Send(body []byte) (queued bool) {
	id, err := w.Ingest.Send(body)
	if err != nil {
		kept, _ := auditlog.Keepable(body, w.deliver.KeepUnread)
		w.refuse(kept, len(body))
		return false
	}
	w.Journal.Queued(id)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return true
}

// refuse records a message that is too large for the queue as rejected, with what may be kept of it.
func (w *World) refuse(kept []byte, size int) {
	now, reason := w.Clock.Now(), memory.TooLarge(size).Error()
	id := fmt.Sprintf("refused-%d", len(w.Rejected.All())+1)
	refused := delivery.Message{ID: id, Body: kept, SentAt: now}
	w.Rejected.Reject(context.Background(), []delivery.Rejection{{Message: refused, Reason: reason, At: now}})
	w.Journal.Record(delivery.Entry{Event: delivery.EventRejected, At: now, MessageID: id, Reason: reason})
}

// Advance moves the clock by d through everything that falls due, in order, and returns when that work is done, the work included that was under
// way before. Time stands still while a receiver is waited for, and Run does not make up for it.
func (w *World) Advance(ctx context.Context, d time.Duration) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.turn }()
	w.inFlight.Wait()
	err := w.stepTo(ctx, w.Clock.Now().Add(d))
	w.followed = time.Now()
	return err
}

// Run lets the clock run at the given speed until ctx ends. At speed 1 it follows real time and never waits; at any other it stands still
// while receivers are waited for.
func (w *World) Run(ctx context.Context, speed float64) {
	const pulse = 5 * time.Millisecond
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	w.turn <- struct{}{}
	w.followed = time.Now()
	<-w.turn
	for {
		select {
		case <-ctx.Done():
			w.inFlight.Wait()
			return
		case <-ticker.C:
		case <-w.wake:
		}
		w.turn <- struct{}{}
		now := time.Now()
		target := w.Clock.Now().Add(time.Duration(float64(now.Sub(w.followed)) * speed))
		if speed == 1 {
			w.Clock.set(target)
			w.dispatch(ctx)
			w.followed = now
		} else {
			_ = w.stepTo(ctx, target)
			w.followed = time.Now()
		}
		<-w.turn
	}
}

// stepTo moves the clock from event to event until target.
func (w *World) stepTo(ctx context.Context, target time.Time) error {
	for {
		for w.dispatch(ctx) {
			w.inFlight.Wait()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		next := w.nextEvent()
		if next.After(target) {
			w.Clock.set(target)
			return nil
		}
		w.Clock.set(next)
	}
}

// nextEvent is when something next falls due.
func (w *World) nextEvent() time.Time {
	next := w.usefulTick()
	if w.nextTTL.Before(next) {
		next = w.nextTTL
	}
	if w.streamAt.After(w.Clock.Now()) && w.streamAt.Before(next) {
		next = w.streamAt
	}
	for _, at := range []func() (time.Time, bool){w.Ingest.Queue.NextVisible, w.Retry.Queue.NextVisible, w.Drain.Queue.NextVisible, w.Notices.Queue.NextVisible, w.Timers.Next} {
		if t, ok := at(); ok && t.Before(next) {
			next = t
		}
	}
	return next
}

// usefulTick is when requeue next finds something to do. Its runs before that are left out: they would only move its progress.
func (w *World) usefulTick() time.Time {
	now := w.Clock.Now()
	if len(w.Directory.Untold()) > 0 {
		return w.nextTick
	}
	useful := now.Add(time.Hour)
	if look := delivery.NextLook(w.Cache.FirstDue()); !look.IsZero() && look.Before(useful) {
		useful = look
	}
	for d, err := range w.Directory.Attention(context.Background()) {
		switch d.State {
		case directory.Disconnected, directory.Deleted: // it is left alone until its eight hours are over, but for the hourly look
			useful = earlier(earlier(useful, d.GraceEnds()), nextHour(d.StateSince, now))
			continue
		case directory.Disabled:
			useful = earlier(useful, nextHour(d.StateSince, now))
			continue
		}
		if err != nil || d.Draining || d.LastLook || w.Cache.Parked(d.ID) > 0 {
			return w.nextTick
		}
		if d.Health.State != directory.Failing { // it has refused logs
			useful = earlier(useful, delivery.NextWarningLook(d, now))
			continue
		}
		// All that is left to do for a failing destination is to tell of it, at each full hour of its failure, and to probe it in each of a pause.
		useful = earlier(useful, nextHour(d.Health.Since, now))
		if now.Before(d.Health.Until) {
			useful = earlier(useful, nextHour(d.Health.AskedAt, now))
		}
	}
	if up := useful.Add(requeueEvery - 1).Truncate(requeueEvery); up.After(w.nextTick) {
		return up
	}
	return w.nextTick
}

// nextHour is the next full hour since a time.
func nextHour(since, now time.Time) time.Time {
	return since.Add(now.Sub(since).Truncate(time.Hour) + time.Hour)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// dispatch starts every function that has something to do now, and says whether it started any.
func (w *World) dispatch(ctx context.Context) (started bool) {
	now := w.Clock.Now()
	started = consume(w, &w.Ingest.Queue, func(batch []memory.Received[[]byte]) []string { return w.accept(ctx, batch) })
	started = consume(w, &w.Retry.Queue, func(batch []memory.Received[delivery.Hint]) []string { return w.retry(ctx, batch) }) || started
	started = consume(w, &w.Drain.Queue, func(batch []memory.Received[string]) []string { return w.drainPages(ctx, batch) }) || started
	started = w.fireTimers(ctx) || started
	started = consume(w, &w.Notices.Queue, func(batch []memory.Received[directory.Notice]) []string { return w.notifyAll(ctx, batch) }) || started
	if !w.nextTick.After(now) {
		w.nextTick = now.Truncate(requeueEvery).Add(requeueEvery)
		w.start(func() { w.requeueOnce(ctx) })
		started = true
	}
	if !w.nextTTL.After(now) {
		w.nextTTL = now.Truncate(time.Hour).Add(time.Hour)
		w.Cache.RemoveExpired(ttlLag)
	}
	if !w.streamAt.After(now) && len(w.Cache.Changes(1)) > 0 {
		w.followStream(ctx) // in turn, as a stream's shard is
		started = true
	}
	return started
}

func (w *World) start(function func()) {
	w.slots <- struct{}{}
	w.inFlight.Go(func() {
		defer func() { <-w.slots }()
		function()
	})
}

// consume hands all that is visible on a queue to its function, in batches, and says whether there was any. What the function settled is
// acknowledged; an acknowledgement that fails leaves a duplicate behind, as on SQS.
func consume[T any](w *World, q *memory.Queue[T], function func([]memory.Received[T]) (unsettled []string)) (started bool) {
	for {
		batch := q.Receive(batchSize)
		if len(batch) == 0 {
			return started
		}
		started = true
		w.start(func() {
			unsettled := function(batch)
			for _, m := range batch {
				if !slices.Contains(unsettled, m.ID) {
					_ = q.Ack(m.Handle)
				}
			}
		})
	}
}

func (w *World) accept(ctx context.Context, batch []memory.Received[[]byte]) (unsettled []string) {
	messages := make([]delivery.Message, len(batch))
	for i, m := range batch {
		messages[i] = delivery.Message{ID: m.ID, Body: m.Body, SentAt: m.SentAt, Receives: m.Receives, Handle: m.Handle}
	}
	return w.deliver.Accept(ctx, messages)
}

func (w *World) retry(ctx context.Context, batch []memory.Received[delivery.Hint]) (unsettled []string) {
	messages := make([]delivery.HintMessage, len(batch))
	for i, m := range batch {
		messages[i] = delivery.HintMessage{ID: m.ID, Hint: m.Body, Receives: m.Receives, Handle: m.Handle}
	}
	return w.deliver.Retry(ctx, messages)
}

func (w *World) drainPages(ctx context.Context, batch []memory.Received[string]) (unsettled []string) {
	for _, m := range batch {
		if err := w.drain.Page(ctx, m.Body); err != nil {
			w.fault(err)
			unsettled = append(unsettled, m.ID)
		}
	}
	return unsettled
}

func (w *World) requeueOnce(ctx context.Context) {
	if err := errors.Join(w.requeue.Run(ctx), w.watch.Run(ctx)); err != nil {
		w.fault(err)
	}
}

func (w *World) fault(err error) {
	for _, e := range delivery.Faults(err, w.Clock.Now()) {
		w.Journal.Record(e)
	}
}

// followStream hands changes to expire, one invocation at a time, as a stream's shard does.
func (w *World) followStream(ctx context.Context) {
	changes := w.Cache.Changes(batchSize)
	for i := range changes {
		changes[i].ID = fmt.Sprint(i)
	}
	done := len(changes)
	if unsettled := w.expire.Handle(ctx, changes); unsettled != "" {
		_, _ = fmt.Sscan(unsettled, &done)
		w.streamAt = w.Clock.Now().Add(streamPause)
	}
	w.Cache.AckChanges(done)
}
