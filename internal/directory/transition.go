package directory

import (
	"fmt"
	"slices"
	"time"
)

// Grace is how long after an admin's disconnect a destination is disabled, and how long after its deletion it is removed. Until then the admin can
// take it back.
const Grace = 8 * time.Hour

// Action is what moves a connection from one state into another.
type Action string

// The actions. An admin connects a new destination, disconnects, reconnects, deletes, restores, and purges what is deleted; time disables and removes.
const (
	Connect    Action = "connect"
	Disconnect Action = "disconnect"
	Disable    Action = "disable"
	Reconnect  Action = "reconnect"
	Delete     Action = "delete"
	Restore    Action = "restore"
	Remove     Action = "remove"
	Purge      Action = "purge"
)

// Actions lists every action, in the order of a destination's life.
func Actions() []Action {
	return []Action{Connect, Disconnect, Disable, Reconnect, Delete, Restore, Remove, Purge}
}

// Ends says whether the action ends the record: it and its credentials are gone then.
func (a Action) Ends() bool { return a == Remove || a == Purge }

// Conflict is the error of an action that the connection's state does not allow.
type Conflict struct {
	DestinationID string
	Action        Action
	// State is what the destination is in, since when; empty if it was never connected.
	State State
	Since time.Time
	// Until, if set, is the time before which the action is not allowed.
	Until time.Time
}

// Error says in which state the destination is and what was asked.
func (c *Conflict) Error() string {
	state := "new, it was never connected"
	if c.State != "" {
		state = string(c.State)
	}
	if !c.Since.IsZero() {
		state += " since " + c.Since.UTC().Format(time.RFC3339)
	}
	if !c.Until.IsZero() {
		return fmt.Sprintf("cannot %s destination %s before %s: it is %s", c.Action, c.DestinationID, c.Until.UTC().Format(time.RFC3339), state)
	}
	return fmt.Sprintf("cannot %s destination %s: it is %s", c.Action, c.DestinationID, state)
}

// Transition gives the destination as it is after the action:
//
//	(none) --connect--> connected --disconnect--> disconnected --disable, eight hours later--> disabled
//	                        ^                          |                                          |
//	                        +-------- reconnect -------+------------------------------------------+
//
//	any of the three --delete--> deleted --remove, eight hours later, or purge--> (none)
//	                                |
//	                                +--restore--> connected
//
// Every transition makes a new generation, so that timers and notices of an earlier one are told by it. Times are whole milliseconds, as stores
// keep them. The error is a *Conflict; the destination is then as it was.
func Transition(d Destination, action Action, now time.Time) (Destination, error) {
	from, to := legal(action)
	refused := &Conflict{DestinationID: d.ID, Action: action, State: d.State, Since: d.StateSince}
	if !slices.Contains(from, d.State) {
		return d, refused
	}
	if (action == Disable || action == Remove) && now.Before(d.GraceEnds()) {
		refused.Until = d.GraceEnds()
		return d, refused
	}
	d.State = to
	d.StateSince = now.UTC().Truncate(time.Millisecond)
	d.Generation++
	switch action {
	case Connect:
		d.Health, d.OpenedAt = Health{State: Healthy}, d.StateSince
	case Disconnect, Delete:
		d.Draining, d.LastLook = false, false // what is left of the backlog waits with the rest
	case Reconnect, Restore:
		// What failed before says nothing of a connection that was set up anew, and what waits is sent again.
		d.Health = Health{State: Healthy, TakenAt: d.Health.TakenAt}
		d.Farewell = ""
		d = d.Drain(d.StateSince)
	}
	return d, nil
}

func legal(action Action) (from []State, to State) {
	switch action {
	case Connect:
		return []State{""}, Connected
	case Disconnect:
		return []State{Connected}, Disconnected
	case Disable:
		return []State{Disconnected}, Disabled
	case Reconnect:
		return []State{Disconnected, Disabled}, Connected
	case Delete:
		return []State{Connected, Disconnected, Disabled}, Deleted
	case Restore:
		return []State{Deleted}, Connected
	case Remove, Purge:
		return []State{Deleted}, ""
	}
	return nil, ""
}

// InGrace says whether the destination is in the eight hours after a disconnect or a deletion.
func (d Destination) InGrace() bool { return d.State == Disconnected || d.State == Deleted }

// GraceEnds is when a disconnected destination is to be disabled, and a deleted one removed.
func (d Destination) GraceEnds() time.Time { return d.StateSince.Add(Grace) }
