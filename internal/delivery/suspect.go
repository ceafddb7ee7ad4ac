package delivery

import (
	"context"
	"fmt"
	"time"
)

// Source is the queue that a batch came from.
type Source interface {
	// Hide keeps a message from being handed out again for that long from now, whatever becomes of this invocation.
	Hide(ctx context.Context, handle string, d time.Duration) error
	// Settle deletes messages that are dealt with, and answers for each. One that is gone is no error.
	Settle(ctx context.Context, handles []string) []error
}

// How long the queue ingest hands a message out again that nobody settled. The stack makes the queue of these.
const (
	// IngestAgain is the pause from one time to the next.
	IngestAgain = 11 * time.Minute
	// IngestReceives is how often before it counts as dead: for as long as its log may live. So an outage of our own
	// ends without a person who sends dead letters back, and every log keeps the time of its acceptance and its key.
	IngestReceives = int((Lifetime + IngestAgain - 1) / IngestAgain)
)

const (
	// trusted is how often a message may be handed out before it is a suspect. A second time is common: a call of ours failed, or the function
	// ran out of time. The third may be because the message itself ends the process, by its size or by what its destination does with it.
	trusted = 2
	// suspectHidden is how long a suspect stays hidden from when its turn comes. If it ends the process, the messages beside it show up again
	// without it, after the queue's visibility time-out: nine times, so that they outlive nine such suspects in their midst.
	suspectHidden = 9*IngestAgain + time.Minute
	// suspectLong is how often a message is handed out while it is hidden for so long. Its neighbours are gone by
	// then. Later it is hidden for little more than any other, so that it is a dead letter, which an alarm tells of,
	// before its queue drops it for its age.
	suspectLong  = 50
	suspectShort = IngestAgain + time.Minute
	// stuck is how often a message was handed out that is told of: for about two hours.
	stuck = 10
	// closing is what must remain of an invocation to begin with another suspect. What is begun later than timeLeft allows is not attempted, but
	// put into the cache.
	closing = 5 * time.Second
)

// handout is what a message's queue says of it.
type handout struct {
	id, handle string
	receives   int
}

// oneByOne has a batch taken: all that is trusted together, and then each suspect alone. Where there are suspects, what was dealt with is settled with
// its queue before the next one's turn, so that a death of the process takes nothing back of it.
func oneByOne[M any](
	ctx context.Context, d *Deliver, from Source, batch []M, about func(M) handout, take func([]M) (unsettled []string),
) (unsettled []string) {
	var calm, suspects []M
	for _, m := range batch {
		if about(m).receives > trusted {
			suspects = append(suspects, m)
		} else {
			calm = append(calm, m)
		}
	}
	if len(suspects) == 0 {
		return take(calm)
	}
	settle := func(taken []M) (open []string) {
		open = take(taken)
		unsettled = append(unsettled, open...)
		left := make(map[string]bool, len(open))
		for _, id := range open {
			left[id] = true
		}
		var handles []string
		for _, m := range taken {
			if h := about(m); !left[h.id] {
				handles = append(handles, h.handle)
			}
		}
		d.settle(ctx, from, handles)
		return open
	}
	if len(calm) > 0 {
		settle(calm)
	}
	for i, m := range suspects {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < closing {
			for _, left := range suspects[i:] {
				unsettled = append(unsettled, about(left).id)
			}
			break
		}
		h := about(m)
		if h.receives >= stuck {
			d.Journal.Record(Entry{Event: EventStuck, At: d.Now(), MessageID: h.id, Receives: h.receives})
		}
		d.hide(ctx, from, h, hiddenFor(h.receives))
		if open := settle(suspects[i : i+1]); len(open) > 0 {
			d.hide(ctx, from, h, IngestAgain) // it ended nothing
		}
	}
	return unsettled
}

// hiddenFor is how long a suspect stays hidden from when its turn comes, if it ends the process.
func hiddenFor(receives int) time.Duration {
	if receives <= suspectLong {
		return suspectHidden
	}
	return suspectShort
}

func (d *Deliver) hide(ctx context.Context, from Source, h handout, length time.Duration) {
	if from == nil {
		return
	}
	if err := from.Hide(ctx, h.handle, length); err != nil {
		d.fault(nil, fmt.Errorf("hide message %s, which was handed out %d times: %w", h.id, h.receives, err))
	}
}

// settle deletes messages. One that cannot be deleted here is deleted at the end of the invocation, by its answer.
func (d *Deliver) settle(ctx context.Context, from Source, handles []string) {
	if from == nil || len(handles) == 0 {
		return
	}
	for _, err := range from.Settle(ctx, handles) {
		if err != nil {
			d.fault(nil, fmt.Errorf("delete a message that is dealt with: %w", err))
		}
	}
}
