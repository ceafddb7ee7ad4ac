package picture

import (
	"fmt"
	"strings"
)

// Sort is what a part of the deployment is, which gives it its colour.
type Sort string

// The sorts of parts.
const (
	Queue Sort = "queue"
	Table Sort = "table"
	Store Sort = "store" // objects and secrets
	Event Sort = "event" // clocks, buses and addresses
	Outer Sort = "outer" // what belongs to others
)

// Part is something that a function is started by, reads or writes.
type Part struct {
	Sort Sort
	Name string
}

// Row is a function, or somebody outside, with the parts around it.
type Row struct {
	Name, Sub     string
	Starts        []Part
	Reads, Writes []Part
}

func (s Sort) class() string {
	switch s {
	case Queue:
		return "move"
	case Table:
		return "good"
	case Store:
		return "wait"
	case Event:
		return "bad"
	}
	return "box"
}

const (
	chipHigh = 24
	chipGap  = 6
)

func (p Part) wide() int { return 16 + len(p.Name)*7 }

// chipsHigh is how high the parts are, as many to a line as fit.
func chipsHigh(parts []Part, left, right int) int {
	x, high := left, chipHigh
	for _, p := range parts {
		if x > left && x+p.wide() > right {
			x, high = left, high+chipHigh+chipGap
		}
		x += p.wide() + chipGap
	}
	return high
}

// chips are parts one after the other, as many to a line as fit. The answer is where the last line ends.
func (d *drawing) chips(parts []Part, left, right, y int) int {
	x := left
	for _, p := range parts {
		wide := p.wide()
		if x > left && x+wide > right {
			x, y = left, y+chipHigh+chipGap
		}
		fmt.Fprintf(&d.body, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="12"/>`+"\n", p.Sort.class(), x, y, wide, chipHigh)
		d.text("small", "middle", x+wide/2, y+16, p.Name)
		x += wide + chipGap
	}
	return y + chipHigh
}

// Architecture draws each function with what starts it and what it reads and writes. Notes stand below.
func Architecture(rows []Row, notes []string) []byte {
	d := &drawing{title: "What is deployed", width: 960}
	const startsX, boxX, boxWide, boxHigh, usesX, right = 16, 208, 142, 46, 440, 948
	var said []string
	d.text("strong", "start", startsX, 28, "is started by")
	d.text("strong", "middle", boxX+boxWide/2, 28, "function")
	d.text("strong", "start", usesX, 28, "reads and writes")
	y := 44
	for _, r := range rows {
		class := "box"
		top := y
		end := top + boxHigh
		for _, use := range []struct {
			word  string
			parts []Part
		}{{"reads", r.Reads}, {"writes", r.Writes}} {
			if len(use.parts) == 0 {
				continue
			}
			d.text("quiet small", "end", usesX-10, y+27, use.word)
			y = d.chips(use.parts, usesX, right, y+11) - 4
		}
		end = max(end, y+4)
		middle := (top + 11 + end) / 2
		d.box(class, boxX, middle-boxHigh/2, boxWide, boxHigh, r.Name, r.Sub)
		if len(r.Starts) > 0 {
			d.chips(r.Starts, startsX, boxX-30, middle-chipsHigh(r.Starts, startsX, boxX-30)/2)
			d.arrow(point{boxX - 26, middle}, point{boxX, middle})
		}
		d.arrow(point{boxX + boxWide, middle}, point{boxX + boxWide + 30, middle})
		said = append(said, r.Name)
		y = end + 14
		fmt.Fprintf(&d.body, `<line class="line" opacity="0.25" x1="16" y1="%d" x2="944" y2="%d"/>`+"\n", y-4, y-4)
	}
	d.description = strings.Join(said, ", ")
	y += 10
	d.chips([]Part{{Queue, "queue"}, {Table, "table"}, {Store, "objects, secrets"}, {Event, "event, clock, address"}, {Outer, "belongs to others"}}, startsX, right, y)
	y += 48
	for _, note := range notes {
		d.text("quiet small", "start", startsX, y, note)
		y += 18
	}
	d.height = y + 4
	return d.svg()
}
