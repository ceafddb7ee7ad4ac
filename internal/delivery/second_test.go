package delivery_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// TestASecondDestinationIsKnownTenSecondsLater changes a destination beside one that takes the log already, so that no instance asks anew for want of a taker.
// No index shows the change, and each instance looked for writes at another time before it. A log that comes ten seconds after the change finds it.
func TestASecondDestinationIsKnownTenSecondsLater(t *testing.T) {
	second := directory.Destination{ID: "lake", WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Connected}
	for name, test := range map[string]struct {
		before []string // the types that it asked for; nil if it was not there
		change func(*directory.Destination)
		want   []string
	}{
		"is made":         {nil, func(d *directory.Destination) { d.LogTypes = nil }, []string{"lake connected", "siem connected"}},
		"asks for more":   {[]string{"job_summary"}, func(d *directory.Destination) { d.LogTypes = append(d.LogTypes, "user_activity") }, []string{"lake connected", "siem connected"}},
		"asks for all":    {[]string{"job_summary"}, func(d *directory.Destination) { d.LogTypes = nil }, []string{"lake connected", "siem connected"}},
		"is disconnected": {[]string{"user_activity"}, func(d *directory.Destination) { d.State = directory.Disconnected }, []string{"lake disconnected", "siem connected"}},
		"asks for others": {[]string{"user_activity"}, func(d *directory.Destination) { d.LogTypes = []string{"job_details"} }, []string{"siem connected"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, nil)
			s.directory.Now = s.now
			d := second
			put := func() {
				var err error
				if d, err = s.directory.PutDestination(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			}
			if d.LogTypes = test.before; d.LogTypes != nil {
				put()
			}
			s.to(s.now().Add(2 * time.Hour)) // of what was written before it, nothing is heard
			var instances []*delivery.CachedDirectory
			for range 11 { // the last look of each is a second younger than that of the one before
				c := s.remember(t)
				if _, _, err := c.Workspace(t.Context(), "acme"); err != nil {
					t.Fatal(err)
				}
				instances = append(instances, c)
				s.to(s.now().Add(time.Second))
			}
			test.change(&d)
			put()
			s.to(s.now().Add(10 * time.Second))
			for i, c := range instances {
				_, own, err := c.Workspace(t.Context(), "acme")
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, to := range directory.Route("user_activity", own, nil) {
					got = append(got, fmt.Sprint(to.ID, " ", to.State))
				}
				slices.Sort(got)
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("instance %d routes (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}
