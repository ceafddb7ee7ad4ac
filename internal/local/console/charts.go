package console

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/internal/failure"
)

const (
	// columns is how many columns a chart has; sparkColumns how many a sparkline.
	columns      = 72
	sparkColumns = 40
	// longestSpan is how far back charts look: a log's seven days and one more.
	longestSpan = 8 * 24 * time.Hour
	// shortestSpan keeps the first seconds from filling a chart.
	shortestSpan = 10 * time.Minute
	// laneHeight and backlogHeight are in the units of the charts' view boxes; a column is ten wide.
	laneHeight    = 30
	backlogHeight = 100
	columnWidth   = 10
)

// chart is what happened at a destination over a span of time, in columns.
type chart struct {
	From, To time.Time
	Width    int
	Lanes    []lane
	Spells   []bar
	Failing  time.Duration
	Rows     []chartRow
	Backlog  string // the points of an area
	Peak     int
	Empty    bool
}

// lane is one row of bars. Heights go with the square root, so that few beside many can still be seen.
type lane struct {
	Class string
	Name  string
	Code  failure.Code
	Total int
	Bars  []bar
}

type bar struct{ X, Y, Width, Height float64 }

// chartRow is a column in words.
type chartRow struct {
	From, To                time.Time
	Delivered, Failed, Held int
	Codes                   string
	Backlog                 int
}

// column is what the buckets of one column add up to.
type column struct {
	delivered, held int
	failed          map[failure.Code]int
	backlog         int
	busy            bool
}

// span is the time that a chart of the flow covers.
func (f *flow) span(now time.Time) (from, to time.Time) {
	to = now
	from = now.Add(-shortestSpan)
	if len(f.buckets) > 0 && f.buckets[0].at.Before(from) {
		from = f.buckets[0].at
	}
	if earliest := now.Add(-longestSpan); from.Before(earliest) {
		from = earliest
	}
	return from, to
}

// columns adds the buckets up into n columns. A column without any has the backlog of the one before.
func (f *flow) columns(from, to time.Time, n int) []column {
	list := make([]column, n)
	width := to.Sub(from)
	backlog, filled := 0, -1
	for _, b := range f.buckets {
		if b.at.Before(from.Truncate(grain)) {
			backlog = b.backlog
			continue
		}
		i := min(max(int(float64(b.at.Sub(from))/float64(width)*float64(n)), 0), n-1)
		for ; filled < i; filled++ {
			list[filled+1].backlog = backlog
		}
		c := &list[i]
		c.busy = true
		c.delivered += b.delivered
		c.held += b.held
		for code, n := range b.failed {
			if c.failed == nil {
				c.failed = make(map[failure.Code]int)
			}
			c.failed[code] += n
		}
		backlog = b.backlog
		c.backlog = backlog
	}
	for i := filled + 1; i < n; i++ {
		list[i].backlog = backlog
	}
	return list
}

func (f *flow) chart(now time.Time) chart {
	from, to := f.span(now)
	list := f.columns(from, to, columns)
	c := chart{From: from, To: to, Width: columns * columnWidth, Empty: len(f.buckets) == 0}
	add := func(class, name string, code failure.Code, count func(column) int) {
		if l := newLane(list, count); l.Total > 0 || class == "delivered" {
			l.Class, l.Name, l.Code = class, name, code
			c.Lanes = append(c.Lanes, l)
		}
	}
	add("delivered", "Delivered", "", func(c column) int { return c.delivered })
	for _, code := range codes(list) {
		add("failed", failure.Find(code).Status, code, func(c column) int { return c.failed[code] })
	}
	add("held", "Held back", "", func(c column) int { return c.held })
	c.Spells, c.Failing = f.failingBars(from, to)
	c.Backlog, c.Peak = backlogArea(list)
	c.Rows = chartRows(list, from, to)
	return c
}

// codes are those that occur, the most frequent first.
func codes(list []column) []failure.Code {
	total := make(map[failure.Code]int)
	for _, c := range list {
		for code, n := range c.failed {
			total[code] += n
		}
	}
	return slices.SortedFunc(maps.Keys(total), func(a, b failure.Code) int {
		return cmp.Or(cmp.Compare(total[b], total[a]), cmp.Compare(a, b))
	})
}

func newLane(list []column, count func(column) int) (l lane) {
	most := 0
	for _, c := range list {
		n := count(c)
		l.Total += n
		most = max(most, n)
	}
	for i, c := range list {
		n := count(c)
		if n == 0 {
			continue
		}
		h := round(max(3, laneHeight*math.Sqrt(float64(n)/float64(most))))
		l.Bars = append(l.Bars, bar{X: float64(i*columnWidth + 1), Y: laneHeight - h, Width: columnWidth - 2, Height: h})
	}
	return l
}

func (f *flow) failingBars(from, to time.Time) (bars []bar, total time.Duration) {
	scale := columns * columnWidth / float64(to.Sub(from))
	for _, s := range f.spells {
		until := s.until
		if until.IsZero() {
			until = to
		}
		since := s.since
		if since.Before(from) {
			since = from
		}
		if !until.After(since) {
			continue
		}
		total += until.Sub(since)
		x := round(float64(since.Sub(from)) * scale)
		bars = append(bars, bar{X: x, Width: round(max(2, float64(until.Sub(since))*scale)), Height: laneHeight})
	}
	return bars, total
}

// backlogArea is a stepped area from the chart's bottom.
func backlogArea(list []column) (points string, peak int) {
	for _, c := range list {
		peak = max(peak, c.backlog)
	}
	if peak == 0 {
		return "", 0
	}
	var b strings.Builder
	fmt.Fprintf(&b, "0,%d", backlogHeight)
	for i, c := range list {
		y := round(backlogHeight - float64(c.backlog)*(backlogHeight-4)/float64(peak))
		fmt.Fprintf(&b, " %d,%g %d,%g", i*columnWidth, y, (i+1)*columnWidth, y)
	}
	fmt.Fprintf(&b, " %d,%d", len(list)*columnWidth, backlogHeight)
	return b.String(), peak
}

func chartRows(list []column, from, to time.Time) []chartRow {
	var rows []chartRow
	width := to.Sub(from) / time.Duration(len(list))
	for i, c := range list {
		if !c.busy {
			continue
		}
		r := chartRow{From: from.Add(time.Duration(i) * width), To: from.Add(time.Duration(i+1) * width), Delivered: c.delivered, Held: c.held, Backlog: c.backlog}
		var said []string
		for _, code := range slices.Sorted(maps.Keys(c.failed)) {
			r.Failed += c.failed[code]
			said = append(said, fmt.Sprintf("%s %d", code, c.failed[code]))
		}
		r.Codes = strings.Join(said, ", ")
		rows = append(rows, r)
	}
	return rows
}

// spark is a sparkline: bars of what was delivered upwards and of what failed or was held downwards.
type spark struct {
	Width    int
	Up, Down []bar
}

func (f *flow) spark(now time.Time) spark {
	from, to := f.span(now)
	list := f.columns(from, to, sparkColumns)
	s := spark{Width: sparkColumns * columnWidth}
	ups := newLane(list, func(c column) int { return c.delivered })
	downs := newLane(list, func(c column) int {
		n := c.held
		for _, k := range c.failed {
			n += k
		}
		return n
	})
	s.Up = ups.Bars
	for _, b := range downs.Bars {
		b.Y = laneHeight
		b.Height = round(b.Height * 2 / 3)
		s.Down = append(s.Down, b)
	}
	return s
}

func round(v float64) float64 { return math.Round(v*10) / 10 }
