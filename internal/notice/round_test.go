package notice_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

var (
	throttled = &notice.Refusal{Reason: "TooManyRequestsException"}
	rejected  = &notice.Refusal{Reason: "MessageRejected", Address: true}
)

func manyAdmins(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("a%03d@acme.example", i)
	}
	return list
}

// mails counts what each recipient got of a kind.
func (o *office) mails(kind directory.NoticeKind) map[string]int {
	counts := make(map[string]int)
	for _, m := range o.mailer.All() {
		for _, to := range m.To {
			if m.Kind == kind {
				counts[to]++
			}
		}
	}
	return counts
}

// once is one mail for each.
func once(recipients ...string) map[string]int {
	counts := make(map[string]int)
	for _, r := range recipients {
		counts[r] = 1
	}
	return counts
}

// admins has the owner's list be another one from now on.
func (o *office) admins(list ...string) {
	o.t.Helper()
	w, _, err := o.directory.Workspace(o.t.Context(), "acme")
	if err != nil {
		o.t.Fatal(err)
	}
	w.Admins = list
	if err := o.directory.PutWorkspace(o.t.Context(), w); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) voluntary() directory.Notice {
	d := failing(start)
	d.State, d.Generation = directory.Disabled, 2
	o.put(d)
	return directory.Notice{Kind: directory.Voluntary, DestinationID: "siem", Generation: 1, Since: start, At: o.now}
}

// TestWhoIsRefusedIsMailedLater has the mail service refuse some recipients for some time. Each recipient
// gets one mail in the end, and those whom it takes at once are not kept waiting.
func TestWhoIsRefusedIsMailedLater(t *testing.T) {
	ten := manyAdmins(10)
	for name, c := range map[string]struct {
		admins []string
		// refuse is asked at each mail: its recipient, how long after the start, and how many were taken in
		// the same receive.
		refuse  func(to string, after time.Duration, taken int) *notice.Refusal
		atOnce  int // how many have their mail after the first receive
		settled int
		never   []string
	}{
		"three of ten are throttled for an hour": {admins: ten, atOnce: 7, settled: 21, refuse: func(to string, after time.Duration, _ int) *notice.Refusal {
			if slices.Contains(ten[2:5], to) && after < time.Hour {
				return throttled
			}
			return nil
		}},
		"one mail a receive, as in the sandbox": {admins: ten, atOnce: 1, settled: 10, refuse: func(_ string, _ time.Duration, taken int) *notice.Refusal {
			if taken > 0 {
				return throttled
			}
			return nil
		}},
		"the quota of a day is used up": {admins: ten[:2], settled: 481, refuse: func(_ string, after time.Duration, _ int) *notice.Refusal {
			if after < 24*time.Hour {
				return throttled
			}
			return nil
		}},
		"a bad address among throttled ones": {admins: ten[:4], atOnce: 1, settled: 3, never: ten[:1], refuse: func(to string, _ time.Duration, taken int) *notice.Refusal {
			switch {
			case to == ten[0]:
				return rejected
			case taken > 0:
				return throttled
			}
			return nil
		}},
		"all are rejected while the sender is not verified": {admins: ten[:3], settled: 11, refuse: func(_ string, after time.Duration, _ int) *notice.Refusal {
			if after < 30*time.Minute {
				return rejected
			}
			return nil
		}},
	} {
		for _, kind := range []directory.NoticeKind{directory.Involuntary, directory.Voluntary} {
			t.Run(fmt.Sprintf("%s, %s", name, kind), func(t *testing.T) {
				o := newOffice(t, nil, c.admins...)
				n := o.involuntary()
				if kind == directory.Voluntary {
					n = o.voluntary()
				}
				m, taken := o.message(n), 0
				o.mailer.Refuse = func(mail notice.Mail) *notice.Refusal {
					r := c.refuse(strings.Join(mail.To, " "), o.now.Sub(start), taken)
					if r == nil {
						taken++
					}
					return r
				}
				settled := 0
				for m.Receives = 1; m.Receives <= 960 && settled == 0; m.Receives++ {
					taken = 0
					if len(o.Handle(t.Context(), []notice.Message{m})) == 0 {
						settled = m.Receives
					}
					if m.Receives == 1 {
						o.want("told at once", len(o.mailer.All()), c.atOnce)
					}
					o.now = o.now.Add(3 * time.Minute)
				}
				want := once(c.admins...)
				for _, a := range c.never {
					delete(want, a)
				}
				o.want("settled at", settled, c.settled)
				o.want("mails", o.mails(kind), want)
			})
		}
	}
}

// TestABadAddressIsNotTriedEachHour: what an address is refused for stays with it for the time of the limit.
func TestABadAddressIsNotTriedEachHour(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example", "dead@acme.example")
	tries := 0
	o.mailer.Refuse = func(m notice.Mail) *notice.Refusal {
		if m.To[0] == "dead@acme.example" {
			tries++
			return rejected
		}
		return nil
	}
	for range 48 {
		o.handle(o.message(o.involuntary()), 5)
		o.now = start.Add(o.now.Sub(start).Truncate(time.Hour) + time.Hour)
	}
	o.want("tries in two days", tries, 2)
	o.want("mails", o.mails(directory.Involuntary), map[string]int{"ada@acme.example": 2})
}

// TestADeathCostsOneRecipientAtMost ends the process at each of its calls while it tells five admins. The
// others are told; the one whose mail was on its way is told once or not at all, and that is said.
func TestADeathCostsOneRecipientAtMost(t *testing.T) {
	five := manyAdmins(5)
	for _, call := range []string{memory.CallClaim, memory.CallSaveClaim, memory.CallMail} {
		for nth := 1; nth <= 10; nth++ {
			for _, fault := range []memory.Fault{memory.FailBefore, memory.FailAfter} {
				t.Run(fmt.Sprintf("%s %d, fault %d", call, nth, fault), func(t *testing.T) {
					seen, dead := 0, false
					o := newOffice(t, func(c string) memory.Fault {
						if dead {
							return memory.FailBefore
						}
						if c == call {
							seen++
						}
						if c != call || seen != nth {
							return memory.OK
						}
						dead = true
						return fault
					}, five...)
					m := o.message(o.voluntary())
					for m.Receives = 1; m.Receives <= 4; m.Receives++ {
						o.Handle(t.Context(), []notice.Message{m})
						dead = false
						o.now = o.now.Add(3 * time.Minute)
					}
					mails := o.mails(directory.Voluntary)
					lost := len(five) - len(mails)
					if lost > 1 || lost == 1 && !slices.Contains(o.events(), notice.EventUncertain) || slices.Max(slices.Collect(maps.Values(mails))) > 1 {
						t.Errorf("mails %v, events %v", mails, o.events())
					}
				})
			}
		}
	}
}

// TestTheListMayChangeBetweenTries: a claim is its recipient's, wherever and however it stands in the list.
func TestTheListMayChangeBetweenTries(t *testing.T) {
	before := manyAdmins(60)
	reversed := slices.Clone(before)
	slices.Reverse(reversed)
	loud := make([]string, len(before))
	for i, a := range before {
		loud[i] = "Admin <" + strings.ToUpper(a) + ">"
	}
	for name, c := range map[string]struct {
		after []string
		added []string
	}{
		"the same":             {after: before},
		"reversed":             {after: reversed},
		"one in front":         {after: append([]string{"new@acme.example"}, before...), added: []string{"new@acme.example"}},
		"one left":             {after: before[1:]},
		"the first is another": {after: append([]string{"new@acme.example"}, before[1:]...), added: []string{"new@acme.example"}},
		"spelled otherwise":    {after: loud},
		"nobody, then all":     {after: nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, nil, before...)
			first := true
			o.mailer.Refuse = func(m notice.Mail) *notice.Refusal {
				if first && m.To[0] >= before[30] {
					return throttled // half of them, so that the notice comes again
				}
				return nil
			}
			m := o.message(o.involuntary())
			o.want("settled at first", o.handle(m, 1), 0)
			first = false
			o.admins(c.after...)
			o.handle(m, 5)
			o.now = start.Add(time.Hour)
			o.admins(before...)
			o.handle(o.message(o.involuntary()), 5)
			got := make(map[string]int)
			for to, n := range o.mails(directory.Involuntary) {
				got[strings.ToLower(to)] += n
			}
			o.want("mails", got, once(append(slices.Clone(before), c.added...)...))
		})
	}
}

// step is something that happens to the destination of an office.
type step struct {
	after time.Duration
	// fails and works are what its record says from now on; told, if set, sends the notice of it.
	fails, works, told bool
}

// TestTheEndIsToldToWhomeverWasToldOfTheBeginning plays failures and recoveries of one destination, with a
// stumble here and there.
func TestTheEndIsToldToWhomeverWasToldOfTheBeginning(t *testing.T) {
	const h = time.Hour
	for name, c := range map[string]struct {
		steps []step
		want  map[directory.NoticeKind]int
	}{
		"told, and works again":            {[]step{{0, true, false, true}, {2 * h, false, true, true}}, map[directory.NoticeKind]int{directory.Involuntary: 1, directory.Recovered: 1}},
		"never told":                       {[]step{{0, true, false, false}, {10 * time.Minute, false, true, true}}, map[directory.NoticeKind]int{}},
		"three stumbles":                   {[]step{{0, true, false, true}, {h, true, false, true}, {2 * h, true, false, false}, {3 * h, true, false, true}, {4 * h, false, true, true}}, map[directory.NoticeKind]int{directory.Involuntary: 1, directory.Recovered: 1}},
		"the recovery comes twice":         {[]step{{0, true, false, true}, {2 * h, false, true, true}, {2*h + time.Minute, false, true, true}}, map[directory.NoticeKind]int{directory.Involuntary: 1, directory.Recovered: 1}},
		"a short one after the end":        {[]step{{0, true, false, true}, {h, false, true, true}, {3 * h, true, false, false}, {4 * h, false, true, true}}, map[directory.NoticeKind]int{directory.Involuntary: 1, directory.Recovered: 1}},
		"two outages that are told":        {[]step{{0, true, false, true}, {h, false, true, true}, {30 * h, true, false, true}, {31 * h, false, true, true}}, map[directory.NoticeKind]int{directory.Involuntary: 2, directory.Recovered: 2}},
		"an outage of two days, a stumble": {[]step{{0, true, false, true}, {25 * h, true, false, true}, {49 * h, true, false, true}, {50 * h, true, false, false}, {51 * h, false, true, true}}, map[directory.NoticeKind]int{directory.Involuntary: 3, directory.Recovered: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, nil, "ada@acme.example")
			since := start
			for i, s := range c.steps {
				o.now = start.Add(s.after)
				kind, stumbles := directory.Recovered, false
				if s.fails {
					kind, stumbles = directory.Involuntary, i > 0 && c.steps[i-1].fails
				}
				if stumbles { // it took one log, and has failed again by the time that notify looks
					o.put(failing(o.now.Add(time.Second)))
					o.handle(o.message(directory.Notice{Kind: directory.Recovered, DestinationID: "siem", Since: since, At: o.now}), 1)
				}
				if s.fails {
					since = o.now.Add(time.Second)
					o.put(failing(since))
				} else {
					o.put(directory.Destination{ID: "siem", WorkspaceID: "acme", State: directory.Connected, Generation: 1, Health: directory.Health{State: directory.Healthy}})
				}
				if s.told {
					o.handle(o.message(directory.Notice{Kind: kind, DestinationID: "siem", Since: since, At: o.now}), 5)
				}
			}
			got := make(map[directory.NoticeKind]int)
			for _, k := range o.kinds() {
				got[k]++
			}
			o.want("mails", got, c.want)
		})
	}
}

// TestOnlyWhoWasToldHearsOfTheEnd: an admin who came later is not told of the end of what they do not know
// of; one whose second mail of an outage was refused is told, because of the first.
func TestOnlyWhoWasToldHearsOfTheEnd(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example", "bob@acme.example")
	o.handle(o.message(o.involuntary()), 1)
	o.now = start.Add(25 * time.Hour)
	o.admins("new@acme.example", "bob@acme.example", "ada@acme.example")
	o.mailer.Refuse = func(m notice.Mail) *notice.Refusal {
		if m.To[0] == "ada@acme.example" {
			return nil
		}
		return throttled
	}
	o.handle(o.message(o.involuntary()), 1)
	o.mailer.Refuse = nil
	healthy := failing(time.Time{})
	healthy.Health = directory.Health{State: directory.Healthy}
	o.put(healthy)
	o.handle(o.message(directory.Notice{Kind: directory.Recovered, DestinationID: "siem", Since: start, At: o.now}), 1)
	o.want("of the failure", o.mails(directory.Involuntary), map[string]int{"ada@acme.example": 2, "bob@acme.example": 1})
	o.want("of its end", o.mails(directory.Recovered), once("ada@acme.example", "bob@acme.example"))
}

// TestARecoveryWhileAdminsAreTold has the destination recover, and its notice handled, at each call that
// tells three admins of the failure. In the end everybody who has the bad news has the good.
func TestARecoveryWhileAdminsAreTold(t *testing.T) {
	three := manyAdmins(3)
	for at := 1; at <= 4*len(three); at++ { // its claim is read and written, it is mailed, and that is written
		t.Run(fmt.Sprintf("at call %d", at), func(t *testing.T) {
			var o *office
			var recovery notice.Message
			calls, inside, open := 0, false, false
			o = newOffice(t, func(string) memory.Fault {
				if inside {
					return memory.OK
				}
				if calls++; calls == at {
					inside = true
					healthy := failing(time.Time{})
					healthy.Health = directory.Health{State: directory.Healthy}
					o.put(healthy)
					recovery = o.message(directory.Notice{Kind: directory.Recovered, DestinationID: "siem", Since: start, At: o.now})
					open = len(o.Handle(t.Context(), []notice.Message{recovery})) > 0
					inside = false
				}
				return memory.OK
			}, three...)
			o.handle(o.message(o.involuntary()), 5)
			if inside = true; open {
				o.handle(recovery, 5)
			}
			if calls < at {
				t.Fatalf("there are %d calls", calls)
			}
			o.want("of its end", o.mails(directory.Recovered), o.mails(directory.Involuntary))
		})
	}
}

// TestARecoveryWaitsForTheMailThatItAnswers: as long as a mail about the failure is on its way, nobody knows
// whether there is anything to answer.
func TestARecoveryWaitsForTheMailThatItAnswers(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example")
	n := directory.Notice{Kind: directory.Recovered, DestinationID: "siem", Since: start, At: start}
	first := o.message(n)
	o.mailer.Refuse = func(notice.Mail) *notice.Refusal {
		o.mailer.Refuse = nil
		healthy := failing(time.Time{})
		healthy.Health = directory.Health{State: directory.Healthy}
		o.put(healthy)
		o.now = o.now.Add(time.Second)
		o.want("settled while the other is on its way", o.handle(first, 1), 0)
		return nil
	}
	o.handle(o.message(o.involuntary()), 1)
	o.handle(first, 5)
	o.handle(o.message(n), 5)
	o.want("mails", o.kinds(), []directory.NoticeKind{directory.Involuntary, directory.Recovered})
}

// repeating are claims whose client has repeated a write that had taken effect, so that the answer is
// another's: ErrChanged.
type repeating struct {
	*memory.Claims
	nth, saved int
}

func (s *repeating) SaveClaim(ctx context.Context, c notice.Claim) (notice.Claim, error) {
	stored, err := s.Claims.SaveClaim(ctx, c)
	if s.saved++; s.saved == s.nth && err == nil {
		return s.Claims.SaveClaim(ctx, c)
	}
	return stored, err
}

// TestOnesOwnRepetitionIsNotAnother loses the answer of each write of a claim in turn.
func TestOnesOwnRepetitionIsNotAnother(t *testing.T) {
	two := manyAdmins(2)
	for nth := 1; nth <= 5; nth++ {
		t.Run(fmt.Sprint(nth), func(t *testing.T) {
			o := newOffice(t, nil, two...)
			o.Claims = &repeating{Claims: &memory.Claims{}, nth: nth}
			m := o.message(o.voluntary())
			o.handle(m, 5)
			o.handle(o.message(m.Notice), 5)
			o.want("mails", o.mails(directory.Voluntary), once(two...))
		})
	}
}

// conflicting are claims whose nth write meets another transaction: refused, and nothing has changed.
type conflicting struct {
	*memory.Claims
	nth, saved int
}

func (s *conflicting) SaveClaim(ctx context.Context, c notice.Claim) (notice.Claim, error) {
	if s.saved++; s.saved == s.nth {
		return notice.Claim{}, directory.ErrChanged
	}
	return s.Claims.SaveClaim(ctx, c)
}

// TestARefusalThatLeavesNoClaimIsNobodys: a claim that could not be written, and that nobody else has
// written, is tried again.
func TestARefusalThatLeavesNoClaimIsNobodys(t *testing.T) {
	two := manyAdmins(2)
	for nth := 1; nth <= 5; nth++ {
		t.Run(fmt.Sprint(nth), func(t *testing.T) {
			o := newOffice(t, nil, two...)
			o.Claims = &conflicting{Claims: &memory.Claims{}, nth: nth}
			if o.handle(o.message(o.voluntary()), 5) == 0 {
				t.Error("it is never settled")
			}
			o.want("mails", o.mails(directory.Voluntary), once(two...))
		})
	}
}

// closing are claims whose close of a doubtful mail meets something else.
type closing struct {
	*memory.Claims
	meets func(c notice.Claim) (notice.Claim, error)
}

func (s *closing) SaveClaim(ctx context.Context, c notice.Claim) (notice.Claim, error) {
	meets := s.meets
	if s.meets = nil; meets != nil {
		return meets(c)
	}
	return s.Claims.SaveClaim(ctx, c)
}

// TestWhatTheCloseOfADoubtMeets: a receiver died at a mail, and the close of its claim is refused. It is said of the mail that nobody knows of it unless
// somebody else has said what became of it; and it is sent if that was nothing.
func TestWhatTheCloseOfADoubtMeets(t *testing.T) {
	for _, test := range []struct {
		name        string
		first       func(c notice.Claim) (notice.Claim, bool) // what is stored in its place, if anything
		said, mails int
	}{
		{"its own repetition", func(c notice.Claim) (notice.Claim, bool) { return c, true }, 1, 1},
		{"another transaction", func(c notice.Claim) (notice.Claim, bool) { return c, false }, 1, 1},
		{"another receive of the message", func(c notice.Claim) (notice.Claim, bool) { c.Receive = 7; return c, true }, 0, 1},
		{"its holder, that has sent it", func(c notice.Claim) (notice.Claim, bool) { c.Receive, c.At = 1, c.At.Add(time.Minute); return c, true }, 0, 1},
		{"its holder, that was refused", func(c notice.Claim) (notice.Claim, bool) { c.Receive, c.State = 1, notice.Free; return c, true }, 0, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			dead := false
			o := newOffice(t, func(call string) memory.Fault {
				if dead {
					return memory.FailBefore
				}
				dead = call == memory.CallMail
				return memory.OK
			}, "ada@acme.example")
			m := o.message(o.involuntary())
			o.Handle(t.Context(), []notice.Message{m})
			dead = false
			claims := o.Claims.(*memory.Claims)
			claims.Hook, o.mailer.Hook = nil, nil
			o.Claims = &closing{claims, func(c notice.Claim) (notice.Claim, error) {
				if first, ok := test.first(c); ok {
					if _, err := claims.SaveClaim(t.Context(), first); err != nil {
						t.Fatal(err)
					}
				}
				return notice.Claim{}, directory.ErrChanged
			}}
			for m.Receives = 2; m.Receives <= 4; m.Receives++ {
				o.now = o.now.Add(3 * time.Minute)
				o.Handle(t.Context(), []notice.Message{m})
			}
			said := 0
			for _, e := range o.events() {
				if e == notice.EventUncertain {
					said++
				}
			}
			o.want("said, and mails", []int{said, len(o.mailer.All())}, []int{test.said, test.mails})
		})
	}
}

// TestADoubtIsSaidThoughTheNoticeIsVoid: a receiver dies while it tells of a recovery, and by the time that
// the message comes again the destination has failed anew. Whether the admin was told is not known, and that
// is written down.
func TestADoubtIsSaidThoughTheNoticeIsVoid(t *testing.T) {
	kill, dead := false, false
	o := newOffice(t, func(call string) memory.Fault {
		if dead = dead || kill && call == memory.CallMail; dead {
			return memory.FailBefore
		}
		return memory.OK
	}, "ada@acme.example")
	o.handle(o.message(o.involuntary()), 1)
	healthy := failing(time.Time{})
	healthy.Health = directory.Health{State: directory.Healthy}
	o.put(healthy)
	kill = true
	m := o.message(directory.Notice{Kind: directory.Recovered, DestinationID: "siem", Since: start, At: o.now})
	o.handle(m, 1)
	kill, dead = false, false
	o.put(failing(o.now))
	m.Receives = 2
	o.want("unsettled", o.Handle(t.Context(), []notice.Message{m}), []string(nil))
	if events := o.events(); !slices.Equal(events[len(events)-2:], []notice.Event{notice.EventUncertain, notice.EventDropped}) {
		t.Errorf("the journal says %v", events)
	}
}

// TestALongListTakesMoreThanOneReceive: when the time of an invocation runs out, the next receive goes on,
// and nobody's mail is cut off.
func TestALongListTakesMoreThanOneReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := manyAdmins(200)
		o := newOffice(t, nil, all...)
		o.mailer.Refuse = func(notice.Mail) *notice.Refusal {
			time.Sleep(250 * time.Millisecond)
			return nil
		}
		m := o.message(o.involuntary())
		receives := 0
		for m.Receives = 1; m.Receives <= 10; m.Receives++ {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			unsettled := o.Handle(ctx, []notice.Message{m})
			if err := ctx.Err(); err != nil {
				t.Errorf("receive %d took all of its time", m.Receives)
			}
			cancel()
			if receives = m.Receives; len(unsettled) == 0 {
				break
			}
		}
		o.want("receives", receives, 3)
		o.want("mails", o.mails(directory.Involuntary), once(all...))
	})
}

// TestAddressesStayOutOfClaims: keys stand in errors and in log lines.
func TestAddressesStayOutOfClaims(t *testing.T) {
	o := newOffice(t, nil, "ada@acme.example")
	keys := &listening{Claims: &memory.Claims{}}
	o.Claims = keys
	o.handle(o.message(o.involuntary()), 1)
	for _, k := range keys.keys {
		if strings.Contains(k, "@") || strings.Contains(k, "ada") {
			t.Errorf("the key %s names an address", k)
		}
	}
	if len(keys.keys) == 0 {
		t.Error("no claim was asked for")
	}
}

type listening struct {
	*memory.Claims
	keys []string
}

func (l *listening) Claim(ctx context.Context, key string) (notice.Claim, error) {
	l.keys = append(l.keys, key)
	return l.Claims.Claim(ctx, key)
}
