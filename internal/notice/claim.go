package notice

import (
	"context"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Claims are the mails that were sent or are being sent.
type Claims interface {
	// Claim gives the claim of a key as of now, never older; the zero Claim with its key if there is none.
	Claim(ctx context.Context, key string) (Claim, error)
	// SaveClaim stores a claim over the revision that it was read at, else directory.ErrChanged, and gives it as stored. After any other error the
	// write may or may not have happened. A claim may be forgotten a month after its At.
	SaveClaim(ctx context.Context, c Claim) (Claim, error)
}

// ClaimState is how far a mail has come.
type ClaimState string

// The states of a claim. None is the state of a claim that does not exist.
const (
	// Sending: its holder is about to hand it to the mail service, or has done so and has not said more.
	Sending ClaimState = "sending"
	// Sent: the mail service has taken it.
	Sent ClaimState = "sent"
	// Free: the mail service has refused it; whoever comes next may send.
	Free ClaimState = "free"
)

// Claim is the right to send one mail.
type Claim struct {
	Key   string
	State ClaimState
	// Holder is the queue message whose receiver holds it, and Receive which of its receives that was.
	Holder  string
	Receive int
	// At is when it came into its state.
	At time.Time
	// Revision grows with every write.
	Revision int
}

// involuntaryLimit is the least time between two involuntary mails about a destination.
const involuntaryLimit = 24 * time.Hour

// claimKey names the mail that a notice is about: an involuntary one by the destination's record alone, a voluntary one
// by when the disconnect was, the others by when the outage began. Mails of one notice that go to different parts of its
// recipients have claims of their own, so that a part that failed is sent alone.
func claimKey(n directory.Notice, part int) string {
	identity := directory.Identity(n.DestinationID, n.Incarnation)
	if n.Kind == directory.Involuntary {
		return fmt.Sprintf("%s#%s#%d", identity, n.Kind, part)
	}
	return fmt.Sprintf("%s#%s#%d#%d", identity, n.Kind, n.Since.UnixMilli(), part)
}

// limit is how long after a mail the next under the same key may go; 0 is never.
func limit(k directory.NoticeKind) time.Duration {
	if k == directory.Involuntary {
		return involuntaryLimit
	}
	return 0
}

// claimVerdict says whether a mail may be sent.
type claimVerdict int

const (
	// mayNot: it was sent, or another message's receiver is at it. If that one fails, its own message comes again.
	mayNot claimVerdict = iota
	// may: nobody has sent it.
	may
	// cannotTell: an earlier receive of this very message was about to send it and never said how that went.
	cannotTell
)

func (c Claim) verdict(holder string, limit time.Duration, now time.Time) claimVerdict {
	switch {
	case c.State == "" || c.State == Free:
		return may
	case limit > 0 && now.Sub(c.At) >= limit:
		return may
	case c.State == Sending && c.Holder == holder:
		return cannotTell
	}
	return mayNot
}

// mailed says whether a mail went out under the claim, as far as anybody knows, at that time or later.
func (c Claim) mailed(since time.Time) bool {
	return (c.State == Sent || c.State == Sending) && !c.At.Before(since.Truncate(time.Millisecond))
}
