package unkind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/aws/dynamo/dynamotest"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// admin is who does what admins do.
func adminOf(workspaceID string) string { return adminsOf(workspaceID)[0] }

// adminsOf are the admins who are mailed.
func adminsOf(workspaceID string) []string {
	list := []string{"ada", "bob", "cy"}
	for i := range list {
		list[i] += "@" + workspaceID + ".example"
	}
	return list
}

// directory is the table as nothing unkind is between.
func (w *World) directory() *dynamo.Directory {
	return &dynamo.Directory{Client: dynamotest.Client{Tables: w.tables}, Table: "directory", Now: time.Now}
}

// workspace is there from the start.
func (w *World) workspace(id, parent string) {
	kind := directory.Standalone
	if parent != "" {
		kind = directory.EmbeddedCustomer
	}
	ws := directory.Workspace{ID: id, Incarnation: "first", Name: id, Kind: kind, ParentID: parent, Admins: adminsOf(id)}
	if err := w.directory().PutWorkspace(context.Background(), ws); err != nil {
		panic(err)
	}
	ws.Revision = 1
	w.workspaces[id] = ws
}

// plan is a destination that is to be made, and its receiver.
type plan struct {
	id, owner string
	shared    bool
	types     []string
	rate      int
	// what its receiver is like
	batched  bool
	troubles []trouble
	since    int
}

func (p plan) destination() directory.Destination {
	settings := json.RawMessage(`{"url":"https://siem.example/"}`)
	if p.rate > 0 {
		settings = json.RawMessage(fmt.Sprintf(`{"url":"https://siem.example/","rate":%d}`, p.rate))
	}
	return directory.Destination{ID: p.id, Incarnation: "first", Name: p.id, WorkspaceID: p.owner, Kind: directory.HTTP, Shared: p.shared, LogTypes: p.types, Settings: settings}
}

// stand makes a receiver.
func (w *World) stand(p plan) {
	w.receivers[p.id] = &receiver{id: p.id, batched: p.batched, troubles: p.troubles, since: p.since, taken: make(map[logName]int)}
}

// destination is there from the start.
func (w *World) destination(p plan) {
	d, err := directory.Transition(p.destination(), directory.Connect, time.Now())
	if err != nil {
		panic(err)
	}
	d.Version = 1
	if _, err := w.directory().PutDestination(context.Background(), d); err != nil {
		panic(err)
	}
	w.stand(p)
}

// act is something that an admin does at a time after the start. It is done again until it has an answer; then something follows.
func (w *World) act(at time.Duration, name string, do func(ctx context.Context, e *environment) error, then func()) {
	w.begin(at, func() {
		for n := 1; ; n++ {
			done := false
			w.invoke(w.adminer, func(ctx context.Context, e *environment) error {
				err := do(ctx, e)
				_, refused := errors.AsType[*directory.Conflict](err)
				done = err == nil || refused
				return err
			})
			if done {
				break
			}
			if !w.pass(w.chance.sub("again "+name, n).between(time.Second, 30*time.Second)) {
				return
			}
		}
		w.note("admin: %s is done", name)
		then()
	})
}

// begin has something go on from a time after now, or after the start if the run has not begun. No two begin at the very same time, which would leave
// it to chance who is first.
func (w *World) begin(at time.Duration, f func()) {
	w.mu.Lock()
	w.begins++
	at += time.Duration(w.begins) * time.Microsecond
	w.mu.Unlock()
	goOn := func() {
		if w.pass(at) {
			f()
		}
	}
	if w.begun {
		w.running.Go(goOn)
		return
	}
	w.script = append(w.script, goOn)
}

// create has an admin make a destination.
func (w *World) create(at time.Duration, p plan, then func()) {
	w.act(at, "create "+p.id, func(ctx context.Context, e *environment) error {
		if _, err := e.directory.CurrentDestination(ctx, p.id); err == nil || !errors.Is(err, directory.ErrNotFound) {
			return err
		}
		d, err := directory.Transition(p.destination(), directory.Connect, e.now())
		if err != nil {
			return err
		}
		d.Version = 1
		return w.change(ctx, e, d, connection.DestinationCreated)
	}, then)
	w.stand(p)
}

// edit has an admin change a destination's settings.
func (w *World) edit(at time.Duration, id, what string, edit func(*directory.Destination), then func()) {
	edited := false
	w.act(at, what+" "+id, func(ctx context.Context, e *environment) error {
		d, err := e.directory.CurrentDestination(ctx, id)
		if err != nil || edited {
			return err
		}
		edit(&d)
		d.Version++
		err = w.change(ctx, e, d, connection.DestinationUpdated)
		edited = err == nil
		return err
	}, then)
}

// change stores a destination with what is to be told of it, as package admin does.
func (w *World) change(ctx context.Context, e *environment, d directory.Destination, event connection.Event) error {
	activity := connection.Activity{
		Event: event, At: e.now(), By: connection.Caller{Identity: adminOf(d.WorkspaceID)}, Workspace: w.workspaces[d.WorkspaceID], Destination: d,
	}
	tell, err := activity.Outgoing()
	if err != nil {
		return err
	}
	if _, err := e.directory.PutDestination(ctx, d, tell); err != nil {
		return err
	}
	e.outbox.Tell(ctx, tell)
	return nil
}

func (w *World) disconnect(at time.Duration, id string) {
	w.act(at, "disconnect "+id, func(ctx context.Context, e *environment) error {
		_, err := e.connections.Disconnect(ctx, id, connection.Caller{Identity: "ada"})
		return err
	}, func() {})
}

func (w *World) reconnect(at time.Duration, id string) {
	w.act(at, "reconnect "+id, func(ctx context.Context, e *environment) error {
		_, err := e.connections.Reconnect(ctx, id, connection.Caller{Identity: "ada"})
		return err
	}, func() {})
}

func (w *World) remove(at time.Duration, id string) {
	w.act(at, "delete "+id, func(ctx context.Context, e *environment) error {
		_, err := e.connections.Delete(ctx, id, connection.Caller{Identity: "ada"}, nil)
		return err
	}, func() {})
}

// restore takes a deletion back, if it is not too late.
func (w *World) restore(at time.Duration, id string) {
	w.act(at, "restore "+id, func(ctx context.Context, e *environment) error {
		_, err := e.connections.Restore(ctx, id, connection.Caller{Identity: "ada"})
		if errors.Is(err, directory.ErrNotFound) {
			return nil
		}
		return err
	}, func() {})
}

// burst is logs of a workspace: n of them from a time on, one every so often. Those of an age were sent before the story began and have waited since,
// because of an outage of our own.
type burst struct {
	at        time.Duration
	workspace string
	kind      string
	n         int
	every     time.Duration
	age       time.Duration
}

// send plays a burst.
func (w *World) send(b burst) {
	if b.kind == "" {
		b.kind = "job_summary"
	}
	w.begin(b.at, func() {
		for i := range b.n {
			if i > 0 && b.every > 0 && !w.pass(b.every) {
				return
			}
			w.sendOne(b.workspace, b.kind, b.age)
		}
	})
}

const (
	// namesakes is how many logs come to one under whose id another log follows, as of a producer that does not keep its ids apart.
	namesakes = 7
	// resends is how many come to one that is sent again, as of a producer that got no answer, and resentWithin when that is.
	resends      = 5
	resentWithin = 40 * time.Minute
)

// sendOne sends a log now, or as if it had been sent some time ago.
func (w *World) sendOne(workspace, kind string, age time.Duration) {
	w.mu.Lock()
	w.produced++
	n, id, contents := w.produced, fmt.Sprintf("log-%04d", w.produced), []string{"one"}
	if n%namesakes == 0 {
		contents = append(contents, "another")
	}
	w.mu.Unlock()
	now := time.Now().UTC()
	for _, content := range contents {
		l := events.Log{ID: id, WorkspaceID: workspace, Type: kind, OccurredAt: now.Add(-age),
			Payload: json.RawMessage(`{"id":"` + id + `","content":"` + content + `"}`)}
		body, err := json.Marshal(l)
		if err != nil {
			panic(err)
		}
		w.accept(l, body, now.Add(-age).Truncate(time.Millisecond))
		if n%resends == 0 {
			w.begin(w.chance.sub("resend", n).between(0, resentWithin), func() { w.accept(l, body, time.Now().UTC().Truncate(time.Millisecond)) })
		}
	}
}
