package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Content names a log by what it is, whichever message brings it.
type Content struct{ WorkspaceID, LogID, Hash string }

// Content is the log's of a delivery.
func (k Key) Content() Content { return Content{k.WorkspaceID, k.LogID, k.Hash} }

// Receipt says that a log was dealt with: for each of these destinations it is delivered, or safe in the cache.
type Receipt struct {
	Content
	// MessageID is the message that brought it.
	MessageID string
	// To are the destinations' identities.
	To []string
	// Until is when the receipt ends to count, in whole seconds.
	Until time.Time
}

// covers says whether the log needs not go to a destination again.
func (r Receipt) covers(dest directory.Destination, now time.Time) bool {
	return now.Before(r.Until) && slices.Contains(r.To, dest.Identity())
}

// Receipts remember for a day which logs were dealt with.
type Receipts interface {
	// Look gives the receipts of those logs that have one. It may be a moment behind Keep, and may give one that
	// counts no longer.
	Look(ctx context.Context, logs []Content) (map[Content]Receipt, error)
	// Keep stores receipts, of a log over its older one. After an error some may be stored.
	Keep(ctx context.Context, rs []Receipt) error
}

const (
	// receiptFor is how long a receipt counts.
	receiptFor = 24 * time.Hour
	// receiptTime bounds a call for receipts. Without them a log can go twice, which is better than late.
	receiptTime = 2 * time.Second
)

// recall adds to known what was kept of these deliveries' logs.
func (d *Deliver) recall(ctx context.Context, trials []trial, known map[Content]Receipt) {
	if d.Receipts == nil || len(trials) == 0 {
		return
	}
	var logs []Content
	asked := make(map[Content]bool, len(trials))
	for _, t := range trials {
		c := t.Content()
		if _, ok := known[c]; !ok && !asked[c] {
			asked[c] = true
			logs = append(logs, c)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, receiptTime)
	defer cancel()
	found, err := d.Receipts.Look(ctx, logs)
	if err != nil {
		d.fault(nil, aboutAll(keysOf(trials), fmt.Errorf("look for the receipts of %d logs, which may be delivered again: %w", len(logs), err)))
	}
	for c, r := range found {
		known[c] = r
	}
}

// remember writes receipts for what was dealt with. It comes last, when each delivery has arrived or is durable: a
// receipt that went before could outlive an invocation that died, and the log that is sent again would be taken for one
// that was dealt with.
func (d *Deliver) remember(ctx context.Context, trials []trial, known map[Content]Receipt) {
	fresh := receipts(trials, known, d.Now())
	for _, r := range fresh {
		known[r.Content] = r
	}
	if d.Receipts == nil || len(fresh) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, receiptTime)
	defer cancel()
	if err := d.Receipts.Keep(ctx, fresh); err != nil {
		d.fault(nil, aboutAll(keysOf(trials), fmt.Errorf("keep the receipts of %d logs, which are delivered again if they come again: %w", len(fresh), err)))
	}
}

func keysOf(trials []trial) []Key {
	keys := make([]Key, len(trials))
	for i, t := range trials {
		keys[i] = t.Key
	}
	return keys
}

// receipts are those of trials all of whose messages are settled. None counts beyond the end of a delivery, which may
// still wait in the cache: what comes again after that has seven days of its own.
func receipts(trials []trial, known map[Content]Receipt, now time.Time) []Receipt {
	places := make(map[Content]int, len(trials))
	var fresh []Receipt
	for _, t := range trials {
		if slices.ContainsFunc(t.messages, func(s *settlement) bool { return s.open.Load() }) {
			continue
		}
		c := t.Content()
		place, ok := places[c]
		if !ok {
			place = len(fresh)
			places[c] = place
			r := Receipt{Content: c, MessageID: t.messages[0].id, Until: now.Add(receiptFor).UTC().Truncate(time.Second)}
			if k := known[c]; now.Before(k.Until) {
				r = k
				r.To = slices.Clone(k.To)
			}
			fresh = append(fresh, r)
		}
		r := &fresh[place]
		r.To = append(r.To, t.dest.Identity())
		if end := t.ExpiresAt().Truncate(time.Second); end.Before(r.Until) {
			r.Until = end
		}
	}
	return slices.DeleteFunc(fresh, func(r Receipt) bool { return !now.Before(r.Until) })
}
