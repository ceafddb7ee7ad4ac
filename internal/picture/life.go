package picture

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Schedule is when a log is tried again: the pauses after each failed attempt, how long before the end the last attempt is, and how long it lives.
type Schedule struct {
	Pauses         []time.Duration
	Last, Lifetime time.Duration
}

// lifeColumn is the left side of a column of the flow.
func lifeColumn(n int) int { return 16 + 156*n }

const (
	lifeWide = 120
	lifeHigh = 54
)

// lifeBox is a part of the flow. Step is its step in the list below it, or zero.
type lifeBox struct {
	step, column, y int
	class, name     string
	words           string
}

// Life is the life of a log: the way through the parts, each with the number of its step, the times of the attempts, and the steps in words. Without
// steps the parts have no numbers.
func Life(steps []string, s Schedule) []byte {
	d := &drawing{title: "The life of a log", width: 960, description: "A log is attempted at once; if that fails it is cached and tried again until it is delivered or seven days are over."}
	const above, row, below, lowest = 24, 116, 246, 336
	for _, b := range []lifeBox{
		{0, 0, row, "box", "producer", "sends a log"},
		{1, 1, row, "move", "ingest", "queue"},
		{2, 2, row, "box", "decode", "and prepare"},
		{3, 3, row, "box", "route", "to destinations"},
		{4, 4, row, "move", "attempt", "one a destination"},
		{5, 5, row, "good", "delivered", "nothing is stored"},
		{0, 2, above, "bad", "rejected", "with the reason"},
		{0, 3, above, "box", "unrouted", "nobody wants it"},
		{7, 2, below, "wait", "due index", "over 15 min"},
		{8, 3, below, "move", "retry", "queue"},
		{6, 4, below, "wait", "cached", "until it arrives"},
		{9, 5, below, "bad", "failed event", span(s.Lifetime) + " are over"},
		{10, 5, lowest, "bad", "announced", "once"},
	} {
		d.box(b.class, lifeColumn(b.column), b.y, lifeWide, lifeHigh, b.name, b.words)
		if b.step > 0 && len(steps) > 0 {
			d.mark(lifeColumn(b.column), b.y, b.step)
		}
	}
	for n := range 5 {
		d.arrow(point{lifeColumn(n) + lifeWide, row + lifeHigh/2}, point{lifeColumn(n + 1), row + lifeHigh/2})
	}
	centre := func(column int) int { return lifeColumn(column) + lifeWide/2 }
	d.arrow(point{centre(2), row}, point{centre(2), above + lifeHigh})
	d.arrow(point{centre(3), row}, point{centre(3), above + lifeHigh})
	d.arrow(point{centre(4) + 30, row + lifeHigh}, point{centre(4) + 30, below})
	d.text("quiet small", "start", centre(4)+36, row+lifeHigh+42, "failed")
	d.arrow(point{lifeColumn(4), below + lifeHigh/2}, point{lifeColumn(3) + lifeWide, below + lifeHigh/2})
	d.arrow(point{centre(4), below + lifeHigh}, point{centre(4), lowest + lifeHigh/2}, point{centre(2), lowest + lifeHigh/2}, point{centre(2), below + lifeHigh})
	d.text("quiet small", "middle", centre(3), lowest+lifeHigh/2+18, "a longer pause; requeue looks every minute")
	d.arrow(point{lifeColumn(2) + lifeWide, below + lifeHigh/2}, point{lifeColumn(3), below + lifeHigh/2})
	d.arrow(point{centre(3), below}, point{centre(3), below - 32}, point{centre(4) - 30, below - 32}, point{centre(4) - 30, row + lifeHigh})
	d.text("quiet small", "end", centre(4)-38, below-38, "its time has come")
	d.arrow(point{lifeColumn(4) + lifeWide, below + lifeHigh/2}, point{lifeColumn(5), below + lifeHigh/2})
	d.arrow(point{centre(5), below + lifeHigh}, point{centre(5), lowest})
	d.height = d.attempts(s, 450)
	for i, step := range steps {
		d.mark(34, d.height-5, i+1)
		for _, line := range wrapped(step, 124) {
			d.text("", "start", 54, d.height, line)
			d.height += 19
		}
		d.height += 8
	}
	return d.svg()
}

// attempts draws the times of the attempts on a logarithmic line, and answers where what follows may begin.
func (d *drawing) attempts(s Schedule, y int) int {
	d.text("strong", "start", 16, y, "When a log is tried while its destination is down; the scale is logarithmic, each pause ±10 %")
	y += 56
	const left, right = 30, 930
	at := func(t time.Duration) int {
		return left + int(math.Round(float64(right-left)*math.Log(1+t.Minutes())/math.Log(1+s.Lifetime.Minutes())))
	}
	d.arrow(point{left, y}, point{right + 14, y})
	var since time.Duration
	pauses := append([]time.Duration{0}, s.Pauses...)
	for i, pause := range pauses {
		since += pause
		d.mark(at(since), y, i+1)
		label := "at once"
		if i > 0 {
			label = "+ " + span(pause)
		}
		d.text("quiet small", "middle", at(since), y+28, label)
	}
	last := s.Lifetime - s.Last
	d.mark(at(last)-9, y, len(pauses)+1) // drawn a little early, since an hour of seven days is less than a line's width
	d.text("quiet small", "end", right+16, y-18, fmt.Sprintf("the last, %s before the end", span(s.Last)))
	d.text("quiet small", "end", right+16, y+28, span(s.Lifetime))
	return y + 72
}

// wrapped breaks a text at its spaces into lines of at most so many letters.
func wrapped(text string, most int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		if n := len(lines); n > 0 && len(lines[n-1])+1+len(word) <= most {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// number has commas between thousands.
func number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
