package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	goruntime "runtime"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// DrainReport is what the drain of one destination's backlog showed.
type DrainReport struct {
	Logs       int
	Delivered  int
	Duplicates int
	// Pages are how many hints each page sent. Disordered counts hints that came after one of a younger log.
	Pages      []int
	Disordered int
	// Took is the time from the drain's start to its end, LastLog to the arrival of the last log.
	Took, LastLog time.Duration
	// Memory is by how many bytes more memory was in use in a page than with the whole backlog at the start.
	Memory int
	Counts Counts
}

// Drain lets the core drain a backlog of parked logs of one destination, in virtual time. Progress is told the share that has arrived.
func Drain(ctx context.Context, logs int, progress func(done float64)) (DrainReport, error) {
	if logs < 1 {
		return DrainReport{}, fmt.Errorf("a backlog has at least one log, not %d", logs)
	}
	kinds, err := newSamples(1)
	if err != nil {
		return DrainReport{}, err
	}
	w := newWorld(Config{Rate: 1, Destinations: 1, Span: time.Minute, Seed: 1, concurrency: 1}, Health, kinds)
	w.end = w.start // no further logs come
	w.fill(logs)
	r := DrainReport{Logs: logs}
	goruntime.GC()
	before := used()
	youngest, page := -1, time.Time{}
	w.sent = func(rides []delivery.Ride) {
		if len(rides) == 0 {
			return
		}
		if w.now.After(page) { // a page is sent in parts
			r.Pages, page = append(r.Pages, 0), w.now
		}
		r.Pages[len(r.Pages)-1] += len(rides)
		for _, ride := range rides {
			if n := numberOf(ride.LogID); n > youngest {
				youngest = n
			} else {
				r.Disordered++
			}
		}
	}
	memory := func() {
		goruntime.GC()
		r.Memory = max(r.Memory, used()-before)
	}
	draining := func() bool { return w.registry.destinations[workspaceID(0)].Draining }
	w.over = func() bool { return !draining() }
	pages := 0
	err = w.run(ctx, func(float64) {
		if len(r.Pages) > pages {
			pages = len(r.Pages)
			memory()
		}
		progress(float64(w.tally.done) / float64(logs))
	})
	if err != nil {
		return r, err
	}
	if draining() {
		return r, errors.New("the drain did not end within seven days")
	}
	r.Delivered, r.Duplicates, r.Counts = w.tally.done, w.tally.duplicates, w.meter.Counts()
	r.Took, r.LastLog = w.now.Sub(w.start), w.tally.last.Sub(w.start)
	return r, nil
}

// fill parks logs in the cache, a millisecond apart, the first a day old, and has their destination drained.
func (w *world) fill(logs int) {
	destination := w.registry.destinations[workspaceID(0)]
	destination = destination.Drain(w.start)
	w.registry.destinations[workspaceID(0)] = destination
	w.registry.attention[destination.ID] = true
	const atOnce = 1000
	for first := 0; first < logs; first += atOnce {
		var parked []delivery.Delivery
		for i := first; i < min(logs, first+atOnce); i++ {
			k := delivery.Key{DestinationID: destination.ID, WorkspaceID: destination.WorkspaceID, LogID: logID(i),
				AcceptedAt: w.start.Add(-24*time.Hour + time.Duration(i)*time.Millisecond)}
			d := delivery.Delivery{Key: k, Code: "net.timeout", NextAt: k.ExpiresAt(), Parked: true}
			d.Document = auditlog.Document{ID: k.LogID, WorkspaceID: k.WorkspaceID, Type: "user_activity", JSON: w.logs.document(k.LogID)}
			parked = append(parked, d)
			w.tally.arrived(0)
		}
		w.store.Cache.Save(context.Background(), parked) // memory's own, which costs nothing and does not fail
	}
}

// used is the memory that is in use, after a collection.
func used() int {
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// Print shows the pages and what the drain cost.
func (r DrainReport) Print(out io.Writer) error {
	fmt.Fprintf(out, "%d parked logs of one destination: %d delivered, %d lost, %d sent twice, %d hints out of order.\n", r.Logs, r.Delivered,
		r.Logs-r.Delivered, r.Duplicates, r.Disordered)
	fmt.Fprintf(out, "Pages: %s logs, one a minute. The last log arrived after %v, the drain ended after %v.\n", pages(r.Pages), r.LastLog.Round(time.Second),
		r.Took.Round(time.Second))
	fmt.Fprintf(out, "Memory: at most %.0f MB above what the whole backlog takes.\n", float64(r.Memory)/1e6)
	return Calls{r.Counts, r.Logs}.print(out, Scenario{Name: "drained"})
}

// pages names the sizes, repeated ones once.
func pages(sizes []int) string {
	text := ""
	for i := 0; i < len(sizes); {
		n := 1
		for i+n < len(sizes) && sizes[i+n] == sizes[i] {
			n++
		}
		if text != "" {
			text += ", "
		}
		if n > 1 {
			text += fmt.Sprintf("%d × ", n)
		}
		text += fmt.Sprint(sizes[i])
		i += n
	}
	return text
}
