package dynamo

import (
	"encoding/json"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// TestADestinationComesBackWhole stores records with everything, and with nothing, that a destination can have.
func TestADestinationComesBackWhole(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 11, 2, hour, 0, 0, 1e6, time.UTC) }
	for name, d := range map[string]directory.Destination{
		"nothing": {ID: "siem", WorkspaceID: "acme"},
		"everything": {
			ID: "siem", Name: "SIEM", WorkspaceID: "acme", Kind: directory.HTTP, Shared: true, LogTypes: []string{"admin"}, ExternalID: "x",
			Incarnation: "i", Settings: json.RawMessage(`{"url":"u"}`), Credentials: []byte("sealed"), State: directory.Connected, Generation: 2,
			StateSince: at(1), Draining: true, LastLook: true, OpenedAt: at(2), Version: 3, Revision: 4,
			Health: directory.Health{
				State: directory.Failing, Since: at(3), Code: failure.S3Refused, Answer: "HTTP 403", Until: at(4), AskedAt: at(5), TakenAt: at(6),
				Refused: directory.Refusals{Since: at(7), Logs: 2, Code: failure.HTTPLogRefused, Answer: "HTTP 422"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseDestination(destinationItem(d))
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(d, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, listed := destinationItem(d)["attention"]; listed != d.NeedsAttention() {
				t.Errorf("it stands in the index of those that need attention: %v", listed)
			}
		})
	}
}
