package simulate

import (
	"iter"
	"time"
)

const (
	// batch, window, and how many invocations of deliver may run at once, as in infra/triggers.go.
	batch       = 100
	window      = time.Second
	concurrency = 200
	// groupsAtOnce is deliver's bound on the destinations that one invocation deals with at the same time.
	groupsAtOnce = 128
	// invocationOverhead and logOverhead are what deliver itself takes, beside its calls: 35 µs of a processor for a log (make bench), of which 512 MB
	// are three tenths.
	invocationOverhead = 5 * time.Millisecond
	logOverhead        = 120 * time.Microsecond
	// idleFor is how long an execution environment lives without work.
	idleFor = 10 * time.Minute
)

// poller hands the messages of one queue to deliver, in batches, as Lambda does.
type poller struct {
	world   *world
	atOnce  int
	batch   int
	window  time.Duration
	purpose Purpose
	handle  func(i *instance, group []work)

	waiting []work // visible, the first first
	busy    int
	flush   time.Time // when it looks again; zero if that is not planned
}

// offer adds a visible message.
func (p *poller) offer(w work) {
	w.since = p.world.now
	p.waiting = append(p.waiting, w)
	p.start()
}

// start invokes deliver for every batch that is full or has waited for its window, as long as there is room.
func (p *poller) start() {
	now := p.world.now
	for len(p.waiting) > 0 && p.busy < p.atOnce {
		due := p.waiting[0].since.Add(p.window)
		if len(p.waiting) < p.batch && now.Before(due) {
			if p.flush.IsZero() || due.Before(p.flush) {
				p.flush = due
				p.world.agenda.add(due, func() {
					if p.flush.Equal(due) {
						p.flush = time.Time{}
					}
					p.start()
				})
			}
			return
		}
		n := min(p.batch, len(p.waiting))
		works := p.waiting[:n:n]
		p.waiting = p.waiting[n:]
		invoke(p, works)
	}
}

// invocation is one run of deliver: a strand for each destination of its batch.
type invocation struct {
	poller   *poller
	instance *instance
	began    time.Time
	size     int
	pending  [][]work // groups that wait for a strand to end
	strands  int
}

func invoke(p *poller, works []work) {
	w := p.world
	p.busy++
	w.running++
	i := &invocation{poller: p, instance: w.instance(), began: w.now, size: len(works), pending: byDestination(works)}
	if w.Unwanted {
		i.pending = [][]work{works} // none waits for a destination, so they are one batch, as they are to deliver
	}
	i.fill()
	if w.store.loaded > 0 {
		w.meter.add(Loading, Count{Dynamo: times(w.store.loaded, readsACall)})
		w.store.loaded = 0
	}
	w.receipts.flush()
}

// strand is the part of an invocation that deals with one destination. Wait has it wait, resume lets it run until then.
type strand struct {
	resume func() (time.Duration, bool)
	wait   func(time.Duration)
}

// fill begins strands as long as there is room, and ends the invocation when none is left. A strand that need not wait is over at once.
func (i *invocation) fill() {
	for len(i.pending) > 0 && i.strands < groupsAtOnce {
		group := i.pending[0]
		i.pending = i.pending[1:]
		i.strands++
		s := &strand{}
		s.resume, _ = iter.Pull(func(yield func(time.Duration) bool) {
			s.wait = func(d time.Duration) { yield(d) }
			i.poller.world.strand = s
			i.poller.handle(i.instance, group)
			i.poller.world.settle()
		})
		i.step(s)
	}
	if i.strands == 0 {
		i.end()
	}
}

// byDestination groups a batch, in the order of first appearance.
func byDestination(works []work) [][]work {
	place := make(map[int]int, len(works))
	var groups [][]work
	for _, w := range works {
		at, ok := place[w.destination]
		if !ok {
			at = len(groups)
			place[w.destination] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], w)
	}
	return groups
}

// step runs a strand until it waits for its destination or a service, or ends. Strands run one at a time; what they wait for passes in virtual time.
func (i *invocation) step(s *strand) {
	w := i.poller.world
	w.strand = s
	d, waits := s.resume()
	w.strand = nil
	if waits {
		w.agenda.add(w.now.Add(d), func() {
			i.step(s)
			i.fill()
		})
		return
	}
	i.strands--
}

// A call of a service takes from shortest to longest, evenly drawn; of several beside each other, at most callsAtOnce, one takes as long as the longest.
const (
	shortest    = 4 * time.Millisecond
	longest     = 20 * time.Millisecond
	callsAtOnce = 16
)

// late has the strand at hand owe the time of calls, until it waits for something else or ends. Calls of requeue, whose minute takes no time, cost none.
func (w *world) late(c Count) {
	calls := c.Dynamo + c.SQS + c.Scheduler
	switch {
	case w.strand == nil || calls == 0:
		return
	case w.together != nil:
		w.together.add(c)
		return
	}
	w.calls++
	took := longest
	if calls == 1 {
		took = shortest + time.Duration(float64(longest-shortest)*chance(w.Seed+2, w.calls, 0)).Truncate(time.Microsecond)
	}
	w.owed += took * time.Duration(times(calls, callsAtOnce))
}

// beside has calls go beside each other that are counted one by one.
func (w *world) beside(do func()) {
	w.together = new(Count)
	do()
	all := *w.together
	w.together = nil
	w.late(all)
}

// settle has the strand at hand wait for what it owes, and answers how long.
func (w *world) settle() time.Duration {
	d := w.owed
	if w.owed = 0; d > 0 {
		w.strand.wait(d)
	}
	return d
}

func (i *invocation) end() {
	p, w := i.poller, i.poller.world
	overhead := invocationOverhead + time.Duration(i.size)*logOverhead
	w.meter.add(Invocations, Count{Lambda: 1, Runtime: runtime(deliverMB, w.now.Sub(i.began)+overhead), Items: i.size})
	if p.purpose != Schedules {
		w.meter.add(p.purpose, Count{SQS: 2 * times(i.size, sqsACall), Items: i.size})
	}
	w.idle = append(w.idle, i.instance)
	i.instance.used = w.now
	w.running--
	p.busy--
	w.agenda.add(w.now, p.start)
}
