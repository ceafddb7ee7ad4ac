package directory

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTransition(t *testing.T) {
	since := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	now := since.Add(Grace)
	failing := Health{State: Failing, Since: since, Code: "http.unauthorized"}
	healthy := Health{State: Healthy}
	in := func(s State) Destination {
		return Destination{ID: "siem", State: s, StateSince: since, Generation: 4, Version: 7, Revision: 9, Health: failing, Draining: s == Connected,
			LastLook: s == Connected, OpenedAt: since}
	}
	out := func(s State, h Health, draining bool) Destination {
		d := Destination{ID: "siem", State: s, StateSince: now, Generation: 5, Version: 7, Revision: 9, Health: h, Draining: draining, OpenedAt: since}
		if s == Connected {
			d.OpenedAt = now
		}
		return d
	}
	deleted := in(Deleted)
	deleted.Farewell = "activity-1"
	gone := out("", failing, false)
	gone.Farewell = "activity-1"
	for name, c := range map[string]struct {
		from     Destination
		action   Action
		now      time.Time
		want     Destination
		conflict string
	}{
		"connect what is new":               {from: in(""), action: Connect, want: out(Connected, healthy, false)},
		"connect what is connected":         {from: in(Connected), action: Connect, conflict: "cannot connect destination siem: it is connected since 2026-11-02T09:00:00Z"},
		"connect what is disconnected":      {from: in(Disconnected), action: Connect, conflict: "cannot connect destination siem: it is disconnected since 2026-11-02T09:00:00Z"},
		"connect what is disabled":          {from: in(Disabled), action: Connect, conflict: "cannot connect destination siem: it is disabled since 2026-11-02T09:00:00Z"},
		"disconnect what is new":            {from: Destination{ID: "siem"}, action: Disconnect, conflict: "cannot disconnect destination siem: it is new, it was never connected"},
		"disconnect what is connected":      {from: in(Connected), action: Disconnect, want: out(Disconnected, failing, false)},
		"disconnect what is disconnected":   {from: in(Disconnected), action: Disconnect, conflict: "cannot disconnect destination siem: it is disconnected since 2026-11-02T09:00:00Z"},
		"disconnect what is disabled":       {from: in(Disabled), action: Disconnect, conflict: "cannot disconnect destination siem: it is disabled since 2026-11-02T09:00:00Z"},
		"disable what is connected":         {from: in(Connected), action: Disable, conflict: "cannot disable destination siem: it is connected since 2026-11-02T09:00:00Z"},
		"disable after the eight hours":     {from: in(Disconnected), action: Disable, want: out(Disabled, failing, false)},
		"disable a nanosecond too early":    {from: in(Disconnected), action: Disable, now: now.Add(-1), conflict: "cannot disable destination siem before 2026-11-02T17:00:00Z: it is disconnected since 2026-11-02T09:00:00Z"},
		"disable what is disabled":          {from: in(Disabled), action: Disable, conflict: "cannot disable destination siem: it is disabled since 2026-11-02T09:00:00Z"},
		"reconnect what is connected":       {from: in(Connected), action: Reconnect, conflict: "cannot reconnect destination siem: it is connected since 2026-11-02T09:00:00Z"},
		"reconnect what is disconnected":    {from: in(Disconnected), action: Reconnect, want: out(Connected, healthy, true)},
		"reconnect what is disabled":        {from: in(Disabled), action: Reconnect, want: out(Connected, healthy, true)},
		"reconnect what is deleted":         {from: deleted, action: Reconnect, conflict: "cannot reconnect destination siem: it is deleted since 2026-11-02T09:00:00Z"},
		"disconnect what is deleted":        {from: deleted, action: Disconnect, conflict: "cannot disconnect destination siem: it is deleted since 2026-11-02T09:00:00Z"},
		"disable what is deleted":           {from: deleted, action: Disable, conflict: "cannot disable destination siem: it is deleted since 2026-11-02T09:00:00Z"},
		"delete what is new":                {from: Destination{ID: "siem"}, action: Delete, conflict: "cannot delete destination siem: it is new, it was never connected"},
		"delete what is connected":          {from: in(Connected), action: Delete, want: out(Deleted, failing, false)},
		"delete what is disconnected":       {from: in(Disconnected), action: Delete, want: out(Deleted, failing, false)},
		"delete what is disabled":           {from: in(Disabled), action: Delete, want: out(Deleted, failing, false)},
		"delete what is deleted":            {from: deleted, action: Delete, conflict: "cannot delete destination siem: it is deleted since 2026-11-02T09:00:00Z"},
		"restore what is connected":         {from: in(Connected), action: Restore, conflict: "cannot restore destination siem: it is connected since 2026-11-02T09:00:00Z"},
		"restore what is disabled":          {from: in(Disabled), action: Restore, conflict: "cannot restore destination siem: it is disabled since 2026-11-02T09:00:00Z"},
		"restore what is deleted":           {from: deleted, action: Restore, want: out(Connected, healthy, true)},
		"remove after the eight hours":      {from: deleted, action: Remove, want: gone},
		"remove a nanosecond too early":     {from: deleted, action: Remove, now: now.Add(-1), conflict: "cannot remove destination siem before 2026-11-02T17:00:00Z: it is deleted since 2026-11-02T09:00:00Z"},
		"remove what is disconnected":       {from: in(Disconnected), action: Remove, conflict: "cannot remove destination siem: it is disconnected since 2026-11-02T09:00:00Z"},
		"purge at once":                     {from: deleted, action: Purge, now: now.Add(-1), want: func() Destination { d := gone; d.StateSince = now.Add(-1).Truncate(time.Millisecond); return d }()},
		"purge what is connected":           {from: in(Connected), action: Purge, conflict: "cannot purge destination siem: it is connected since 2026-11-02T09:00:00Z"},
		"times are whole milliseconds":      {from: in(Disabled), action: Reconnect, now: now.Add(999 * time.Microsecond), want: out(Connected, healthy, true)},
		"an action that does not exist":     {from: in(Connected), action: "explode", conflict: "cannot explode destination siem: it is connected since 2026-11-02T09:00:00Z"},
		"an action that does not exist, ''": {from: Destination{ID: "siem"}, action: "explode", conflict: "cannot explode destination siem: it is new, it was never connected"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.now.IsZero() {
				c.now = now
			}
			got, err := Transition(c.from, c.action, c.now)
			message := ""
			if err != nil {
				message, c.want = err.Error(), c.from
			}
			if diff := cmp.Diff(c.conflict, message); diff != "" {
				t.Errorf("conflict (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("destination (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAccepts asks of destinations in every state whether they may be sent a log, and the entry about their deletion.
func TestAccepts(t *testing.T) {
	for state, want := range map[State][3]bool{
		"": {}, Connected: {true, true, true}, Disconnected: {}, Disabled: {}, Deleted: {false, true, false},
	} {
		d := Destination{WorkspaceID: "acme", State: state, Farewell: "activity-1"}
		none := Destination{WorkspaceID: "acme", State: state}
		got := [3]bool{d.Accepts("acme", "log-1"), d.Accepts("acme", "activity-1"), d.Accepts("other", "activity-1")}
		if got != want || none.Accepts("acme", "") != (state == Connected) {
			t.Errorf("%q accepts %v, want %v", state, got, want)
		}
	}
}
