package unkind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// ports are the services as one process calls them. Those of the tables are package dynamo's.
type ports struct{ e *environment }

// sendBatch is how many messages one call to a queue carries.
const sendBatch = 10

// retries implements delivery.RetryQueue.
type retries ports

// Send implements delivery.RetryQueue.
func (p retries) Send(ctx context.Context, rides []delivery.Ride) []error {
	errs := make([]error, len(rides))
	for from := 0; from < len(rides); from += sendBatch {
		batch := rides[from:min(from+sendBatch, len(rides))]
		c := call{service: "sqs", about: "retry " + batch[0].DestinationID + " " + batch[0].LogID}
		err := p.e.reach(ctx, c, func() error {
			for _, r := range batch {
				p.e.world.retry.send(r.DestinationID+" "+r.WorkspaceID+" "+r.LogID+" "+r.Hash, r.Hint, r.Delay)
				p.e.world.hinted(r.Hint)
			}
			return nil
		})
		for i := range batch {
			errs[from+i] = err
			if r := batch[i]; r.Delay < 0 || r.Delay > 15*time.Minute || r.Delay%time.Second != 0 {
				errs[from+i] = fmt.Errorf("a queue takes no delay of %v", r.Delay)
			}
		}
	}
	return errs
}

// notices implements delivery.Notices and connection.Notices.
type notices ports

// Notify implements delivery.Notices.
func (p notices) Notify(ctx context.Context, n directory.Notice) error {
	return p.e.reach(ctx, call{service: "sqs", about: "notices " + n.DestinationID}, func() error {
		p.e.world.notices.send(string(n.Kind)+" "+n.DestinationID, n, 0)
		return nil
	})
}

// drains implements delivery.DrainQueue.
type drains ports

// Start implements delivery.DrainQueue.
func (p drains) Start(ctx context.Context, destinationID string) error {
	return p.e.reach(ctx, call{service: "sqs", about: "drain " + destinationID}, func() error {
		p.e.world.drain.send(destinationID, destinationID, 0)
		return nil
	})
}

// logs implements connection.Logs.
type logs ports

// Send implements connection.Logs.
func (p logs) Send(ctx context.Context, l events.Log) error {
	body, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return p.e.reach(ctx, call{service: "sqs", about: "ingest " + l.ID}, func() error {
		p.e.world.accept(l, body, time.Now().UTC())
		return nil
	})
}

// rejects implements delivery.RejectedQueue.
type rejects ports

// Reject implements delivery.RejectedQueue.
func (p rejects) Reject(ctx context.Context, rs []delivery.Rejection) []error {
	errs := make([]error, len(rs))
	for i, r := range rs {
		errs[i] = p.e.reach(ctx, call{service: "sqs", about: "rejected " + r.ID}, func() error {
			p.e.world.rejected(r)
			return nil
		})
	}
	return errs
}

// bus implements delivery.Bus and connection.Bus.
type bus ports

// Publish implements connection.Bus.
func (p bus) Publish(ctx context.Context, a events.Announcement) error {
	return p.e.reach(ctx, call{service: "bus", about: a.DetailType}, func() error {
		p.e.world.published(a)
		return nil
	})
}

// eventsACall is how many events the adapter puts on the bus in a call.
const eventsACall = 10

// PublishAll implements delivery.Bus, in calls as the adapter makes them: an answer that is lost is that of all their events.
func (p bus) PublishAll(ctx context.Context, as []events.Announcement) []error {
	errs := make([]error, 0, len(as))
	for part := range slices.Chunk(as, eventsACall) {
		about := fmt.Sprintf("%s and %d more", part[0].DetailType, len(part)-1)
		err := p.e.reach(ctx, call{service: "bus", about: about}, func() error {
			for _, a := range part {
				p.e.world.published(a)
			}
			return nil
		})
		errs = append(errs, slices.Repeat([]error{err}, len(part))...)
	}
	return errs
}

// mailer implements notice.Mailer. It sends once, as the contract says.
type mailer ports

// Send implements notice.Mailer.
func (p mailer) Send(ctx context.Context, m notice.Mail) error {
	w := p.e.world
	var refusal *notice.Refusal
	c := call{service: "mail", about: string(m.Kind) + strings.Join(m.To, " "), once: true}
	err := p.e.reach(ctx, c, func() error {
		if w.unkind(Refused) && w.chance.sub("mail", w.mailed()).hits(0.2) {
			refusal = &notice.Refusal{Reason: "TooManyRequestsException"}
			return refusal
		}
		w.mail(m)
		return nil
	})
	if errors.Is(err, errUnreached) {
		return &notice.Refusal{Reason: "the connection was refused"}
	}
	return err
}

// timers implements connection.Timers.
type timers ports

// Set implements connection.Timers.
func (p timers) Set(ctx context.Context, t connection.Timer) error {
	return p.e.reach(ctx, call{service: "scheduler", about: "set " + t.DestinationID}, func() error {
		p.e.world.set(t)
		return nil
	})
}

// Cancel implements connection.Timers.
func (p timers) Cancel(ctx context.Context, t connection.Timer) error {
	return p.e.reach(ctx, call{service: "scheduler", about: "cancel " + t.DestinationID}, func() error {
		p.e.world.cancel(t)
		return nil
	})
}

// journal writes down what a process says as long as it lives.
type journal ports

// Record implements delivery.Journal.
func (p journal) Record(e delivery.Entry) {
	if !p.e.gone() {
		p.e.world.write(p.e, e)
	}
}

type mailJournal ports

// Record implements notice.Journal.
func (p mailJournal) Record(e notice.Entry) {
	if !p.e.gone() {
		p.e.world.mailEntry(p.e, e)
	}
}

// sinks implements delivery.Sinks.
type sinks ports

// Sink implements delivery.Sinks.
func (p sinks) Sink(_ context.Context, d directory.Destination) (delivery.Sink, error) {
	return sink{p.e, d}, nil
}

// sink is a destination as a process knows it.
type sink struct {
	e *environment
	d directory.Destination
}

// Send implements delivery.Sink: one request for each log, one after the other, or one for all if the receiver takes batches.
func (s sink) Send(ctx context.Context, docs []auditlog.Document) []delivery.Result {
	results := make([]delivery.Result, len(docs))
	r := s.e.world.receivers[s.d.ID]
	size := 1
	if r.batched {
		size = 25
	}
	for from := 0; from < len(docs); from += size {
		batch := docs[from:min(from+size, len(docs))]
		began := time.Now()
		if ctx.Err() != nil {
			for i := range batch {
				results[from+i].Err = delivery.ErrNotTried
			}
			continue
		}
		errs := make([]error, len(batch))
		c := call{service: "receiver", about: s.d.ID + " " + batch[0].WorkspaceID + " " + batch[0].ID, once: true}
		err := s.e.reach(ctx, c, func() error {
			for i, doc := range batch {
				errs[i] = r.take(ctx, s, doc)
			}
			return nil
		})
		for i := range batch {
			results[from+i] = delivery.Result{Err: errs[i], Took: time.Since(began)}
			if err != nil {
				results[from+i].Err = timeout(err)
				r.unanswered(s, batch[i])
			}
		}
	}
	return results
}

// noPayloads implements delivery.Payloads: no producer has put anything there.
type noPayloads struct{}

// Read implements delivery.Payloads.
func (noPayloads) Read(context.Context, string, int) ([]byte, error) {
	return nil, errors.New("no object")
}

// Delete implements delivery.Payloads.
func (noPayloads) Delete(context.Context, string) error { return nil }

// noObjects implements dynamo.Objects: no document is as large.
type noObjects struct{}

// Put implements dynamo.Objects.
func (noObjects) Put(context.Context, string, []byte) error { return errors.New("no bucket") }

// Get implements dynamo.Objects.
func (noObjects) Get(context.Context, string) ([]byte, error) { return nil, errors.New("no bucket") }

// Delete implements dynamo.Objects.
func (noObjects) Delete(context.Context, string) error { return nil }
