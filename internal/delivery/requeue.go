package delivery

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"slices"
	"sync"
	"time"
)

// DueShards is how many partitions the due index is spread over. A delivery belongs to the one that its key hashes to.
const DueShards = 32

// DueShard is the due index's partition of a key.
func (k Key) DueShard() int {
	h := fnv.New32a()
	for _, s := range []string{k.DestinationID, k.WorkspaceID, k.LogID} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return int(h.Sum32() % DueShards)
}

const (
	// lookAhead is how far before their time requeue hands deliveries to the retry queue. It is a minute less than the queue's longest delay:
	// a delivery that waits longer than a ride is then first looked for a minute after it was written, however late the index shows it.
	lookAhead = rideLimit - time.Minute
	// overdue is how long past its time a delivery must be for its hint to count as lost, and how often such are looked for.
	overdue = 15 * time.Minute
)

// Index finds deliveries by the time of their next attempt. It may show a write a little late.
type Index interface {
	// Due gives the hints of one shard with after < At ≤ until, earliest first, in pages. Those that ride on the queue already are left out
	// unless riding is true.
	Due(ctx context.Context, shard int, after, until time.Time, riding bool) iter.Seq2[[]Hint, error]
	// Progress is what the last run of Requeue saved; the zero value if there was none.
	Progress(ctx context.Context) (Progress, error)
	// SaveProgress replaces it.
	SaveProgress(ctx context.Context, p Progress) error
}

// Progress is how far requeue has come. Keeping it here, and not on each delivery, saves a write per retry.
type Progress struct {
	// Through is, for each shard, the time up to which due deliveries were handed to the retry queue.
	Through [DueShards]time.Time
	// Swept is when the last look for lost hints began, and SweptThrough, for each shard, the time up to which it has come.
	Swept        time.Time
	SweptThrough [DueShards]time.Time
}

// sweepUntil is up to when the sweep at hand looks for deliveries that are overdue.
func (p Progress) sweepUntil() time.Time { return p.Swept.Add(-overdue) }

// sweeping says whether the sweep at hand has shards left.
func (p Progress) sweeping() bool {
	return slices.ContainsFunc(p.SweptThrough[:], func(t time.Time) bool { return t.Before(p.sweepUntil()) })
}

// Requeue hands deliveries to the retry queue shortly before they are due, and finds those whose hint was lost.
type Requeue struct {
	Index   Index
	Retries RetryQueue
	Now     func() time.Time
	// Budget is how long a run may take. What it does not reach is the next run's.
	Budget time.Duration
}

// NextLook says when a run next has something to do, given the earliest time of a delivery that waits in the index and of one that rides on the
// queue (zero if there is none): the runs before it would find nothing. It is zero when there is no delivery at all.
func NextLook(waiting, riding time.Time) time.Time {
	var next time.Time
	if !waiting.IsZero() {
		next = waiting.Add(-lookAhead)
	}
	if lost := riding.Add(overdue); !riding.IsZero() && (next.IsZero() || lost.Before(next)) {
		next = lost
	}
	return next
}

// Run does one round. Run twice, or twice at once, it sends some hints twice, which does no harm. When it fails or dies midway, the next run
// starts where the saved progress ends.
func (r *Requeue) Run(ctx context.Context) error {
	progress, err := r.Index.Progress(ctx)
	if err != nil {
		return fmt.Errorf("read the progress of the last run: %w", err)
	}
	whole, cancel := context.WithTimeout(ctx, r.Budget)
	defer cancel()
	part, cancel := context.WithTimeout(ctx, r.Budget*handingShare/100) // so that the sweep has its time, however much is due
	defer cancel()
	now := r.Now()
	errs := r.each(func(shard int) (err error) {
		progress.Through[shard], err = r.pass(part, shard, progress.Through[shard], now.Add(lookAhead), false)
		return err
	})
	errs = errors.Join(errs, r.sweep(whole, &progress, now))
	if err := r.Index.SaveProgress(ctx, progress); err != nil {
		errs = errors.Join(errs, fmt.Errorf("save the progress: %w", err))
	}
	return errs
}

// handingShare is how much of a run's time handing over what comes due may take, in percent.
const handingShare = 70

// sweep goes on with the look for lost hints where the last run left it, shard by shard, or begins another when its time has come.
func (r *Requeue) sweep(ctx context.Context, p *Progress, now time.Time) error {
	if !p.sweeping() {
		if now.Sub(p.Swept) < overdue {
			return nil
		}
		p.Swept, p.SweptThrough = now, [DueShards]time.Time{}
	}
	until := p.sweepUntil()
	return r.each(func(shard int) (err error) {
		p.SweptThrough[shard], err = r.pass(ctx, shard, p.SweptThrough[shard], until, true)
		return err
	})
}

// pass sends the hints of one shard in (after, until] and answers how far it came: until, or less if the queue or the index does not answer. It leaves
// behind single hints that the queue refuses beside others that it takes: the next sweep finds their deliveries.
func (r *Requeue) pass(ctx context.Context, shard int, after, until time.Time, riding bool) (time.Time, error) {
	var refused error
	for hints, err := range r.Index.Due(ctx, shard, after, until, riding) {
		if err != nil {
			return after, errors.Join(refused, fmt.Errorf("read due shard %d: %w", shard, err))
		}
		errs := r.offer(ctx, hints)
		if err := unsent(errs); err != nil {
			first := slices.IndexFunc(errs, isError)
			refused = errors.Join(refused, about(hints[first].Key, fmt.Errorf("due shard %d: %w", shard, err)))
			if !slices.Contains(errs, nil) || ctx.Err() != nil {
				return latest(after, justBefore(hints[first])), refused
			}
		}
		if len(hints) > 0 {
			after = justBefore(hints[len(hints)-1])
		}
	}
	return latest(after, until), refused
}

// justBefore is the time after which a hint comes, with others of its millisecond.
func justBefore(h Hint) time.Time { return h.At.Add(-time.Millisecond) }

// offer sends hints, and those again that were refused, unless all of several were: then the queue is in trouble, not they.
func (r *Requeue) offer(ctx context.Context, hints []Hint) []error {
	now := r.Now()
	rides := make([]Ride, len(hints))
	for i, h := range hints {
		rides[i] = ride(h, now)
	}
	errs := r.Retries.Send(ctx, rides)
	var again []Ride
	var places []int
	for i, err := range errs {
		if err != nil {
			again, places = append(again, rides[i]), append(places, i)
		}
	}
	if len(again) == 0 || len(again) == len(rides) && len(rides) > 1 || ctx.Err() != nil {
		return errs
	}
	for i, err := range r.Retries.Send(ctx, again) {
		errs[places[i]] = err
	}
	return errs
}

func isError(err error) bool { return err != nil }

// unsent makes one error of those that the queue answered for hints, nil if it took all.
func unsent(errs []error) error {
	first := slices.IndexFunc(errs, isError)
	if first < 0 {
		return nil
	}
	n := 0
	for _, err := range errs {
		if err != nil {
			n++
		}
	}
	return fmt.Errorf("%d of %d hints were not sent, the first: %w", n, len(errs), errs[first])
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// shardsAtOnce bounds how many shards are read at the same time.
const shardsAtOnce = 8

func (r *Requeue) each(do func(shard int) error) error {
	var wg sync.WaitGroup
	var errs [DueShards]error
	for first := range shardsAtOnce {
		wg.Go(func() {
			for shard := first; shard < DueShards; shard += shardsAtOnce {
				errs[shard] = do(shard)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}
