package unkind

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// receiver is what stands at a destination's address. It knows what it took and what it was asked.
type receiver struct {
	id      string
	batched bool
	// troubles are when it takes no logs, and why.
	troubles []trouble
	// since is the version of the settings from which on they are right; requests of an earlier version get 401.
	since int

	mu       sync.Mutex
	taken    map[logName]int // how often
	requests []asked
	lost     []asked // requests whose answer was lost, or that did not come
}

// trouble is a time in which a receiver takes nothing.
type trouble struct {
	from, to time.Time
	code     failure.Code
	// pause is what it asks for with Retry-After.
	pause time.Duration
}

// logName names a log. Two under one id differ by their hashes.
type logName struct{ workspace, id, hash string }

func nameOfKey(k delivery.Key) logName { return logName{k.WorkspaceID, k.LogID, k.Hash} }

func nameOfDocument(d auditlog.Document) logName { return logName{d.WorkspaceID, d.ID, d.Hash()} }

// asked is one request for one log.
type asked struct {
	at         time.Time
	log        logName
	version    int
	generation int
	by         string
	code       failure.Code // empty if it was taken
}

// hang is how long a receiver that hangs keeps a request.
const hang = 10 * time.Second

// take is one request for one log.
func (r *receiver) take(ctx context.Context, s sink, doc auditlog.Document) error {
	now := time.Now()
	var answer *failure.Error
	for _, t := range r.troubles {
		if !now.Before(t.from) && now.Before(t.to) {
			answer = &failure.Error{Code: t.code, RetryAfter: t.pause}
		}
	}
	if answer == nil && s.d.Version < r.since {
		answer = &failure.Error{Code: failure.HTTPUnauthorized}
	}
	a := asked{at: now, log: nameOfDocument(doc), version: s.d.Version, generation: s.d.Generation, by: s.e.id}
	if answer != nil {
		a.code = answer.Code
	}
	s.e.world.asked(r, a)
	r.mu.Lock()
	r.requests = append(r.requests, a)
	if answer == nil {
		r.taken[a.log]++
	}
	r.mu.Unlock()
	if answer == nil {
		return nil
	}
	if answer.Code == failure.NetTimeout {
		if err := s.e.wait(ctx, hang); err != nil {
			return timeout(err)
		}
	}
	return answer
}

// unanswered writes down a request whose answer was lost; what it said was written down when it came.
func (r *receiver) unanswered(s sink, doc auditlog.Document) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = append(r.lost, asked{at: time.Now(), log: nameOfDocument(doc), version: s.d.Version, generation: s.d.Generation, by: s.e.id, code: failure.NetTimeout})
}

// timeout is what a sink makes of a request that got no answer.
func timeout(err error) error { return &failure.Error{Code: failure.NetTimeout, Err: err} }

// up says since when the receiver takes logs of a version, as of now; false if it does not.
func (r *receiver) up(now time.Time) (since time.Time, ok bool) {
	for _, t := range r.troubles {
		switch {
		case !now.Before(t.from) && now.Before(t.to):
			return time.Time{}, false
		case !t.to.After(now) && t.to.After(since):
			since = t.to
		}
	}
	return since, true
}

// has says how often the receiver took a log.
func (r *receiver) has(l logName) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken[l]
}

// tookID says whether the receiver took a log of that id, whatever it says.
func (r *receiver) tookID(workspace, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range r.taken {
		if l.workspace == workspace && l.id == id {
			return true
		}
	}
	return false
}

// tookBefore says whether a log had arrived at a time.
func (r *receiver) tookBefore(l logName, at time.Time) bool {
	return slices.ContainsFunc(r.requests, func(a asked) bool { return a.log == l && a.code == "" && a.at.Before(at) })
}

var _ delivery.Sink = sink{}
