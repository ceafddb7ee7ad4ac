package notice

import (
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

func TestDue(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	voluntary := directory.Notice{Kind: directory.Voluntary, Generation: 4, At: at}
	cutOff := directory.Notice{Kind: directory.CutOffNotice, At: at, Child: &directory.Child{ID: "orbit"}}
	unrouted := directory.Notice{Kind: directory.UnroutedNotice, At: at, Unrouted: &directory.Unrouted{WorkspaceID: "orbit", LogTypes: []string{"job_details", "job_summary"}}}
	wants := func(d directory.Destination, types ...string) directory.Destination {
		d.LogTypes = types
		return d
	}
	deletion := directory.Notice{Kind: directory.Deletion, Generation: 4, At: at}
	about := func(k directory.NoticeKind) directory.Notice {
		return directory.Notice{Kind: k, Since: at.Add(-time.Hour), At: at}
	}
	in := func(s directory.State, generation int) directory.Destination {
		return directory.Destination{State: s, Generation: generation, Health: directory.Health{State: directory.Healthy}}
	}
	failing := func(since time.Time) directory.Destination {
		d := in(directory.Connected, 1)
		d.Health = directory.Health{State: directory.Failing, Since: since}
		return d
	}
	draining := in(directory.Connected, 1)
	draining.Draining = true
	refusing := in(directory.Connected, 1)
	refusing.Health.Refused.Since = at.Add(-100 * time.Hour)
	for name, c := range map[string]struct {
		notice directory.Notice
		d      directory.Destination
		after  time.Duration
		want   Verdict
	}{
		"voluntary, disabled":                       {voluntary, in(directory.Disabled, 5), 0, Send},
		"voluntary, disabled days ago":              {voluntary, in(directory.Disabled, 5), 72 * time.Hour, Send},
		"voluntary, about to be disabled":           {voluntary, in(directory.Disconnected, 4), 0, Later},
		"voluntary, still not disabled":             {voluntary, in(directory.Disconnected, 4), 15 * time.Minute, Drop},
		"voluntary, reconnected before":             {voluntary, in(directory.Connected, 5), 0, Drop},
		"voluntary, reconnected after":              {voluntary, in(directory.Connected, 6), 0, Drop},
		"voluntary, disconnected again":             {voluntary, in(directory.Disconnected, 6), 0, Drop},
		"voluntary, disabled again":                 {voluntary, in(directory.Disabled, 7), 0, Drop},
		"cut off":                                   {cutOff, in(directory.Connected, 1), 0, Send},
		"cut off, deleted since":                    {cutOff, in(directory.Deleted, 2), 0, Drop},
		"cut off, of a version that names no child": {about(directory.CutOffNotice), in(directory.Connected, 1), 0, Drop},
		"unrouted":                                    {unrouted, wants(in(directory.Connected, 1), "user_activity"), 0, Send},
		"unrouted, one of the types is wanted":        {unrouted, wants(in(directory.Connected, 1), "job_details"), 0, Send},
		"unrouted, both are wanted since":             {unrouted, wants(in(directory.Connected, 1), "job_details", "job_summary"), 0, Drop},
		"unrouted, every type is wanted since":        {unrouted, in(directory.Connected, 1), 0, Drop},
		"unrouted, failing":                           {unrouted, wants(failing(at), "user_activity"), 0, Send},
		"unrouted, disconnected since":                {unrouted, wants(in(directory.Disconnected, 2), "user_activity"), 0, Drop},
		"unrouted, that names no logs":                {about(directory.UnroutedNotice), wants(in(directory.Connected, 1), "user_activity"), 0, Drop},
		"deletion, deleted":                           {deletion, in(directory.Deleted, 4), 0, Send},
		"deletion, hours ago":                         {deletion, in(directory.Deleted, 4), 7 * time.Hour, Send},
		"deletion, restored":                          {deletion, in(directory.Connected, 5), 0, Drop},
		"deletion, deleted again":                     {deletion, in(directory.Deleted, 6), 0, Drop},
		"involuntary, failing":                        {about(directory.Involuntary), failing(at.Add(-time.Hour)), 0, Send},
		"involuntary, failing since that millisecond": {about(directory.Involuntary), failing(at.Add(-time.Hour).Add(time.Microsecond)), 0, Send},
		"involuntary, failing anew":                   {about(directory.Involuntary), failing(at), 0, Drop},
		"involuntary, healthy":                        {about(directory.Involuntary), in(directory.Connected, 1), 0, Drop},
		"involuntary, disconnected":                   {about(directory.Involuntary), in(directory.Disconnected, 2), 0, Drop},
		"recovered, healthy":                          {about(directory.Recovered), in(directory.Connected, 1), 0, Send},
		"recovered, draining":                         {about(directory.Recovered), draining, 0, Send},
		"recovered, about to be noted":                {about(directory.Recovered), failing(at.Add(-time.Hour)), 0, Later},
		"recovered, never noted":                      {about(directory.Recovered), failing(at.Add(-time.Hour)), time.Hour, Drop},
		"recovered, failing anew":                     {about(directory.Recovered), failing(at), 0, Drop},
		"recovered, disconnected":                     {about(directory.Recovered), in(directory.Disconnected, 2), 0, Drop},
		"expiry warning, failing":                     {about(directory.ExpiryWarning), failing(at.Add(-time.Hour)), 0, Send},
		"expiry warning, disconnected":                {about(directory.ExpiryWarning), in(directory.Disconnected, 2), 0, Send},
		"expiry warning, deleted":                     {about(directory.ExpiryWarning), in(directory.Deleted, 3), 0, Drop},
		"expiry warning, disabled":                    {about(directory.ExpiryWarning), in(directory.Disabled, 3), 0, Send},
		"expiry warning, draining":                    {about(directory.ExpiryWarning), draining, 0, Send},
		"expiry warning, refusing logs":               {about(directory.ExpiryWarning), refusing, 0, Send},
		"expiry warning, all is well":                 {about(directory.ExpiryWarning), in(directory.Connected, 1), 0, Drop},
		"a kind that a later version sends":           {about("applause"), in(directory.Connected, 1), 0, Drop},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Due(c.notice, c.d, at.Add(c.after)); got != c.want {
				t.Errorf("verdict %d, want %d", got, c.want)
			}
		})
	}
}
