package unkind

import (
	"slices"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// lettersOf are the mails of a kind about a destination to one of its owner's admins, as the mail service took them.
func (w *World) lettersOf(kind directory.NoticeKind, id, to string) (list []letter) {
	for _, l := range w.letters {
		if l.Kind == kind && l.DestinationID == id && slices.Contains(l.To, to) {
			list = append(list, l)
		}
	}
	return list
}

// uncertain says whether the journal tells that nobody knows of a mail.
func (w *World) uncertain(kind directory.NoticeKind, id string) bool {
	return slices.ContainsFunc(w.notes, func(e notice.Entry) bool {
		return e.Event == notice.EventUncertain && e.Kind == kind && e.DestinationID == id
	})
}

// mailSlack is how long after it is due a mail may come: the notice was held by a process that died, some times over, and the watch sends another an
// hour later.
const mailSlack = 75 * time.Minute

// eachAdmin goes through the admins who are to be told of destinations.
func (w *World) eachAdmin(tell func(id, to string)) {
	for id, states := range w.states {
		for _, to := range adminsOf(states[0].WorkspaceID) {
			tell(id, to)
		}
	}
}

func (w *World) voluntary(v view, add add) {
	w.eachAdmin(func(id, to string) {
		states := w.states[id]
		disabled := 0
		var last state
		for i, s := range states {
			if s.State == directory.Disabled && (i == 0 || states[i-1].State != directory.Disabled) {
				disabled++
				last = s
			}
		}
		mails := len(w.lettersOf(directory.Voluntary, id, to))
		current, _ := w.stateAt(id, v.now)
		stays := disabled > 0 && current.State == directory.Disabled && v.now.Sub(later(last.at, w.calm)) > mailSlack
		switch {
		case mails > disabled:
			add(Voluntary, "%d mails to %s for %d disconnects of %s", mails, to, disabled, id)
		case stays && mails == 0 && !w.uncertain(directory.Voluntary, id):
			add(Voluntary, "%s was disabled at %v, and %s was not told", id, last.at.Sub(w.start), to)
		}
		off := states[len(states)-1]
		if off.State == directory.Disconnected && v.now.Sub(later(off.StateSince.Add(directory.Grace), w.calm)) > 15*time.Minute {
			add(Voluntary, "%s is not disabled, %v after its eight hours", id, v.now.Sub(off.StateSince.Add(directory.Grace)))
		}
	})
}

// farewellIn is how long a deletion must last for its farewell to have arrived, whatever the weather.
const farewellIn = 4 * time.Hour

func (w *World) deletion(v view, add add) {
	w.eachAdmin(func(id, to string) {
		states := w.states[id]
		deletions, mails := 0, len(w.lettersOf(directory.Deletion, id, to))
		for i, s := range states {
			if s.State != directory.Deleted || i > 0 && states[i-1].State == directory.Deleted {
				continue
			}
			deletions++
			ends := v.now
			for _, next := range states[i:] {
				if next.State != directory.Deleted {
					ends = next.at
					if early := s.GraceEnds().Sub(ends); next.gone && early > 2*skewMost {
						add(Deletion, "%s was removed %v before its eight hours were over", id, early)
					}
					break
				}
			}
			if late := ends.Sub(later(s.GraceEnds(), w.calm)); late > 15*time.Minute {
				add(Deletion, "%s is deleted, and not removed %v after its eight hours", id, late)
			}
			if ends.Sub(later(s.at, w.calm)) > mailSlack && mails < deletions && !w.uncertain(directory.Deletion, id) {
				add(Deletion, "%s was deleted at %v, and %s was not told", id, s.at.Sub(w.start), to)
			}
			since, up := w.receivers[id].up(ends)
			if up && ends.Sub(later(s.at, since)) > farewellIn && !w.receivers[id].tookID(s.WorkspaceID, s.Farewell) {
				add(Deletion, "%s was deleted at %v, and did not get the entry about it", id, s.at.Sub(w.start))
			}
		}
		if mails > deletions {
			add(Deletion, "%d mails to %s for %d deletions of %s", mails, to, deletions, id)
		}
	})
}

// failures are the times in which a destination was connected and failing, by its record.
func (w *World) failures(id string, now time.Time) (list []state, ends []time.Time) {
	for _, s := range w.states[id] {
		failing := !s.gone && s.State == directory.Connected && s.Health.State == directory.Failing
		open := len(list) > len(ends)
		switch {
		case failing && !open:
			list = append(list, s)
		case !failing && open:
			ends = append(ends, s.at)
		}
	}
	if len(list) > len(ends) {
		ends = append(ends, now)
	}
	return list, ends
}

func (w *World) involuntary(v view, add add) {
	w.eachAdmin(func(id, to string) {
		letters := w.lettersOf(directory.Involuntary, id, to)
		for i := range letters {
			if i > 0 && letters[i].at.Sub(letters[i-1].at) < 24*time.Hour-2*skewMost {
				add(Involuntary, "two mails to %s about %s, %v apart", to, id, letters[i].at.Sub(letters[i-1].at))
			}
		}
		if w.uncertain(directory.Involuntary, id) {
			return
		}
		begins, ends := w.failures(id, v.now)
		for i, s := range begins {
			due := s.at
			if failure.Find(s.Health.Code).Class != failure.Connection {
				due = due.Add(time.Hour)
			}
			due = later(due, w.start)
			if ends[i].Sub(due) < mailSlack {
				continue
			}
			told := slices.ContainsFunc(letters, func(l letter) bool { return l.at.After(s.at.Add(-24*time.Hour)) && l.at.Before(due.Add(mailSlack)) })
			if !told && w.waits(id, s.at, ends[i]) {
				add(Involuntary, "%s fails from %v to %v (%s), and %s was not told in time", id, s.at.Sub(w.start), ends[i].Sub(w.start), s.Health.Code, to)
			}
		}
	})
}

// waits says whether any log was refused in a time, so that something waits then.
func (w *World) waits(id string, from, to time.Time) bool {
	r := w.receivers[id]
	return slices.ContainsFunc(r.requests, func(a asked) bool { return a.code != "" && !a.at.Before(from.Add(-time.Minute)) && a.at.Before(to) })
}

func (w *World) recovered(v view, add add) {
	w.eachAdmin(func(id, to string) {
		if w.uncertain(directory.Recovered, id) || w.uncertain(directory.Involuntary, id) {
			return
		}
		told := w.lettersOf(directory.Involuntary, id, to)
		if len(told) == 0 {
			return
		}
		last := told[len(told)-1].at
		begins, ends := w.failures(id, v.now)
		s, _ := w.stateAt(id, v.now)
		if len(ends) == 0 || s.State != directory.Connected || s.Health.State == directory.Failing {
			return
		}
		end := ends[len(ends)-1]
		after, ok := w.stateAt(id, end)
		if !ok || after.State != directory.Connected || after.Generation != begins[len(begins)-1].Generation || v.now.Sub(later(end, w.calm)) < mailSlack {
			return // an admin ended it, who knows
		}
		if !slices.ContainsFunc(w.lettersOf(directory.Recovered, id, to), func(l letter) bool { return l.at.After(last) }) {
			add(Recovered, "%s recovered at %v, of which %s was not told, who was told at %v that it fails", id, end.Sub(w.start), to, last.Sub(w.start))
		}
	})
}
