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
	for _, from := range []directory.State{"", directory.Connected, directory.Disconnected, directory.Disabled, directory.Deleted} {
		for _, action := range directory.Actions() {
			d := directory.Destination{State: from, StateSince: since}
			if after, err := directory.Transition(d, action, since.Add(directory.Grace)); err == nil {
				list = append(list, edge{from, action, after.State})
			}
		}
	}
	return list
}

// The size of a state's box, and where the row of states and the deleted one below it begin.
const (
	stateWidth, stateHeight = 150, 58
	rowTop, deletedTop      = 40, 226
)

// lefts are the states' places from the left.
func lefts() map[directory.State]int {
	return map[directory.State]int{"": 24, directory.Connected: 236, directory.Disconnected: 510, directory.Disabled: 786, directory.Deleted: 510}
}

// Connection is the state machine of a destination's connection. Every transition that the directory allows is an arrow; the states stand in a row, but
// for the deleted one.
func Connection() []byte {
	d := &drawing{title: "The states of a connection", width: 960, description: "A new destination is connected; an admin disconnects it; eight hours later it is disabled; a reconnect leads back. " +
		"A deleted one can be restored for eight hours and is then removed."}
	left := lefts()
	d.box("box", left[""], rowTop, 110, stateHeight, "(none)", "not there")
	d.box("good", left[directory.Connected], rowTop, stateWidth, stateHeight, string(directory.Connected), "logs are sent")
	d.box("wait", left[directory.Disconnected], rowTop, stateWidth, stateHeight, string(directory.Disconnected), "logs wait")
	d.box("bad", left[directory.Disabled], rowTop, stateWidth, stateHeight, string(directory.Disabled), "logs wait; one mail")
	d.box("bad", left[directory.Deleted], deletedTop, stateWidth, stateHeight, string(directory.Deleted), "logs wait; one mail")
	below := deletedTop + stateHeight // the level of the last arrow below the deleted one
	back := rowTop + stateHeight      // that of the last one below the row
	for _, e := range edges() {
		switch {
		case e.to == directory.Deleted:
			d.deletion(e)
		case e.from == directory.Deleted && e.to == directory.Connected:
			y := deletedTop + stateHeight - 14
			d.arrow(point{left[e.from], y}, point{left[e.to] + 100, y}, point{left[e.to] + 100, rowTop + stateHeight})
			d.text("strong", "middle", (left[e.from]+left[e.to]+100)/2, y+16, string(e.action))
		case e.from == directory.Deleted:
			below += 34
			from, to := left[e.from]+40+(below-deletedTop)/3, left[e.to]+30+(below-deletedTop)/3
			d.arrow(point{from, deletedTop + stateHeight}, point{from, below}, point{to, below}, point{to, rowTop + stateHeight})
			d.text("strong", "middle", (from+to)/2, below-6, string(e.action)+map[directory.Action]string{
				directory.Remove: ", after " + span(directory.Grace), directory.Purge: ", by an admin",
			}[e.action])
		case left[e.to] > left[e.from]:
			d.along(e)
		default:
			back += 34
			from, to := left[e.from]+stateWidth/2, left[e.to]+stateWidth/2-back/3+30
			d.arrow(point{from, rowTop + stateHeight}, point{from, back}, point{to, back}, point{to, rowTop + stateHeight})
			d.text("strong", "middle", (from+to)/2, back-6, string(e.action))
		}
	}
	d.text("quiet small", "start", 24, below+30, "While it is disconnected, disabled or deleted, each log waits for its seven days. A reconnect or a restore sends the backlog at once.")
	d.height = below + 48
	return d.svg()
}

// along draws an arrow to the right, along the row.
func (d *drawing) along(e edge) {
	a, b := lefts()[e.from]+stateWidth, lefts()[e.to]
	if e.from == "" {
		a = lefts()[e.from] + 110
	}
	y := rowTop + stateHeight/2
	d.arrow(point{a, y}, point{b, y})
	d.text("strong", "middle", (a+b)/2, y-8, string(e.action))
	switch e.action {
	case directory.Disable:
		d.text("quiet small", "middle", (a+b)/2, y+18, "after "+span(directory.Grace))
	case directory.Disconnect:
		d.text("quiet small", "middle", (a+b)/2, y+18, "by an admin")
	}
}

// deletion draws an arrow to the deleted state: from its left, from above or from its right.
func (d *drawing) deletion(e edge) {
	left, width := lefts()[directory.Deleted], stateWidth
	x := lefts()[e.from] + stateWidth - 26
	y := deletedTop + 16
	switch e.from {
	case directory.Connected:
		d.arrow(point{x, rowTop + stateHeight}, point{x, y}, point{left, y})
		d.text("strong", "middle", (x+left)/2, y-6, string(e.action))
	case directory.Disconnected:
		d.arrow(point{x, rowTop + stateHeight}, point{x, deletedTop})
		d.text("strong", "start", x+8, deletedTop-12, string(e.action))
	default:
		d.arrow(point{x, rowTop + stateHeight}, point{x, y}, point{left + width, y})
		d.text("strong", "middle", (x+left+width)/2, y-6, string(e.action))
	}
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
