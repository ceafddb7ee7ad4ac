package delivery_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/sink"
	"github.com/auditrelay/auditrelay/internal/vault"
)

// duplicates is how often each message is handled at the same time.
const duplicates = 100

// relay is the functions that take messages, over stores in memory and one HTTP destination.
type relay struct {
	deliver   *delivery.Deliver
	drain     *delivery.Drain
	expire    *delivery.Expire
	directory *memory.Directory
	cache     *memory.Cache
	retries   *memory.RetryQueue
	notices   *memory.NoticeQueue
	bus       *memory.Bus
	journal   *memory.Journal
	// begin has the duplicates meet from now on.
	begin func()

	mu     sync.Mutex
	clock  time.Time
	answer int            // of the destination
	seen   map[string]int // webhook-id → how often the destination was sent it
}

// meeting is a hook that lets nobody make one of these calls before all have come to it, so that each has seen the state before the others' writes.
func meeting(calls ...string) memory.Hook {
	var mu sync.Mutex
	came, all := make(map[string]int), make(map[string]chan struct{})
	for _, c := range calls {
		all[c] = make(chan struct{})
	}
	return func(c string) memory.Fault {
		if all[c] == nil {
			return memory.OK
		}
		mu.Lock()
		if came[c]++; came[c] == duplicates {
			close(all[c])
		}
		mu.Unlock()
		<-all[c]
		return memory.OK
	}
}

// newRelay has the duplicates meet at these calls.
func newRelay(t *testing.T, meetAt ...string) *relay {
	t.Helper()
	met := meeting(meetAt...)
	r := &relay{
		directory: &memory.Directory{}, bus: &memory.Bus{}, journal: &memory.Journal{}, clock: start, answer: http.StatusOK, seen: make(map[string]int),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen[q.Header.Get("Webhook-Id")]++
		w.WriteHeader(r.answer)
	}))
	t.Cleanup(server.Close)
	r.cache = memory.NewCache(r.now)
	r.retries = &memory.RetryQueue{Queue: memory.Queue[delivery.Hint]{Now: r.now, Visibility: time.Minute}}
	r.notices = &memory.NoticeQueue{Queue: memory.Queue[directory.Notice]{Now: r.now, Visibility: time.Minute}}
	drains := &memory.DrainQueue{Queue: memory.Queue[string]{Now: r.now, Visibility: time.Minute}}
	r.deliver = &delivery.Deliver{
		Directory: r.directory, Destinations: r.directory, Cache: r.cache, Failed: r.cache, Retries: r.retries, Rejected: &memory.RejectedQueue{},
		Sinks: &sink.Factory{
			Vault: &vault.Vault{}, Records: r.directory, Now: r.now, Network: sink.Network{AllowHTTP: true, AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		},
		Payloads: &memory.Payloads{}, Budget: &memory.Budget{}, Notices: r.notices, Drains: drains, Journal: r.journal, Now: r.now, TimeLimit: time.Minute,
		Outbox: &connection.Outbox{Store: r.directory, Bus: r.bus, Now: r.now, Fault: func(err error) { t.Error(err) }},
	}
	r.drain = &delivery.Drain{Destinations: r.directory, Backlog: r.cache, Progress: &memory.Drains{Hook: met}, Retries: r.retries, Journal: r.journal, Now: r.now}
	r.expire = &delivery.Expire{Directory: r.directory, Failed: r.cache, Bus: r.bus, Outbox: r.directory, Journal: r.journal, Now: r.now}
	if err := r.directory.PutWorkspace(t.Context(), directory.Workspace{ID: "acme", Kind: directory.Standalone}); err != nil {
		t.Fatal(err)
	}
	r.put(t, func(d *directory.Destination) {
		*d = directory.Destination{
			ID: "siem", WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Connected, Settings: fmt.Appendf(nil, `{"url":%q}`, server.URL),
			Health: directory.Health{State: directory.Healthy},
		}
	})
	r.begin = func() { r.cache.Hook, r.directory.Hook = met, met }
	return r
}

func (r *relay) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clock
}

func (r *relay) set(now time.Time, answer int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock, r.answer = now, answer
}

// put changes the destination's record.
func (r *relay) put(t *testing.T, change func(*directory.Destination)) {
	t.Helper()
	d, err := r.directory.CurrentDestination(t.Context(), "siem")
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		t.Fatal(err)
	}
	change(&d)
	if _, err := r.directory.PutDestination(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// wait puts logs into the cache, which are due now.
func (r *relay) wait(t *testing.T, n int, parked bool) (hints []delivery.Hint) {
	t.Helper()
	for i := range n {
		log, err := auditlog.Decode(message(fmt.Sprintf("log-%03d", i)))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := auditlog.Prepare(log)
		if err != nil {
			t.Fatal(err)
		}
		k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: log.ID, AcceptedAt: start.Add(time.Duration(i) * time.Millisecond)}
		d := delivery.Delivery{Key: k, Attempts: 1, NextAt: start, Code: failure.HTTPServerError, Document: doc}
		if d.Parked = parked; parked {
			d.NextAt = k.ExpiresAt()
		}
		if err := errors.Join(r.cache.Save(t.Context(), []delivery.Delivery{d})...); err != nil {
			t.Fatal(err)
		}
		hints = append(hints, delivery.Hint{Key: k, At: d.NextAt})
	}
	return hints
}

// atOnce does something a hundred times at the same time.
func atOnce(do func()) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for range duplicates {
		wg.Go(func() {
			<-begin
			do()
		})
	}
	close(begin)
	wg.Wait()
}

// retry handles a hint a hundred times at once. None may be left open.
func (r *relay) retry(t *testing.T, h delivery.Hint) {
	t.Helper()
	r.begin()
	atOnce(func() {
		if open := r.deliver.Retry(t.Context(), []delivery.HintMessage{{ID: "m", Hint: h}}); len(open) > 0 {
			t.Errorf("%v must come again", open)
		}
	})
}

// accept handles one message of the ingest queue a hundred times at once.
func (r *relay) accept(t *testing.T) {
	t.Helper()
	r.begin()
	atOnce(func() {
		m := delivery.Message{ID: "m", Body: message("log-000"), SentAt: start, Receives: 2}
		if open := r.deliver.Accept(t.Context(), []delivery.Message{m}); len(open) > 0 {
			t.Errorf("%v must come again", open)
		}
	})
}

// check holds what must be true after any race: the destination was sent one id only, at least as often as said; so much is cached, and so much is a
// failed event; and the bus was told this of the destination's health.
func (r *relay) check(t *testing.T, sent, cached, failed int, bus ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) > 1 || sent > 0 && len(r.seen) == 0 {
		t.Errorf("the destination was sent %v, want one webhook-id", r.seen)
	}
	for id, n := range r.seen {
		if n < sent || sent == 0 {
			t.Errorf("%s was sent %d times, want at least %d", id, n, sent)
		}
	}
	if r.cache.Len() != cached || len(r.cache.FailedEvents()) != failed {
		t.Errorf("%d are cached and %d failed events recorded, want %d and %d", r.cache.Len(), len(r.cache.FailedEvents()), cached, failed)
	}
	var told []string
	for _, a := range r.bus.All() {
		told = append(told, a.DetailType)
	}
	if diff := cmp.Diff(bus, told); diff != "" {
		t.Errorf("the bus was told (-want +got):\n%s", diff)
	}
}

func TestAHundredIngestMessages(t *testing.T) {
	t.Run("delivered", func(t *testing.T) {
		r := newRelay(t, memory.CallLoad)
		r.accept(t)
		r.check(t, duplicates, 0, 0)
	})
	t.Run("refused, then delivered", func(t *testing.T) {
		r := newRelay(t, memory.CallSave, memory.CallPutDestination)
		r.set(start, http.StatusUnauthorized)
		r.accept(t)
		r.check(t, 1, 1, 0, events.DestinationFailing)
		if n := r.notices.Queue.Len(); n != 1 {
			t.Errorf("%d notices of one failure", n)
		}
		waiting := r.cache.All()[0]
		r.set(waiting.NextAt, http.StatusOK)
		r.retry(t, delivery.Hint{Key: waiting.Key, At: waiting.NextAt})
		r.check(t, 2, 0, 0, events.DestinationFailing, events.DestinationRecovered)
	})
	t.Run("while it is disconnected", func(t *testing.T) {
		r := newRelay(t, memory.CallSave)
		r.put(t, func(d *directory.Destination) { d.State = directory.Disconnected })
		r.accept(t)
		r.check(t, 0, 1, 0)
	})
}

func TestAHundredHints(t *testing.T) {
	t.Run("delivered", func(t *testing.T) {
		r := newRelay(t, memory.CallRemove)
		r.retry(t, r.wait(t, 1, false)[0])
		r.check(t, duplicates, 0, 0)
	})
	t.Run("refused again", func(t *testing.T) {
		r := newRelay(t, memory.CallSave, memory.CallPutDestination)
		r.set(start, http.StatusUnauthorized)
		hint := r.wait(t, 1, false)[0]
		revision := r.cache.All()[0].Revision
		r.retry(t, hint)
		r.check(t, 1, 1, 0, events.DestinationFailing)
		if d := r.cache.All()[0]; d.Attempts != 2 || d.Revision != revision+1 || !d.NextAt.After(start) {
			t.Errorf("after one retry it is %d attempts, revision %d, next at %v", d.Attempts, d.Revision, d.NextAt)
		}
	})
	t.Run("given up", func(t *testing.T) {
		r := newRelay(t, memory.CallGiveUp)
		hint := r.wait(t, 1, true)[0]
		r.set(hint.ExpiresAt(), http.StatusOK)
		r.retry(t, hint)
		r.check(t, 0, 0, 1)
	})
	t.Run("of a drain", func(t *testing.T) {
		r := newRelay(t, memory.CallRemove)
		hint := r.wait(t, 1, true)[0]
		hint.Drain = true
		r.retry(t, hint)
		r.check(t, duplicates, 0, 0)
	})
}

// TestAHundredCallsForAPage asks for a page of a drain a hundred times at once: it is sent once, each log in it once.
func TestAHundredCallsForAPage(t *testing.T) {
	r := newRelay(t, memory.CallSaveDrainState)
	r.wait(t, 250, true)
	r.put(t, func(d *directory.Destination) { d.Draining, d.OpenedAt = true, start })
	atOnce(func() {
		if err := r.drain.Page(t.Context(), "siem"); err != nil {
			t.Error(err)
		}
	})
	r.set(start.Add(30*time.Second), http.StatusOK) // a page is on its way for some seconds
	var ids []string
	for _, m := range r.retries.Queue.Receive(1000) {
		ids = append(ids, m.Body.LogID)
	}
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf("log-%03d", i))
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("the page (-want +got):\n%s", diff)
	}
	if r.cache.Len() != 250 {
		t.Errorf("%d of 250 logs are left in the cache", r.cache.Len())
	}
}

// TestAHundredStreamRecords follows a hundred copies of the record of a delivery that TTL removed, and then of its failed event: there is one failed
// event, and all that the bus hears is about it.
func TestAHundredStreamRecords(t *testing.T) {
	r := newRelay(t, memory.CallRecord)
	r.wait(t, 1, true)
	expired := r.cache.All()[0]
	if err := errors.Join(r.cache.Remove(t.Context(), []delivery.Key{expired.Key})...); err != nil {
		t.Fatal(err)
	}
	r.set(expired.ExpiresAt().Add(day), http.StatusOK)
	handle := func(c delivery.Change) {
		atOnce(func() {
			if open := r.expire.Handle(t.Context(), []delivery.Change{c}); open != "" {
				t.Error("the record must come again")
			}
		})
	}
	r.begin()
	handle(delivery.Change{ID: "1", Expired: &expired})
	changes := r.cache.Changes(duplicates)
	if len(changes) != 1 || len(r.cache.FailedEvents()) != 1 {
		t.Fatalf("%d failed events, %d records of them; want one each", len(r.cache.FailedEvents()), len(changes))
	}
	handle(delivery.Change{ID: "2", Failed: changes[0].Failed})
	first := r.bus.All()[0]
	for _, a := range r.bus.All() {
		if diff := cmp.Diff(first, a); diff != "" {
			t.Errorf("two events about one log differ (-first +other):\n%s", diff)
		}
	}
	if l := r.journal.Ledger(); l.Failed != 1 {
		t.Errorf("the ledger counts %d failed events", l.Failed)
	}
}
