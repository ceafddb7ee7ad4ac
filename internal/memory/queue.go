package memory

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// MaxDelay is the longest delay that a queue takes.
const MaxDelay = 900 * time.Second

// Received is a message that a queue handed out.
type Received[T any] struct {
	ID string
	// Handle names this copy of it; of the first it is the id.
	Handle   string
	Body     T
	SentAt   time.Time
	Receives int
}

// Queue is an SQS standard queue: a message that was handed out and not acknowledged comes back after the visibility time-out.
type Queue[T any] struct {
	// Now is the time.
	Now func() time.Time
	// Visibility is how long a message that was handed out stays hidden.
	Visibility time.Duration
	// Copies, if set, says how many extra copies of a message the queue makes. They have one id, and each is handed out and acknowledged by itself.
	Copies func() int
	// Hook can make acknowledgements fail.
	Hook Hook

	mu       sync.Mutex
	sequence int
	waiting  visibleFirst[T]
	byHandle map[string]*entry[T]
}

type entry[T any] struct {
	Received[T]
	visibleAt time.Time
	sequence  int
	place     int // in the heap
}

// Send puts a message on the queue, hidden for delay.
func (q *Queue[T]) Send(body T, delay time.Duration) (id string, err error) {
	if delay < 0 || delay > MaxDelay || delay%time.Second != 0 {
		return "", fmt.Errorf("delay of %v: a queue takes whole seconds from 0 to %v", delay, MaxDelay)
	}
	now := q.Now()
	copies := 1
	if q.Copies != nil {
		copies += q.Copies()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.byHandle == nil {
		q.byHandle = make(map[string]*entry[T])
	}
	for range copies {
		q.sequence++
		handle := strconv.Itoa(q.sequence)
		if id == "" {
			id = handle
		}
		e := &entry[T]{Received: Received[T]{ID: id, Handle: handle, Body: body, SentAt: now}, visibleAt: now.Add(delay), sequence: q.sequence}
		q.byHandle[handle] = e
		heap.Push(&q.waiting, e)
	}
	return id, nil
}

// Receive hands out up to limit visible messages, those first that became visible first.
func (q *Queue[T]) Receive(limit int) []Received[T] {
	now := q.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []Received[T]
	for len(out) < limit && len(q.waiting) > 0 && !q.waiting[0].visibleAt.After(now) {
		e := q.waiting[0]
		e.Receives++
		e.visibleAt = now.Add(q.Visibility)
		heap.Fix(&q.waiting, 0)
		out = append(out, e.Received)
	}
	return out
}

// ErrGone is Ack's answer for a message that is not on the queue.
var ErrGone = errors.New("the message is not on the queue")

// Ack deletes a copy of a message.
func (q *Queue[T]) Ack(handle string) error {
	return q.Hook.do(CallAck, func() error {
		q.mu.Lock()
		defer q.mu.Unlock()
		e, ok := q.byHandle[handle]
		if !ok {
			return ErrGone
		}
		heap.Remove(&q.waiting, e.place)
		delete(q.byHandle, handle)
		return nil
	})
}

// Hide keeps a copy of a message from being handed out again for that long from now.
func (q *Queue[T]) Hide(handle string, d time.Duration) error {
	return q.Hook.do(CallHide, func() error {
		now := q.Now()
		q.mu.Lock()
		defer q.mu.Unlock()
		e, ok := q.byHandle[handle]
		if !ok {
			return ErrGone
		}
		e.visibleAt = now.Add(d)
		heap.Fix(&q.waiting, e.place)
		return nil
	})
}

// Source is a queue from the side of a function that its messages are handed to. It implements delivery.Source.
type Source[T any] struct{ Queue *Queue[T] }

// Hide implements delivery.Source.
func (s Source[T]) Hide(_ context.Context, handle string, d time.Duration) error {
	return s.Queue.Hide(handle, d)
}

// Settle implements delivery.Source.
func (s Source[T]) Settle(_ context.Context, handles []string) []error {
	errs := make([]error, len(handles))
	for i, h := range handles {
		if err := s.Queue.Ack(h); !errors.Is(err, ErrGone) {
			errs[i] = err
		}
	}
	return errs
}

// Len counts the messages, hidden ones included.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// NextVisible is when the next message becomes visible, or false when the queue is empty.
func (q *Queue[T]) NextVisible() (time.Time, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return time.Time{}, false
	}
	return q.waiting[0].visibleAt, true
}

// visibleFirst is a heap of messages by the time they become visible.
type visibleFirst[T any] []*entry[T]

func (h visibleFirst[T]) Len() int { return len(h) }
func (h visibleFirst[T]) Less(i, j int) bool {
	if !h[i].visibleAt.Equal(h[j].visibleAt) {
		return h[i].visibleAt.Before(h[j].visibleAt)
	}
	return h[i].sequence < h[j].sequence
}
func (h visibleFirst[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}
func (h *visibleFirst[T]) Push(x any) {
	e, ok := x.(*entry[T])
	if !ok {
		panic("memory: the heap of a queue holds entries only")
	}
	e.place = len(*h)
	*h = append(*h, e)
}
func (h *visibleFirst[T]) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
