package notice

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
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
	// Free: the mail service has refused it; the next receiver of a notice may send.
	Free ClaimState = "free"
	// Refused: the mail service does not take the address, while it takes others. It is as if the mail had
	// been sent.
	Refused ClaimState = "refused"
)

// Claim is the right to send one mail to one recipient.
type Claim struct {
	Key   string
	State ClaimState
	// Holder is the queue message whose receiver holds it, Receive which of its receives wrote the claim, and Try a
	// random text by which the receiver knows a claim for its own whose answer was lost.
	Holder  string
	Receive int
	Try     string
	// At is when it came into its state.
	At time.Time
	// Before is when the mail before that went out, as far as anybody knows; zero if there was none.
	Before time.Time
	// Revision grows with every write.
	Revision int
}

const (
	// dailyLimit is the least time between two involuntary mails about a destination to one recipient.
	dailyLimit = 24 * time.Hour
	// warningLimit is that of two warnings. Each counts the logs of a day, and the look that leads to the next
	// comes each hour, some seconds sooner or later: it must not be left out for those.
	warningLimit = dailyLimit - 30*time.Minute
	// unroutedLimit is that of two mails about logs that nobody asks for, as long as the same types are asked for: an admin may mean it so. It is
	// shorter than claims are remembered.
	unroutedLimit = 28 * dailyLimit
)

// claimKey names the mail to one recipient that a notice is about: an involuntary one and an expiry warning
// by the destination's record alone, a recovered one by the time of the involuntary mail that it answers, a
// voluntary one by when the disconnect was, one about a deletion by its generation, one about a cut-off by the
// child, one about unrouted logs by the owner and the types that are asked for, whichever destination and child
// it names. The recipient is part of it, so that whatever becomes of the
// others and of the order of the list, nobody is mailed twice and nobody is left out. Its hash stands for it,
// since keys stand in errors and addresses must not.
func claimKey(n directory.Notice, answers time.Time, address string) string {
	identity := directory.Identity(n.DestinationID, n.Incarnation)
	sum := sha256.Sum256([]byte(strings.ToLower(address)))
	recipient := hex.EncodeToString(sum[:16])
	switch n.Kind {
	case directory.Involuntary, directory.ExpiryWarning:
		return fmt.Sprintf("%s#%s#%s", identity, n.Kind, recipient)
	case directory.Recovered:
		return fmt.Sprintf("%s#%s#%d#%s", identity, n.Kind, answers.UnixMilli(), recipient)
	case directory.CutOffNotice:
		child := "" // every notice of the kind has one
		if n.Child != nil {
			child = n.Child.ID
		}
		return fmt.Sprintf("%s#%s#%s#%s", identity, n.Kind, child, recipient)
	case directory.UnroutedNotice:
		owner, asked := "", "" // every notice of the kind has them
		if n.Unrouted != nil {
			owner, asked = n.Unrouted.OwnerID, n.Unrouted.Asked
		}
		return fmt.Sprintf("%s#%s#%s#%s", directory.Identity("", owner), n.Kind, asked, recipient)
	case directory.Deletion:
		return fmt.Sprintf("%s#%s#%d#%s", identity, n.Kind, n.Generation, recipient)
	}
	return fmt.Sprintf("%s#%s#%d#%s", identity, n.Kind, n.Since.UnixMilli(), recipient)
}

// limit is how long after a mail the next under the same key may go; 0 is never.
func limit(k directory.NoticeKind) time.Duration {
	switch k {
	case directory.Involuntary, directory.CutOffNotice:
		return dailyLimit
	case directory.ExpiryWarning:
		return warningLimit
	case directory.UnroutedNotice:
		return unroutedLimit
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

// mailed says whether the mail went out under the claim, as far as anybody knows.
func (c Claim) mailed() bool { return c.State == Sent || c.State == Sending }

// lastMailed is when the last mail went out under the claim, as far as anybody knows; zero if none did.
func (c Claim) lastMailed() time.Time {
	if c.mailed() {
		return c.At
	}
	return c.Before
}

// underWay says whether the claim's holder may still be at it, so that nobody else can know what becomes of
// it.
func (c Claim) underWay(now time.Time) bool { return c.State == Sending && now.Sub(c.At) < holderLives }

// holderLives is longer than an invocation of notify.
const holderLives = time.Minute
