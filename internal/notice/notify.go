package notice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Directory answers what a notice is about.
type Directory interface {
	// CurrentDestination gives a destination as of now, never older, or directory.ErrNotFound.
	CurrentDestination(ctx context.Context, id string) (directory.Destination, error)
	// CurrentWorkspace gives a workspace as of now, never older, or directory.ErrNotFound.
	CurrentWorkspace(ctx context.Context, id string) (directory.Workspace, error)
}

// Mailer hands mails to the mail service.
type Mailer interface {
	// Send hands over one mail, once: it must not try again by itself unless the service has refused it. Nil says that the service has taken it,
	// a *Refusal that it certainly has not, any other error that nobody knows.
	Send(ctx context.Context, m Mail) error
}

// Refusal is a mail service's certain no.
type Refusal struct {
	// Address says that the mail was refused for what it is, perhaps for one of its addresses; otherwise the service took no mail at all.
	Address bool
	// Reason is the service's name for it. It holds no address.
	Reason string
}

// Error gives the reason.
func (r *Refusal) Error() string { return "the mail service refused the mail: " + r.Reason }

// Message is a message of the notices queue.
type Message struct {
	// ID is the same at every receive of one message; Receives counts them from 1.
	ID       string
	Receives int
	Notice   directory.Notice
}

// Notify mails what is due. It is safe for concurrent use.
type Notify struct {
	Directory Directory
	Claims    Claims
	Mailer    Mailer
	Renderer  *Renderer
	Journal   Journal
	Now       func() time.Time
	// Off are the kinds that a deployment does not want.
	Off map[directory.NoticeKind]bool
}

// Handle takes notices and answers the ids of the messages that must be handed out again.
func (h *Notify) Handle(ctx context.Context, batch []Message) (unsettled []string) {
	for _, m := range batch {
		settled, err := h.notice(ctx, m)
		if err != nil {
			h.record(m.Notice, Entry{Event: EventFault, Reason: err.Error()})
		}
		if !settled || err != nil {
			unsettled = append(unsettled, m.ID)
		}
	}
	return unsettled
}

func (h *Notify) notice(ctx context.Context, m Message) (settled bool, err error) {
	n := m.Notice
	if h.Off[n.Kind] {
		h.record(n, Entry{Event: EventDropped, Reason: "mails of this kind are switched off"})
		return true, nil
	}
	d, err := h.Directory.CurrentDestination(ctx, n.DestinationID)
	switch gone := errors.Is(err, directory.ErrNotFound); {
	case err != nil && !gone:
		return false, fmt.Errorf("look up destination %s: %w", n.DestinationID, err)
	case (gone || d.Incarnation != n.Incarnation) && outlives(n):
		return h.tell(ctx, m, n.Destination(), true) // it was removed meanwhile, of which its admins are told all the same
	case gone:
		h.record(n, Entry{Event: EventDropped, Reason: "the destination was deleted"})
		return true, nil
	case d.Incarnation != n.Incarnation:
		h.record(n, Entry{Event: EventDropped, Reason: "the destination was deleted; another one has its id now"})
		return true, nil
	}
	switch Due(n, d, h.Now()) {
	case Later:
		return false, nil
	case Drop:
		return h.tell(ctx, m, d, false)
	}
	return h.tell(ctx, m, d, true)
}

// now is the time in whole milliseconds, as stores keep it.
func (h *Notify) now() time.Time { return h.Now().UTC().Truncate(time.Millisecond) }

func (h *Notify) record(n directory.Notice, e Entry) {
	e.At, e.Kind, e.DestinationID, e.Code = h.Now(), n.Kind, n.DestinationID, n.Code
	h.Journal.Record(e)
}
