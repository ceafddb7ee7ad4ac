package simulate

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sort"
	"time"

	"math/rand/v2"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// world is one policy's run: the core, the ports in memory, and what AWS does around them, in virtual time.
type world struct {
	Config
	policy Policy
	start  time.Time
	end    time.Time // of the arrivals
	down   time.Time // when the outage begins
	up     time.Time // when it ends

	now      time.Time
	agenda   agenda
	delayed  delayed
	strand   *strand       // at hand, nil between them
	owed     time.Duration // by it, for calls of services
	together *Count        // calls that go beside each other, see beside
	calls    int
	running  int
	idle     []*instance
	ingest   poller
	retries  poller
	meter    *Meter
	logs     *samples
	store    *store
	receipts receipts
	registry *registry
	requeue  delivery.Requeue
	watch    delivery.Watch
	drain    delivery.Drain
	budget   *budget
	traffic  []float64 // the destinations' shares, summed up
	dead     []bool
	tally    tally
	fault    error
	// sent, if set, is told each batch of hints; over, if set, says when the run is over.
	sent func(rides []delivery.Ride)
	over func() bool
}

// instance is an execution environment of deliver, which remembers the directory.
type instance struct {
	deliver delivery.Deliver
	used    time.Time
}

// begin is when every run begins.
func begin() time.Time { return time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC) }

// settle is how long a run goes on before the outage.
const settle = time.Hour

func newWorld(c Config, p Policy, logs *samples) *world {
	w := &world{Config: c, policy: p, logs: logs, start: begin(), now: begin(), meter: &Meter{}}
	w.end = w.start.Add(c.Span)
	w.down, w.up = w.start.Add(min(settle, c.Span/10)), w.start.Add(min(settle, c.Span/10)+c.Outage)
	w.meter.late = w.late
	w.store = &store{Cache: memory.NewCache(w.clock), meter: w.meter, logs: logs}
	w.populate()
	w.budget = &budget{meter: w.meter}
	w.receipts.meter = w.meter
	w.requeue = delivery.Requeue{Index: w.store, Retries: w, Now: w.clock, Budget: time.Hour}
	w.watch = delivery.Watch{Progress: &turns{meter: w.meter}, Attention: w.registry, Destinations: w.registry, Backlog: w.store, Retries: w, Notices: notices{w.meter}, Drains: w, Now: w.clock,
		Sweep: w.registry.sweep, AtOnce: 1, Budget: time.Hour} // one after the other, so that a run depends on nothing but its configuration
	w.drain = delivery.Drain{
		Destinations: w.registry, Backlog: w.store, Progress: &drains{meter: w.meter}, Retries: w, Journal: &w.tally, Now: w.clock,
	}
	w.tally.world, w.store.gaveUp = w, w.tally.gaveUp
	most := cmp.Or(c.Concurrency, concurrency)
	w.ingest = poller{world: w, atOnce: c.share(most - most/4), batch: batch, window: window, purpose: IngestQueue, handle: w.accept}
	w.retries = poller{world: w, atOnce: c.share(most / 4), batch: batch, window: window, purpose: RetryQueue, handle: w.retry}
	naive := naive{w}
	switch p {
	case Hop:
		w.ingest.handle, w.retries.handle = naive.accept, naive.hop
		w.retries.batch, w.retries.window = 1, 0
	case Schedule:
		w.ingest.handle, w.retries.handle = naive.accept, naive.fired
		w.retries.batch, w.retries.window, w.retries.atOnce, w.retries.purpose = 1, 0, c.share(accountConcurrency), Schedules
	}
	return w
}

func (w *world) clock() time.Time { return w.now }

// populate makes the destinations, each of a workspace of its own, with traffic that differs a hundredfold, and picks the dead ones evenly.
func (w *world) populate() {
	n := w.Destinations
	w.registry = &registry{meter: w.meter, workspaces: make(map[string]directory.Workspace, n), destinations: make(map[string]directory.Destination, n),
		attention: make(map[string]bool), now: w.clock, blind: w.policy != Health}
	w.dead = make([]bool, n)
	w.traffic = make([]float64, n)
	r := rand.New(rand.NewPCG(w.Seed, 2))
	sum := 0.0
	for i := range n {
		weight := 0.1 + r.ExpFloat64()
		if n == 1 {
			weight = 1
		}
		sum += weight
		w.traffic[i] = sum
		id := workspaceID(i)
		w.registry.workspaces[id] = directory.Workspace{ID: id, Kind: directory.Standalone}
		var wanted []string // all
		if w.Unwanted {
			wanted = []string{"unheard_of"}
		}
		w.registry.destinations[id] = directory.Destination{LogTypes: wanted, ID: destinationID(i), WorkspaceID: id, Kind: directory.HTTP, State: directory.Connected, Revision: 1}
	}
	if w.Outage > 0 {
		for k := range w.deadOnes() {
			w.dead[k*n/w.deadOnes()] = true
		}
	}
	for i := range w.traffic {
		w.traffic[i] /= sum
	}
}

// instance gives an idle execution environment, the one that was used last, or a new one.
func (w *world) instance() *instance {
	if last := len(w.idle) - 1; last >= 0 && w.now.Sub(w.idle[last].used) < idleFor {
		i := w.idle[last]
		w.idle = w.idle[:last]
		return i
	}
	w.idle = nil
	remembered := &delivery.CachedDirectory{Source: &reader{registry: w.registry}, TTL: directoryTTL, Now: w.clock, Fault: func(err error) { w.fault = err }}
	var current delivery.DestinationStore = remembered
	if w.registry.blind {
		current = w.registry // so that nothing of what it answers is remembered
	}
	return &instance{deliver: delivery.Deliver{
		Outbox:    outbox{w.meter},
		Directory: remembered, Destinations: current, Sinks: sinks{w}, Cache: w.store, Failed: w.store, Retries: w, Budget: w.budget,
		Notices: notices{w.meter}, Drains: w, Journal: &w.tally, Now: w.clock, TimeLimit: time.Hour, Receipts: w.remembers(),
	}}
}

// remembers are the receipts, nil where there are none.
func (w *world) remembers() delivery.Receipts {
	if !w.Dedupe {
		return nil
	}
	return &w.receipts
}

// directoryTTL is config.Deliver's DIRECTORY_TTL.
const directoryTTL = 10 * time.Second

func (w *world) accept(i *instance, group []work) {
	messages := make([]delivery.Message, len(group))
	for j, g := range group {
		id := logID(g.log)
		messages[j] = delivery.Message{ID: id, Body: w.logs.message(id, workspaceID(g.destination)), SentAt: g.accepted, Receives: 1}
	}
	w.unsettled(i.deliver.Accept(context.Background(), messages))
}

func (w *world) retry(i *instance, group []work) {
	messages := make([]delivery.HintMessage, len(group))
	for j, g := range group {
		messages[j] = delivery.HintMessage{ID: logID(g.log), Hint: g.hint}
	}
	w.unsettled(i.deliver.Retry(context.Background(), messages))
}

// unsettled would be handed out again. Nothing fails here but destinations, so there is none.
func (w *world) unsettled(ids []string) {
	if len(ids) > 0 {
		w.fault = errors.Join(w.fault, errors.New("deliver left a message unsettled: "+ids[0]))
	}
}

// Send implements delivery.RetryQueue. It is called by requeue's goroutines too.
func (w *world) Send(_ context.Context, rides []delivery.Ride) []error {
	w.meter.add(Hints, Count{SQS: times(len(rides), sqsACall), Items: len(rides)})
	w.tally.mu.Lock()
	defer w.tally.mu.Unlock()
	if w.sent != nil {
		w.sent(rides)
	}
	for _, r := range rides {
		w.delayed.add(work{log: numberOf(r.LogID), destination: destinationOf(r.DestinationID), accepted: r.AcceptedAt, hint: r.Hint, since: w.now.Add(r.Delay)})
	}
	return make([]error, len(rides))
}

// Start implements delivery.DrainQueue: requeue gets the call a moment later.
func (w *world) Start(_ context.Context, destinationID string) error {
	w.meter.add(Backlogs, Count{SQS: 3})
	w.agenda.add(w.now.Add(100*time.Millisecond), func() {
		w.fault = errors.Join(w.fault, w.drain.Page(context.Background(), destinationID))
		w.meter.add(Backlogs, Count{Lambda: 1, Runtime: runtime(requeueMB, 200*time.Millisecond)})
	})
	return nil
}

// minute is what runs every minute.
func (w *world) minute() {
	if w.policy == Index || w.policy == Health {
		ctx := context.Background()
		w.fault = errors.Join(w.fault, w.requeue.Run(ctx), w.watch.Run(ctx))
		w.meter.add(Minutes, Count{Lambda: 1, Runtime: runtime(requeueMB, 200*time.Millisecond)})
		w.store.AckChanges(len(w.store.Changes(1 << 20)))
	}
	w.tally.sample()
	w.agenda.add(w.now.Add(time.Minute), w.minute)
}

// arrivals draws when the next log comes and for whom.
func (w *world) arrivals() func() (time.Time, int) {
	r := rand.New(rand.NewPCG(w.Seed, 3))
	at := w.start
	return func() (time.Time, int) {
		at = at.Add(time.Duration(r.ExpFloat64() / w.Rate * float64(time.Second)))
		return at.Truncate(time.Millisecond), min(sort.SearchFloat64s(w.traffic, r.Float64()), len(w.traffic)-1)
	}
}

// run lets everything happen until the span is over and no backlog is left, or until the last log's seven days.
func (w *world) run(ctx context.Context, progress func(float64)) error {
	next := w.arrivals()
	arrival, destination := next()
	w.agenda.add(w.start.Add(time.Minute), w.minute)
	last := w.end.Add(delivery.Lifetime + time.Hour)
	for steps := 0; w.fault == nil; steps++ {
		if steps%4096 == 0 {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			progress(min(1, float64(w.now.Sub(w.start))/float64(w.Span)))
		}
		at, do := arrival, func() {
			w.tally.arrived(destination)
			w.ingest.offer(work{log: w.tally.logs - 1, destination: destination, accepted: w.now})
			arrival, destination = next()
		}
		if !arrival.Before(w.end) {
			at, do = last, nil
			if w.running == 0 && w.tally.open == 0 && (w.over == nil || w.over()) {
				break
			}
		}
		if t, ok := w.delayed.next(); ok && t.Before(at) {
			at, do = t, func() { w.retries.offer(w.delayed.take()) }
		}
		if t, ok := w.agenda.next(); ok && t.Before(at) {
			at, do = t, w.agenda.take()
		}
		if do == nil {
			break
		}
		if at.After(w.now) {
			w.now = at
		}
		do()
	}
	progress(1)
	return w.fault
}

// isDown says whether a destination is dead at this time.
func (w *world) isDown(destination int, at time.Time) bool {
	return w.dead[destination] && !at.Before(w.down) && at.Before(w.up)
}

// sinks gives every destination a sink that posts one log a request, as the HTTP sink does by default.
type sinks struct{ world *world }

// Sink implements delivery.Sinks.
func (s sinks) Sink(_ context.Context, d directory.Destination) (delivery.Sink, error) {
	return receiver{s.world, destinationOf(d.ID)}, nil
}

type receiver struct {
	world       *world
	destination int
}

const (
	// lanes is how many requests the HTTP sink has under way for one destination, attemptLimit how long one invocation may try it.
	lanes        = 8
	attemptLimit = 20 * time.Second
)

// Send implements delivery.Sink. A result's Took counts from the beginning, not from the log's own request.
func (r receiver) Send(_ context.Context, logs []auditlog.Document) []delivery.Result {
	numbers := make([]int, len(logs))
	for i, l := range logs {
		numbers[i] = numberOf(l.ID)
	}
	return r.world.post(r.destination, numbers)
}

// post has the strand at hand wait for the destination's answers.
func (w *world) post(destination int, logs []int) []delivery.Result {
	results := make([]delivery.Result, len(logs))
	before := w.settle()
	var free [lanes]time.Duration
	for i, log := range logs {
		lane := slices.Index(free[:], slices.Min(free[:]))
		if free[lane] >= attemptLimit {
			results[i].Err = delivery.ErrNotTried
			continue
		}
		took, err := w.answer(destination, log, w.now.Add(free[lane]))
		free[lane] = min(attemptLimit, free[lane]+took)
		results[i] = delivery.Result{Err: err, Took: before + free[lane]}
		w.tally.attempted(destination, err)
	}
	w.strand.wait(slices.Max(free[:]))
	return results
}

func (w *world) answer(destination, log int, at time.Time) (time.Duration, error) {
	if w.isDown(destination, at) {
		if w.Timeout == 0 {
			return time.Millisecond, &failure.Error{Code: failure.NetRefused}
		}
		return w.Timeout, &failure.Error{Code: failure.NetTimeout}
	}
	moment := int(at.UnixMilli())
	if w.Flaky > 0 && chance(w.Seed+1, log, moment) < w.Flaky {
		return healthyLatency(w.Seed, log, moment), &failure.Error{Code: failure.HTTPServerError}
	}
	return healthyLatency(w.Seed, log, moment), nil
}
