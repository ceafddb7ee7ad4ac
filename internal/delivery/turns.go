package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// TurnProgress keeps how far the turns of each destination's parked logs have come, by the destination's identity.
type TurnProgress interface {
	// Turns gives what was saved; the zero value if nothing was.
	Turns(ctx context.Context, identity string) (Turns, error)
	// SaveTurns replaces it.
	SaveTurns(ctx context.Context, identity string, t Turns) error
}

// Turns is how far the turns of a failing destination's parked logs have come: for each turn, the youngest log that has had it.
type Turns struct {
	After [turnsOfALog]Key
	// Since tells one failure from the next. At is when turns were last given.
	Since, At time.Time
}

const (
	// turnEvery is how long a parked log waits from turn to turn, counted from its acceptance. With the last one there are eight in its life, as many as a
	// log has retries that has times of its own.
	turnEvery   = 21 * time.Hour
	turnsOfALog = 8
	// lastTurn is when a log has its last one: after its last attempt by the table, which it may not have had room for.
	lastTurn = Lifetime - lastAttempt + 5*time.Minute
	// turnLook is how often turns are given, spread over the time until the next look.
	turnLook = 10 * time.Minute
	// turnsAMinute is how many turns a failing destination's logs have in a minute, and hangingTurns those of one that lets requests time out: each holds a
	// connection for ten seconds. They hold the seven to eight retries for logs that come once a second, and once in ten seconds.
	turnsAMinute = 600
	hangingTurns = 60
	// turnsInBudget is how many turns a minute ask the destination's budget for their place. More have places of their own.
	turnsInBudget = 8
	// turnReads is how many deliveries a look goes through.
	turnReads = 20_000
)

// turnAge is how old a log is at the given turn, counted from 0.
func turnAge(turn int) time.Duration { return min(turnEvery*time.Duration(turn+1), lastTurn) }

// turnRoom is how many turns there are until the next look.
func turnRoom(d directory.Destination) int {
	most := turnsAMinute
	if d.Health.Code == failure.NetTimeout {
		most = hangingTurns
	}
	if rate := d.Rate(); rate > 0 {
		most = min(most, rate*60)
	}
	return most * int(turnLook/time.Minute)
}

// hasTurn says whether a delivery that has come to a turn is tried: it is parked, and had no more attempts than turns. At the last one it is, unless it had its last
// attempt by the table.
func (w Waiting) hasTurn(turn int) bool {
	if turn == turnsOfALog-1 {
		return w.Parked && !w.hadLast()
	}
	return w.Parked && w.Attempts <= turn+1
}

// hadLast says whether a delivery was tried in the last hour of its life.
func (w Waiting) hadLast() bool { return !w.Tried.Before(w.ExpiresAt().Add(-lastAttempt)) }

// turns gives the parked logs of a failing destination that have come to a certain age an attempt. What is parked has no time of its own, and there may be so many
// that the budget reaches the oldest alone; so each has its turns, those of the oldest logs first, up to a bound.
func (w *Watch) turns(ctx context.Context, d directory.Destination, now time.Time) error {
	oldest, err := w.Backlog.Waiting(ctx, d.ID, Key{}, 1)
	if err != nil || len(oldest) == 0 || now.Sub(oldest[0].AcceptedAt) < turnEvery {
		return err
	}
	t, err := w.Progress.Turns(ctx, d.Identity())
	if err != nil {
		return fmt.Errorf("read how far turns have come: %w", err)
	}
	if !t.Since.Equal(d.Health.Since) {
		t = Turns{Since: d.Health.Since}
	}
	if now.Sub(t.At) < turnLook-time.Minute {
		return nil // another instance has given them
	}
	t.At = now
	g := giving{room: turnRoom(d), reads: turnReads}
	for turn := turnsOfALog - 1; turn >= 0; turn-- {
		if now.Sub(oldest[0].AcceptedAt) < turnAge(turn) {
			continue
		}
		if err := w.give(ctx, d.ID, turn, &t.After[turn], &g, now); err != nil {
			return err
		}
		if turn == turnsOfALog-1 {
			g.pace(&t.After[turn], now)
		}
	}
	// The turns go first: if we die before their place is noted they are given again.
	if err := unsent(w.Retries.Send(ctx, spreadTurns(g.hints))); err != nil {
		return err
	}
	if err := w.Progress.SaveTurns(ctx, d.Identity(), t); err != nil {
		return fmt.Errorf("save how far turns have come: %w", err)
	}
	return nil
}

// giving is what one look at turns has found, and what it may still read and give.
type giving struct {
	hints       []Hint
	room, reads int
}

// pace leaves last turns to later looks, if all of them have their time then in the places that the budget has.
func (g *giving) pace(after *Key, now time.Time) {
	const aLook = turnsInBudget * int(turnLook/time.Minute)
	if len(g.hints) <= aLook {
		return
	}
	if left := g.hints[0].ExpiresAt().Sub(now) - turnLook; len(g.hints) <= turnsInBudget*int(left/time.Minute) {
		g.room += len(g.hints) - aLook
		g.hints = g.hints[:aLook]
		*after = g.hints[aLook-1].Key
	}
}

// give finds the logs that have come to one turn since the last look.
func (w *Watch) give(ctx context.Context, destinationID string, turn int, after *Key, g *giving, now time.Time) error {
	until, first := now.Add(-turnAge(turn)), now.Add(-Lifetime)
	if turn < turnsOfALog-1 {
		first = now.Add(-turnAge(turn + 1)) // older ones have come to the next turn
	}
	if after.AcceptedAt.Before(first) {
		*after = Key{DestinationID: destinationID, AcceptedAt: first.UTC().Truncate(time.Millisecond)}
	}
	for size := firstRead; g.room > 0 && g.reads > 0; size = min(5*size, drainRead) {
		waiting, err := w.Backlog.Waiting(ctx, destinationID, *after, size)
		if err != nil {
			return fmt.Errorf("list the logs that have come to their turn %d: %w", turn+1, err)
		}
		g.reads -= size
		for _, l := range waiting {
			if l.AcceptedAt.After(until) || g.room == 0 {
				return nil
			}
			if *after = l.Key; l.hasTurn(turn) {
				g.hints = append(g.hints, Hint{Key: l.Key, At: l.At, Drain: true, Why: WhyTurn})
				g.room--
			}
		}
		if len(waiting) < size {
			return nil
		}
	}
	return nil
}

// spreadTurns gives turns delays over the time until the next look. A few have to find room in the destination's budget, as all its attempts; more have their own.
func spreadTurns(hints []Hint) []Ride {
	rides := make([]Ride, len(hints))
	for i, h := range hints {
		h.Reserved = len(hints) > turnsInBudget*int(turnLook/time.Minute)
		rides[i] = Ride{Hint: h, Delay: (turnLook * time.Duration(i) / time.Duration(len(hints))).Truncate(time.Second)}
	}
	return rides
}
