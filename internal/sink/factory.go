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
	// mostSinks is how many sinks are kept: of 4 to 8 KB each without its connections, 80 MB at most.
	mostSinks = 10_000
	// mostIdle is for how long a sink is kept that nobody asks for. What it holds is worth nothing after that: sessions and tokens live for an hour.
	mostIdle = time.Hour
	// mostConnections is from how many open connections on idle ones are closed, those of the sinks first that were asked for least recently, until half
	// are left. A Lambda function may have 1,024 file descriptors, and one batch of 100 logs opens up to 100.
	mostConnections = 500
)

// Factory makes sinks and keeps them, with their connections and sessions, until the destination's settings change, nobody asks for them for an hour, or
// too many others were asked for since. A sink that is dropped while logs are being sent with it sends them to the end. It implements delivery.Sinks and
// is safe for concurrent use.
type Factory struct {
	Secrets Secrets
	Network Network
	// Account is for destinations with a role; without one they fail.
	Account Account
	// Room bounds the memory of requests under way; nil for no bound.
	Room *Room
	Now  func() time.Time

	mu    sync.Mutex
	sinks *simplelru.LRU[string, *kept] // by destination
	// open counts the connections of all sinks, dropped ones included.
	open atomic.Int64
}

// kept is a sink, what it was made for, and when it was last asked for.
type kept struct {
	version int
	sink    *renewing
	asked   time.Time
}

// Sink gives the destination's sink. The error is a *failure.Error: the settings or the credentials cannot work.
func (f *Factory) Sink(ctx context.Context, d directory.Destination) (delivery.Sink, error) {
	now := f.Now()
	s, changed := f.find(d, now)
	if s != nil {
		return s, nil
	}
	env := environment{network: f.Network, account: f.Account, now: f.Now, open: &f.open, room: f.Room, owner: d.WorkspaceID}
	s, err := newRenewing(ctx, f.Secrets, d, env, changed)
	if err != nil {
		return nil, err
	}
	f.keep(d, s, now)
	return s, nil
}

// find gives the sink that is kept, if it was made for this version of the destination, and says whether one is that was made for another. It drops
// what nobody has asked for.
func (f *Factory) find(d directory.Destination, now time.Time) (s *renewing, changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sinks == nil {
		f.sinks = newKept()
	}
	k, ok := f.sinks.Get(d.ID)
	if ok {
		k.asked = now
	}
	for _, oldest, more := f.sinks.GetOldest(); more && now.Sub(oldest.asked) >= mostIdle; _, oldest, more = f.sinks.GetOldest() {
		f.sinks.RemoveOldest()
	}
	f.closeIdle()
	if !ok || k.version != d.Version {
		return nil, ok
	}
	return k.sink, false
}

// keep puts a sink in the place of one that another call may have made meanwhile.
func (f *Factory) keep(d directory.Destination, s *renewing, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sinks.Remove(d.ID)
	f.sinks.Add(d.ID, &kept{version: d.Version, sink: s, asked: now})
}

func newKept() *simplelru.LRU[string, *kept] {
	sinks, err := simplelru.NewLRU(mostSinks, func(_ string, k *kept) { k.sink.retire() })
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
