package unkind

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/aws/dynamo/dynamotest"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// nameOf names the log in a message.
func nameOf(body []byte) logName {
	log, err := auditlog.Decode(body)
	if err != nil {
		panic(err) // every message is of this package's making
	}
	doc, err := auditlog.Prepare(log)
	if err != nil {
		panic(err)
	}
	return nameOfDocument(doc)
}

// detail is an event's detail as the bus has it. What waited in the outbox has one that was JSON before.
func detail(a events.Announcement) []byte {
	text, err := json.Marshal(a.Detail)
	if err != nil {
		panic(err)
	}
	return text
}

// announced looks for the failed events on the bus, and for what admins did there and in the activity audit.
func (w *World) announced(v view, add add) {
	told := make(map[string]bool)
	for _, a := range w.told {
		if a.DetailType != events.LogDeliveryFailed {
			continue
		}
		var d events.LogDeliveryFailedDetail
		if err := json.Unmarshal(detail(a), &d); err != nil {
			panic(err) // it is of this project's making
		}
		told[d.DestinationID+" "+d.LogID+" "+d.Hash] = true
	}
	written := make(map[string]bool)
	for _, e := range w.entries {
		if e.Event == delivery.EventFailed {
			written[e.DestinationID+" "+e.LogID+" "+e.Hash] = true
		}
	}
	for k, f := range v.failed {
		name := k.DestinationID + " " + k.LogID + " " + k.Hash
		if v.now.Sub(later(f.FailedAt, w.calm)) < 5*time.Minute {
			continue
		}
		if !told[name] || !written[name] {
			add(Told, "the failed event of log %s of %v: on the bus %v, in the journal %v", k.LogID, f.FailedAt.Sub(w.start), told[name], written[name])
		}
	}
	for _, item := range w.tables.Items("directory") {
		if pk := dynamotest.Text(item, "pk"); strings.HasPrefix(pk, "O#") {
			add(Told, "%s is still to be told", pk)
		}
	}
	for id, states := range w.states {
		for i, s := range states {
			if i > 0 && s.State != states[i-1].State && !w.audited(id, s.State) {
				add(Told, "nothing in the activity audit says that %s was %s at %v", id, s.State, s.at.Sub(w.start))
			}
		}
	}
}

// audited says whether the activity audit has an entry that a destination came into a state.
func (w *World) audited(id string, s directory.State) bool {
	for _, l := range w.order {
		if l.kind == events.UserActivity && l.about == id && l.became == s {
			return true
		}
	}
	return false
}

// silenceSlack is how long after the answer of the API an attempt may still begin: what deliver remembers is ten seconds old, and the attempts of an
// invocation take twenty.
const silenceSlack = 90 * time.Second

// silence looks for requests to destinations that were disconnected, or had other settings, for long enough.
func (w *World) silence(_ view, add add) {
	for id, r := range w.receivers {
		for _, a := range r.requests {
			s, ok := w.stateAt(id, a.at.Add(-silenceSlack))
			if !ok {
				continue
			}
			still, _ := w.stateAt(id, a.at)
			switch {
			case !s.Accepts(a.log.workspace, a.log.id) && s.Generation == still.Generation:
				add(Silence, "%s was asked to take log %s at %v, %v after it was %s", id, a.log.id, a.at.Sub(w.start), a.at.Sub(s.StateSince).Round(time.Second), s.State)
				return
			case a.version < s.Version:
				add(Silence, "%s was asked at %v with settings of version %d, %v and more after version %d", id, a.at.Sub(w.start), a.version, silenceSlack, s.Version)
				return
			}
		}
	}
}

// cause looks at each time that a destination began to fail.
func (w *World) cause(v view, add add) {
	for id, r := range w.receivers {
		begins, _ := w.failures(id, v.now)
		for _, s := range begins {
			ok := slices.ContainsFunc(slices.Concat(r.requests, r.lost), func(a asked) bool {
				return a.code != "" && a.version == s.Version && a.generation == s.Generation && !a.at.After(s.at)
			})
			if !ok {
				add(Cause, "%s fails at %v (%s), though its receiver has refused nothing with the settings of version %d, generation %d", id, s.at.Sub(w.start),
					s.Health.Code, s.Version, s.Generation)
			}
		}
	}
}

// balance holds the journal against the stores.
func (w *World) balance(v view, add add) {
	type account struct {
		accepted          int
		delivered, failed bool
	}
	accounts := make(map[delivery.Key]*account)
	of := func(k delivery.Key) *account {
		if accounts[k] == nil {
			accounts[k] = &account{}
		}
		return accounts[k]
	}
	for _, e := range w.entries {
		switch e.Event {
		case delivery.EventAccepted:
			if a := of(e.Key); !e.Redelivered {
				a.accepted++
			}
		case delivery.EventAttempted:
			a := of(e.Key)
			a.delivered = a.delivered || e.Outcome == delivery.Delivered
		case delivery.EventFailed:
			of(e.Key).failed = true
		}
	}
	done := make(map[logName]bool) // under whatever key
	for k, a := range accounts {
		if _, waits := v.waiting[k]; a.delivered || a.failed || waits {
			done[nameOfKey(k)] = true
		}
	}
	for k, a := range accounts {
		_, waits := v.waiting[k]
		_, ended := v.failed[k]
		if a.accepted > 1 && !w.kinds.Has(Duplicate) {
			add(Ledger, "log %s was counted as accepted %d times", k.LogID, a.accepted)
		}
		if done[nameOfKey(k)] && w.kinds.Has(Redrive) {
			continue // a message that was sent again is a delivery of its own
		}
		if l := w.logs[nameOfKey(k)]; l != nil && !slices.Contains(w.routes(l, later(l.sentAt, w.start), v.now), k.DestinationID) {
			continue // the message came again, and went another way
		}
		if !a.delivered && !a.failed && !waits && !ended && !v.queued[nameOfKey(k)] {
			add(Ledger, "log %s to %s is pending in the ledger and nowhere in the stores", k.LogID, k.DestinationID)
		}
		if a.delivered && w.receivers[k.DestinationID].has(nameOfKey(k)) == 0 {
			add(Ledger, "log %s counts as delivered to %s, which has not got it", k.LogID, k.DestinationID)
		}
	}
	for k := range v.waiting {
		if accounts[k] == nil {
			add(Ledger, "log %s waits for %s, and the journal knows nothing of it", k.LogID, k.DestinationID)
		}
	}
}

const (
	// fairWithin is the time in which each log that waits for a failing destination is tried once. Seven to eight retries in seven days are one a day.
	fairWithin = 24*time.Hour + 30*time.Minute
	// lastWithin is the time before its end in which a log has its last attempt.
	lastWithin = 61 * time.Minute
)

// fair looks at the logs that wait for destinations that fail for long: each is tried every day, and once more before its end.
func (w *World) fair(v view, add add) {
	for id, r := range w.receivers {
		tried := func(l logName, from, to time.Time) bool {
			return slices.ContainsFunc(slices.Concat(r.requests, r.lost), func(a asked) bool { return a.log == l && !a.at.Before(from) && !a.at.After(to) })
		}
		begins, ends := w.failures(id, v.now)
		for i, s := range begins {
			day, last, logs := 0, 0, 0
			for _, l := range w.order {
				from := later(l.came, s.at)
				if to := from.Add(fairWithin); !to.After(ends[i]) && !r.tookBefore(l.logName, from) && slices.Contains(w.routesAt(l, from), id) {
					logs++
					if !tried(l.logName, from, to) {
						day++
					}
				}
			}
			for k := range v.failed {
				end, l := k.ExpiresAt(), w.logs[nameOfKey(k)]
				from := end.Add(-lastWithin)
				if k.DestinationID != id || l == nil || end.After(ends[i]) || from.Before(later(w.calm, later(s.at, l.came)).Add(15*time.Minute)) {
					continue
				}
				logs++
				if !tried(l.logName, from, end.Add(time.Second)) {
					last++
				}
			}
			if day > 0 || last > 0 {
				add(Fair, "%s fails since %v; of %d logs that waited %d were not tried in a day, and %d not in their last hour", id, s.at.Sub(w.start), logs, day, last)
			}
		}
	}
}

// most is how many logs a failing destination may be asked for in a minute: twelve of its budget by the clock's minute, which are twice as many at the turn
// of one, and what was under way before. Logs as old as their first turn have places of their own.
const most = 30

func (w *World) gentle(v view, add add) {
	for id, r := range w.receivers {
		begins, ends := w.failures(id, v.now)
		for i, s := range begins {
			counts := make(map[time.Time]int)
			for _, a := range r.requests {
				if a.at.After(later(s.at.Add(3*time.Minute), w.start)) && a.at.Before(ends[i]) && a.version == s.Version {
					counts[a.at.Truncate(time.Minute)]++
				}
			}
			for at, n := range counts {
				if n > most && !slices.ContainsFunc(w.order, func(l *sentLog) bool { return l.came.Sub(l.sentAt) > 12*time.Hour }) {
					add(Gentle, "%s, which fails since %v, was asked for %d logs in the minute from %v", id, s.at.Sub(w.start), n, at.Sub(w.start))
					break
				}
			}
		}
	}
	calm := 0
	for hour, n := range w.hints {
		if hour.After(w.calm) && hour.Add(time.Hour).Before(v.now) {
			calm = max(calm, n)
		}
	}
	if limit := 20*len(v.waiting) + 2*most*60; calm > limit {
		add(Gentle, "%d hints in a calm hour, with %d logs waiting", calm, len(v.waiting))
	}
}
