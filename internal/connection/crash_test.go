package connection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// saboteur makes one chosen call fail, or takes the whole system down at it, once it is armed.
type saboteur struct {
	call  string
	nth   int
	fault memory.Fault
	// dies takes everything down from that call on, for as long as the clock stands.
	dies bool

	mu     sync.Mutex
	now    func() time.Time // nil until armed
	seen   int
	struck bool
	diedAt time.Time
}

func (s *saboteur) arm(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

func (s *saboteur) hook(call string) memory.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return memory.OK
	}
	if s.dies && s.struck && s.diedAt.Equal(s.now()) {
		return memory.FailBefore
	}
	if call != s.call || s.struck {
		return memory.OK
	}
	if s.seen++; s.seen != s.nth {
		return memory.OK
	}
	s.struck, s.diedAt = true, s.now()
	return s.fault
}

// eachFault runs a story once for every way in which one of its calls can go wrong.
func eachFault(t *testing.T, story func(t *testing.T, s *saboteur)) {
	calls := []string{
		memory.CallDestination, memory.CallPutDestination, memory.CallWorkspace, memory.CallSetTimer, memory.CallCancelTimer, memory.CallNotify,
		memory.CallClaim, memory.CallSaveClaim, memory.CallMail, memory.CallSendLog, memory.CallPublish, memory.CallAck,
		memory.CallOutgoing, memory.CallTold, memory.CallWaiting,
	}
	for _, call := range calls {
		for nth := 1; nth <= 3; nth++ {
			for mode, s := range map[string]*saboteur{
				"fails before": {fault: memory.FailBefore},
				"fails after":  {fault: memory.FailAfter},
				"dies before":  {fault: memory.FailBefore, dies: true},
				"dies after":   {fault: memory.FailAfter, dies: true},
			} {
				s.call, s.nth = call, nth
				t.Run(fmt.Sprintf("%s %d %s", call, nth, mode), func(t *testing.T) {
					t.Parallel()
					story(t, s)
				})
			}
		}
	}
}

// insist does what an admin does who gets an error: look, and try again a minute later unless it is done.
func (w *world) insist(done directory.State, do func() error) {
	w.t.Helper()
	for range 5 {
		err := do()
		if err == nil {
			return
		}
		if _, ok := errors.AsType[*directory.Conflict](err); ok && w.destination().State == done {
			return
		}
		w.until(w.Clock.Now().Add(time.Minute).Sub(monday))
	}
	w.t.Fatal("it failed five times")
}

// checkOneMail holds that the voluntary mail was sent once to each. Only a death while it was being handed over may cost one recipient it, and that is said.
func (w *world) checkOneMail(s *saboteur) {
	w.t.Helper()
	uncertain := slices.ContainsFunc(w.MailJournal.Entries(), func(e notice.Entry) bool { return e.Event == notice.EventUncertain })
	lost := 0
	for _, to := range recipients {
		mails := w.mailsTo(to)
		if len(mails) == 0 {
			lost++
		}
		if len(mails) > 1 || lost > 0 && (!s.dies || !uncertain) || lost > 1 {
			w.t.Errorf("mails %q to %s, uncertain %v; want one", mails, to, uncertain)
		}
	}
}

func TestCrashOfDisconnect(t *testing.T) {
	eachFault(t, func(t *testing.T, s *saboteur) {
		w := newWorld(t, s.hook)
		s.arm(w.Clock.Now)
		w.insist(directory.Disconnected, func() error {
			_, err := w.Connections.Disconnect(t.Context(), "siem", maria)
			return err
		})
		since := w.destination().StateSince
		w.until(8*time.Hour - time.Second)
		w.want("state", w.destination().State, directory.Disconnected)
		w.until(10 * time.Hour)
		d := w.destination()
		w.want("state", d.State, directory.Disabled)
		if late := d.StateSince.Sub(since) - directory.Grace; late < 0 || late > 5*time.Minute {
			t.Errorf("disabled %v late", late)
		}
		w.checkOneMail(s)
		w.checkTold(connection.DestinationDisconnected, connection.DestinationDisabled)
	})
}

func TestCrashOfTheEnd(t *testing.T) {
	eachFault(t, func(t *testing.T, s *saboteur) {
		w := newWorld(t, s.hook)
		w.disconnect()
		w.until(8*time.Hour - time.Second)
		s.arm(w.Clock.Now)
		w.until(10 * time.Hour)
		w.want("state", w.destination().State, directory.Disabled)
		w.checkOneMail(s)
		w.checkTold(connection.DestinationDisconnected, connection.DestinationDisabled)
		w.want("generation", w.destination().Generation, 3)
	})
}

func TestCrashOfTheWarning(t *testing.T) {
	eachFault(t, func(t *testing.T, s *saboteur) {
		w := newWorld(t, s.hook)
		w.disconnect()
		w.until(6 * day)
		s.arm(w.Clock.Now)
		w.until(7*day - time.Minute)
		warnings := len(w.mails()) - 1
		uncertain := slices.ContainsFunc(w.MailJournal.Entries(), func(e notice.Entry) bool { return e.Event == notice.EventUncertain })
		if lost := warnings == 0 && s.dies && uncertain; warnings != 1 && !lost {
			t.Errorf("mails %q, want one warning", w.mails())
		}
	})
}

// TestCrashOfHealth has a destination fail and recover: the bus hears of both, whatever broke.
func TestCrashOfHealth(t *testing.T) {
	eachFault(t, func(t *testing.T, s *saboteur) {
		w := newWorld(t, s.hook)
		w.siem.answer(failure.HTTPUnauthorized)
		s.arm(w.Clock.Now)
		w.send(time.Minute)
		w.until(6 * time.Hour)
		w.siem.answer("")
		w.until(day)
		w.send(day + time.Hour) // a recovery that could not be stored is seen again with the next log
		w.until(2 * day)
		w.want("delivered", w.siem.logs(), w.sent)
		w.want("health", w.destination().Health.State, directory.Healthy)
		for _, event := range []string{events.DestinationFailing, events.DestinationRecovered} {
			if !slices.Contains(w.announced(), event) {
				t.Errorf("the bus heard %v, and not %s", w.announced(), event)
			}
		}
		w.want("left to tell", len(w.Directory.Untold()), 0)
	})
}

func TestCrashOfReconnect(t *testing.T) {
	eachFault(t, func(t *testing.T, s *saboteur) {
		w := newWorld(t, s.hook)
		w.disconnect()
		w.send(time.Hour)
		w.until(7 * time.Hour)
		s.arm(w.Clock.Now)
		w.insist(directory.Connected, func() error {
			_, err := w.Connections.Reconnect(t.Context(), "siem", maria)
			return err
		})
		w.until(10 * time.Hour)
		w.want("state", w.destination().State, directory.Connected)
		w.want("mails", w.mails(), []string(nil))
		w.want("delivered", w.siem.logs(), w.sent)
		w.checkTold(connection.DestinationDisconnected, connection.DestinationReconnected)
	})
}

// TestLostAnswer writes a disconnect and loses the answer: the admin is told that it is done, and the audit has it.
func TestLostAnswer(t *testing.T) {
	s := &saboteur{call: memory.CallPutDestination, nth: 1, fault: memory.FailAfter}
	w := newWorld(t, s.hook)
	s.arm(w.Clock.Now)
	w.disconnect()
	w.until(time.Minute)
	w.want("state", w.destination().State, directory.Disconnected)
	w.want("audit entries", w.audited(connection.DestinationDisconnected), 1)
}

// TestLostTimer disables a destination whose timer never goes off, two minutes late.
func TestLostTimer(t *testing.T) {
	w := newWorld(t, nil)
	w.disconnect()
	w.Timers.Settle(w.timer(2, 8*time.Hour))
	w.want("timers", w.Timers.Len(), 0)
	w.until(9 * time.Hour)
	w.want("state", w.destination().State, directory.Disabled)
	w.want("mails", w.mails(), []string{"voluntary at 8h2m0s"})
}

// timer is that of a disconnect of the destination, as it is now, in that generation.
func (w *world) timer(generation int, at ...time.Duration) connection.Timer {
	t := connection.TimerOf(w.destination())
	t.Generation = generation
	if len(at) > 0 {
		t.At = monday.Add(at[0])
	}
	return t
}

// TestTimersThatDoNothing fires at all the wrong moments.
func TestTimersThatDoNothing(t *testing.T) {
	w := newWorld(t, nil)
	fire := func(generation int) {
		t.Helper()
		if err := w.Connections.Fire(t.Context(), w.timer(generation)); err != nil {
			t.Errorf("generation %d: %v", generation, err)
		}
	}
	if err := w.Connections.Fire(t.Context(), connection.Timer{DestinationID: "deleted", Generation: 2}); err != nil {
		t.Error(err)
	}
	fire(1) // connected
	w.disconnect()
	w.until(3 * time.Hour)
	for generation := range 4 {
		fire(generation) // early, or of another disconnect
	}
	w.want("state", w.destination().State, directory.Disconnected)
	w.until(8 * time.Hour)
	for generation := range 4 {
		fire(generation) // late, or repeated
	}
	w.reconnect()
	for generation := range 5 {
		fire(generation)
	}
	w.until(9 * time.Hour)
	w.disconnect()
	w.Timers.Settle(w.timer(5, 17*time.Hour))
	w.until(17 * time.Hour)
	for generation := range 5 {
		fire(generation) // of earlier disconnects, when the time of this one has come
	}
	w.want("state", w.destination().State, directory.Disconnected)
	w.reconnect()
	w.until(2 * day)
	w.want("state", w.destination().State, directory.Connected)
	w.want("mails", w.mails(), []string{"voluntary at 8h0m0s"})
	w.want("notices left", w.Notices.Queue.Len(), 0)
}

// TestTwoAdmins has a hundred of them disconnect, and then reconnect, at once: each time one wins, and the others are told what is the case.
func TestTwoAdmins(t *testing.T) {
	w := newWorld(t, nil)
	for _, action := range []func() error{
		func() error { _, err := w.Connections.Disconnect(t.Context(), "siem", maria); return err },
		func() error { _, err := w.Connections.Reconnect(t.Context(), "siem", maria); return err },
	} {
		errs := make([]error, 100)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = action() })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if _, ok := errors.AsType[*directory.Conflict](err); !ok {
				t.Errorf("%v is no conflict", err)
			}
		}
		if won != 1 {
			t.Errorf("%d of a hundred admins won", won)
		}
	}
	w.want("generation", w.destination().Generation, 3)
	w.want("timers", w.Timers.Len(), 0)
}

// TestReconnectAgainstTheTimer lets both happen at the same moment: one of them comes first, and the mail goes by which.
func TestReconnectAgainstTheTimer(t *testing.T) {
	for range 20 {
		w := newWorld(t, nil)
		w.disconnect()
		w.until(8*time.Hour - time.Second)
		w.Timers.Settle(w.timer(2, 8*time.Hour))
		w.until(8 * time.Hour)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := w.Connections.Fire(t.Context(), w.timer(2)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if _, err := w.Connections.Reconnect(t.Context(), "siem", maria); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		w.until(9 * time.Hour)
		w.want("state", w.destination().State, directory.Connected)
		w.want("mails", w.mails(), []string(nil)) // by the time that the notice was taken, it was connected
		if g := w.destination().Generation; g != 3 && g != 4 {
			t.Errorf("generation %d", g)
		}
	}
}

// TestAHundredTimers lets a timer go off a hundred times at the same moment, and its notice be taken a hundred times: one mail and one entry.
func TestAHundredTimers(t *testing.T) {
	w := newWorld(t, nil)
	w.disconnect()
	w.until(8*time.Hour - time.Second)
	w.Timers.Settle(w.timer(2, 8*time.Hour))
	w.until(8 * time.Hour)
	var mu sync.Mutex
	came, all := 0, make(chan struct{})
	w.Directory.Hook = func(call string) memory.Fault { // all have read the record before the first writes it
		if call == memory.CallPutDestination {
			mu.Lock()
			if came++; came == 100 {
				close(all)
			}
			mu.Unlock()
			<-all
		}
		return memory.OK
	}
	w.Notices.Queue.Copies = func() int { return 3 }
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if err := w.Connections.Fire(t.Context(), w.timer(2)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.until(9 * time.Hour)
	w.want("state", w.destination().State, directory.Disabled)
	w.want("generation", w.destination().Generation, 3)
	w.want("mails", w.mails(), []string{"voluntary at 8h0m0s"})
	w.want("announced", w.announced(), []string{events.DestinationDisconnected, events.DestinationDisabled})
	w.checkTold(connection.DestinationDisconnected, connection.DestinationDisabled)
}

// TestAHundredSweeps has what was left over told by a hundred runs of requeue at once, in competition with each other: it is one entry.
func TestAHundredSweeps(t *testing.T) {
	s := &saboteur{call: memory.CallSendLog, nth: 1, fault: memory.FailBefore}
	w := newWorld(t, s.hook)
	s.arm(w.Clock.Now)
	w.disconnect()
	w.want("left to tell", len(w.Directory.Untold()), 1)
	o := &connection.Outbox{
		Store: w.Directory, Logs: logs{w}, Bus: w.Bus, Now: func() time.Time { return w.Clock.Now().Add(time.Minute) }, Fault: func(err error) { t.Error(err) },
	}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if err := o.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.until(time.Minute)
	w.checkTold(connection.DestinationDisconnected)
}

// logs are a world's ingest queue.
type logs struct{ *world }

// Send implements connection.Logs.
func (l logs) Send(_ context.Context, log events.Log) error {
	body, err := json.Marshal(log)
	if err != nil {
		return err
	}
	l.World.Send(body)
	return nil
}
