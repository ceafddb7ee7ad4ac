package sink

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

const (
	// mostSinks is how many sinks are kept, and mostKept how many bytes they take together, connections aside.
	mostSinks = 10_000
	mostKept  = 80 << 20
	// sinkBytes is what a sink takes besides its settings and credentials, which it holds in up to sinkForms forms.
	sinkBytes = 6 << 10
	sinkForms = 3
	// mostIdle is for how long a sink is kept that nobody asks for. What it holds is worth nothing after that: sessions and tokens live for an hour.
	mostIdle = time.Hour
	// mostConnections is from how many open connections on idle ones are closed, those of the sinks first that were asked for least recently, until half
	// are left. A Lambda function may have 1,024 file descriptors, and one batch of 100 logs opens up to 100.
	mostConnections = 500
)

// Factory makes sinks and keeps them, with their connections and sessions, until the destination is changed or made
// again, nobody asks for them for an hour, or too many others were asked for since. A sink that is dropped while logs are being sent with it sends them to the end. It implements delivery.Sinks and
// is safe for concurrent use.
type Factory struct {
	Vault Vault
	// Records is asked for a destination whose credentials were refused: they may have been changed since it was read.
	Records Records
	Network Network
	// Account is for destinations with a role; without one they fail.
	Account Account
	// Room bounds the memory of requests under way; nil for no bound.
	Room *Room
	Now  func() time.Time

	mu    sync.Mutex
	sinks *simplelru.LRU[string, *kept] // by destination
	bytes int                           // of all that are kept
	// open counts the connections of all sinks, dropped ones included.
	open atomic.Int64
}

// kept is a sink, and when it was last asked for.
type kept struct {
	sink  *renewing
	asked time.Time
	bytes int
}

// Sink gives the destination's sink. The error is a *failure.Error if the settings or the credentials cannot work; any
// other says that the credentials cannot be had now.
func (f *Factory) Sink(ctx context.Context, d directory.Destination) (delivery.Sink, error) {
	now := f.Now()
	if s := f.find(d, now); s != nil {
		return s, nil
	}
	s, err := newRenewing(ctx, f, d)
	if err != nil {
		return nil, err
	}
	f.keep(d, s, now)
	return s, nil
}

// find gives the sink that is kept for this very record and version, or nil. It drops what nobody has asked for.
func (f *Factory) find(d directory.Destination, now time.Time) *renewing {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sinks == nil {
		f.sinks = f.newKept()
	}
	k, ok := f.sinks.Get(d.ID)
	if ok {
		k.asked = now
	}
	for _, oldest, more := f.sinks.GetOldest(); more && now.Sub(oldest.asked) >= mostIdle; _, oldest, more = f.sinks.GetOldest() {
		f.sinks.RemoveOldest()
	}
	f.closeIdle()
	if !ok || !k.sink.serves(d) {
		return nil
	}
	return k.sink
}

// keep puts a sink in the place of one that another call may have made meanwhile.
func (f *Factory) keep(d directory.Destination, s *renewing, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sinks.Remove(d.ID)
	k := &kept{sink: s, asked: now, bytes: sinkBytes + sinkForms*(len(d.Settings)+len(d.Credentials))}
	for f.bytes+k.bytes > mostKept {
		f.sinks.RemoveOldest()
	}
	f.bytes += k.bytes
	f.sinks.Add(d.ID, k)
}

func (f *Factory) newKept() *simplelru.LRU[string, *kept] {
	sinks, err := simplelru.NewLRU(mostSinks, func(_ string, k *kept) {
		f.bytes -= k.bytes
		k.sink.retire()
	})
	if err != nil {
		panic("sink: " + err.Error()) // the size is a constant
	}
	return sinks
}

// closeIdle closes idle connections when too many are open.
func (f *Factory) closeIdle() {
	if f.open.Load() < mostConnections {
		return
	}
	for _, k := range f.sinks.Values() { // the one asked for least recently first
		if f.open.Load() <= mostConnections/2 {
			return
		}
		k.sink.closeIdle()
	}
}
