package local

import (
	"context"
	"fmt"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// openConnections puts in place what belongs to connections and their mails.
func (w *World) openConnections(hook memory.Hook) {
	w.Timers = &memory.Timers{Hook: hook}
	w.Bus = &memory.Bus{Hook: hook}
	w.expire.Bus = w.Bus
	w.Mail = &memory.Mailer{Hook: hook, Now: w.Clock.Now}
	w.MailJournal = &memory.MailJournal{}
	w.outbox = &connection.Outbox{Store: w.Directory, Logs: ingested{w, hook}, Bus: w.Bus, Notices: w.Notices, Now: w.Clock.Now, Fault: w.fault}
	w.deliver.Outbox = w.outbox
	w.Connections = &connection.Service{Store: w.Directory, Timers: w.Timers, Notices: w.Notices, Outbox: w.outbox, Now: w.Clock.Now}
	w.notify = notice.Notify{
		Directory: w.Directory, Claims: &memory.Claims{Hook: hook}, Mailer: w.Mail, Renderer: renderer(), Journal: w.MailJournal, Now: w.Clock.Now,
	}
	w.watch.EndGrace, w.watch.Sweep = w.Connections.EndGrace, w.outbox.Sweep
}

func renderer() *notice.Renderer {
	templates, err := notice.Templates()
	if err != nil {
		panic("local: " + err.Error()) // they are part of the program
	}
	r, err := notice.NewRenderer(templates, "en", "auditrelay", "auditrelay connection notices <connection-notices.auditrelay.localhost>")
	if err != nil {
		panic("local: " + err.Error())
	}
	return r
}

// ingested puts the system's own logs on the ingest queue.
type ingested struct {
	world *World
	hook  memory.Hook
}

// Send implements connection.Logs.
func (i ingested) Send(_ context.Context, l events.Log) error {
	body, err := l.Message()
	if err != nil {
		return fmt.Errorf("write log %s: %w", l.ID, err)
	}
	return i.hook.Do(memory.CallSendLog, func() error {
		i.world.Send(body)
		return nil
	})
}

// fireTimers calls disconnect for each timer whose time has come, and says whether there was one.
func (w *World) fireTimers(ctx context.Context) (started bool) {
	for _, t := range w.Timers.Due(w.Clock.Now()) {
		started = true
		w.start(func() {
			if err := w.Connections.Fire(ctx, t); err != nil {
				w.fault(err)
				return
			}
			w.Timers.Settle(t)
		})
	}
	return started
}

// notifyAll hands notices to notify.
func (w *World) notifyAll(ctx context.Context, batch []memory.Received[directory.Notice]) (unsettled []string) {
	messages := make([]notice.Message, len(batch))
	for i, m := range batch {
		messages[i] = notice.Message{ID: m.ID, Receives: m.Receives, Notice: m.Body}
	}
	return w.notify.Handle(ctx, messages)
}
