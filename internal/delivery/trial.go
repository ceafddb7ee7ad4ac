package delivery

import (
	"sync/atomic"

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
	kept        bool // it keeps its own time, for which a hint is seen to already
	reserved    bool // its attempt has a place in the budget already
}

// reopen has the trial's messages handed out again.
func (t trial) reopen() {
	for _, m := range t.messages {
		m.reopen()
	}
}

// settlement is a queue message and whether any of its deliveries is still open.
type settlement struct {
	id   string
	open atomic.Bool
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
