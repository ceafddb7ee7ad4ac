package delivery_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// ends is expire over stores in memory, in which the calls of one kind with those numbers, counted from 1, fail without effect.
type ends struct {
	delivery.Expire
	cache   *memory.Cache
	bus     *memory.Bus
	journal *memory.Journal
	mu      sync.Mutex
	calls   map[string]int
}

func newEnds(t *testing.T, failing string, numbers ...int) *ends {
	t.Helper()
	now := func() time.Time { return start.Add(delivery.Lifetime) }
	x := &ends{cache: memory.NewCache(now), journal: &memory.Journal{}, calls: make(map[string]int)}
	hook := func(call string) memory.Fault {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.calls[call]++; call == failing && slices.Contains(numbers, x.calls[call]) {
			return memory.FailBefore
		}
		return memory.OK
	}
	d := &memory.Directory{}
	if err := d.PutWorkspace(t.Context(), directory.Workspace{ID: "acme", Kind: directory.Standalone}); err != nil {
		t.Fatal(err)
	}
	for id, kind := range map[string]directory.Kind{"siem": directory.HTTP, "archive": directory.S3} {
		if _, err := d.PutDestination(t.Context(), directory.Destination{ID: id, WorkspaceID: "acme", Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	x.bus = &memory.Bus{Hook: hook}
	x.cache.Hook, d.Hook = hook, hook
	x.Expire = delivery.Expire{Directory: d, Failed: x.cache, Bus: x.bus, Journal: x.journal, Now: now}
	return x
}

// told is what the bus has heard of and in which kind, and what stands in the journal.
func (x *ends) told() (bus, journal []string) {
	for _, a := range x.bus.All() {
		d, ok := a.Detail.(events.LogDeliveryFailedDetail)
		if !ok {
			continue
		}
		bus = append(bus, d.LogID+" "+d.Kind)
	}
	for _, e := range x.journal.Entries() {
		journal = append(journal, string(e.Event)+" "+e.LogID)
	}
	return bus, journal
}

func endOf(destination, log string) delivery.Key {
	return delivery.Key{DestinationID: destination, WorkspaceID: "acme", LogID: log, AcceptedAt: start}
}

func announced(destination, log string) delivery.Change {
	return delivery.Change{ID: log, Failed: &delivery.FailedEvent{Key: endOf(destination, log), FailedAt: start.Add(delivery.Lifetime)}}
}

func removed(destination, log string) delivery.Change {
	return delivery.Change{ID: log, Expired: &delivery.Delivery{Key: endOf(destination, log)}}
}

func TestExpireSettlesWhatItCan(t *testing.T) {
	stream := []delivery.Change{
		announced("siem", "a"), removed("siem", "b"), announced("gone", "c"), removed("siem", "d"), announced("archive", "e"),
	}
	all := []string{"delivery.failed a", "delivery.failed c", "delivery.failed e"}
	for name, test := range map[string]struct {
		failing   string
		numbers   []int
		unsettled string
		bus       []string
		journal   []string
		recorded  []string
	}{
		"everything": {bus: []string{"a http", "c ", "e s3"}, journal: all, recorded: []string{"b", "d"}},
		"the bus refuses the first": {
			memory.CallPublish, []int{1}, "a", []string{"c ", "e s3"}, []string{"relay.fault a"}, []string{"b", "d"},
		},
		"the bus refuses the last": {
			memory.CallPublish, []int{3}, "e", []string{"a http", "c "}, append(all[:2:2], "relay.fault e"), []string{"b", "d"},
		},
		"a failed event is not recorded": {
			memory.CallRecord, []int{1}, "b", []string{"a http", "c ", "e s3"}, append(all[:1:1], "relay.fault b"), []string{"d"},
		},
		"the directory does not answer": {
			failing: memory.CallDestination, numbers: []int{1, 2, 3}, bus: []string{"a ", "c ", "e "}, journal: all, recorded: []string{"b", "d"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newEnds(t, test.failing, test.numbers...)
			if got := x.Handle(t.Context(), stream); got != test.unsettled {
				t.Errorf("unsettled is %q, want %q", got, test.unsettled)
			}
			bus, journal := x.told()
			var recorded []string
			for _, e := range x.cache.FailedEvents() {
				recorded = append(recorded, e.LogID)
			}
			for what, pair := range map[string][2][]string{
				"on the bus": {test.bus, bus}, "in the journal": {test.journal, journal}, "recorded": {test.recorded, recorded},
			} {
				if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
		})
	}
}

// TestALineStandsOnceForEachEnd has the bus refuse an event in the middle, and the stream hand out the rest again.
func TestALineStandsOnceForEachEnd(t *testing.T) {
	var stream []delivery.Change
	var want []string
	for i := range 30 {
		c := announced("siem", fmt.Sprintf("log-%02d", i))
		stream, want = append(stream, c), append(want, c.ID)
	}
	x := newEnds(t, memory.CallPublish, 12, 40)
	for left := stream; len(left) > 0; {
		unsettled := x.Handle(t.Context(), left)
		left = left[max(0, slices.IndexFunc(left, func(c delivery.Change) bool { return c.ID == unsettled })):]
		if unsettled == "" {
			break
		}
	}
	var lines []string
	for _, e := range x.journal.Entries() {
		if e.Event == delivery.EventFailed {
			lines = append(lines, e.LogID)
		}
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("the journal's lines (-want +got):\n%s", diff)
	}
}

// TestADestinationIsLookedUpOnce counts the lookups for a batch of the week's end of two destinations and one that was deleted.
func TestADestinationIsLookedUpOnce(t *testing.T) {
	x := newEnds(t, "")
	var stream []delivery.Change
	for i := range 300 {
		stream = append(stream, announced([]string{"siem", "archive", "gone"}[i%3], fmt.Sprint("log-", i)))
	}
	if got := x.Handle(t.Context(), stream); got != "" {
		t.Errorf("unsettled is %q", got)
	}
	if got := x.calls[memory.CallDestination]; got != 3 {
		t.Errorf("%d lookups of 3 destinations", got)
	}
}
