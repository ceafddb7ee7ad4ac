package unkind

import "time"

// Result is what came of a run.
type Result struct {
	Seed  uint64
	Story string
	// Kinds are those that the seed has drawn.
	Kinds    Kinds
	Breaches []Breach
	// Logs, Requests and Span say how much happened.
	Logs, Requests int
	Span           time.Duration
}

// Options say how a run differs from what its seed draws.
type Options struct {
	// Allow are the kinds that may be drawn; Force those that are there in any case.
	Allow, Force Kinds
	// Story, if set, is told whatever the seed draws.
	Story string
	// Trace, if set, is told what happens.
	Trace func(string)
}

// kindShare is how likely a run has each kind.
const kindShare = 0.3

// Run plays the run of a seed. It must be called in virtual time, in a bubble of its own.
func Run(p *Parts, seed uint64, o Options) Result {
	begin := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	if wait := time.Until(begin); wait > 0 {
		time.Sleep(wait)
	}
	c := chance(seed).sub("run", 0)
	told := draw(c.sub("story", 0), o.Story)
	kinds := Kinds(0)
	for one := Kinds(1); one < kindsEnd; one <<= 1 {
		if c.sub("kind", int(one)).hits(kindShare) {
			kinds |= one
		}
	}
	w := newWorld(p, c, kinds&o.Allow|o.Force)
	w.trace = o.Trace
	told.tell(w, c.sub("tell", 0))
	time.Sleep(time.Until(w.start))
	w.run()
	r := Result{Seed: seed, Story: told.name, Kinds: w.kinds, Breaches: w.breaches(), Logs: len(w.order), Span: time.Since(w.start)}
	for _, receiver := range w.receivers {
		r.Requests += len(receiver.requests)
	}
	w.finish()
	return r
}

// draw picks a story by its weight, or that of the name.
func draw(c chance, name string) story {
	all := stories()
	sum := 0
	for _, s := range all {
		if s.name == name {
			return s
		}
		sum += s.weight
	}
	n := c.below(sum)
	for _, s := range all {
		if n -= s.weight; n < 0 {
			return s
		}
	}
	panic("unkind: weights that do not add up")
}
