package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// DestinationStore changes the records of destinations.
type DestinationStore interface {
	// CurrentDestination gives a destination as of now, never older; directory.ErrNotFound if there is none.
	CurrentDestination(ctx context.Context, id string) (directory.Destination, error)
	// PutDestination stores it over the same revision, else directory.ErrChanged, and answers it with the new one. What is to be told of it is stored
	// with it, both or neither.
	PutDestination(ctx context.Context, d directory.Destination, tell ...directory.Outgoing) (directory.Destination, error)
}

// Budget counts attempts at destinations, over all instances of deliver together.
type Budget interface {
	// Reserve takes up to n of the attempts that a destination may have in a window, and answers how many it got. What is
	// reserved and not used is lost for that window. Identity is directory.Destination.Identity.
	Reserve(ctx context.Context, identity string, w Window, n int) (int, error)
}

// Window is a span of time in which a destination may have so many attempts. Windows of another length are counted apart.
type Window struct {
	Start  time.Time
	Length time.Duration
	Limit  int
	// Fresh says that the attempts asked for are at fresh logs, which are counted apart from those at logs that wait. If FreshLimit is not 0, fresh logs may
	// have so many of the limit, and waiting ones WaitingLimit; so neither keeps the other from all of it.
	Fresh                    bool
	FreshLimit, WaitingLimit int
}

// Asked is how many attempts were asked for in a window, granted or not: at fresh logs, and at logs that waited.
type Asked struct{ Fresh, Waiting int }

// Grant is how many of n attempts a window has room for, after so many were asked for before.
func (w Window) Grant(before Asked, n int) int {
	if w.FreshLimit == 0 {
		return max(0, min(n, w.Limit-before.Fresh-before.Waiting))
	}
	fresh, waiting := min(before.Fresh, w.FreshLimit), min(before.Waiting, w.WaitingLimit)
	most := w.WaitingLimit - waiting
	if w.Fresh {
		most = w.FreshLimit - fresh
	}
	return max(0, min(n, most, w.Limit-fresh-waiting))
}

// Notices is the queue of what admins may have to be told.
type Notices interface {
	// Notify puts a notice on the queue. Sent twice, it is mailed once.
	Notify(ctx context.Context, n directory.Notice) error
}

const (
	// attemptsAMinute is how many attempts the logs that wait for a failing destination get, freshAMinute how many fresh ones get, and bothAMinute both
	// together: so fresh logs have two at least. What waits beyond that has its turns.
	attemptsAMinute = 10
	freshAMinute    = 5
	bothAMinute     = 12
	// rateWindow is the time over which a destination's rate is held: so much of it may come at once.
	rateWindow = 10 * time.Second
	// chanceAtMost is how many logs may fail together for a passing reason before their destination counts as failing. A log that fails
	// again on its retry is no chance either, nor is a time-out: another would hold up an invocation as long again.
	chanceAtMost = 2
	// longPause is from when on a Retry-After concerns the whole destination. Shorter ones are over before a log's next attempt anyway.
	longPause = 10 * time.Second
)

// evidence is what the results of one group say of its destination's health.
type evidence int

const (
	nothing  evidence = iota // no log was tried, or too few failed for a passing reason to say anything
	up                       // it took a log
	refusing                 // it took none and refused some for their own sake; it might take others
	down                     // it took none, for a reason that is not the logs', or asked for most of them to be left alone
)

// weigh finds the evidence in the trials of one group and their results, and the failure that stands for it. trials count the attempt already.
func weigh(trials []trial, results []Result) finding {
	var worst, asked, own *failure.Error
	taken, refused, paused, failed, fresh, sure := 0, 0, 0, 0, 0, false
	for i, r := range results {
		if r.Err == nil {
			taken++
			continue
		}
		if errors.Is(r.Err, ErrNotTried) {
			continue
		}
		f := failure.Of(r.Err)
		class := failure.Find(f.Code).Class
		if trials[i].Attempts == 1 {
			fresh++
		}
		if own == nil && (class == failure.Log || trials[i].Attempts > 1) {
			own = f // if it takes others: a log whose retry fails too waits for longer
		}
		if class == failure.Log {
			refused++
			continue
		}
		if f.RetryAfter >= longPause {
			if paused++; asked == nil || f.RetryAfter > asked.RetryAfter {
				asked = f
			}
			continue
		}
		failed++
		sure = sure || trials[i].Attempts > 1 || f.Code == failure.NetTimeout
		if worst == nil || class == failure.Connection && failure.Find(worst.Code).Class != failure.Connection {
			worst = f
		}
	}
	if paused > taken+refused { // otherwise it asks for these logs alone: it dealt with as many others in the same moment
		return finding{down, asked, fresh}
	}
	switch {
	case taken > 0:
		return finding{up, own, fresh}
	case worst != nil && (failure.Find(worst.Code).Class == failure.Connection || failed > chanceAtMost || sure):
		return finding{down, worst, fresh}
	case refused > 0:
		return finding{refusing, own, fresh}
	}
	return finding{}
}

// change is the destination's record after the evidence, and whether it differs. A destination that fails keeps the time since when; its code
// changes only with the class, so that one that fails now this way and now that is not written at each attempt. What it left waiting when it recovers
// counts as refused until the watch finds that nothing waits.
func change(d directory.Destination, found finding, now time.Time) (directory.Destination, bool) {
	if d.State != directory.Connected {
		return d, false // the health of a connection that is no more, or that has only its farewell to send
	}
	now = now.UTC().Truncate(time.Millisecond) // as stores keep it
	failing, f, h := d.Health.State == directory.Failing, found.failure, d.Health
	switch {
	case found.evidence == up && failing:
		d.Health = directory.Health{State: directory.Healthy, TakenAt: now, Refused: h.Refused}
		if d.Health.Refused.Logs = 0; !h.Refuses() {
			d.Health.Refused = directory.Refusals{Since: now, Code: h.Code, Answer: h.Answer}
		}
		return d.Drain(now), true
	case found.evidence == down && !failing:
		d.Health = directory.Health{State: directory.Failing, Since: now, Code: f.Code, Answer: f.Answer(), TakenAt: h.TakenAt, Refused: h.Refused}
		d.Health.Refused.Logs = 0
		return withPause(d, f, now), true
	case found.evidence == down && failure.Find(f.Code).Class != failure.Find(h.Code).Class:
		d.Health.Code, d.Health.Answer, d.Health.Refused = f.Code, f.Answer(), directory.Refusals{}
		return withPause(d, f, now), true
	case found.evidence == down && f.RetryAfter > 0 && asksAnew(h, now.Add(askedPause(f))):
		return withPause(d, f, now), true
	case found.evidence == down:
		return d, false
	case refusesAll(h, found, now) && !failing:
		d.Health = directory.Health{State: directory.Failing, Since: nothingTakenSince(h), Code: f.Code, Answer: f.Answer(), TakenAt: h.TakenAt, Refused: h.Refused}
		return d, true
	case refusesAll(h, found, now) && failure.Find(h.Code).Class != failure.Log:
		d.Health.Code, d.Health.Answer = f.Code, f.Answer()
		return d, true
	}
	var differs bool
	d.Health, differs = withRefusals(h, found, now)
	return d, differs
}

// asksAnew says whether a destination that is asked for asks for another pause than the one at hand: a longer one, or one that is over a good deal sooner.
func asksAnew(h directory.Health, until time.Time) bool {
	return until.After(h.Until.Add(time.Second)) || until.Before(h.Until.Add(-time.Minute))
}

// withPause has the whole destination left alone for as long as it asked.
func withPause(d directory.Destination, f *failure.Error, now time.Time) directory.Destination {
	if asked := askedPause(f); asked > 0 {
		d.Health.AskedAt, d.Health.Until = now, now.Add(asked)
	}
	return d
}

// probed says how many whole hours a destination's pause has lasted: in each after the first it is tried with one log.
func probed(h directory.Health, now time.Time) int { return int(now.Sub(askedAt(h)) / probeEvery) }

// askedAt is when a destination asked for its pause. Records of an earlier version do not say it.
func askedAt(h directory.Health) time.Time {
	if h.AskedAt.IsZero() {
		return h.Since
	}
	return h.AskedAt
}

// sameConnection says whether evidence of one reading of a destination says anything of another: only if it is the same
// record, with the settings and credentials that were tried, and was not set up anew in between.
func sameConnection(a, b directory.Destination) bool {
	return a.SameRecord(b) && a.Version == b.Version && a.Generation == b.Generation
}

// transitionTries is how often a transition is tried over others' writes before it is left to the next evidence.
const transitionTries = 4

// observe draws the consequences of a group's results. Of many instances with the same evidence one makes the transition; the others find it made.
func (d *Deliver) observe(ctx context.Context, seen directory.Destination, found finding) {
	now := d.Now()
	if found.evidence == up {
		d.taken.note(seen.Identity(), now)
	}
	if _, differs := change(seen, found, now); !differs {
		return
	}
	for range transitionTries {
		current, err := d.Destinations.CurrentDestination(ctx, seen.ID)
		if err != nil {
			d.fault(nil, aboutDestination(seen, fmt.Errorf("read the health of %s: %w", seen.ID, err)))
			return
		}
		if !sameConnection(seen, current) {
			return // the evidence is of a connection that is no more
		}
		next, differs := change(current, found, now)
		if !differs {
			return
		}
		next.Health.TakenAt = d.taken.last(next)
		if err := d.transition(ctx, current, next, now); errors.Is(err, directory.ErrChanged) {
			continue
		} else if err != nil {
			d.fault(nil, aboutDestination(seen, fmt.Errorf("change the health of %s: %w", seen.ID, err)))
		}
		return
	}
}

// transition stores a new health, with what is to be told of it, and tells it. The notice of a recovery goes before the write, because nothing would send it after a death
// between the two; notify looks at the record before it mails. A failure's notice needs no such care: requeue sends it as long as it lasts.
func (d *Deliver) transition(ctx context.Context, from, to directory.Destination, now time.Time) error {
	if from.Health.State == to.Health.State && from.Health.Code == to.Health.Code && from.Health.Until.Equal(to.Health.Until) {
		return d.keep(ctx, to)
	}
	recovered := from.Health.State == directory.Failing && to.Health.State == directory.Healthy
	if recovered {
		n := directory.Notice{Kind: directory.Recovered, DestinationID: to.ID, Incarnation: to.Incarnation, Since: from.Health.Since, Code: from.Health.Code, Answer: from.Health.Answer, At: now}
		if err := d.Notices.Notify(ctx, n); err != nil {
			return err
		}
	}
	tell := healthOutgoing(from, to, now)
	if _, err := d.Destinations.PutDestination(ctx, to, tell...); err != nil {
		return err
	}
	d.Journal.Record(healthEntry(to, now))
	for _, o := range tell {
		d.Outbox.Tell(ctx, o)
	}
	if recovered {
		return d.Drains.Start(ctx, to.ID)
	}
	if n, ok := failureNotice(to, now); ok && from.Health.Code != to.Health.Code {
		return d.Notices.Notify(ctx, n)
	}
	return nil
}

func healthEntry(d directory.Destination, now time.Time) Entry {
	e := Entry{Event: EventRecovered, At: now, Key: Key{DestinationID: d.ID, WorkspaceID: d.WorkspaceID}, Kind: d.Kind}
	if d.Health.State == directory.Failing {
		e.Event, e.Code = EventFailing, d.Health.Code
	}
	return e
}

// transientPatience is how long a passing failure may last before admins are told.
const transientPatience = time.Hour

// failureNotice is the notice that a failing destination deserves at this time, if any.
func failureNotice(d directory.Destination, now time.Time) (directory.Notice, bool) {
	if d.State != directory.Connected || d.Health.State != directory.Failing {
		return directory.Notice{}, false
	}
	if failure.Find(d.Health.Code).Class != failure.Connection && now.Sub(d.Health.Since) < transientPatience {
		return directory.Notice{}, false
	}
	return directory.Notice{Kind: directory.Involuntary, DestinationID: d.ID, Incarnation: d.Incarnation, Since: d.Health.Since, Code: d.Health.Code, Answer: d.Health.Answer, At: now}, true
}

// ration lets the oldest trials through, as many as the destination's window has room for, and holds the others: about ten a minute of a failing
// destination, those that its rate allows of one that has a rate.
func (d *Deliver) ration(ctx context.Context, dest directory.Destination, trials []trial) (pass, held []trial) {
	if dest.Takes() && dest.Rate() == 0 || dest.State == directory.Deleted { // whose farewell is one log, and waits for nobody
		return trials, nil
	}
	now := d.Now()
	paused := !dest.Takes() && now.Before(dest.Health.Until)
	if paused && probed(dest.Health, now) == 0 {
		return nil, trials
	}
	var asking []trial // fresh ones or ones that waited, never both
	for _, t := range trials {
		if t.reserved && (!paused || t.handedOverSince(askedAt(dest.Health))) {
			pass = append(pass, t)
		} else {
			asking = append(asking, t)
		}
	}
	if len(asking) == 0 {
		return pass, nil
	}
	slices.SortFunc(asking, func(a, b trial) int { return a.AcceptedAt.Compare(b.AcceptedAt) })
	n := d.reserve(ctx, dest, window(dest, asking[0], now), len(asking))
	return append(pass, asking[:n]...), asking[n:]
}

// window is what attempts like this one have to find room in.
func window(dest directory.Destination, t trial, now time.Time) Window {
	if dest.Takes() {
		return Window{Start: now.Truncate(rateWindow), Length: rateWindow, Limit: dest.Rate() * int(rateWindow/time.Second)}
	}
	if now.Before(dest.Health.Until) {
		hour := time.Duration(probed(dest.Health, now)) * probeEvery
		return Window{Start: askedAt(dest.Health).Add(hour), Length: probeEvery, Limit: 1}
	}
	w := Window{Length: time.Minute, Limit: bothAMinute, FreshLimit: freshAMinute, WaitingLimit: attemptsAMinute}
	if w.Fresh = t.Revision == 0; w.Fresh {
		now = now.Add(handOverIn) // they are tried then, see handOver
	}
	w.Start = now.Truncate(w.Length)
	return w
}

// reserve asks the budget for n attempts. When it cannot be asked, one passes at a failing destination, so that a recovery is noticed, and all at another,
// which can say itself what is too much.
func (d *Deliver) reserve(ctx context.Context, dest directory.Destination, w Window, n int) int {
	got, err := d.Budget.Reserve(ctx, dest.Identity(), w, n)
	if err == nil {
		return got
	}
	d.fault(nil, aboutDestination(dest, fmt.Errorf("reserve attempts at %s: %w", dest.ID, err)))
	if dest.Takes() {
		return n
	}
	return 1
}
