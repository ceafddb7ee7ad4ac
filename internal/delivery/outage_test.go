package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// moody is a bus that takes what it likes, in the time that it likes.
type moody struct {
	takes func(a events.Announcement) bool
	hangs bool

	mu    sync.Mutex
	asked int
	told  []string // log ids
}

func (b *moody) Publish(ctx context.Context, a events.Announcement) error {
	return b.PublishAll(ctx, []events.Announcement{a})[0]
}

func (b *moody) PublishAll(ctx context.Context, as []events.Announcement) []error {
	errs := make([]error, len(as))
	if b.hangs {
		<-ctx.Done()
		return slices.Repeat([]error{ctx.Err()}, len(as))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	for i, a := range as {
		if !b.takes(a) {
			errs[i] = errors.New("it refused the event: InternalFailure")
			continue
		}
		b.told = append(b.told, a.Detail.(events.LogDeliveryFailedDetail).LogID)
	}
	return errs
}

func manyEnds(n int) []delivery.Change {
	list := make([]delivery.Change, n)
	for i := range list {
		list[i] = announced("siem", fmt.Sprintf("log-%04d", i))
	}
	return list
}

func (x *ends) lines(e delivery.Event) (logs []string) {
	for _, line := range x.journal.Entries() {
		if line.Event == e {
			logs = append(logs, line.LogID)
		}
	}
	return logs
}

// TestWhatTheBusRefusesIsKept has a bus take some of a batch, or nothing, or not answer, and the outbox be
// there or not.
func TestWhatTheBusRefusesIsKept(t *testing.T) {
	batch := manyEnds(40)
	all := make([]string, len(batch))
	for i, c := range batch {
		all[i] = c.ID
	}
	odd := func(a events.Announcement) bool {
		id := a.Detail.(events.LogDeliveryFailedDetail).LogID
		return (id[len(id)-1]-'0')%2 == 1
	}
	for name, c := range map[string]struct {
		bus       *moody
		failing   []int // calls of Keep, from 1
		noOutbox  bool
		unsettled string
		told      int
		kept      int
		lines     []string
	}{
		"it takes all":               {bus: &moody{takes: func(events.Announcement) bool { return true }}, told: 40, lines: all},
		"it takes some":              {bus: &moody{takes: odd}, told: 20, kept: 20, lines: all},
		"it takes none":              {bus: &moody{takes: func(events.Announcement) bool { return false }}, kept: 40, lines: all},
		"it does not answer":         {bus: &moody{hangs: true}, kept: 40, lines: all},
		"one cannot be kept":         {bus: &moody{takes: odd}, failing: []int{1}, unsettled: "log-0000", told: 20, kept: 19},
		"there is no outbox, but it": {bus: &moody{takes: odd}, noOutbox: true, unsettled: "log-0000", told: 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newEnds(t, memory.CallKeep, c.failing...)
				x.Bus, x.Outbox = c.bus, x.Directory.(*memory.Directory)
				if c.noOutbox {
					x.Outbox = nil
				}
				began := time.Now()
				unsettled := x.Handle(t.Context(), batch)
				if c.unsettled != "" && unsettled != "" && len(c.failing) > 0 {
					c.unsettled = unsettled // which of those that are kept beside each other is not is nobody's choice
				}
				type result struct {
					Unsettled  string
					Told, Kept int
					Slow       bool
				}
				got := result{unsettled, len(c.bus.told), len(x.Directory.(*memory.Directory).Untold()), time.Since(began) > 20*time.Second}
				if diff := cmp.Diff(result{c.unsettled, c.told, c.kept, false}, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if c.unsettled == "" {
					if diff := cmp.Diff(c.lines, x.lines(delivery.EventFailed)); diff != "" {
						t.Errorf("the journal's lines (-want +got):\n%s", diff)
					}
				}
			})
		})
	}
}

// TestTheSameEndIsKeptOnce: the stream hands a change out again, and it is one entry of the outbox.
func TestTheSameEndIsKeptOnce(t *testing.T) {
	x := newEnds(t, "")
	outbox := x.Directory.(*memory.Directory)
	x.Bus, x.Outbox = &moody{takes: func(events.Announcement) bool { return false }}, outbox
	for range 3 {
		x.Handle(t.Context(), manyEnds(5))
	}
	if got := len(outbox.Untold()); got != 5 {
		t.Errorf("%d entries of five ends", got)
	}
}

// TestABusThatTakesNothingIsLeftAlone counts how often a bus is asked that is down for a quarter of an hour,
// while a batch of ends comes each second.
func TestABusThatTakesNothingIsLeftAlone(t *testing.T) {
	now := start
	x := newEnds(t, "")
	bus := &moody{}
	bus.takes = func(events.Announcement) bool { return now.Sub(start) >= 15*time.Minute }
	x.Bus, x.Outbox, x.Now = bus, x.Directory.(*memory.Directory), func() time.Time { return now }
	for ; now.Sub(start) < 15*time.Minute; now = now.Add(time.Second) {
		x.Handle(t.Context(), manyEnds(3))
	}
	if bus.asked != 15 {
		t.Errorf("it was asked %d times in 15 minutes", bus.asked)
	}
	x.Handle(t.Context(), manyEnds(3))
	if len(bus.told) != 3 {
		t.Errorf("it is back, and was told of %d ends", len(bus.told))
	}
}

// TestABusIsAwayForThirtyHours: logs end all the time, the stream forgets what is a day old, and in the end
// the bus has heard of each, and each stands in the journal once. What else is to be told goes on.
func TestABusIsAwayForThirtyHours(t *testing.T) {
	const outage = 30 * time.Hour
	for name, hangs := range map[string]bool{"it refuses": false, "it hangs": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				away := func() bool { return time.Since(began) < outage }
				x := newEnds(t, "")
				bus := &moody{takes: func(events.Announcement) bool { return !away() }, hangs: hangs}
				store := x.Directory.(*memory.Directory)
				x.Bus, x.Outbox, x.Now = bus, store, time.Now
				audit := &heardLogs{}
				outbox := &connection.Outbox{Store: store, Logs: audit, Bus: bus, Now: time.Now, Fault: func(error) {}}
				var ended []string
				var waiting []streamed
				for n := range int((outage + 20*time.Minute) / time.Minute) {
					bus.hangs = hangs && away()
					minute := time.Now()
					if n%10 == 0 {
						c := announced("siem", fmt.Sprintf("log-%04d", n))
						ended = append(ended, c.Failed.LogID)
						waiting = append(waiting, streamed{minute, c})
						if err := store.Keep(t.Context(), directory.Outgoing{ID: c.ID, At: minute.Add(-time.Minute), Log: &events.Log{ID: c.ID}}); err != nil {
							t.Fatal(err)
						}
					}
					waiting = settle(t, x, waiting)
					ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
					_ = outbox.Sweep(ctx) // it says that the bus is away
					cancel()
					time.Sleep(time.Until(minute.Add(time.Minute)))
				}
				slices.Sort(bus.told)
				for what, got := range map[string][]string{"on the bus": slices.Compact(bus.told), "in the journal": x.lines(delivery.EventFailed), "in the audit": audit.ids} {
					if diff := cmp.Diff(ended, got); diff != "" {
						t.Errorf("%s (-want +got):\n%s", what, diff)
					}
				}
				if left := store.Untold(); len(left) > 0 || len(waiting) > 0 {
					t.Errorf("%d are still to be told, %d on the stream", len(left), len(waiting))
				}
			})
		})
	}
}

// streamed is a change and when it came on the stream.
type streamed struct {
	at time.Time
	delivery.Change
}

// settle hands the stream's changes to expire, but for those that it has forgotten, and answers those that
// must come again.
func settle(t *testing.T, x *ends, waiting []streamed) []streamed {
	t.Helper()
	waiting = slices.DeleteFunc(waiting, func(s streamed) bool { return time.Since(s.at) > 24*time.Hour })
	changes := make([]delivery.Change, len(waiting))
	for i, s := range waiting {
		changes[i] = s.Change
	}
	unsettled := x.Handle(t.Context(), changes)
	if unsettled == "" {
		return nil
	}
	return waiting[slices.IndexFunc(changes, func(c delivery.Change) bool { return c.ID == unsettled }):]
}

// heardLogs is an ingest queue, from the side of the activity audit.
type heardLogs struct{ ids []string }

func (h *heardLogs) Send(_ context.Context, l events.Log) error {
	h.ids = append(h.ids, l.ID)
	return nil
}
