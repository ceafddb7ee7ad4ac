package picture

import (
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// edge is what an action makes of a state.
type edge struct {
	from   directory.State
	action directory.Action
	to     directory.State
}

// edges tries every action in every state, long after it began.
func edges() []edge {
	var list []edge
	since := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, from := range []directory.State{"", directory.Connected, directory.Disconnected, directory.Disabled} {
		for _, action := range []directory.Action{directory.Connect, directory.Disconnect, directory.Disable, directory.Reconnect} {
			d := directory.Destination{State: from, StateSince: since}
			if after, err := directory.Transition(d, action, since.Add(directory.Grace)); err == nil {
				list = append(list, edge{from, action, after.State})
			}
		}
	}
	return list
}

// Connection is the state machine of a destination's connection. Every transition that the directory allows is an arrow; the states stand in a row.
func Connection() []byte {
	d := &drawing{title: "The states of a connection", width: 960, description: "A new destination is connected; an admin disconnects it; eight hours later it is disabled; a reconnect leads back."}
	const w, h, y = 150, 58, 40
	states := []directory.State{"", directory.Connected, directory.Disconnected, directory.Disabled}
	left := map[directory.State]int{"": 24, directory.Connected: 236, directory.Disconnected: 510, directory.Disabled: 786}
	place := make(map[directory.State]int)
	for i, s := range states {
		place[s] = i
	}
	d.box("box", left[""], y, 110, h, "(none)", "not there yet")
	d.box("good", left[directory.Connected], y, w, h, string(directory.Connected), "logs are sent")
	d.box("wait", left[directory.Disconnected], y, w, h, string(directory.Disconnected), "logs wait")
	d.box("bad", left[directory.Disabled], y, w, h, string(directory.Disabled), "logs wait; one mail")
	level := y + h
	for _, e := range edges() {
		width := w
		if e.from == "" {
			width = 110
		}
		if place[e.to] > place[e.from] { // to the right, along the row
			a, b := left[e.from]+width, left[e.to]
			d.arrow(point{a, y + h/2}, point{b, y + h/2})
			d.text("strong", "middle", (a+b)/2, y+h/2-8, string(e.action))
			if e.action == directory.Disable {
				d.text("quiet small", "middle", (a+b)/2, y+h/2+18, "after "+span(directory.Grace))
			}
			if e.action == directory.Disconnect {
				d.text("quiet small", "middle", (a+b)/2, y+h/2+18, "by an admin")
			}
			continue
		}
		level += 34 // back, below the row, each on a level of its own
		from, to := left[e.from]+width/2, left[e.to]+w/2-level/3+30
		d.arrow(point{from, y + h}, point{from, level}, point{to, level}, point{to, y + h})
		d.text("strong", "middle", (from+to)/2, level-6, string(e.action))
	}
	d.text("quiet small", "start", 24, level+34, "While it is disconnected or disabled, each log waits for its seven days. A reconnect removes the timer and sends the backlog at once.")
	d.height = level + 52
	return d.svg()
}

// span is a duration in its largest unit that leaves no rest.
func span(t time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, " d"}, {time.Hour, " h"}} {
		if t%u.size == 0 {
			return number(int(t/u.size)) + u.name
		}
	}
	return number(int(t/time.Minute)) + " min"
}
