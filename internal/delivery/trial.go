package delivery

import (
	"sync/atomic"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// trial is a delivery on its way through one invocation.
type trial struct {
	Delivery
	dest        directory.Destination
	verdict     verdict
	messages    []*settlement
	redelivered bool
	drain       bool // led here by a drain or a probe, before its time
	turn        bool // parked, and stays so if it is not taken
	kept        bool // it keeps its own time, for which a hint is seen to already
	reserved    bool // its attempt has a place in the budget already
	why         Why
}

// handedOverSince says whether the trial is a fresh log that found its place after that time.
func (t trial) handedOverSince(since time.Time) bool {
	return t.Attempts == 0 && !t.Parked && t.NextAt.Add(-handOverIn).After(since)
}

// reopen has the trial's messages handed out again.
func (t trial) reopen() {
	for _, m := range t.messages {
		m.reopen()
	}
}

// entry is what every fact about an attempt at the trial holds: why it was made, and the message that led to it.
func (t trial) entry(e Event, at time.Time) Entry {
	entry := Entry{Event: e, At: at, Key: t.Key, Type: t.Document.Type, Kind: t.dest.Kind, Why: t.why}
	if len(t.messages) > 0 {
		entry.MessageID, entry.Receives = t.messages[0].id, t.messages[0].receives
	}
	return entry
}

// settlement is a queue message and whether any of its deliveries is still open.
type settlement struct {
	id       string
	receives int
	open     atomic.Bool
	// forget says that what the message points to is removed once it is settled.
	forget bool
}

func (s *settlement) reopen() { s.open.Store(true) }

func open(messages []*settlement) (ids []string) {
	for _, m := range messages {
		if m.open.Load() {
			ids = append(ids, m.id)
		}
	}
	return ids
}
