package delivery_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// TestNoLogIsLostInSilence has logs of a destination be lost for each reason, over days: the first mail comes a day
// before the first loss, and one a day from there on, as long as any are lost.
func TestNoLogIsLostInSilence(t *testing.T) {
	disconnect := func(t *testing.T, w *local.World) {
		if _, err := w.Connections.Disconnect(t.Context(), "siem", connection.Caller{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		answer func(now time.Time, id string) error
		begin  func(t *testing.T, w *local.World)
	}{
		"it refuses one in five": {answer: func(_ time.Time, id string) error {
			if id[len(id)-1]%5 == 0 {
				return errLogRefused
			}
			return nil
		}},
		"it fails at one in five": {answer: func(_ time.Time, id string) error {
			if id[len(id)-1]%5 == 0 {
				return errUnavailable
			}
			return nil
		}},
		"it fails":             {answer: downFor(30 * day)},
		"it refuses all":       {answer: func(time.Time, string) error { return errLogRefused }},
		"it asks for days":     {answer: func(time.Time, string) error { return throttled(3 * day) }},
		"an admin disconnects": {answer: downFor(0), begin: disconnect},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := newWorld(nil, tt.answer)
			if tt.begin != nil {
				tt.begin(t, w)
			}
			for n := 0; w.Clock.Now().Before(start.Add(12 * day)); n++ {
				w.Send(message(fmt.Sprintf("log-%04d", n)))
				advance(t, w, 37*time.Minute)
			}
			var lost []time.Time
			for _, e := range w.Cache.FailedEvents() {
				lost = append(lost, e.AcceptedAt.Add(delivery.Lifetime))
			}
			var warned []time.Time
			for _, e := range w.MailJournal.Entries() {
				if e.Event == notice.EventNoRecipient && e.Kind == directory.ExpiryWarning {
					warned = append(warned, e.At)
				}
			}
			if len(lost) < 20 || len(warned) < 6 || len(warned) > 7 { // from the seventh day on
				t.Fatalf("%d logs are lost, and it is warned of at %v, want one a day", len(lost), warned)
			}
			for i, at := range warned {
				if i > 0 && (at.Sub(warned[i-1]) < 23*time.Hour+30*time.Minute || at.Sub(warned[i-1]) > 25*time.Hour) {
					t.Errorf("warnings at %v and %v", warned[i-1], at)
				}
			}
			first := lost[0]
			for _, at := range lost {
				if at.Before(first) {
					first = at
				}
			}
			if ahead := first.Sub(warned[0]); ahead < 22*time.Hour+59*time.Minute || ahead > 24*time.Hour {
				t.Errorf("the first warning comes %v ahead", ahead)
			}
		})
	}
}

// waits puts a log into the cache that was accepted so long ago, and last failed with a code.
func (s *stage) waits(t *testing.T, id string, age time.Duration, code failure.Code, owner string) {
	t.Helper()
	k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: id, AcceptedAt: start.Add(-age)}
	d := delivery.Delivery{Key: k, Owner: owner, Code: code, NextAt: k.ExpiresAt(), Parked: true, Document: auditlog.Document{ID: id, WorkspaceID: "acme", JSON: []byte(`{}`)}}
	if err := s.cache.Save(t.Context(), []delivery.Delivery{d})[0]; err != nil {
		t.Fatal(err)
	}
}

// TestWhatAWarningSays has the watch look at a destination in each state, for which logs of many ages wait.
func TestWhatAWarningSays(t *testing.T) {
	old := start.Add(-6 * day)
	say := func(code failure.Code, answer string, since time.Time) []directory.Notice {
		return []directory.Notice{{
			Kind: directory.ExpiryWarning, DestinationID: "siem", Since: since, Code: code, Answer: answer, At: start,
			Losses: &directory.Losses{Logs: 4, Waiting: 6, First: start.Add(time.Minute), Until: start.Add(day), Codes: []directory.CodeCount{
				{Code: failure.HTTPLogRefused, Logs: 2}, {Logs: 1}, {Code: failure.HTTPServerError, Logs: 1},
			}},
		}}
	}
	refused := directory.Refusals{Since: old, Code: failure.HTTPLogRefused, Answer: "HTTP 422"}
	for name, tt := range map[string]struct {
		set  func(d *directory.Destination)
		want []directory.Notice
	}{
		"disabled":     {func(d *directory.Destination) { d.State, d.StateSince = directory.Disabled, old }, say("", "", old)},
		"disconnected": {func(d *directory.Destination) { d.State, d.StateSince = directory.Disconnected, old }, say("", "", old)},
		"deleted":      {func(d *directory.Destination) { d.State, d.StateSince = directory.Deleted, old }, nil},
		"failing": {func(d *directory.Destination) {
			d.Health = directory.Health{State: directory.Failing, Since: old, Code: failure.S3Refused, Answer: "HTTP 403"}
		}, append([]directory.Notice{{Kind: directory.Involuntary, DestinationID: "siem", Since: old, Code: failure.S3Refused, Answer: "HTTP 403", At: start}},
			say(failure.S3Refused, "HTTP 403", old)...)},
		"refusing": {func(d *directory.Destination) { d.Health.Refused = refused }, say(failure.HTTPLogRefused, "HTTP 422", old)},
		"drained for long": {func(d *directory.Destination) { *d = d.Drain(start.Add(-2 * time.Hour)) },
			say(failure.HTTPLogRefused, "", start.Add(-2*time.Hour))},
		"drained for a moment": {func(d *directory.Destination) { *d, d.Health.Refused = d.Drain(start.Add(-time.Hour)), refused }, nil},
		"well":                 {func(*directory.Destination) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(time.Time, string) error { return nil })
			s.put(t, tt.set)
			s.waits(t, "over", 7*day, failure.HTTPLogRefused, "") // it is being given up
			s.waits(t, "others", 7*day-time.Second, failure.HTTPLogRefused, "globex")
			s.waits(t, "first", 7*day-time.Minute, failure.HTTPServerError, "")
			s.waits(t, "second", 7*day-time.Hour, failure.HTTPLogRefused, "")
			s.waits(t, "third", 6*day+time.Hour, failure.HTTPLogRefused, "")
			s.waits(t, "fourth", 6*day, "", "")
			s.waits(t, "tomorrow's", 6*day-time.Millisecond, "", "")
			s.waits(t, "young", time.Hour, failure.HTTPLogRefused, "")
			if err := s.watch.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			var got []directory.Notice
			for _, m := range s.notices.Queue.Receive(10) {
				got = append(got, m.Body)
			}
			if len(got) == 2 && got[0].Kind == directory.ExpiryWarning {
				got[0], got[1] = got[1], got[0] // duties go beside each other
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("notices (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAWarningIsInTime has the oldest log be of some age, exactly.
func TestAWarningIsInTime(t *testing.T) {
	for age, want := range map[time.Duration]int{
		6*day - time.Millisecond: 0, 6 * day: 0, 6*day + time.Millisecond: 1, 7*day - time.Second: 1, 7 * day: 0, 7*day + time.Hour: 0,
	} {
		t.Run(age.String(), func(t *testing.T) {
			s := newStage(t, func(time.Time, string) error { return nil })
			s.put(t, func(d *directory.Destination) { d.State, d.StateSince = directory.Disabled, start.Add(-6*day) })
			s.waits(t, "log", age, "", "")
			if err := s.watch.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := len(s.notices.Queue.Receive(10)); got != want {
				t.Errorf("%d notices, want %d", got, want)
			}
		})
	}
}
