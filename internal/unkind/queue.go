package unkind

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"
)

// queue is an SQS standard queue: at least once, in no certain order. It is safe for concurrent use.
type queue[T any] struct {
	world *World
	name  string
	// visibility is how long a message stays hidden that was handed out; receives is how often it may be before it is dead.
	visibility time.Duration
	receives   int

	mu      sync.Mutex
	used    map[chance]bool // of ids
	waiting []*message[T]
	dead    []*message[T]
	wake    chan struct{}
}

// message is one copy of a message. Copies have one id and are settled each by itself.
type message[T any] struct {
	id, about string
	body      T
	sentAt    time.Time
	receives  int
	visibleAt time.Time
	copyOf    int
}

func newQueue[T any](w *World, name string, visibility time.Duration, receives int) *queue[T] {
	return &queue[T]{world: w, name: name, visibility: visibility, receives: receives, used: make(map[chance]bool), wake: make(chan struct{}, 1)}
}

// send puts a message on the queue, hidden for delay. What it is about names it.
func (q *queue[T]) send(about string, body T, delay time.Duration) {
	q.put(about, body, time.Now().UTC(), delay)
}

// put is send of a message that was sent at another time: it has waited since then.
func (q *queue[T]) put(about string, body T, sentAt time.Time, delay time.Duration) {
	w := q.world
	q.mu.Lock()
	defer q.mu.Unlock()
	draw := w.chance.sub(q.name, int(time.Since(w.start))).sub(about, 0)
	for q.used[draw] {
		draw = draw.sub("another", 0)
	}
	q.used[draw] = true
	id := q.name + "-" + strconv.FormatUint(uint64(draw), 36)
	copies := 1
	if w.unkind(Duplicate) && draw.sub("copy", 0).hits(copyShare) {
		copies = 2
	}
	for i := range copies {
		late := delay
		if w.unkind(Reorder) && draw.sub("late", i).hits(0.3) {
			late += draw.sub("how late", i).between(0, reorderMost)
		}
		if i > 0 {
			late += draw.sub("copy late", i).between(0, 2*time.Minute)
		}
		q.waiting = append(q.waiting, &message[T]{id: id, about: about, body: body, sentAt: sentAt, visibleAt: time.Now().Add(late), copyOf: i})
	}
	q.ring()
}

func (q *queue[T]) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next is when a message becomes visible, false if there is none.
func (q *queue[T]) next() (at time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.waiting {
		if !ok || m.visibleAt.Before(at) {
			at, ok = m.visibleAt, true
		}
	}
	return at, ok
}

// receive hands out up to limit visible messages. One that was handed out too often is moved to the dead ones.
func (q *queue[T]) receive(limit int) (batch []message[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	slices.SortFunc(q.waiting, func(a, b *message[T]) int {
		return cmp.Or(a.visibleAt.Compare(b.visibleAt), cmp.Compare(a.id, b.id), a.copyOf-b.copyOf)
	})
	kept := q.waiting[:0]
	for _, m := range q.waiting {
		if m.visibleAt.After(now) || len(batch) == limit {
			kept = append(kept, m)
			continue
		}
		if m.receives >= q.receives {
			q.dead = append(q.dead, m)
			continue
		}
		m.receives++
		m.visibleAt = now.Add(q.visibility)
		kept = append(kept, m)
		batch = append(batch, *m)
	}
	clear(q.waiting[len(kept):])
	q.waiting = kept
	return batch
}

// handle names one time of handing out.
func (m message[T]) handle() string {
	return m.id + "/" + strconv.Itoa(m.copyOf) + "/" + strconv.Itoa(m.receives)
}

// source is a queue from the side of the process that its messages are handed to. It implements delivery.Source.
type source[T any] struct {
	e *environment
	q *queue[T]
}

// Hide implements delivery.Source.
func (s source[T]) Hide(ctx context.Context, handle string, d time.Duration) error {
	return s.e.reach(ctx, call{service: "sqs", about: "hide " + handle}, func() error {
		s.q.hide(handle, d)
		return nil
	})
}

// Settle implements delivery.Source.
func (s source[T]) Settle(ctx context.Context, handles []string) []error {
	errs := make([]error, len(handles))
	for from := 0; from < len(handles); from += sendBatch {
		batch := handles[from:min(from+sendBatch, len(handles))]
		err := s.e.reach(ctx, call{service: "sqs", about: "delete " + batch[0]}, func() error {
			for _, h := range batch {
				s.q.delete(h)
			}
			return nil
		})
		for i := range batch {
			errs[from+i] = err
		}
	}
	return errs
}

// hide keeps a message hidden that was handed out under that name and not since.
func (q *queue[T]) hide(handle string, d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.waiting {
		if m.handle() == handle {
			m.visibleAt = time.Now().Add(d)
		}
	}
}

// delete removes what was handed out under that name.
func (q *queue[T]) delete(handle string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(m *message[T]) bool { return m.handle() == handle })
}

// settle deletes one copy of a message.
func (q *queue[T]) settle(m message[T]) {
	q.remove(m)
}

func (q *queue[T]) remove(m message[T]) *message[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, held := range q.waiting {
		if held.id == m.id && held.copyOf == m.copyOf {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return held
		}
	}
	return nil
}

// redrive is what a person does with a message that was handed out too often: it is a new one, sent now.
func (q *queue[T]) redrive(m message[T]) {
	if held := q.remove(m); held != nil {
		q.send(held.about, held.body, 0)
	}
}

// held gives what is on the queue, dead messages too.
func (q *queue[T]) held() (bodies []T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.waiting {
		bodies = append(bodies, m.body)
	}
	for _, m := range q.dead {
		bodies = append(bodies, m.body)
	}
	return bodies
}

// poller is how Lambda reads a queue.
type poller struct {
	function *function
	batch    int
	window   time.Duration
	atOnce   int
}

// poll hands the messages of a queue to a function, in batches, until the world ends. What the function does not settle, or a process that dies holds,
// becomes visible again after its time.
func poll[T any](q *queue[T], p poller, handle func(ctx context.Context, e *environment, batch []message[T]) (unsettled []string)) {
	w := q.world
	slots := make(chan struct{}, p.atOnce)
	for n := 1; ; n++ {
		draw := w.chance.sub("poll "+q.name, n)
		if !q.wait(draw) {
			return
		}
		select {
		case slots <- struct{}{}:
		case <-w.over:
			return
		}
		if !w.pass(draw.sub("window", 0).between(time.Millisecond, p.window)) {
			return
		}
		batch := q.receive(1 + draw.sub("batch", 0).below(p.batch))
		if len(batch) == 0 {
			<-slots
			continue
		}
		w.running.Go(func() {
			defer func() { <-slots }()
			var unsettled []string
			ended := w.invoke(p.function, func(ctx context.Context, e *environment) error {
				unsettled = handle(ctx, e, batch)
				return nil
			})
			if ended {
				q.after(draw, batch, unsettled)
			}
		})
	}
}

// wait lets time pass until a message is visible.
func (q *queue[T]) wait(draw chance) bool {
	for {
		at, ok := q.next()
		left := time.Until(at)
		if ok && left <= 0 {
			return true
		}
		var timer <-chan time.Time
		if ok {
			timer = time.After(left + draw.sub("poll", 0).between(0, 20*time.Millisecond))
		}
		select {
		case <-timer:
		case <-q.wake:
		case <-q.world.over:
			return false
		}
	}
}

// after settles what a function settled.
func (q *queue[T]) after(draw chance, batch []message[T], unsettled []string) {
	open := make(map[string]bool, len(unsettled))
	for _, id := range unsettled {
		open[id] = true
	}
	for i, m := range batch {
		switch {
		case open[m.id] && q.world.unkind(Redrive) && draw.sub("redrive", i).hits(10*redriveShare):
			q.redrive(m)
		case open[m.id]:
		case q.world.unkind(Redrive) && draw.sub("redrive", i).hits(redriveShare):
			q.redrive(m) // it was settled and not deleted until it was dead, and a person sent it again
		default:
			q.settle(m)
		}
	}
}
