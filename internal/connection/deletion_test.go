package connection_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

func (w *world) remove() {
	w.t.Helper()
	if _, err := w.Connections.Delete(w.t.Context(), "siem", maria, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) restore() {
	w.t.Helper()
	if _, err := w.Connections.Restore(w.t.Context(), "siem", maria); err != nil {
		w.t.Fatal(err)
	}
}

// states are those of the world's destinations.
func (w *world) states() (list []directory.State) {
	for d := range w.Directory.Destinations(w.t.Context()) { // a listing, which no saboteur breaks
		list = append(list, d.State)
	}
	return list
}

// took says how often the destination itself has got the system's own log of an event.
func (w *world) took(event connection.Event) (n int) {
	w.siem.mu.Lock()
	defer w.siem.mu.Unlock()
	for id, text := range w.siem.text {
		if strings.Contains(text, `"event":"`+string(event)+`"`) {
			n += w.siem.held[id]
		}
	}
	return n
}

// TestDeletedForGood lives through a deletion: the destination gets the entry about it and nothing else, its admins one mail, and eight hours later the
// record is gone. What waits becomes failed events when its time comes.
func TestDeletedForGood(t *testing.T) {
	w := newWorld(t, nil)
	w.send(0)
	w.until(time.Second)
	w.remove()
	w.until(2 * time.Second)
	w.want("state", w.states(), []directory.State{directory.Deleted})
	w.want("farewells", w.took(connection.DestinationDeleted), 1)
	w.want("mails", w.mails(), []string{"deletion at 1s"})
	w.want("mails to the error list", w.mailsTo(recipients[1]), w.mails())
	for _, says := range []string{`"Acme SIEM" was deleted by an admin`, "before 2026-11-02 17:00:01 UTC"} {
		if text := w.Mail.All()[0].Text; !strings.Contains(text, says) {
			t.Errorf("the mail does not say %q:\n%s", says, text)
		}
	}
	w.send(time.Hour)
	w.until(8 * time.Hour)
	w.want("state", w.states(), []directory.State{directory.Deleted})
	w.until(8*time.Hour + time.Second)
	w.want("states", w.states(), []directory.State(nil))
	w.want("timers", w.Timers.Len(), 0)
	w.send(9 * time.Hour) // nobody wants it any more
	w.until(8 * day)
	w.want("delivered", w.siem.logs(), w.sent[:1])
	var failed []string
	for _, e := range w.Cache.FailedEvents() {
		failed = append(failed, e.LogID)
	}
	w.want("failed events", failed, w.sent[1:2])
	w.want("mails", w.mails(), []string{"deletion at 1s"})
	w.want("announced", w.announced(), []string{events.DestinationChanged, events.DestinationChanged, events.LogDeliveryFailed})
	w.want("left to tell", len(w.Directory.Untold()), 0)
}

// TestRestoredInTime takes a deletion back in its last minute: what waited arrives, and the next deletion has eight hours and a mail of its own.
func TestRestoredInTime(t *testing.T) {
	w := newWorld(t, nil)
	was := w.destination()
	w.disconnect()
	w.send(time.Minute)
	w.until(time.Hour)
	w.remove()
	w.want("timers", w.Timers.Len(), 1) // that of the disconnect is gone
	w.send(2 * time.Hour)
	w.until(9*time.Hour - time.Minute)
	w.want("delivered", len(w.siem.logs()), 0)
	w.restore()
	w.want("timers", w.Timers.Len(), 0)
	w.until(9*time.Hour + 10*time.Minute)
	d := w.destination()
	w.want("state", d.State, directory.Connected)
	w.want("the same record", d.SameRecord(was), true)
	w.want("delivered", w.siem.logs(), w.sent)
	w.until(10 * time.Hour)
	w.remove()
	w.until(18*time.Hour - time.Second)
	w.want("state", w.states(), []directory.State{directory.Deleted})
	w.until(18 * time.Hour)
	w.want("states", w.states(), []directory.State(nil))
	w.want("mails", w.mails(), []string{"deletion at 1h0m0s", "deletion at 10h0m0s"})
}

// TestFarewellOfAFailingDestination deletes one that takes nothing: the entry about it is retried for as long as the record is there, and no other log is.
func TestFarewellOfAFailingDestination(t *testing.T) {
	w := newWorld(t, nil)
	w.siem.answer(failure.HTTPServerError)
	w.send(0)
	w.until(10 * time.Minute)
	w.want("health", w.destination().Health.State, directory.Failing)
	w.remove()
	w.until(30 * time.Minute)
	w.siem.answer("")
	w.until(8 * time.Hour)
	w.want("farewells", w.took(connection.DestinationDeleted), 1)
	w.want("delivered", len(w.siem.logs()), 0)
	w.restore()
	w.until(9 * time.Hour)
	w.want("delivered", w.siem.logs(), w.sent)
	w.want("farewells", w.took(connection.DestinationDeleted), 1)
}

// TestFarewellIsOneOfItsTypes deletes a destination that does not want the activity audit.
func TestFarewellIsOneOfItsTypes(t *testing.T) {
	w := newWorld(t, nil)
	d := w.destination()
	d.LogTypes = []string{events.JobSummary}
	if _, err := w.Directory.PutDestination(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	w.remove()
	w.until(time.Hour)
	w.want("farewells", w.took(connection.DestinationDeleted), 0)
	w.want("mails", w.mails(), []string{"deletion at 0s"})
}

// TestPurged ends the eight hours early. Its admins are mailed though the record is gone when their mail is made.
func TestPurged(t *testing.T) {
	w := newWorld(t, nil)
	if err := w.Connections.Purge(t.Context(), "siem", maria, nil); err == nil {
		t.Fatal("what was not deleted is gone")
	}
	w.remove()
	if err := w.Connections.Purge(t.Context(), "siem", maria, nil); err != nil {
		t.Fatal(err)
	}
	w.want("states", w.states(), []directory.State(nil))
	w.want("timers", w.Timers.Len(), 0)
	w.until(time.Hour)
	w.want("mails", w.mails(), []string{"deletion at 0s"})
	if _, err := w.Connections.Restore(t.Context(), "siem", maria); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("a restore gives %v", err)
	}
}

// TestCrashOfDeletion breaks every call from the deletion to its end: nothing that was told is missing, and the record is gone in time.
func TestCrashOfDeletion(t *testing.T) {
	eachFault(t, func(t *testing.T, s *saboteur) {
		w := newWorld(t, s.hook)
		s.arm(w.Clock.Now)
		w.insist(directory.Deleted, func() error {
			_, err := w.Connections.Delete(t.Context(), "siem", maria, nil)
			return err
		})
		since := w.destination().StateSince
		w.until(8*time.Hour - time.Second)
		w.want("state", w.states(), []directory.State{directory.Deleted})
		w.want("farewells", w.took(connection.DestinationDeleted) > 0, true)
		w.until(since.Sub(monday) + directory.Grace + 5*time.Minute)
		w.want("states", w.states(), []directory.State(nil))
		w.checkOneMail(s)
		w.until(10 * time.Hour)
		w.checkChanges("deleted", "removed")
	})
}

// TestCrashOfTheRemoval breaks every call at the end of the eight hours.
func TestCrashOfTheRemoval(t *testing.T) {
	eachFault(t, func(t *testing.T, s *saboteur) {
		w := newWorld(t, s.hook)
		w.remove()
		w.until(8*time.Hour - time.Second)
		s.arm(w.Clock.Now)
		w.until(8*time.Hour + 5*time.Minute)
		w.want("states", w.states(), []directory.State(nil))
		w.until(10 * time.Hour)
		w.checkOneMail(s)
		w.checkChanges("deleted", "removed")
	})
}

// TestCrashOfRestore breaks every call of a restore.
func TestCrashOfRestore(t *testing.T) {
	eachFault(t, func(t *testing.T, s *saboteur) {
		w := newWorld(t, s.hook)
		w.remove()
		w.send(time.Hour)
		w.until(7 * time.Hour)
		s.arm(w.Clock.Now)
		w.insist(directory.Connected, func() error {
			_, err := w.Connections.Restore(t.Context(), "siem", maria)
			return err
		})
		w.until(20 * time.Hour)
		w.want("state", w.states(), []directory.State{directory.Connected})
		w.want("delivered", w.siem.logs(), w.sent)
		w.checkOneMail(s)
		w.checkChanges("deleted", "restored")
	})
}

// checkChanges holds that the bus was told of these changes, in this order but for repetitions, and that nothing is left to tell.
func (w *world) checkChanges(changes ...string) {
	w.t.Helper()
	var told []string
	for _, a := range w.Bus.All() {
		if d, ok := a.Detail.(events.DestinationChangedDetail); ok {
			told = append(told, d.Change)
		}
	}
	w.want("changes", slices.Compact(told), changes)
	w.want("left to tell", len(w.Directory.Untold()), 0)
}

// TestLostTimerOfADeletion removes a destination whose timer never goes off, two minutes late.
func TestLostTimerOfADeletion(t *testing.T) {
	w := newWorld(t, nil)
	w.remove()
	w.Timers.Settle(w.timer(2, 8*time.Hour))
	w.want("timers", w.Timers.Len(), 0)
	w.until(8*time.Hour + time.Minute)
	w.want("state", w.states(), []directory.State{directory.Deleted})
	w.until(8*time.Hour + 3*time.Minute)
	w.want("states", w.states(), []directory.State(nil))
}

// TestTimersThatRemoveNothing fires at all the wrong moments of a deletion, its restoration, another deletion, and a record that took its id.
func TestTimersThatRemoveNothing(t *testing.T) {
	w := newWorld(t, nil)
	fire := func(incarnation string) {
		t.Helper()
		for generation := range 8 {
			if err := w.Connections.Fire(t.Context(), connection.Timer{DestinationID: "siem", Incarnation: incarnation, Generation: generation}); err != nil {
				t.Errorf("generation %d: %v", generation, err)
			}
		}
	}
	first := w.destination().Incarnation
	w.disconnect()
	w.until(time.Hour)
	w.remove()
	fire(first) // early, or the disconnect's
	w.until(8*time.Hour + time.Minute)
	fire(first) // the eight hours of the disconnect are over
	w.want("state", w.states(), []directory.State{directory.Deleted})
	w.restore()
	w.until(10 * time.Hour)
	fire(first)
	w.want("state", w.states(), []directory.State{directory.Connected})
	w.remove()
	fire(first)
	w.want("state", w.states(), []directory.State{directory.Deleted})
	d := w.destination()
	if err := w.Connections.Purge(t.Context(), "siem", maria, nil); err != nil {
		t.Fatal(err)
	}
	d.Incarnation, d.Revision, d.StateSince = "another", 0, w.Clock.Now()
	if _, err := w.Directory.PutDestination(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	w.until(18*time.Hour + time.Minute)
	fire(first)
	w.want("state", w.states(), []directory.State{directory.Deleted})
}

// TestAHundredEnds lets the timer of a deletion go off a hundred times at the same moment: it is removed once, and told once.
func TestAHundredEnds(t *testing.T) {
	w := newWorld(t, nil)
	w.remove()
	w.until(8*time.Hour - time.Second)
	timer := w.timer(2, 8*time.Hour)
	w.Timers.Settle(timer)
	w.until(8 * time.Hour)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if err := w.Connections.Fire(t.Context(), timer); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.until(9 * time.Hour)
	w.want("states", w.states(), []directory.State(nil))
	w.want("announced", w.announced(), []string{events.DestinationChanged, events.DestinationChanged})
}

// TestRestoreAgainstTheEnd lets both happen at the same moment: one comes first, and the other finds that.
func TestRestoreAgainstTheEnd(t *testing.T) {
	restored, removed := 0, 0
	for range 60 {
		w := newWorld(t, nil)
		w.remove()
		w.until(8*time.Hour - time.Second)
		timer := w.timer(2, 8*time.Hour)
		w.Timers.Settle(timer)
		w.until(8 * time.Hour)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := w.Connections.Fire(t.Context(), timer); err != nil {
					t.Error(err)
				}
			})
		}
		var err error
		wg.Go(func() { _, err = w.Connections.Restore(t.Context(), "siem", maria) })
		wg.Wait()
		w.until(9 * time.Hour)
		if err == nil {
			restored++
			w.want("states", w.states(), []directory.State{directory.Connected})
			w.checkChanges("deleted", "restored")
			continue
		}
		removed++
		if !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("the restore that came second says %v", err)
		}
		w.want("states", w.states(), []directory.State(nil))
		w.checkChanges("deleted", "removed")
	}
	t.Logf("%d restored, %d removed", restored, removed)
}

// TestLostAnswerOfTheRemoval removes a record and loses the answer: it is told, once, and no error is left.
func TestLostAnswerOfTheRemoval(t *testing.T) {
	s := &saboteur{call: memory.CallPutDestination, nth: 1, fault: memory.FailAfter}
	w := newWorld(t, s.hook)
	w.remove()
	w.until(8*time.Hour - time.Second)
	s.arm(w.Clock.Now)
	w.until(8*time.Hour + time.Second)
	w.want("states", w.states(), []directory.State(nil))
	w.want("left to tell", len(w.Directory.Untold()), 0)
	w.checkChanges("deleted", "removed")
	for _, e := range w.MailJournal.Entries() {
		w.want("what became of the notice", e.Event, notice.EventSent)
	}
}
