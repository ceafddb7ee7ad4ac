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
	// Workspace gives a workspace with its destinations, or directory.ErrNotFound.
	Workspace(ctx context.Context, id string) (directory.Workspace, []directory.Destination, error)
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
	if errors.Is(err, directory.ErrNotFound) {
		h.record(n, Entry{Event: EventDropped, Reason: "the destination was deleted"})
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up destination %s: %w", n.DestinationID, err)
	}
	if d.Incarnation != n.Incarnation {
		h.record(n, Entry{Event: EventDropped, Reason: "the destination was deleted; another one has its id now"})
		return true, nil
	}
	switch Due(n, d, h.Now()) {
	case Later:
		return false, nil
	case Drop:
		h.record(n, Entry{Event: EventDropped, WorkspaceID: d.WorkspaceID, Reason: "it is no longer true"})
		return true, nil
	}
	if n.Kind == directory.Recovered {
		c, err := h.Claims.Claim(ctx, claimKey(directory.Notice{Kind: directory.Involuntary, DestinationID: n.DestinationID, Incarnation: n.Incarnation}, 0))
		if err != nil {
			return false, fmt.Errorf("read the claim of the involuntary mail: %w", err)
		}
		if !c.mailed(n.Since) {
			h.record(n, Entry{Event: EventDropped, WorkspaceID: d.WorkspaceID, Reason: "nobody was told of the outage"})
			return true, nil
		}
	}
	return h.mail(ctx, m, d)
}

// mail sends the notice to everybody who is to be told.
func (h *Notify) mail(ctx context.Context, m Message, d directory.Destination) (settled bool, err error) {
	owner, _, err := h.Directory.Workspace(ctx, d.WorkspaceID)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return false, fmt.Errorf("look up workspace %s: %w", d.WorkspaceID, err)
	}
	owner.ID = d.WorkspaceID
	mail, err := h.Renderer.Render(m.Notice, owner, d)
	if err != nil {
		return false, err
	}
	addresses, bad := Recipients(owner)
	settled = true
	var errs []error
	for i, to := range parts(addresses) {
		mail.To = to
		ok, err := h.part(ctx, m, mail, i, owner.ID)
		settled = settled && ok
		errs = append(errs, err)
		if bad > 0 && i == 0 && ok && err == nil {
			h.record(m.Notice, Entry{Event: EventAddressRefused, WorkspaceID: owner.ID, Recipients: bad, Reason: "they are no mail addresses"})
		}
	}
	return settled, errors.Join(errs...)
}

// part sends one mail, if nobody else has.
func (h *Notify) part(ctx context.Context, m Message, mail Mail, part int, ownerID string) (settled bool, err error) {
	c, err := h.Claims.Claim(ctx, claimKey(m.Notice, part))
	if err != nil {
		return false, fmt.Errorf("read the claim of the mail: %w", err)
	}
	entry := Entry{WorkspaceID: ownerID, Recipients: len(mail.To)}
	switch c.verdict(m.ID, limit(m.Notice.Kind), h.Now()) {
	case mayNot:
		return true, nil
	case cannotTell:
		c.State = Sent // what it counts as; said once
		if _, err := h.Claims.SaveClaim(ctx, c); err != nil && !errors.Is(err, directory.ErrChanged) {
			return false, fmt.Errorf("close the claim of a mail whose answer was lost: %w", err)
		}
		entry.Event, entry.Reason = EventUncertain, "an earlier receiver of the notice ended before it could say whether the mail was taken"
		h.record(m.Notice, entry)
		return true, nil
	}
	c.State, c.Holder, c.Receive, c.At = Sending, m.ID, m.Receives, h.now()
	c, held, err := h.hold(ctx, c)
	if err != nil || !held {
		return err == nil, err
	}
	return h.send(ctx, m.Notice, mail, c, entry)
}

// hold writes a claim. Where the answer is lost it looks for it: no mail has gone yet, so whoever finds its own claim may go on.
func (h *Notify) hold(ctx context.Context, c Claim) (stored Claim, held bool, err error) {
	stored, err = h.Claims.SaveClaim(ctx, c)
	if err == nil {
		return stored, true, nil
	}
	if errors.Is(err, directory.ErrChanged) {
		return c, false, nil
	}
	found, lost := h.Claims.Claim(ctx, c.Key)
	if lost == nil && found.State == Sending && found.Holder == c.Holder && found.Receive == c.Receive && found.At.Equal(c.At) {
		return found, true, nil
	}
	return c, false, fmt.Errorf("claim the mail: %w", err)
}

// send hands a claimed mail over and notes in the claim how that went.
func (h *Notify) send(ctx context.Context, n directory.Notice, mail Mail, c Claim, entry Entry) (settled bool, err error) {
	var refused int
	switch {
	case len(mail.To) == 0:
		entry.Event, entry.Reason = EventNoRecipient, "the workspace has no admins and no error recipients with a mail address; give it some"
	default:
		entry, refused = h.handOver(ctx, mail, entry)
	}
	h.record(n, entry)
	c.State, c.At = Sent, h.now()
	switch entry.Event {
	case EventRefused:
		if err := h.giveBack(ctx, c); err != nil {
			return false, fmt.Errorf("give the claim of a refused mail back: %w", err)
		}
		return false, nil
	case EventUncertain:
		return true, nil // the claim stands as it is
	}
	if refused > 0 {
		h.record(n, Entry{Event: EventAddressRefused, WorkspaceID: entry.WorkspaceID, Recipients: refused, Reason: "the mail service refused them; the others were told"})
	}
	if _, err := h.Claims.SaveClaim(ctx, c); err != nil {
		h.record(n, Entry{Event: EventFault, WorkspaceID: entry.WorkspaceID, Reason: fmt.Sprintf("note that the mail was sent: %v", err)})
	}
	return true, nil
}

// giveBack frees the claim of a mail that was certainly not taken, even if another receive of the same message has closed it meanwhile.
func (h *Notify) giveBack(ctx context.Context, c Claim) error {
	c.State, c.At = Free, h.now()
	_, err := h.Claims.SaveClaim(ctx, c)
	if !errors.Is(err, directory.ErrChanged) {
		return err
	}
	current, err := h.Claims.Claim(ctx, c.Key)
	if err != nil || current.Holder != c.Holder || current.Receive != c.Receive {
		return err
	}
	c.Revision = current.Revision
	_, err = h.Claims.SaveClaim(ctx, c)
	return err
}

// handOver sends a mail to all its recipients at once or, where that is refused perhaps for one of them, to each alone. The entry says what
// became of it; refused counts the recipients that were left out.
func (h *Notify) handOver(ctx context.Context, mail Mail, entry Entry) (_ Entry, refused int) {
	err := h.Mailer.Send(ctx, mail)
	if r, ok := errors.AsType[*Refusal](err); !ok || !r.Address || len(mail.To) == 1 {
		return outcome(err, entry), 0
	}
	all := mail.To
	told, unknown := 0, 0
	for _, address := range all {
		mail.To = []string{address}
		one := h.Mailer.Send(ctx, mail)
		switch outcome(one, entry).Event {
		case EventSent:
			told++
		case EventUncertain:
			unknown++
		}
	}
	switch {
	case told > 0:
		entry.Event, entry.Recipients = EventSent, told
		return entry, len(all) - told
	case unknown > 0:
		entry.Event, entry.Reason = EventUncertain, "the answer was lost"
		return entry, len(all) - unknown
	}
	return outcome(err, entry), 0
}

// outcome reads a mailer's answer.
func outcome(err error, entry Entry) Entry {
	var refusal *Refusal
	switch {
	case err == nil:
		entry.Event = EventSent
	case errors.As(err, &refusal):
		entry.Event, entry.Reason = EventRefused, refusal.Reason
	default:
		entry.Event, entry.Reason = EventUncertain, err.Error()
	}
	return entry
}

// now is the time in whole milliseconds, as stores keep it.
func (h *Notify) now() time.Time { return h.Now().UTC().Truncate(time.Millisecond) }

func (h *Notify) record(n directory.Notice, e Entry) {
	e.At, e.Kind, e.DestinationID, e.Code = h.Now(), n.Kind, n.DestinationID, n.Code
	h.Journal.Record(e)
}
