package unkind

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// Promise is something that holds at the end of every run.
type Promise string

// The promises.
const (
	// Lost: a log that the queue took is at each of its destinations, or waits, or is a failed event, or a rejected message.
	Lost Promise = "nothing is lost"
	// Unrouted: a log counts as unrouted only if no destination wanted it at some time since it was sent.
	Unrouted Promise = "unrouted is certain"
	// Owner: what waits for a destination that takes logs is on its way.
	Owner Promise = "what waits has an owner"
	// End: a log that was not delivered is a failed event when its seven days are over, and not before.
	End Promise = "every end is in time"
	// Told: every failed event and everything that an admin did was told on the bus, and the latter in the activity audit.
	Told Promise = "what happened is told"
	// Silence: nothing is sent to a destination whose disconnect, or whose new settings, must be known.
	Silence Promise = "nothing is sent after a disconnect is known"
	// Cause: a destination fails only for what its receiver answered to its settings of now.
	Cause Promise = "a destination fails for a cause"
	// Voluntary: one mail for a disconnect that lasted eight hours.
	Voluntary Promise = "one mail for a disconnect"
	// Deletion: one mail and one farewell for a deletion, which ends after eight hours.
	Deletion Promise = "a deletion is told, and ends in time"
	// Involuntary: at most one mail in 24 hours, and one in time.
	Involuntary Promise = "one mail a day for a failure"
	// Recovered: who was told of a failure is told of its end.
	Recovered Promise = "a recovery is told"
	// Ledger: the journal says of every delivery what became of it.
	Ledger Promise = "the ledger balances"
	// Fair: each log that waits for a failing destination is tried every day, and in its last hour.
	Fair Promise = "what waits is tried"
	// Gentle: a failing destination gets no more than its attempts, and hints are few.
	Gentle Promise = "a failing destination is left alone"
)

// Breach is a promise that did not hold.
type Breach struct {
	Promise Promise
	What    string
}

func (b Breach) String() string { return fmt.Sprintf("%s: %s", b.Promise, b.What) }

// breaches holds what happened against the promises.
func (w *World) breaches() []Breach {
	var all []Breach
	add := func(p Promise, format string, arguments ...any) {
		all = append(all, Breach{p, fmt.Sprintf(format, arguments...)})
	}
	v := w.view()
	for _, check := range []func(view, func(Promise, string, ...any)){
		w.lost, w.unrouted, w.owners, w.ends, w.announced, w.silence, w.cause, w.voluntary, w.deletion, w.involuntary, w.recovered, w.balance, w.fair, w.gentle,
	} {
		check(v, add)
	}
	return all
}

type add = func(Promise, string, ...any)

// view is what stands in the stores at the end.
type view struct {
	now     time.Time
	waiting map[delivery.Key]delivery.Delivery
	failed  map[delivery.Key]delivery.FailedEvent
	queued  map[logName]bool
	// kept are the logs that wait or are failed events, by destination.
	kept map[string]map[logName]bool
	// dealt is when a message of a log was last dealt with, as the journal says.
	dealt map[logName]time.Time
}

func (w *World) view() view {
	v := view{now: time.Now(), waiting: make(map[delivery.Key]delivery.Delivery), failed: make(map[delivery.Key]delivery.FailedEvent),
		queued: make(map[logName]bool), kept: make(map[string]map[logName]bool), dealt: make(map[logName]time.Time)}
	ctx := w.observing(context.Background())
	for _, id := range sortedNames(w.receivers) {
		v.kept[id] = make(map[logName]bool)
		list, err := w.cache.Pending(ctx, id, delivery.Key{}, 100_000)
		if err != nil {
			panic(err)
		}
		for _, d := range list {
			v.waiting[d.Key] = d
			v.kept[id][nameOfKey(d.Key)] = true
		}
		failed, err := w.cache.Failed(ctx, id, delivery.Key{}, false, 100_000)
		if err != nil {
			panic(err)
		}
		for _, f := range failed {
			v.failed[f.Key] = f
			v.kept[id][nameOfKey(f.Key)] = true
		}
	}
	for _, body := range w.ingest.held() {
		v.queued[nameOf(body)] = true
	}
	for _, e := range w.entries {
		switch e.Event {
		case delivery.EventAccepted:
			v.dealt[nameOfKey(e.Key)] = e.at
		case delivery.EventUnrouted:
			for _, l := range w.under(e.Key) {
				v.dealt[l.logName] = e.at
			}
		}
	}
	return v
}

// routes are the destinations that a log had all the time from one moment to another.
func (w *World) routes(l *sentLog, from, to time.Time) []string {
	moments := []time.Time{from}
	for _, states := range w.states {
		for _, s := range states {
			if s.at.After(from) && !s.at.After(to) {
				moments = append(moments, s.at)
			}
		}
	}
	counts := make(map[string]int)
	for _, at := range moments {
		for _, d := range w.routesAt(l, at) {
			counts[d]++
		}
	}
	var always []string
	for _, id := range sortedNames(counts) {
		if counts[id] == len(moments) {
			always = append(always, id)
		}
	}
	return always
}

func (w *World) routesAt(l *sentLog, at time.Time) (ids []string) {
	of := func(workspace string) (list []directory.Destination) {
		for _, id := range sortedNames(w.states) {
			if s, ok := w.stateAt(id, at); ok && s.WorkspaceID == workspace {
				list = append(list, s.Destination)
			}
		}
		return list
	}
	var parents []directory.Destination
	if parent := w.workspaces[l.workspace].ParentID; parent != "" {
		parents = of(parent)
	}
	for _, d := range directory.Route(l.kind, of(l.workspace), parents) {
		ids = append(ids, d.ID)
	}
	return ids
}

func (w *World) lost(v view, add add) {
	for _, l := range w.order {
		dealt, ok := v.dealt[l.logName]
		if !ok {
			dealt = v.now
		}
		for _, id := range w.routes(l, later(l.sentAt, w.start), later(dealt, w.start)) {
			if w.receivers[id].has(l.logName) == 0 && !v.queued[l.logName] && !v.kept[id][l.logName] {
				add(Lost, "log %s, sent at %v, is not at %s, and nowhere else", l.id, l.sentAt.Sub(w.start), id)
			}
		}
	}
	for _, r := range w.refusals {
		add(Lost, "message %s was rejected: %s", r.ID, r.Reason)
	}
}

func (w *World) unrouted(_ view, add add) {
	for _, e := range w.entries {
		if e.Event != delivery.EventUnrouted {
			continue
		}
		for _, l := range w.under(e.Key) {
			if wanted := w.routes(l, later(l.sentAt, w.start), e.at); len(wanted) > 0 {
				add(Unrouted, "log %s, sent at %v, was unrouted at %v; %v wanted it", l.id, l.sentAt.Sub(w.start), e.at.Sub(w.start), wanted)
			}
		}
	}
}

// under are the logs under the id of an entry that says nothing of the content.
func (w *World) under(k delivery.Key) (logs []*sentLog) {
	for _, l := range w.order {
		if l.workspace == k.WorkspaceID && l.id == k.LogID {
			logs = append(logs, l)
		}
	}
	return logs
}

// owners looks at what waits for destinations that have long taken logs.
func (w *World) owners(v view, add add) {
	for id, r := range w.receivers {
		s, ok := w.stateAt(id, v.now)
		since, up := r.up(v.now)
		if !ok || s.State != directory.Connected || !up || since.After(w.calm) {
			continue
		}
		if s.Draining {
			add(Owner, "%s is still being drained", id)
		}
		waiting, parked := 0, 0
		var next time.Time
		for k, d := range v.waiting {
			if k.DestinationID != id || !k.AcceptedAt.Before(v.now.Add(-20*time.Minute)) {
				continue
			}
			if s.Health.State == directory.Failing && !d.Parked && d.NextAt.After(v.now) && w.unasked(r, since) {
				continue // nobody can know yet
			}
			waiting++
			if d.Parked {
				parked++
			}
			if d.NextAt.After(next) {
				next = d.NextAt
			}
		}
		if waiting > 0 {
			add(Owner, "%d logs, %d of them parked, still wait for %s, which takes logs since %v; the last is looked at in %v", waiting, parked, id,
				since.Sub(w.start), next.Sub(v.now).Round(time.Second))
		}
	}
}

// unasked says that a receiver has not been asked for anything since it takes logs.
func (w *World) unasked(r *receiver, since time.Time) bool {
	return !slices.ContainsFunc(r.requests, func(a asked) bool { return !a.at.Before(since) })
}

const (
	// endSlack is how late an end may be, and sweepSlack how late if a hint to it may have been lost: a sweep finds it then.
	endSlack   = 5 * time.Minute
	sweepSlack = 35 * time.Minute
)

// lateness is by how much an end that is over at a time, or was recorded then, came too late.
func (w *World) lateness(k delivery.Key, at time.Time) time.Duration {
	end := k.ExpiresAt()
	slack := endSlack
	if end.Before(w.calm.Add(sweepSlack)) {
		slack, end = sweepSlack, later(end, w.calm)
	}
	return at.Sub(end) - slack
}

func (w *World) ends(v view, add add) {
	late, attempts := 0, 0
	var most time.Duration
	count := func(k delivery.Key, at time.Time, n int) {
		if d := w.lateness(k, at); d > 0 && k.ExpiresAt().After(v.dealt[nameOfKey(k)]) {
			late++
			attempts += n
			most = max(most, at.Sub(k.ExpiresAt()))
		}
	}
	for k, d := range v.waiting {
		if s, ok := w.stateAt(k.DestinationID, v.now); ok && s.State == directory.Connected {
			if _, up := w.receivers[k.DestinationID].up(v.now); up {
				continue // owners'
			}
		}
		count(k, v.now, d.Attempts)
		if !d.Parked && v.now.Sub(later(d.NextAt, w.calm)) > sweepSlack {
			add(Owner, "log %s was to be looked at %v ago, and was not", k.LogID, v.now.Sub(d.NextAt).Round(time.Second))
		}
	}
	for k, f := range v.failed {
		count(k, f.FailedAt, f.Attempts)
		if f.FailedAt.Before(k.ExpiresAt().Add(-2 * skewMost)) {
			add(End, "log %s was given up %v before its end", k.LogID, k.ExpiresAt().Sub(f.FailedAt))
		}
	}
	if late > 0 {
		add(End, "%d logs were no failed events long after their seven days, up to %v; they had %d attempts", late, most.Round(time.Second), attempts)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
