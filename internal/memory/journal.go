package memory

import (
	"sync"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Ledger counts deliveries. Accepted is the sum of all the others: every delivery is in exactly one of them.
type Ledger struct {
	Accepted  int `json:"accepted"`
	Delivered int `json:"delivered"`
	Pending   int `json:"pending"`
	Failed    int `json:"failed"`
	Unrouted  int `json:"unrouted"`
	Rejected  int `json:"rejected"`
	// Repeated are those that came again in another message, and are settled with the first's delivery.
	Repeated int `json:"repeated"`
}

// Journal keeps every entry and the ledger.
type Journal struct {
	// Next, if set, is told too.
	Next delivery.Journal

	mu         sync.Mutex
	entries    []delivery.Entry
	deliveries map[delivery.Key]place
	messages   map[string]place
	repeats    map[repeat]place
	ledger     Ledger
}

// place is the column of the ledger in which a delivery, or a message that is not routed yet, stands.
type place int

const (
	nowhere place = iota
	pending
	delivered
	failed
	unrouted
	rejected
	repeated
	routed // a message that has become deliveries, which are counted themselves
)

// Queued enters a message of the ingest queue: pending until it is routed or rejected.
func (j *Journal) Queued(messageID string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.moveMessage(messageID, pending)
}

// Record implements delivery.Journal.
func (j *Journal) Record(e delivery.Entry) {
	j.mu.Lock()
	switch e.Event {
	case delivery.EventAccepted:
		j.moveMessage(e.MessageID, routed)
		j.moveDelivery(e.Key, pending)
	case delivery.EventAttempted:
		if e.Outcome == delivery.Delivered {
			j.moveDelivery(e.Key, delivered)
		}
	case delivery.EventFailed:
		j.moveDelivery(e.Key, failed)
	case delivery.EventRepeated:
		j.moveMessage(e.MessageID, routed)
		j.moveRepeat(repeat{e.MessageID, e.DestinationID})
	case delivery.EventUnrouted:
		j.moveMessage(e.MessageID, unrouted)
	case delivery.EventRejected:
		j.moveMessage(e.MessageID, rejected)
	}
	j.entries = append(j.entries, e)
	j.mu.Unlock()
	if j.Next != nil {
		j.Next.Record(e)
	}
}

func (j *Journal) moveMessage(id string, to place) {
	if j.messages == nil {
		j.messages = make(map[string]place)
	}
	j.messages[id] = j.move(j.messages[id], to)
}

func (j *Journal) moveDelivery(k delivery.Key, to place) {
	if j.deliveries == nil {
		j.deliveries = make(map[delivery.Key]place)
	}
	j.deliveries[k] = j.move(j.deliveries[k], to)
}

// repeat is a message's part in a delivery that another message has brought.
type repeat struct{ messageID, destinationID string }

func (j *Journal) moveRepeat(r repeat) {
	if j.repeats == nil {
		j.repeats = make(map[repeat]place)
	}
	j.repeats[r] = j.move(j.repeats[r], repeated)
}

// move counts a step from one column to another and answers where it ends. Nothing comes back to pending, and what was delivered stays so.
func (j *Journal) move(from, to place) place {
	if from == to || from == delivered || (to == pending && from != nowhere) {
		return from
	}
	j.add(from, -1)
	j.add(to, 1)
	return to
}

func (j *Journal) add(p place, n int) {
	l := &j.ledger
	switch p {
	case pending:
		l.Pending += n
	case delivered:
		l.Delivered += n
	case failed:
		l.Failed += n
	case unrouted:
		l.Unrouted += n
	case rejected:
		l.Rejected += n
	case repeated:
		l.Repeated += n
	case nowhere, routed:
		return
	}
	l.Accepted += n
}

// Ledger gives the counts as of now.
func (j *Journal) Ledger() Ledger {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ledger
}

// Entries gives all entries so far.
func (j *Journal) Entries() []delivery.Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]delivery.Entry(nil), j.entries...)
}

// Len counts the entries so far.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.entries)
}

// Since gives the entries from the n-th on, counted from zero. They never change, and later ones are only added.
func (j *Journal) Since(n int) []delivery.Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.entries[n:len(j.entries):len(j.entries)]
}
