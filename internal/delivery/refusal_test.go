package delivery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// flow has so many logs come together, each so often.
type flow struct {
	every time.Duration
	logs  int
}

// TestADestinationThatRefusesEverythingFails has a receiver take a log and refuse everything after it, each log for its
// own sake: it fails within two hours and is told of, whatever the code and however the logs come.
func TestADestinationThatRefusesEverythingFails(t *testing.T) {
	for name, codes := range map[string][]failure.Code{ // answered in turn
		"400":               {failure.HTTPLogRefused},
		"413":               {failure.HTTPLogTooLarge},
		"400 and 413":       {failure.HTTPLogRefused, failure.HTTPLogTooLarge},
		"Azure's 400":       {failure.AzureMonitorRejected},
		"400, 413, and 500": {failure.HTTPLogRefused, failure.HTTPLogTooLarge, failure.HTTPLogRefused, failure.HTTPServerError},
	} {
		for comes, f := range map[string]flow{
			"a log in ten minutes":   {10 * time.Minute, 1},
			"a log in an hour":       {time.Hour, 1},
			"a hundred in a minute":  {time.Minute, 100},
			"two in half an hour":    {30 * time.Minute, 2},
			"five, and nothing more": {30 * day, 5},
		} {
			t.Run(name+", "+comes, func(t *testing.T) {
				t.Parallel()
				answers := 0
				w, _ := newWorld(nil, func(_ time.Time, id string) error {
					if id == "taken" {
						return nil
					}
					answers++
					return &failure.Error{Code: codes[answers%len(codes)]}
				})
				w.Send(message("taken"))
				advance(t, w, time.Minute)
				const most = 2*time.Hour + time.Minute
				for n, begun := 0, w.Clock.Now(); w.Clock.Now().Sub(begun) < most; {
					for range f.logs {
						w.Send(message(fmt.Sprintf("log-%05d", n)))
						n++
					}
					advance(t, w, min(f.every, most))
				}
				d, _ := w.Directory.CurrentDestination(t.Context(), "siem")
				if since := d.Health.Since.Sub(start); d.Health.State != directory.Failing || since < time.Minute || since > 2*time.Hour || !d.Health.TakenAt.Equal(start) {
					t.Errorf("two hours later its health is %+v", d.Health)
				}
				advance(t, w, time.Hour) // a failure of the passing kind is told after an hour
				mailed(t, w, map[directory.NoticeKind]int{directory.Involuntary: 1})
			})
		}
	}
}

// mailed holds how many mails of each kind went out.
func mailed(t *testing.T, w *local.World, want map[directory.NoticeKind]int) {
	t.Helper()
	got := make(map[directory.NoticeKind]int)
	for _, e := range w.MailJournal.Entries() {
		if e.Event == notice.EventNoRecipient { // the workspace has no admins; whom it had would have been mailed
			got[e.Kind]++
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

// TestALogThatIsRefusedIsNoFailure has a receiver refuse some logs for their own sake while it takes others: it never
// fails, however many it refuses.
func TestALogThatIsRefusedIsNoFailure(t *testing.T) {
	poisoned := func(id string) bool { return strings.HasPrefix(id, "poisoned") }
	for name, tt := range map[string]struct {
		every time.Duration
		// logs come together each time, good and poisoned.
		good, poisoned func(n int) int
	}{
		"one in a batch":                             {10 * time.Minute, always(20), always(1)},
		"all but one of a batch":                     {10 * time.Minute, always(1), always(20)},
		"each other hour":                            {time.Hour, each(2, 0), each(2, 1)},
		"two of three hours":                         {time.Hour, each(3, 0), either(each(3, 1), each(3, 2))},
		"one type of three, a log each quarter":      {15 * time.Minute, either(each(3, 0), each(3, 1)), each(3, 2)},
		"a single log, and nothing for a week":       {24 * time.Hour, once(1, 0), once(1, 1)},
		"a log a day, the first of them refused":     {24 * time.Hour, either(once(1, 1), either(once(1, 2), once(1, 3))), once(1, 0)},
		"a burst, and a good log half an hour after": {30 * time.Minute, always(1), once(200, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := newWorld(nil, func(_ time.Time, id string) error {
				if poisoned(id) {
					return errLogRefused
				}
				return nil
			})
			sent := 0
			for round := 0; w.Clock.Now().Sub(start) < 4*day; round++ {
				for i := range tt.good(round) + tt.poisoned(round) {
					prefix := "good"
					if i < tt.poisoned(round) {
						prefix = "poisoned"
					}
					w.Send(message(fmt.Sprintf("%s-%05d", prefix, sent)))
					sent++
				}
				advance(t, w, tt.every)
			}
			if n := count(w, delivery.EventFailing); n != 0 {
				t.Errorf("it failed %d times", n)
			}
			mailed(t, w, map[directory.NoticeKind]int{})
		})
	}
}

func always(logs int) func(int) int { return func(int) int { return logs } }

func each(of, which int) func(int) int {
	return func(n int) int {
		if n%of == which {
			return 1
		}
		return 0
	}
}

func once(logs, when int) func(int) int {
	return func(n int) int {
		if n == when {
			return logs
		}
		return 0
	}
}

func either(a, b func(int) int) func(int) int { return func(n int) int { return a(n) + b(n) } }

// TestManyInstancesSeeOneDestination has each batch dealt with by another instance of deliver, which remembers nothing
// and whose clock is its own: what counts stands in the record.
func TestManyInstancesSeeOneDestination(t *testing.T) {
	for name, tt := range map[string]struct {
		takes func(batch int) bool
		fails bool
	}{
		"it refuses everything":           {func(int) bool { return false }, true},
		"it takes one batch in twelve":    {func(n int) bool { return n%12 == 11 }, false},
		"it takes one batch in the first": {func(n int) bool { return n == 1 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			batch := 0
			s := newStage(t, func(time.Time, string) error {
				if tt.takes(batch) {
					return nil
				}
				return errLogRefused
			})
			failed := false
			for ; s.now().Before(start.Add(3 * time.Hour)); batch++ {
				instance := &delivery.Deliver{
					Directory: s.directory, Destinations: s.directory, Cache: s.cache, Failed: s.cache, Retries: s.retries, Sinks: s.receiver,
					Budget: s.deliver.Budget, Notices: s.notices, Drains: s.drains, Journal: s.journal, Outbox: s.deliver.Outbox, TimeLimit: time.Minute,
					Now: func() time.Time { return s.now().Add(time.Duration(batch%5-2) * time.Second) },
				}
				s.deliver = instance
				s.accept(t, fmt.Sprintf("log-%d-a", batch), fmt.Sprintf("log-%d-b", batch))
				s.to(s.now().Add(3 * time.Minute))
				failed = failed || s.record(t).Health.State == directory.Failing
			}
			if failed != tt.fails {
				t.Errorf("it failed: %v, want %v; %+v", failed, tt.fails, s.record(t).Health)
			}
		})
	}
}

// TestARefusalIsForgotten has the reason for refusals go away, by itself, by a new version or by a reconnect: the
// record says so, nothing needs attention, and nobody was mailed but of a failure.
func TestARefusalIsForgotten(t *testing.T) {
	refuses := true
	for name, tt := range map[string]struct {
		after time.Duration // for which it refuses
		mend  func(s *stage)
		since time.Duration // of what counts as refused a moment later; 0 for nothing
	}{
		"taken by the first retry": {after: 30 * time.Second, mend: func(*stage) {}},
		"taken after two hours":    {after: 2 * time.Hour, mend: func(*stage) {}},
		"a new version": {after: 40 * time.Minute, since: 40 * time.Minute, mend: func(s *stage) {
			s.put(t, func(d *directory.Destination) { d.Version, d.Health = d.Version+1, d.Health.SetUpAnew(s.now()) })
		}},
		"a reconnect": {after: 40 * time.Minute, mend: func(s *stage) {
			s.put(t, func(d *directory.Destination) { *d, _ = directory.Transition(*d, directory.Disconnect, s.now()) })
			s.put(t, func(d *directory.Destination) { *d, _ = directory.Transition(*d, directory.Reconnect, s.now()) })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			refuses = true
			s := newStage(t, func(time.Time, string) error {
				if refuses {
					return errLogRefused
				}
				return nil
			})
			s.accept(t, "one", "two")
			s.play(t, tt.after)
			tt.mend(s)
			if d := s.record(t); tt.since > 0 && (!d.Health.Refused.Since.Equal(start.Add(tt.since)) || d.Health.Refused.Logs != 0) {
				t.Errorf("it refuses since %v", d.Health.Refused)
			}
			refuses = false
			s.play(t, 26*time.Hour)
			want := directory.Health{State: directory.Healthy}
			got := s.record(t)
			got.Health.TakenAt = time.Time{}
			if diff := cmp.Diff(want, got.Health); diff != "" || got.NeedsAttention() || s.cache.Len() > 0 {
				t.Errorf("%d logs wait, it needs attention: %v, its health (-want +got):\n%s", s.cache.Len(), got.NeedsAttention(), diff)
			}
		})
	}
}

// TestHealthyLogsAreNotWrittenDown counts the writes of the record: none while all is taken, and one an hour or so
// while some is refused.
func TestHealthyLogsAreNotWrittenDown(t *testing.T) {
	for name, tt := range map[string]struct {
		refusedOf int // one in so many
		most      int
	}{
		"all is taken":              {0, 0},
		"each hundredth is refused": {100, 27},
		"each second is refused":    {2, 27},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(_ time.Time, id string) error {
				var n int
				if _, err := fmt.Sscanf(id, "log-%d", &n); err == nil && tt.refusedOf > 0 && n%tt.refusedOf == 0 {
					return errLogRefused
				}
				return nil
			})
			before := s.record(t).Revision
			for n := 0; s.now().Before(start.Add(day)); n++ {
				s.accept(t, fmt.Sprintf("log-%d", n))
				s.to(s.now().Add(time.Minute))
			}
			if writes := s.record(t).Revision - before; writes > tt.most {
				t.Errorf("%d writes in a day, want at most %d", writes, tt.most)
			}
		})
	}
}
