package memory

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Budget counts attempts at destinations.
type Budget struct {
	Hook Hook

	mu   sync.Mutex
	used map[windowOf]delivery.Asked
	tidy time.Time // the start of the window at which past ones were last dropped
}

// windowOf is a window of a destination.
type windowOf struct {
	identity string
	start    int64 // Unix time
	length   time.Duration
}

// Reserve implements delivery.Budget.
func (b *Budget) Reserve(_ context.Context, identity string, w delivery.Window, n int) (got int, err error) {
	err = b.Hook.do(CallReserve, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if past := w.Start.Add(-time.Minute); past.After(b.tidy) {
			b.tidy = w.Start
			maps.DeleteFunc(b.used, func(o windowOf, _ delivery.Asked) bool { return o.start+int64(o.length/time.Second) < past.Unix() })
		}
		if b.used == nil {
			b.used = make(map[windowOf]delivery.Asked)
		}
		o := windowOf{identity, w.Start.Unix(), w.Length}
		asked := b.used[o]
		got = w.Grant(asked, n)
		if w.Fresh {
			asked.Fresh += n
		} else {
			asked.Waiting += n
		}
		b.used[o] = asked
		return nil
	})
	return got, err
}

// DrainQueue is the queue of calls for a page of a destination's backlog.
type DrainQueue struct {
	Queue Queue[string]
	Hook  Hook
}

// Start implements delivery.DrainQueue.
func (q *DrainQueue) Start(_ context.Context, destinationID string) error {
	return q.Hook.do(CallStartDrain, func() error {
		_, err := q.Queue.Send(destinationID, 0)
		return err
	})
}

// Drains keeps how far each drain has come.
type Drains struct {
	Hook Hook

	mu     sync.Mutex
	states map[string]delivery.DrainState
}

// DrainState implements delivery.DrainProgress.
func (d *Drains) DrainState(_ context.Context, identity string) (s delivery.DrainState, err error) {
	err = d.Hook.do(CallDrainState, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		s = d.states[identity]
		return nil
	})
	return s, err
}

// SaveDrainState implements delivery.DrainProgress.
func (d *Drains) SaveDrainState(_ context.Context, identity string, s delivery.DrainState) error {
	return d.Hook.do(CallSaveDrainState, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.states == nil {
			d.states = make(map[string]delivery.DrainState)
		}
		if d.states[identity].Revision != s.Revision {
			return delivery.ErrChanged
		}
		s.Revision++
		d.states[identity] = s
		return nil
	})
}

// Turns keeps how far the turns of each destination's parked logs have come.
type Turns struct {
	Hook Hook

	mu    sync.Mutex
	turns map[string]delivery.Turns
}

// Turns implements delivery.TurnProgress.
func (p *Turns) Turns(_ context.Context, destinationID string) (t delivery.Turns, err error) {
	err = p.Hook.do(CallTurns, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		t = p.turns[destinationID]
		return nil
	})
	return t, err
}

// SaveTurns implements delivery.TurnProgress.
func (p *Turns) SaveTurns(_ context.Context, destinationID string, t delivery.Turns) error {
	return p.Hook.do(CallSaveTurns, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.turns == nil {
			p.turns = make(map[string]delivery.Turns)
		}
		p.turns[destinationID] = t
		return nil
	})
}

// Waiting implements delivery.Backlog.
func (c *Cache) Waiting(_ context.Context, destinationID string, after delivery.Key, limit int) (waiting []delivery.Waiting, err error) {
	err = c.Hook.do(CallWaiting, func() error {
		for _, d := range c.List(destinationID, after, limit) {
			waiting = append(waiting, delivery.Waiting{
				Hint: delivery.Hint{Key: d.Key, At: d.NextAt}, Owner: d.Owner, Parked: d.Parked, Attempts: d.Attempts, Tried: d.Tried, Code: d.Code,
			})
		}
		return nil
	})
	return waiting, err
}

// Parked counts the deliveries that wait without a time of their own.
func (c *Cache) Parked(destinationID string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parked[destinationID]
}
