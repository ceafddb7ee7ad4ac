package unkind

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/aws/dynamo/dynamotest"
)

const (
	// sdkAttempts and sdkBackoff are how package session has the SDK repeat a call, and callTimeout how long it waits for an answer.
	sdkAttempts = 5
	sdkBackoff  = 2 * time.Second
	callTimeout = 5 * time.Second
)

var (
	errLost      = errors.New("the answer was lost")
	errUnreached = errors.New("the service was not reached")
	errThrottled = errors.New("the service throttled the call")
	errOver      = errors.New("the process was ended")
)

// environment is an execution environment of a function: one process, which deals with one invocation at a time and remembers what it learned.
type environment struct {
	world *World
	id    string
	skew  time.Duration
	born  time.Time
	functions

	mu   sync.Mutex
	at   *invocation
	dead bool
}

// invocation is one invocation.
type invocation struct {
	chance
	id    string
	began time.Time
	// doomed is how likely it dies at each of its calls.
	doomed float64
	died   chan struct{}
}

// now is the time by the environment's clock.
func (e *environment) now() time.Time { return time.Now().UTC().Add(e.skew) }

// die ends the process: nothing that it still does has an effect.
func (e *environment) die() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.dead {
		e.dead = true
		close(e.at.died)
	}
}

func (e *environment) gone() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dead
}

// call is one call over the network.
type call struct {
	service string
	// about tells calls of one service apart, for what is drawn of them; partition, if set, is what may be throttled.
	about, partition string
	once             bool // it is not repeated
}

// name is a call's name among chances.
func (c call) name() chance { return chance(0).sub(c.service, 0).sub(c.about, 0).sub(c.partition, 0) }

// draw is the chance of something of that name that happens now. What is the same at the same time has the same: goroutines come in no order.
func (i *invocation) draw(name chance) chance {
	return (i.chance ^ name).sub("", int(time.Since(i.began)))
}

// begin gives the chance of a call, and of the process to die at it; ok is false if the process is gone.
func (e *environment) begin(c call) (draw chance, dies, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dead || e.at == nil {
		return 0, false, false
	}
	draw = e.at.draw(c.name())
	return draw, e.at.doomed > 0 && draw.sub("dies", 0).hits(e.at.doomed), true
}

// reach carries a call: it waits as long as the call takes and runs do each time the service is reached, which is more than once if an answer is lost.
func (e *environment) reach(ctx context.Context, c call, do func() error) error {
	w := e.world
	draw, dies, ok := e.begin(c)
	if !ok {
		return e.stop()
	}
	after := draw.sub("after", 0).hits(0.5)
	deaf := w.unkind(DeafService) && draw.sub("deaf", 0).hits(deafShare)
	var err error
	for try := range sdkAttempts {
		d := draw.sub("try", try)
		if err := e.wait(ctx, w.latency(d)); err != nil {
			return err
		}
		if dies && !after {
			e.die()
			return e.stop()
		}
		err = e.once(ctx, c, d, deaf, do)
		if dies {
			e.die()
			return e.stop()
		}
		if c.once || !errors.Is(err, errLost) && !errors.Is(err, errUnreached) && !errors.Is(err, errThrottled) {
			return err
		}
		backoff := min(100*time.Millisecond<<try, sdkBackoff)
		if err := e.wait(ctx, d.sub("backoff", 0).between(backoff/2, backoff)); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s, %d tries: %w", c.service, sdkAttempts, err)
}

// once is one try of a call.
func (e *environment) once(ctx context.Context, c call, d chance, deaf bool, do func() error) error {
	w := e.world
	switch {
	case w.away(c.service):
		return errUnreached
	case c.partition != "" && w.throttled(c.partition):
		return errThrottled
	}
	if w.hangs(c.service) {
		if err := e.wait(ctx, callTimeout); err != nil {
			return err
		}
		return errUnreached
	}
	if !deaf && !(w.unkind(LostAnswer) && d.sub("lost", 0).hits(w.lostShare(c.service))) {
		return do()
	}
	reached := !deaf || d.sub("reached", 0).hits(0.5)
	w.note("%s: the answer of %s %s %s is lost, reached %v", e.id, c.service, c.about, c.partition, reached)
	if reached {
		_ = do() // nobody hears what became of it
	}
	silence := d.sub("silence", 0)
	if silence.hits(0.5) {
		return errLost // the connection broke
	}
	if err := e.wait(ctx, callTimeout); err != nil {
		return err
	}
	return errLost
}

// stop holds a goroutine of a process that has ended until the world ends. What it does after that has no effect.
func (e *environment) stop() error {
	<-e.world.over
	return errOver
}

// wait lets time pass, or stops if the process ends meanwhile. Short times are not cut short.
func (e *environment) wait(ctx context.Context, d time.Duration) error {
	if d < 50*time.Millisecond {
		time.Sleep(d)
		if e.gone() {
			return e.stop()
		}
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-e.world.over:
		return errOver
	}
	if e.gone() {
		return e.stop()
	}
	return ctx.Err()
}

// table is the tables as this process calls them.
func (e *environment) table() dynamotest.Client {
	return dynamotest.Client{
		Tables: e.world.tables,
		Carry: func(ctx context.Context, c dynamotest.Call, reach func() error) error {
			if c.Nothing {
				return reach() // without a wait: a run of requeue makes dozens of them
			}
			return e.reach(ctx, call{service: c.Table, about: c.Operation + c.Key, partition: c.Partition}, reach)
		},
		Throttled: e.world.throttled,
		Conflicts: func(c dynamotest.Call) bool {
			if !e.world.unkind(Conflict) || !inTransactions(c) {
				return false
			}
			draw, _, ok := e.begin(call{service: "conflict", about: c.Key, partition: c.Partition})
			return ok && draw.hits(conflictShare)
		},
		Token: func(c dynamotest.Call) string {
			draw, _, _ := e.begin(call{service: "token", about: c.Key, partition: c.Partition})
			return strconv.FormatUint(uint64(draw), 36)
		},
	}
}

// inTransactions says whether what a call writes is ever written in a transaction: records of the directory and what is to be told of them, and deliveries
// that end. Of a batch the service would leave the item out.
func inTransactions(c dynamotest.Call) bool {
	_, partition, _ := strings.Cut(c.Partition, " ")
	return c.Operation != "BatchWriteItem" && len(partition) > 1 && strings.Contains("D# W# O# R# F#", partition[:2])
}
