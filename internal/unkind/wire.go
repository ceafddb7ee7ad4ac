package unkind

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// functions are what a process runs. Each function's has those parts that it needs.
type functions struct {
	deliver     *delivery.Deliver
	requeue     *delivery.Requeue
	watch       *delivery.Watch
	drain       *delivery.Drain
	expire      *dynamo.Stream
	notify      *notice.Notify
	connections *connection.Service
	outbox      *connection.Outbox
	directory   *dynamo.Directory
}

// What the stack gives the functions, see infra and package config.
const (
	directoryTTL  = 10 * time.Second
	attemptLimit  = 20 * time.Second
	minuteBudget  = 45 * time.Second
	watchedAtOnce = 8
)

func (e *environment) openDirectory() *dynamo.Directory {
	return &dynamo.Directory{Client: e.table(), Table: "directory", Now: e.now}
}

func (e *environment) openOutbox() *connection.Outbox {
	return &connection.Outbox{Store: e.openDirectory(), Logs: logs{e}, Bus: bus{e}, Notices: notices{e}, Now: e.now, Fault: func(err error) { e.world.fault(e, err) }}
}

// openConnections changes connections; without timers it only disables.
func (e *environment) openConnections(outbox *connection.Outbox) *connection.Service {
	return &connection.Service{Store: e.openDirectory(), Timers: timers{e}, Notices: notices{e}, Outbox: outbox, Now: e.now}
}

func wireDeliver(e *environment) functions {
	remembered := &delivery.CachedDirectory{
		Source: e.openDirectory(), TTL: directoryTTL, Now: e.now, Fault: func(err error) { e.world.fault(e, err) },
	}
	cache := e.world.cache
	var receipts delivery.Receipts
	if e.world.dedupe {
		receipts = cache
	}
	return functions{deliver: &delivery.Deliver{
		Directory: remembered, Destinations: remembered, Sinks: sinks{e}, Cache: cache, Failed: cache, Retries: retries{e}, Rejected: rejects{e},
		Payloads: noPayloads{}, Budget: &dynamo.Budget{Client: e.table(), Table: "directory"}, Notices: notices{e}, Drains: drains{e},
		Outbox:    &connection.Outbox{Store: e.openDirectory(), Bus: bus{e}, Now: e.now, Fault: func(err error) { e.world.fault(e, err) }},
		FreshFrom: source[[]byte]{e, e.world.ingest}, HintsFrom: source[delivery.Hint]{e, e.world.retry},
		Journal: journal{e}, Now: e.now, TimeLimit: attemptLimit, Receipts: receipts,
	}}
}

func wireRequeue(e *environment) functions {
	cache, destinations := e.world.cache, e.openDirectory()
	outbox := e.openOutbox()
	return functions{
		requeue: &delivery.Requeue{Index: dueIndex{cache, e.world}, Retries: retries{e}, Now: e.now, Budget: minuteBudget},
		watch: &delivery.Watch{
			Attention: attention{destinations, e.world}, Destinations: destinations, Backlog: cache, Progress: cache, Retries: retries{e}, Notices: notices{e}, Drains: drains{e},
			Sweep: outbox.Sweep, EndGrace: e.openConnections(outbox).EndGrace, Now: e.now, Journal: journal{e}, AtOnce: watchedAtOnce, Budget: minuteBudget,
		},
		drain: &delivery.Drain{Destinations: destinations, Backlog: cache, Latest: cache.Latest(), Progress: cache, Retries: retries{e}, Journal: journal{e}, Now: e.now},
	}
}

// minute is what requeue does every minute, see handler.Minute.
func (e *environment) minute(ctx context.Context) error {
	var watched error
	var wg sync.WaitGroup
	wg.Go(func() { watched = e.watch.Run(ctx) })
	err := e.requeue.Run(ctx)
	wg.Wait()
	return errors.Join(err, watched)
}

func wireExpire(e *environment) functions {
	expire := &delivery.Expire{Directory: e.openDirectory(), Failed: e.world.cache, Bus: bus{e}, Outbox: e.openDirectory(), Journal: journal{e}, Now: e.now}
	return functions{expire: &dynamo.Stream{Expire: expire, Objects: noObjects{}, Journal: journal{e}, Now: e.now}}
}

func wireDisconnect(e *environment) functions {
	return functions{connections: e.openConnections(e.openOutbox())}
}

func wireNotify(e *environment) functions {
	return functions{notify: &notice.Notify{
		Directory: e.openDirectory(), Claims: &dynamo.Claims{Client: e.table(), Table: "directory"}, Mailer: mailer{e}, Renderer: e.world.renderer,
		Journal: mailJournal{e}, Now: e.now,
	}}
}

func wireAdmin(e *environment) functions {
	outbox := e.openOutbox()
	return functions{connections: e.openConnections(outbox), outbox: outbox, directory: e.openDirectory()}
}

// dueIndex leaves out the shards in which nothing is: a run reads all of them, each minute.
type dueIndex struct {
	delivery.Index
	world *World
}

// Due implements delivery.Index.
func (x dueIndex) Due(ctx context.Context, shard int, after, until time.Time, riding bool) iter.Seq2[[]delivery.Hint, error] {
	if x.world.tables.Empty("deliveries", "due", strconv.Itoa(shard)) {
		return func(func([]delivery.Hint, error) bool) {}
	}
	return x.Index.Due(ctx, shard, after, until, riding)
}

// attention does not look if there is nothing that needs any.
type attention struct {
	of    delivery.Attention
	world *World
}

// Attention implements delivery.Attention.
func (a attention) Attention(ctx context.Context) iter.Seq2[directory.Destination, error] {
	if !a.world.tables.Any("directory", "attention") {
		return func(func(directory.Destination, error) bool) {}
	}
	return a.of.Attention(ctx)
}
