package memory_test

import (
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/delivery/porttest"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
)

func openStore(*testing.T) porttest.Store { return memory.NewCache(time.Now) }

func TestCache(t *testing.T) { porttest.Cache(t, openStore) }

func TestWrites(t *testing.T) {
	porttest.Writes(t, func(_ *testing.T, now func() time.Time) porttest.WrittenStore { return &memory.Directory{Now: now} })
}

func TestIndex(t *testing.T) { porttest.Index(t, openStore) }

func TestDrains(t *testing.T) {
	porttest.Drains(t, func(*testing.T) delivery.DrainProgress { return &memory.Drains{} })
}

func TestReceipts(t *testing.T) {
	porttest.Receipts(t, func(*testing.T) delivery.Receipts { return &memory.Receipts{} })
}

func TestTurns(t *testing.T) {
	porttest.Turns(t, func(*testing.T) delivery.TurnProgress { return &memory.Turns{} })
}

func TestBudget(t *testing.T) {
	porttest.Budget(t, func(*testing.T) delivery.Budget { return &memory.Budget{} })
}

func TestFailedEvents(t *testing.T) {
	porttest.FailedEvents(t, func(*testing.T) porttest.FailedStore {
		c := memory.NewCache(time.Now)
		return porttest.FailedStore{Store: c, Recorded: func(*testing.T) []delivery.FailedEvent { return c.FailedEvents() }}
	})
}

func TestLists(t *testing.T) {
	porttest.Lists(t, func(*testing.T) porttest.ListedStore { return memory.NewCache(time.Now) })
}

func TestDirectory(t *testing.T) {
	porttest.Directory(t, func(t *testing.T, ws []directory.Workspace, ds []directory.Destination) delivery.Directory {
		d := new(memory.Directory)
		for _, w := range ws {
			if err := d.PutWorkspace(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
		for _, dest := range ds {
			if _, err := d.PutDestination(t.Context(), dest); err != nil {
				t.Fatal(err)
			}
		}
		return d
	})
}

func TestSource(t *testing.T) {
	porttest.Sources(t, func(*testing.T) porttest.SourceQueue {
		now := time.Now()
		q := &memory.Queue[string]{Now: func() time.Time { return now }, Visibility: porttest.Visibility}
		return porttest.SourceQueue{
			Source: memory.Source[string]{Queue: q},
			Send: func(t *testing.T, bodies ...string) {
				for _, b := range bodies {
					if _, err := q.Send(b, 0); err != nil {
						t.Fatal(err)
					}
				}
			},
			Receive: func(_ *testing.T, after time.Duration) map[string]string {
				now = now.Add(after)
				handles := make(map[string]string)
				for _, m := range q.Receive(100) {
					handles[m.Body] = m.Handle
				}
				return handles
			},
		}
	})
}

func TestRetryQueue(t *testing.T) {
	porttest.Retries(t, func(*testing.T) porttest.RetryQueue {
		now := time.Now()
		q := &memory.RetryQueue{Queue: memory.Queue[delivery.Hint]{Now: func() time.Time { return now }, Visibility: time.Minute}}
		return porttest.RetryQueue{RetryQueue: q, Receive: func(t *testing.T, within time.Duration) []delivery.Hint {
			now = now.Add(within)
			var hints []delivery.Hint
			for _, m := range q.Queue.Receive(1000) {
				hints = append(hints, m.Body)
				if err := q.Queue.Ack(m.Handle); err != nil {
					t.Fatal(err)
				}
			}
			return hints
		}}
	})
}

func TestRejectedQueue(t *testing.T) {
	porttest.Rejects(t, func(*testing.T) porttest.RejectedQueue {
		q := new(memory.RejectedQueue)
		return porttest.RejectedQueue{RejectedQueue: q, Receive: func(*testing.T) []delivery.Rejection { return q.All() }}
	})
}
