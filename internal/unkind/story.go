package unkind

import (
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// story is what people and receivers do in a run, whatever the weather.
type story struct {
	name string
	// weight is how often it is told, of the sum of all weights.
	weight int
	tell   func(w *World, s chance)
}

// settling is how long after the weather has calmed down, and every receiver takes logs, everything is looked at. It holds a sweep for hints that were
// lost just before (15 minutes, of those 15 overdue), a message that was held by a process that died (6 minutes), a recovery and its drain.
const settling = 80 * time.Minute

func stories() []story {
	return []story{
		{"newborn", 6, newborn},
		{"outage", 8, outageOfReceiver},
		{"stumble", 6, stumble},
		{"disconnect", 7, disconnected},
		{"disabled", 2, disabled},
		{"backlog", 6, oldBacklog},
		{"dead", 1, dead},
		{"letters", 1, letters},
		{"corrected", 7, corrected},
		{"rate", 7, rated},
		{"family", 5, family},
		{"types", 5, widened},
		{"deleted", 4, deleted},
	}
}

// until says when the weather calms down and when everything is looked at.
func (w *World) until(calm time.Duration) {
	w.calm = w.start.Add(calm)
	w.end = w.calm.Add(settling)
	for _, id := range sortedNames(w.workspaces) {
		w.send(burst{at: calm + time.Minute, workspace: id, n: 3, every: time.Minute}) // so that a recovery is noticed
	}
}

func minutes(c chance, low, high int) time.Duration {
	return c.between(time.Duration(low)*time.Minute, time.Duration(high)*time.Minute)
}

// passing is a reason that ends by itself, lasting one that an admin has to end.
func passing(c chance) failure.Code {
	return []failure.Code{failure.HTTPServerError, failure.NetRefused, failure.NetTimeout, failure.HTTPThrottled}[c.below(4)]
}

func lasting(c chance) failure.Code {
	return []failure.Code{failure.HTTPUnauthorized, failure.HTTPForbidden, failure.HTTPNotFound}[c.below(3)]
}

// newborn: a workspace is known before its destination is, and logs come as soon as the API has said that it exists.
func newborn(w *World, s chance) {
	w.workspace("acme", "")
	made := minutes(s.sub("made", 0), 2, 20)
	w.send(burst{at: s.sub("before", 0).between(0, made), workspace: "acme", n: 1 + s.sub("before", 1).below(5), every: 20 * time.Second})
	w.create(made, plan{id: "siem", owner: "acme"}, func() {
		w.send(burst{at: s.sub("soon", 0).between(0, 2*time.Second), workspace: "acme", n: 3, every: s.sub("every", 0).between(time.Second, 5*time.Second)})
		w.send(burst{at: 30 * time.Second, workspace: "acme", n: 12, every: 30 * time.Second})
	})
	w.until(made + 15*time.Minute)
}

// outageOfReceiver: a receiver is down for a while, with more logs than its attempts.
func outageOfReceiver(w *World, s chance) {
	w.workspace("acme", "")
	down, up := minutes(s.sub("down", 0), 1, 10), minutes(s.sub("up", 0), 15, 70)
	w.destination(plan{id: "siem", owner: "acme", batched: s.sub("batched", 0).hits(0.5),
		troubles: []trouble{{from: w.start.Add(down), to: w.start.Add(up), code: passing(s.sub("code", 0))}},
	})
	w.send(burst{workspace: "acme", n: 4, every: 10 * time.Second})
	for i := range 1 + s.sub("bursts", 0).below(4) {
		b := s.sub("burst", i)
		w.send(burst{at: b.sub("at", 0).between(down, up), workspace: "acme", n: 5 + b.sub("n", 0).below(35), every: b.sub("every", 0).between(0, time.Second)})
	}
	w.send(burst{at: up - time.Minute, workspace: "acme", n: 6, every: 25 * time.Second})
	for i := range 3 { // when it takes logs again, and not everybody knows
		b := s.sub("after", i)
		w.send(burst{at: up + b.sub("at", 0).between(0, 6*time.Minute), workspace: "acme", n: 12 + b.sub("n", 0).below(20)})
	}
	w.until(up + minutes(s.sub("calm", 0), 1, 15))
}

// stumble: a receiver that has been down for long stumbles while its backlog is sent.
func stumble(w *World, s chance) {
	w.workspace("acme", "")
	down, up := time.Minute, minutes(s.sub("up", 0), 90, 150)
	again := up + s.sub("again", 0).between(20*time.Second, 4*time.Minute)
	code := passing(s.sub("code", 0))
	w.destination(plan{id: "siem", owner: "acme", batched: s.sub("batched", 0).hits(0.5), troubles: []trouble{
		{from: w.start.Add(down), to: w.start.Add(up), code: code},
		{from: w.start.Add(again), to: w.start.Add(again + s.sub("for", 0).between(10*time.Second, 3*time.Minute)), code: code},
	}})
	w.send(burst{at: 2 * time.Minute, workspace: "acme", n: 9, every: s.sub("old", 0).between(0, time.Minute)})
	w.send(burst{at: up - minutes(s.sub("new", 0), 3, 60), workspace: "acme", n: 40 + s.sub("n", 0).below(80)})
	w.send(burst{at: up, workspace: "acme", n: 8, every: time.Minute})
	w.until(up + 12*time.Minute)
}

// disconnected: an admin disconnects a destination while logs flow, and connects it again.
func disconnected(w *World, s chance) {
	w.workspace("acme", "")
	off, on := minutes(s.sub("off", 0), 2, 10), minutes(s.sub("on", 0), 12, 90)
	var troubles []trouble
	if s.sub("failing", 0).hits(0.5) { // it fails already, and is connected again when it works
		troubles = []trouble{{from: w.start, to: w.start.Add(on - time.Minute), code: lasting(s.sub("code", 0))}}
	}
	w.destination(plan{id: "siem", owner: "acme", troubles: troubles})
	w.send(burst{at: s.sub("first", 0).between(0, off), workspace: "acme", n: 15, every: 5 * time.Second})
	w.disconnect(off, "siem")
	w.send(burst{at: off, workspace: "acme", n: 30, every: s.sub("every", 0).between(time.Second, 30*time.Second)})
	w.reconnect(on, "siem")
	w.send(burst{at: on - 10*time.Second, workspace: "acme", n: 5, every: 7 * time.Second})
	w.until(on + 5*time.Minute)
}

// disabled: an admin disconnects a destination for good. Eight hours later it is disabled, and one mail goes.
func disabled(w *World, s chance) {
	w.workspace("acme", "")
	off := minutes(s.sub("off", 0), 2, 10)
	w.destination(plan{id: "siem", owner: "acme"})
	w.disconnect(off, "siem")
	w.send(burst{at: off, workspace: "acme", n: 4, every: time.Minute})
	if s.sub("back", 0).hits(0.3) {
		w.reconnect(off+8*time.Hour+minutes(s.sub("on", 0), 20, 60), "siem")
	}
	w.until(off + directory.Grace + 20*time.Minute)
}

// deleted: an admin deletes a destination, and takes that back in time, at the last moment, or not at all.
func deleted(w *World, s chance) {
	w.workspace("acme", "")
	off := minutes(s.sub("off", 0), 2, 10)
	var troubles []trouble
	if s.sub("failing", 0).hits(0.3) {
		troubles = []trouble{{from: w.start, to: w.start.Add(off + minutes(s.sub("up", 0), 5, 60)), code: passing(s.sub("code", 0))}}
	}
	w.destination(plan{id: "siem", owner: "acme", troubles: troubles})
	w.send(burst{at: s.sub("first", 0).between(0, off), workspace: "acme", n: 12, every: 5 * time.Second})
	if s.sub("disconnected", 0).hits(0.3) {
		w.disconnect(off-time.Minute, "siem")
	}
	w.remove(off, "siem")
	w.send(burst{at: off, workspace: "acme", n: 15, every: s.sub("every", 0).between(time.Second, 30*time.Second)})
	switch s.sub("how", 0).below(3) {
	case 0:
		on := off + minutes(s.sub("on", 0), 12, 90)
		w.restore(on, "siem")
		w.until(on + 5*time.Minute)
	case 1:
		w.restore(off+directory.Grace+minutes(s.sub("on", 0), -2, 2), "siem")
		w.until(off + directory.Grace + 20*time.Minute)
	default:
		w.until(off + directory.Grace + 20*time.Minute)
	}
}

// oldBacklog: logs that waited for days because of an outage of our own meet a destination that takes none; they end in the story.
func oldBacklog(w *World, s chance) {
	w.workspace("acme", "")
	p := plan{id: "siem", owner: "acme"}
	calm := minutes(s.sub("calm", 0), 20, 60)
	end := calm + minutes(s.sub("end", 0), -10, 78)
	dead := func(c failure.Code) []trouble {
		return []trouble{{from: w.start, to: w.start.Add(90 * 24 * time.Hour), code: c}}
	}
	switch s.sub("how", 0).below(3) {
	case 0: // dead for good
		p.troubles = dead(passing(s.sub("code", 0)))
	case 1: // disconnected
		w.disconnect(time.Second, "siem")
	case 2: // disconnected, and connected again to a dead receiver
		p.troubles = dead(lasting(s.sub("code", 0)))
		w.disconnect(time.Second, "siem")
		w.reconnect(end-minutes(s.sub("on", 0), 2, 15), "siem")
	}
	w.destination(p)
	w.send(burst{at: time.Minute, workspace: "acme", n: 100 + s.sub("n", 0).below(150), age: delivery.Lifetime - end})
	w.send(burst{at: 2 * time.Minute, workspace: "acme", n: 5, every: time.Minute, age: delivery.Lifetime - end - 10*time.Minute})
	w.send(burst{at: 90 * time.Second, workspace: "acme", n: 3, every: time.Second, age: delivery.Lifetime + time.Hour})
	w.until(calm)
}

// dead: a receiver takes nothing while logs come faster than its attempts.
func dead(w *World, s chance) {
	w.workspace("acme", "")
	w.destination(plan{id: "siem", owner: "acme", troubles: []trouble{{from: w.start, to: w.start.Add(90 * 24 * time.Hour), code: passing(s.sub("code", 0))}}})
	calm := 5 * time.Minute
	w.send(burst{at: time.Minute, workspace: "acme", n: 30, every: time.Second, age: delivery.Lifetime - calm - settling + 2*time.Minute}) // their end is in the story
	each := s.sub("each", 0).between(3*time.Second, 5*time.Second)
	w.send(burst{at: 90 * time.Second, workspace: "acme", n: int((calm + settling) / each), every: each})
	w.until(calm)
}

// letters: a connection is invalid for more than a day, then it is mended.
func letters(w *World, s chance) {
	w.workspace("acme", "")
	up := 26*time.Hour + minutes(s.sub("up", 0), 0, 120)
	code := lasting(s.sub("code", 0))
	if s.sub("passing", 0).hits(0.5) {
		code = passing(s.sub("code", 1))
	}
	w.destination(plan{id: "siem", owner: "acme", troubles: []trouble{{from: w.start.Add(time.Minute), to: w.start.Add(up), code: code}}})
	w.send(burst{workspace: "acme", n: 3, every: 40 * time.Second})
	w.send(burst{at: 10 * time.Minute, workspace: "acme", n: 40}) // more than there are attempts for
	w.send(burst{at: 20 * time.Minute, workspace: "acme", n: 5, every: 5 * time.Hour})
	w.until(up + 10*time.Minute)
}

// corrected: settings that were wrong are put right while logs are on their way.
func corrected(w *World, s chance) {
	w.workspace("acme", "")
	right := minutes(s.sub("right", 0), 3, 30)
	w.destination(plan{id: "siem", owner: "acme", since: 2})
	w.send(burst{at: s.sub("first", 0).between(0, right), workspace: "acme", n: 3 + s.sub("n", 0).below(20), every: time.Second})
	w.send(burst{at: right - 20*time.Second, workspace: "acme", n: 40, every: time.Second})
	w.edit(right, "siem", "correct", func(d *directory.Destination) { d.Settings = []byte(`{"url":"https://siem.example/right"}`) }, func() {})
	w.until(right + 10*time.Minute)
}

// rated: a destination takes a log or two a second, and more come at once.
func rated(w *World, s chance) {
	w.workspace("acme", "")
	w.destination(plan{id: "siem", owner: "acme", rate: 1 + s.sub("rate", 0).below(2)})
	for i := range 10 + s.sub("bursts", 0).below(20) {
		b := s.sub("burst", i)
		w.send(burst{at: minutes(b.sub("at", 0), 0, 40), workspace: "acme", n: 5 + b.sub("n", 0).below(30), every: b.sub("every", 0).between(0, 100*time.Millisecond)})
	}
	w.until(45 * time.Minute)
}

// family: a partner shares a destination with its customers, and one of them makes one of its own.
func family(w *World, s chance) {
	w.workspace("partner", "")
	w.workspace("one", "partner")
	w.workspace("two", "partner")
	made := minutes(s.sub("made", 0), 5, 20)
	w.destination(plan{id: "shared", owner: "partner", shared: true})
	for _, id := range []string{"one", "two", "partner"} {
		w.send(burst{at: time.Second, workspace: id, n: 60, every: s.sub(id, 0).between(10*time.Second, 30*time.Second)})
	}
	w.create(made, plan{id: "own", owner: "one"}, func() {
		w.send(burst{at: time.Second, workspace: "one", n: 10, every: 3 * time.Second})
	})
	if s.sub("off", 0).hits(0.5) {
		w.disconnect(made+5*time.Minute, "shared")
		w.reconnect(made+15*time.Minute, "shared")
	}
	w.until(made + 20*time.Minute)
}

// widened: a destination is made to want a type that it did not want.
func widened(w *World, s chance) {
	w.workspace("acme", "")
	wide := minutes(s.sub("wide", 0), 3, 20)
	w.destination(plan{id: "siem", owner: "acme", types: []string{"user_activity"}})
	w.send(burst{at: s.sub("before", 0).between(0, wide), workspace: "acme", kind: "job_summary", n: 3, every: 10 * time.Second})
	w.send(burst{at: wide - time.Minute, workspace: "acme", kind: "user_activity", n: 20, every: 6 * time.Second})
	w.edit(wide, "siem", "widen", func(d *directory.Destination) { d.LogTypes = nil }, func() {
		w.send(burst{at: s.sub("soon", 0).between(0, 3*time.Second), workspace: "acme", kind: "job_summary", n: 10, every: 5 * time.Second})
	})
	w.until(wide + 10*time.Minute)
}
