package notice

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// round is one receiver's work on a notice: each recipient gets a mail of its own under a claim of its own,
// so what becomes of one, a throttled one say, keeps no other from being told, and the next receive of the
// message goes on with those who were not.
type round struct {
	*Notify
	message Message
	mail    Mail
	owner   string

	sent, uncertain, throttled int
	// told is how many have the mail, as far as anybody knows, those of earlier rounds too.
	told int
	// unaware is how many are not told of a recovery because they were not told of the failure.
	unaware int
	// rejected are the claims of mails that the service refused for what they are, perhaps for their
	// addresses.
	rejected []Claim
	reason   string // of the last refusal
	doubt    string // of the last mail of which nobody knows
	later    bool   // somebody's turn has not come
	over     bool   // it is no longer true
	err      error  // the first
}

// mailTime is what a mail may take: the writes of its claim and the call. With less time left the rest is for
// the next receive.
const mailTime = 10 * time.Second

// tell sends the notice to everybody who is to be told and has not been. If it is no longer due, it only says
// of whom nobody knows whether they were told, because an earlier receiver of the message ended on the way.
func (h *Notify) tell(ctx context.Context, m Message, d directory.Destination, due bool) (settled bool, err error) {
	owner, err := h.Directory.CurrentWorkspace(ctx, d.WorkspaceID)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return false, fmt.Errorf("look up workspace %s: %w", d.WorkspaceID, err)
	}
	owner.ID = d.WorkspaceID
	mail, err := h.Renderer.Render(m.Notice, owner, d)
	if err != nil {
		return false, err
	}
	r := &round{Notify: h, message: m, mail: mail, owner: owner.ID, over: !due}
	addresses, bad := Recipients(owner)
	if len(addresses) == 0 {
		addresses = []string{nobody}
	}
	for _, address := range addresses {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < mailTime {
			r.later = true
			break
		}
		r.fail(r.one(ctx, address))
	}
	return r.finish(ctx, bad, len(addresses))
}

// nobody stands for the recipient of a workspace that has none: that there was nobody to tell is itself
// claimed, and told once.
const nobody = ""

// one sends the mail to one recipient, if it is due and nobody else has.
func (r *round) one(ctx context.Context, address string) error {
	now := r.now()
	var answers time.Time
	if r.message.Notice.Kind == directory.Recovered {
		told, known, err := r.toldOfFailure(ctx, address)
		switch {
		case err != nil:
			return err
		case !known:
			r.later = true
			return nil
		case told.IsZero():
			r.unaware++
			return nil
		}
		answers = told
	}
	c, err := r.Claims.Claim(ctx, claimKey(r.message.Notice, answers, address))
	if err != nil {
		return fmt.Errorf("read the claim of the mail: %w", err)
	}
	switch c.verdict(r.message.ID, limit(r.message.Notice.Kind), now) {
	case mayNot:
		if c.mailed() {
			r.told++
		}
		return nil
	case cannotTell:
		return r.close(ctx, c)
	}
	if r.over {
		return nil
	}
	c.Before = c.lastMailed()
	c.State, c.Holder, c.Receive, c.Try, c.At = Sending, r.message.ID, r.message.Receives, rand.Text(), now
	c, held, err := r.hold(ctx, c)
	switch {
	case err != nil || !held:
		return err
	case !r.stillDue(ctx):
		r.over = true
		_, err := r.giveBack(ctx, c)
		return err
	}
	return r.send(ctx, c, address)
}

// toldOfFailure says when a recipient was told of the failure that a recovery ends; zero if never. It is the
// mail that counts, not when the failure began: every log that gets through in between makes the next a new
// one. It is not known as long as the mail's sender may be at it.
func (r *round) toldOfFailure(ctx context.Context, address string) (at time.Time, known bool, err error) {
	n := r.message.Notice
	n.Kind = directory.Involuntary
	c, err := r.Claims.Claim(ctx, claimKey(n, time.Time{}, address))
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read the claim of the involuntary mail: %w", err)
	}
	return c.lastMailed(), !c.underWay(r.Now()), nil
}

// stillDue asks again once the claim stands. If a destination recovers while admins are being told that it
// fails, either this finds it healthy or the notice of the recovery finds the claim, so nobody is left with
// the bad news alone. Without an answer the first one stands.
func (r *round) stillDue(ctx context.Context) bool {
	n := r.message.Notice
	d, err := r.Directory.CurrentDestination(ctx, n.DestinationID)
	switch {
	case errors.Is(err, directory.ErrNotFound) || err == nil && d.Incarnation != n.Incarnation:
		return outlives(n)
	case err != nil:
		return true
	}
	return Due(n, d, r.Now()) != Drop
}

// hold writes a claim. Whatever the answer is, it looks for it then: an answer that was lost may show as
// another's write, where a client repeats its calls. No mail has gone yet, so a receiver that finds its own
// claim may go on.
func (r *round) hold(ctx context.Context, c Claim) (stored Claim, held bool, err error) {
	stored, err = r.Claims.SaveClaim(ctx, c)
	if err == nil {
		return stored, true, nil
	}
	found, lost := r.Claims.Claim(ctx, c.Key)
	switch {
	case lost == nil && found.State == Sending && found.Try == c.Try:
		return found, true, nil
	case lost == nil && errors.Is(err, directory.ErrChanged):
		// Refused for a write that has left no claim, a transaction's say, it is still to be sent.
		r.later = r.later || found.verdict(c.Holder, limit(r.message.Notice.Kind), c.At) == may
		return c, false, nil
	}
	return c, false, fmt.Errorf("claim the mail: %w", err)
}

// close ends the claim of a mail of which nobody knows whether it was taken: it counts as sent, and that is said
// once. Whatever the answer is, it looks for its write then, as hold does: the next receive of a message finds a
// closed claim and says nothing of it. Without any answer it is said now, rather twice than never.
func (r *round) close(ctx context.Context, c Claim) error {
	const why = "an earlier receiver of the notice ended before it could say whether the mail was taken"
	c.State, c.Receive = Sent, r.message.Receives
	_, err := r.Claims.SaveClaim(ctx, c)
	if err == nil {
		r.doubted(why)
		return nil
	}
	err = fmt.Errorf("close the claim of a mail whose answer was lost: %w", err)
	found, lost := r.Claims.Claim(ctx, c.Key)
	switch {
	case lost != nil:
		r.doubted(why)
		return err
	case found.Try == c.Try && found.State == Sending:
		return err // still to be closed
	case found.Try == c.Try && found.State == Sent && found.Receive == c.Receive:
		r.doubted(why)
		return nil
	}
	// Its holder has said meanwhile what became of it, or another receive of the message says that nobody knows.
	if found.mailed() {
		r.told++
	}
	r.later = r.later || found.verdict(c.Holder, limit(r.message.Notice.Kind), r.now()) == may
	return nil
}

// send hands a claimed mail over and notes in the claim how that went.
func (r *round) send(ctx context.Context, c Claim, address string) error {
	if address != nobody {
		r.mail.To = []string{address}
		err := r.Mailer.Send(ctx, r.mail)
		refusal, refused := errors.AsType[*Refusal](err)
		switch {
		case refused:
			return r.refused(ctx, c, refusal)
		case err != nil:
			r.doubted(err.Error())
			return nil // the claim stands as it is
		}
		r.sent++
	}
	r.told++
	c.State, c.At = Sent, r.now()
	if _, err := r.Claims.SaveClaim(ctx, c); err != nil {
		r.record(Entry{Event: EventFault, Reason: fmt.Sprintf("note that the mail was sent: %v", err)})
	}
	if address == nobody {
		r.record(Entry{Event: EventNoRecipient, Reason: "the workspace has no admins and no error recipients with a mail address; give it some"})
	}
	return nil
}

// refused gives the claim of a mail back that was certainly not taken.
func (r *round) refused(ctx context.Context, c Claim, refusal *Refusal) error {
	r.reason = refusal.Reason
	c, err := r.giveBack(ctx, c)
	if err != nil {
		r.throttled++
		return fmt.Errorf("give the claim of a refused mail back: %w", err)
	}
	if refusal.Address {
		r.rejected = append(r.rejected, c)
	} else {
		r.throttled++
	}
	return nil
}

// giveBack frees a claim, even if another receive of the same message has closed it meanwhile.
func (r *round) giveBack(ctx context.Context, c Claim) (Claim, error) {
	c.State, c.At = Free, r.now()
	stored, err := r.Claims.SaveClaim(ctx, c)
	if !errors.Is(err, directory.ErrChanged) {
		return stored, err
	}
	current, err := r.Claims.Claim(ctx, c.Key)
	if err != nil || current.Try != c.Try {
		return current, err
	}
	c.Revision = current.Revision
	return r.Claims.SaveClaim(ctx, c)
}

// doubted counts a mail of which nobody knows whether it was sent. It counts as sent.
func (r *round) doubted(why string) {
	r.uncertain, r.told, r.doubt = r.uncertain+1, r.told+1, why
}

func (r *round) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// finish writes down what became of the round. Bad is how many of the owner's recipients are no addresses,
// all how many are some.
//
// A mail that is refused for what it is may be refused for its address or for something that all mails have,
// the sender say. If anybody else got it, it was the address, which is not tried again for this notice;
// otherwise all of it is.
func (r *round) finish(ctx context.Context, bad, all int) (settled bool, err error) {
	hopeless, again := 0, r.throttled
	if r.told > 0 {
		hopeless = len(r.rejected)
	} else {
		again += len(r.rejected)
	}
	for _, c := range r.rejected[:hopeless] {
		c.State, c.At = Refused, r.now()
		if _, err := r.Claims.SaveClaim(ctx, c); err != nil && !errors.Is(err, directory.ErrChanged) {
			r.fail(fmt.Errorf("note that an address was refused: %w", err))
		}
	}
	for _, e := range []Entry{
		{Event: EventSent, Recipients: r.sent},
		{Event: EventUncertain, Recipients: r.uncertain, Reason: r.doubt},
		{Event: EventRefused, Recipients: again, Reason: r.reason},
		{Event: EventAddressRefused, Recipients: hopeless, Reason: "the mail service refused them; the others were told"},
	} {
		if e.Recipients > 0 {
			r.record(e)
		}
	}
	if bad > 0 && r.sent > 0 {
		r.record(Entry{Event: EventAddressRefused, Recipients: bad, Reason: "they are no mail addresses"})
	}
	switch {
	case r.over:
		r.record(Entry{Event: EventDropped, Reason: "it is no longer true"})
	case r.unaware == all:
		r.record(Entry{Event: EventDropped, Reason: "nobody was told of the outage"})
	}
	return !r.later && again == 0, r.err
}

func (r *round) record(e Entry) {
	e.WorkspaceID = r.owner
	r.Notify.record(r.message.Notice, e)
}
