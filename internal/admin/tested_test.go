package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// TestATestIsWrittenDown holds that each test log is a line as other attempts are, whatever asked for it, and says that it was a test.
func TestATestIsWrittenDown(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	w.tests = nil
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/test", "")
	w.answer = http.StatusUnauthorized
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/test", "")
	w.want(t, http.StatusUnprocessableEntity, http.MethodPut, "/v1/destinations/siem", w.siem(`"credentials":{"bearer":"s3cr3t-two"}`))
	line := delivery.Entry{
		Event: delivery.EventAttempted, Why: delivery.WhyTest, At: noon, Kind: directory.HTTP, Type: "user_activity", Attempt: 1,
		Key: delivery.Key{DestinationID: "siem", WorkspaceID: "acme"},
	}
	taken, refused := line, line
	taken.Outcome = delivery.Delivered
	refused.Outcome, refused.Code, refused.Detail = delivery.Failed, failure.HTTPUnauthorized, "HTTP 401"
	want := []delivery.Entry{taken, refused, refused}
	for i := range w.tests {
		if !strings.HasPrefix(w.tests[i].LogID, "test-") {
			t.Errorf("the log is %q", w.tests[i].LogID)
		}
		w.tests[i].LogID = ""
	}
	if diff := cmp.Diff(want, w.tests, cmpopts.IgnoreFields(delivery.Entry{}, "Took")); diff != "" {
		t.Errorf("what is written down (-want +got):\n%s", diff)
	}
}
