package simulate

import (
	"math"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// tally keeps what a run shows. It is deliver's journal too.
type tally struct {
	world *world
	mu    sync.Mutex // guards world.delayed against requeue's goroutines

	logs       int
	open       int // neither delivered nor given up
	ended      []bool
	affected   int // logs of dead destinations, accepted during the outage
	attempts   int
	onDead     int // attempts at dead destinations during the outage
	failures   int // attempts that failed
	held       int
	done       int
	lostCauses int // given up
	duplicates int
	drained    time.Time // when the last log of the outage was delivered
	last       time.Time // when a log was delivered last
	most       int
	backlog    []Point
	every      int // minutes between the points
	minutes    int
	bystanders histogram
}

// Point is the backlog at a time.
type Point struct {
	Minute int `json:"minute"`
	Logs   int `json:"logs"`
}

func (t *tally) arrived(destination int) {
	t.logs++
	t.open++
	t.ended = append(t.ended, false)
	if t.world.isDown(destination, t.world.now) {
		t.affected++
	}
}

func (t *tally) attempted(destination int, err error) {
	t.attempts++
	if err != nil {
		t.failures++
	}
	if t.world.isDown(destination, t.world.now) {
		t.onDead++
	}
}

func (t *tally) delivered(log, destination int, accepted, at time.Time) {
	if t.ended[log] {
		t.duplicates++
		return
	}
	t.ended[log] = true
	t.open--
	t.done++
	t.last = at
	if !t.world.dead[destination] {
		t.bystanders.add(at.Sub(accepted))
	} else if t.world.isDown(destination, accepted) && at.After(t.drained) {
		t.drained = at
	}
}

func (t *tally) gaveUp(log int) {
	if !t.ended[log] {
		t.ended[log] = true
		t.open--
		t.lostCauses++
	}
}

// unrouted is a log that no destination wanted.
func (t *tally) unrouted(log int) {
	if !t.ended[log] {
		t.ended[log] = true
		t.open--
	}
}

// Record implements delivery.Journal.
func (t *tally) Record(e delivery.Entry) {
	switch {
	case e.Event == delivery.EventAttempted && e.Outcome == delivery.Delivered:
		t.delivered(numberOf(e.LogID), destinationOf(e.DestinationID), e.AcceptedAt, e.At.Add(e.Took))
	case e.Event == delivery.EventUnrouted:
		t.unrouted(numberOf(e.LogID))
	case e.Event == delivery.EventHeld:
		t.held++
	case e.Event == delivery.EventFault:
		t.world.unsettled([]string{e.Reason})
	}
}

// points bounds how many times the backlog is noted.
const points = 2000

// sample notes the backlog, once a minute at most.
func (t *tally) sample() {
	t.minutes++
	t.most = max(t.most, t.open)
	if t.every == 0 {
		t.every = int(t.world.Span/time.Minute)/points + 1
	}
	if t.minutes%t.every == 0 {
		t.backlog = append(t.backlog, Point{t.minutes, t.open})
	}
}

// histogram counts durations in classes a hundredth wide.
type histogram struct {
	classes [2400]int
	n       int
}

const (
	finest = time.Millisecond
	width  = 1.01
)

func (h *histogram) add(d time.Duration) {
	class := 0
	if d > finest {
		class = int(math.Log(float64(d)/float64(finest)) / math.Log(width))
	}
	h.classes[min(class, len(h.classes)-1)]++
	h.n++
}

// quantile is the upper end of the class that holds this share of all.
func (h *histogram) quantile(share float64) time.Duration {
	left := int(math.Ceil(share * float64(h.n)))
	for class, n := range h.classes {
		if left -= n; left <= 0 && h.n > 0 {
			return time.Duration(float64(finest) * math.Pow(width, float64(class+1))).Round(time.Millisecond)
		}
	}
	return 0
}
