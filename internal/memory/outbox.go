package memory

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// keep stores what is to be told, under the lock of the change that it is told of.
func (d *Directory) keep(tell []directory.Outgoing) {
	if d.outgoing == nil {
		d.outgoing = make(map[string]directory.Outgoing)
	}
	for _, o := range tell {
		d.outgoing[o.ID] = o
	}
}

// Keep implements connection.OutboxStore.
func (d *Directory) Keep(_ context.Context, o directory.Outgoing) error {
	return d.Hook.do(CallKeep, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.keep([]directory.Outgoing{o})
		return nil
	})
}

// Outgoing implements connection.OutboxStore.
func (d *Directory) Outgoing(context.Context) iter.Seq2[directory.Outgoing, error] {
	return func(yield func(directory.Outgoing, error) bool) {
		var all []directory.Outgoing
		if err := d.Hook.do(CallOutgoing, func() error {
			all = d.Untold()
			slices.SortStableFunc(all, func(a, b directory.Outgoing) int { return rank(a) - rank(b) })
			return nil
		}); err != nil {
			yield(directory.Outgoing{}, err)
			return
		}
		for _, o := range all {
			if !yield(o, nil) {
				return
			}
		}
	}
}

// rank has the ends of logs come last.
func rank(o directory.Outgoing) int {
	if o.End() {
		return 1
	}
	return 0
}

// Told implements connection.OutboxStore.
func (d *Directory) Told(_ context.Context, id string) error {
	return d.Hook.do(CallTold, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.outgoing, id)
		return nil
	})
}

// Untold gives all that is still to be told, the oldest first.
func (d *Directory) Untold() []directory.Outgoing {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := slices.Collect(maps.Values(d.outgoing))
	slices.SortFunc(all, func(a, b directory.Outgoing) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return all
}
