package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Attention lists the destinations that need it.
type Attention interface {
	// Attention gives every destination that needs it, see directory.Destination.NeedsAttention. It may miss the last seconds' changes.
	Attention(ctx context.Context) iter.Seq2[directory.Destination, error]
}

const (
	// backstop is how long after the end of a grace the watch does what the timer should have done.
	backstop = 2 * time.Minute
	// visitLimit is how long a duty may take for one destination. It is less than what is left of a run when its budget is used up.
	visitLimit = 10 * time.Second
)

// Watch looks every minute at the destinations that need attention. It works from their records alone, so whatever was lost, a timer, a notice
// or a page of a drain, is made up for in the next minute. It is safe for concurrent use.
type Watch struct {
	Attention Attention
	// Destinations stores that admins were warned.
	Destinations DestinationStore
	Backlog      Backlog
	Retries      RetryQueue
	Notices      Notices
	Drains       DrainQueue
	// Sweep tells of changes whose teller failed or died.
	Sweep func(ctx context.Context) error
	// EndGrace disables or removes a destination whose eight hours are over, if its record is still in that disconnect or deletion.
	EndGrace func(ctx context.Context, d directory.Destination) error
	Now      func() time.Time
	// Progress, if set, keeps how far the turns of parked logs have come; without it they have none.
	Progress TurnProgress
	// Journal, if set, is told the oldest log that waits for each destination, every quarter of an hour.
	Journal Journal
	// AtOnce is how many destinations each duty looks at beside each other, at least one; if it is one, the duties go one after the other too, so that
	// a run can be repeated. Budget is how long a run may begin with further destinations. Those that it did not reach come first in the next run.
	AtOnce int
	Budget time.Duration

	// What follows is lost with the process, which does no harm.
	mu       sync.Mutex
	searches map[string]search         // by the identity of a failing destination
	looked   map[look]time.Time        // when what is not done every minute was last done
	behind   map[string]map[string]int // by duty, the destinations that its last run did not reach, by their places in its list
}

// look is one duty's look at one destination.
type look struct{ duty, identity string }

// duty is one thing that the watch does for destinations. Each has its own list and its own places, so that a service that hangs holds up the duties
// that need it and no others.
type duty struct {
	name string
	// due says whether there is something to do for a destination.
	due func(d *directory.Destination, now time.Time) bool
	do  func(ctx context.Context, d directory.Destination, now time.Time) error
}

func (w *Watch) duties() []duty {
	return []duty{
		{"drain", func(d *directory.Destination, _ time.Time) bool { return d.Takes() && (d.Draining || d.LastLook) },
			func(ctx context.Context, d directory.Destination, _ time.Time) error {
				return w.Drains.Start(ctx, d.ID)
			}},
		{"probe", func(d *directory.Destination, now time.Time) bool { return fails(d) && !now.Before(d.Health.Until) }, w.probe},
		{"probe a pause", func(d *directory.Destination, now time.Time) bool {
			return fails(d) && now.Before(d.Health.Until) && probed(d.Health, now) > 0 && w.another("probe a pause", d.Identity(), askedAt(d.Health), probeEvery, now)
		}, w.probePause},
		{"turns", func(d *directory.Destination, now time.Time) bool {
			return w.Progress != nil && fails(d) && !now.Before(d.Health.Until) && w.since("turns", d.Identity(), now) >= turnLook-clockSkew
		}, w.turns},
		{"end grace", func(d *directory.Destination, now time.Time) bool {
			return d.InGrace() && !now.Before(d.GraceEnds().Add(backstop))
		}, func(ctx context.Context, d directory.Destination, _ time.Time) error {
			return w.EndGrace(ctx, d)
		}},
		{"tell", func(d *directory.Destination, now time.Time) bool {
			return fails(d) && w.another("tell", d.Identity(), d.Health.Since, telling, now)
		}, w.tell},
		{"warn", w.toWarn, w.warn},
		{"measure", w.toMeasure, w.measure},
	}
}

func fails(d *directory.Destination) bool {
	return d.State == directory.Connected && d.Health.State == directory.Failing
}

// Run does one round. Neither one destination's trouble nor that of a service which a duty needs keeps the others from being looked at.
func (w *Watch) Run(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, w.Budget)
	defer cancel()
	list, err := w.list(bounded)
	works := []func() error{func() error { return w.Sweep(bounded) }}
	for _, y := range w.duties() {
		if due := w.inTurn(y, list); len(due) > 0 {
			works = append(works, func() error { return w.attend(ctx, bounded, y, due) })
		}
	}
	errs := w.beside(works)
	if err == nil {
		w.forget(list)
	}
	return errors.Join(append(errs, err)...)
}

// beside does works at the same time, or one after the other if that is what AtOnce wants.
func (w *Watch) beside(works []func() error) []error {
	errs := make([]error, len(works))
	var wg sync.WaitGroup
	for i, do := range works {
		if w.AtOnce <= 1 {
			errs[i] = do()
			continue
		}
		wg.Go(func() { errs[i] = do() })
	}
	wg.Wait()
	return errs
}

// attend does one duty for destinations, as long as bounded lasts.
func (w *Watch) attend(ctx, bounded context.Context, y duty, due []*directory.Destination) error {
	errs := make([]error, len(due))
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(1, w.AtOnce))
	reached := 0
	for ; reached < len(due) && take(bounded, slots); reached++ {
		i := reached
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = w.visit(ctx, y, *due[i])
		})
	}
	wg.Wait()
	if reached < len(due) {
		w.leave(y, due[reached:])
		errs = append(errs, fmt.Errorf("%d of %d destinations that need attention were looked at in %v; the others come first in the next run",
			reached, len(due), w.Budget))
	}
	return errors.Join(errs...)
}

// leave notes which destinations a duty did not reach.
func (w *Watch) leave(y duty, due []*directory.Destination) {
	behind := make(map[string]int, len(due))
	for place, d := range due {
		behind[d.ID] = place
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.behind == nil {
		w.behind = make(map[string]map[string]int)
	}
	w.behind[y.name] = behind
}

// take waits for a slot, and says whether it got one before ctx ended.
func take(ctx context.Context, slots chan<- struct{}) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// list gives the destinations that need attention. Their settings are left out but for those with a rate: there may be tens of thousands.
func (w *Watch) list(ctx context.Context) ([]directory.Destination, error) {
	var list []directory.Destination
	for d, err := range w.Attention.Attention(ctx) {
		if err != nil {
			return list, err
		}
		if d.Rate() == 0 {
			d.Settings = nil
		}
		list = append(list, d)
	}
	return list, nil
}

// inTurn are the destinations for which a duty is due, those first that its last run did not reach.
func (w *Watch) inTurn(y duty, list []directory.Destination) []*directory.Destination {
	w.mu.Lock()
	behind := w.behind[y.name]
	delete(w.behind, y.name)
	w.mu.Unlock()
	now := w.Now()
	var first, rest []*directory.Destination
	for i := range list {
		d := &list[i]
		if !y.due(d, now) {
			continue
		}
		if _, ok := behind[d.ID]; ok {
			first = append(first, d)
		} else {
			rest = append(rest, d)
		}
	}
	slices.SortFunc(first, func(a, b *directory.Destination) int { return cmp.Compare(behind[a.ID], behind[b.ID]) })
	return append(first, rest...)
}

// forget drops what is known of destinations that need no attention any more.
func (w *Watch) forget(list []directory.Destination) {
	w.mu.Lock()
	defer w.mu.Unlock()
	listed := make(map[string]bool, len(list))
	for _, d := range list {
		listed[d.Identity()] = true
	}
	maps.DeleteFunc(w.searches, func(id string, _ search) bool { return !listed[id] })
	maps.DeleteFunc(w.looked, func(l look, _ time.Time) bool { return !listed[l.identity] })
}

// visit does a duty for one destination. A bug that panics here costs this destination its turn, not its neighbours.
func (w *Watch) visit(ctx context.Context, y duty, d directory.Destination) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = aboutDestination(d, fmt.Errorf("destination %s: panic: %v", d.ID, p))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, visitLimit)
	defer cancel()
	now := w.Now()
	if err := y.do(ctx, d, now); err != nil {
		return aboutDestination(d, fmt.Errorf("destination %s: %w", d.ID, err))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.looked == nil {
		w.looked = make(map[look]time.Time)
	}
	w.looked[look{y.name, d.Identity()}] = now
	return nil
}

// since is how long ago the duty last looked at a destination; very long if it never did.
func (w *Watch) since(duty, identity string, now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return now.Sub(w.looked[look{duty, identity}])
}

// another says whether another hour, or whatever span it is, of a destination's state has begun since the duty's last look: so a run that comes late, or
// not at all, or does not reach the destination, puts it off and does not leave it out. Without a last look it has.
func (w *Watch) another(duty, identity string, since time.Time, span time.Duration, now time.Time) bool {
	w.mu.Lock()
	last, ok := w.looked[look{duty, identity}]
	w.mu.Unlock()
	return !ok || last.Before(since) || now.Sub(since)/span > last.Sub(since)/span
}
