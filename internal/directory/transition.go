package directory

import (
	"fmt"
	"slices"
	"time"
)

// Grace is how long after an admin's disconnect a destination is disabled.
const Grace = 8 * time.Hour

// Action is what moves a connection from one state into another.
type Action string

// The actions. An admin connects a new destination, disconnects and reconnects; time disables.
const (
	Connect    Action = "connect"
	Disconnect Action = "disconnect"
	Disable    Action = "disable"
	Reconnect  Action = "reconnect"
)

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
// Every transition makes a new generation, so that timers and notices of an earlier one are told by it. Times are whole milliseconds, as stores
// keep them. The error is a *Conflict; the destination is then as it was.
func Transition(d Destination, action Action, now time.Time) (Destination, error) {
	from, to := legal(action)
	refused := &Conflict{DestinationID: d.ID, Action: action, State: d.State, Since: d.StateSince}
	if !slices.Contains(from, d.State) {
		return d, refused
	}
	if action == Disable && now.Before(d.DisablesAt()) {
		refused.Until = d.DisablesAt()
		return d, refused
	}
	d.State = to
	d.StateSince = now.UTC().Truncate(time.Millisecond)
	d.Generation++
	switch action {
	case Connect:
		d.Health, d.OpenedAt = Health{State: Healthy}, d.StateSince
	case Disconnect:
		d.Draining, d.LastLook = false, false // what is left of the backlog waits with the rest
	case Reconnect:
		// What failed before says nothing of a connection that was set up anew, and what waits is sent again.
		d.Health = Health{State: Healthy, TakenAt: d.Health.TakenAt}
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
	}
	return nil, ""
}

// DisablesAt is when a disconnected destination is to be disabled.
func (d Destination) DisablesAt() time.Time { return d.StateSince.Add(Grace) }
