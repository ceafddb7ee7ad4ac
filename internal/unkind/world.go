// Package unkind runs the core as the functions run it, over services that do everything that AWS's do on a bad day: indexes that show writes minutes late,
// answers that are lost while the SDK repeats the call, throttled partitions, messages that come twice, late or as new ones, invocations that die at any
// call, clocks that differ, minutes that come late or not at all. Then it holds what happened against what the product promises.
//
// What is real: the packages delivery, connection and notice, and package dynamo over tables in memory (package dynamotest). What is played: Lambda, the
// queues, the schedules, the bus, the mail service, the receivers, the admins. A run is a story and its weather; both are drawn from a seed, in virtual
// time, and depend on nothing else. Package simulate asks what a policy costs at scale; this one asks what can go wrong.
package unkind

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/aws/dynamo/dynamotest"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// Parts are what all worlds share because it is dear to make.
type Parts struct {
	cache    *dynamo.Cache
	renderer *notice.Renderer
}

// NewParts makes them. It must be called outside of virtual time.
func NewParts(ctx context.Context) (*Parts, error) {
	cache, err := dynamo.NewCache(dynamotest.ByContext(clientOf), "deliveries", noObjects{})
	if err != nil {
		return nil, err
	}
	templates, err := notice.Templates()
	if err != nil {
		return nil, err
	}
	renderer, err := notice.NewRenderer(templates, "en", "auditrelay", "<notices.auditrelay.example>")
	if err != nil {
		return nil, err
	}
	p := &Parts{cache: cache, renderer: renderer}
	// The compressor makes its channels when it is used first, and they must not be virtual time's.
	w := &World{tables: newTables(time.Now)}
	key := delivery.Key{DestinationID: "d", WorkspaceID: "w", LogID: "l", AcceptedAt: time.Unix(1, 0)}
	if err := cache.Save(w.observing(ctx), []delivery.Delivery{{Key: key}})[0]; err != nil {
		return nil, err
	}
	_, _, err = cache.Load(w.observing(ctx), []delivery.Key{key})
	return p, err
}

func newTables(now func() time.Time) *dynamotest.Tables {
	t := &dynamotest.Tables{Now: now}
	t.Create(dynamotest.Deliveries())
	t.Create(dynamotest.Directory())
	return t
}

// environmentKey leads from a context to the process that works in it.
type environmentKey struct{}

func clientOf(ctx context.Context) dynamotest.Client {
	switch x := ctx.Value(environmentKey{}).(type) {
	case *environment:
		return x.table()
	case *World:
		return dynamotest.Client{Tables: x.tables}
	}
	panic("unkind: a call without its process")
}

// observing is a context in which the tables are read as they are, at once.
func (w *World) observing(ctx context.Context) context.Context {
	return context.WithValue(ctx, environmentKey{}, w)
}

// World is one run.
type World struct {
	*Parts
	chance chance
	kinds  Kinds
	start  time.Time
	// calm is when everything unkind ends, and end when the run does.
	calm, end time.Time
	over      chan struct{}
	running   sync.WaitGroup
	tables    *dynamotest.Tables

	ingest  *queue[[]byte]
	retry   *queue[delivery.Hint]
	drain   *queue[string]
	notices *queue[directory.Notice]

	deliverer, minuteman, expirer, disconnector, notifier, adminer *function

	workspaces map[string]directory.Workspace
	receivers  map[string]*receiver
	outages    []outage
	script     []func() // what goes on from the start
	begun      bool
	dedupe     bool // deliver knows what is sent again
	begins     int

	record
}

// outage is a time in which a service takes no calls, or hangs.
type outage struct {
	service  string
	from, to time.Time
	hangs    bool
}

// newWorld makes an empty world that begins an hour later, so that what is there from the start is nothing new.
func newWorld(p *Parts, seed chance, kinds Kinds) *World {
	w := &World{Parts: p, chance: seed, kinds: kinds, start: time.Now().Add(time.Hour), over: make(chan struct{}), workspaces: make(map[string]directory.Workspace),
		receivers: make(map[string]*receiver), dedupe: seed.sub("dedupe", 0).hits(0.5)}
	w.open()
	w.tables = newTables(time.Now)
	w.tables.IndexLag = w.indexLag
	w.tables.ReadLag = w.readLag
	w.tables.Wrote = w.wrote
	w.ingest = newQueue[[]byte](w, "ingest", delivery.IngestAgain, delivery.IngestReceives)
	w.retry = newQueue[delivery.Hint](w, "retry", 7*time.Minute, 5)
	w.drain = newQueue[string](w, "drain", 7*time.Minute, 103)
	w.notices = newQueue[directory.Notice](w, "notices", 6*time.Minute, 960)
	w.deliverer = &function{name: "deliver", timeout: time.Minute, calls: 30, wire: wireDeliver}
	w.minuteman = &function{name: "requeue", timeout: time.Minute, calls: 12, wire: wireRequeue}
	w.expirer = &function{name: "expire", timeout: time.Minute, calls: 4, wire: wireExpire}
	w.disconnector = &function{name: "disconnect", timeout: 30 * time.Second, calls: 7, wire: wireDisconnect}
	w.notifier = &function{name: "notify", timeout: 30 * time.Second, calls: 6, wire: wireNotify}
	w.adminer = &function{name: "admin", timeout: 40 * time.Second, calls: 8, wire: wireAdmin}
	return w
}

// run lets everything happen until the end.
func (w *World) run() {
	w.drawOutages()
	w.begun = true
	for _, f := range w.script {
		w.running.Go(f)
	}
	go poll(w.ingest, poller{w.deliverer, 100, time.Second, 4}, func(ctx context.Context, e *environment, batch []message[[]byte]) []string {
		messages := make([]delivery.Message, len(batch))
		for i, m := range batch {
			messages[i] = delivery.Message{ID: m.id, Body: m.body, SentAt: m.sentAt, Receives: m.receives, Handle: m.handle()}
		}
		return e.deliver.Accept(ctx, messages)
	})
	go poll(w.retry, poller{w.deliverer, 100, time.Second, 3}, func(ctx context.Context, e *environment, batch []message[delivery.Hint]) []string {
		messages := make([]delivery.HintMessage, len(batch))
		for i, m := range batch {
			messages[i] = delivery.HintMessage{ID: m.id, Hint: m.body, Receives: m.receives, Handle: m.handle()}
		}
		return e.deliver.Retry(ctx, messages)
	})
	go poll(w.drain, poller{w.minuteman, 1, 20 * time.Millisecond, 10}, func(ctx context.Context, e *environment, batch []message[string]) (unsettled []string) {
		for _, m := range batch {
			if err := e.drain.Page(ctx, m.body); err != nil {
				w.fault(e, err)
				unsettled = append(unsettled, m.id)
			}
		}
		return unsettled
	})
	go poll(w.notices, poller{w.notifier, 5, time.Second, 2}, func(ctx context.Context, e *environment, batch []message[directory.Notice]) []string {
		messages := make([]notice.Message, len(batch))
		for i, m := range batch {
			messages[i] = notice.Message{ID: m.id, Receives: m.receives, Notice: m.body}
		}
		return e.notify.Handle(ctx, messages)
	})
	go w.minutes()
	go w.follow()
	go w.expireItems()
	w.pass(time.Until(w.end))
}

// finish ends every process. The bubble ends when the last goroutine has.
func (w *World) finish() {
	close(w.over)
	w.running.Wait()
}

// minutes is the rule that runs requeue every minute. A run that would find nothing to do is left out, as a rule.
func (w *World) minutes() {
	phase := w.chance.sub("phase", 0).between(0, time.Minute)
	begin := w.start.Truncate(time.Minute).Add(phase)
	for n := 1; ; n++ {
		draw := w.chance.sub("minute", n)
		at := begin.Add(time.Duration(n) * time.Minute)
		runs := 1
		if w.unkind(LateMinute) {
			switch x := draw.unit(); {
			case x < 0.10:
				runs = 0
			case x < 0.40:
				at = at.Add(draw.sub("late", 0).between(0, minuteLateMost))
			case x < 0.45:
				runs = 2
			}
		}
		if !w.pass(time.Until(at)) {
			return
		}
		if !w.busy() && !draw.sub("idle", 0).hits(0.05) {
			continue
		}
		for range runs {
			w.running.Go(func() {
				w.invoke(w.minuteman, func(ctx context.Context, e *environment) error { return e.minute(ctx) })
			})
		}
	}
}

// busy says whether a run of requeue could find anything to do.
func (w *World) busy() bool {
	return w.tables.Any("deliveries", "due") || w.tables.Any("directory", "attention")
}

// follow hands the stream's records to expire, one batch after the other.
func (w *World) follow() {
	after := ""
	for n := 1; ; n++ {
		changes := w.tables.Changes("deliveries", after, time.Now(), 100)
		if len(changes) == 0 {
			select {
			case <-w.changed:
				if !w.pass(w.chance.sub("stream", n).between(50*time.Millisecond, time.Second)) {
					return
				}
				continue
			case <-w.over:
				return
			}
		}
		event := dynamotest.Event(changes)
		unsettled := changes[0].Sequence
		ended := w.invoke(w.expirer, func(ctx context.Context, e *environment) error {
			answer, err := e.expire.Handle(ctx, event)
			unsettled = ""
			for _, f := range answer.BatchItemFailures {
				unsettled = f.ItemIdentifier
			}
			return err
		})
		if !ended {
			unsettled = changes[0].Sequence
		}
		for _, c := range changes {
			if c.Sequence == unsettled {
				break
			}
			after = c.Sequence
		}
		if unsettled != "" && !w.pass(w.chance.sub("stream pause", n).between(time.Second, 5*time.Second)) {
			return
		}
	}
}

// ttlLag is how late TTL removes an item.
const ttlLag = 48 * time.Hour

// expireItems is TTL.
func (w *World) expireItems() {
	for w.pass(time.Hour) {
		w.tables.RemoveExpired("deliveries", time.Now().Add(-ttlLag))
	}
}

// set is a one-time schedule.
func (w *World) set(t connection.Timer) {
	name := fmt.Sprintf("%s#%s#%d#%d", t.DestinationID, t.Incarnation, t.Generation, t.At.UnixMilli())
	w.mu.Lock()
	_, known := w.schedules[name]
	if !known {
		w.schedules[name] = make(chan struct{})
	}
	cancelled := w.schedules[name]
	w.mu.Unlock()
	if known {
		return // a schedule of that name is there
	}
	draw := w.chance.sub("timer "+name, 0)
	fires := 1
	at := t.At.Add(draw.sub("late", 0).between(0, time.Second))
	if w.kinds.Has(LateTimer) {
		at = t.At.Add(draw.sub("late", 0).between(0, timerLateMost))
		switch x := draw.unit(); {
		case x < 0.15:
			fires = 0
		case x < 0.35:
			fires = 2
		}
	}
	w.running.Go(func() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-cancelled:
			return
		case <-w.over:
			return
		}
		for range fires {
			for try := range 3 {
				if try > 0 && !w.pass(time.Duration(try)*time.Minute) {
					return
				}
				if w.invoke(w.disconnector, func(ctx context.Context, e *environment) error {
					return e.connections.Fire(ctx, t)
				}) {
					break
				}
			}
		}
	})
}

func (w *World) cancel(t connection.Timer) {
	name := fmt.Sprintf("%s#%s#%d#%d", t.DestinationID, t.Incarnation, t.Generation, t.At.UnixMilli())
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.schedules[name]; ok && !w.cancelled[name] {
		w.cancelled[name] = true
		close(c)
	}
}

// accept is the ingest queue's: from here on the log is the product's.
func (w *World) accept(l events.Log, body []byte, sentAt time.Time) {
	w.sent(l, body, sentAt)
	w.ingest.put(l.WorkspaceID+" "+l.ID, body, sentAt, 0)
}
