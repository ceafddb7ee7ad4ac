//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// grantLess shows that a missing grant is noticed: without the right to send to the queue rejected, the story of the poisoned message cannot end.
func grantLess(t *testing.T, s servers, bootstraps map[string]string) {
	tmpl := readTemplate(t, assembly(t))
	queue := tmpl.construct(t, "AWS::SQS::Queue", "Rejected")
	withoutGrant(t, tmpl, "DeliverRole", "sqs:SendMessage", queue)
	d := deploy(t, s, tmpl, bootstraps, "b-")
	d.start(t)
	r := openReceiver(t, http.StatusOK)
	d.workspace(t, "w-poison", r.url)
	d.send(t, `no log`, aLog("w-poison", "neighbour", `{}`))
	eventually(t, "the neighbour delivered", patience, func() bool { return r.count() == 1 })
	eventually(t, "refused", patience, func() bool { return len(d.gateway.refused()) > 0 })
	want := "deliver may not sqs:SendMessage on " + d.arn(queue)
	for _, refusal := range d.gateway.refused() {
		if !strings.HasPrefix(refusal, want) {
			t.Errorf("refused: %s, want only: %s", refusal, want)
		}
	}
	if got := d.messages(t, d.queue(t, "Rejected")); len(got) > 0 {
		t.Errorf("%d messages were rejected without the right to", len(got))
	}
	if len(d.functions["deliver"].output.of("relay.fault")) == 0 {
		t.Error("deliver told of no fault")
	}
}

// withoutGrant takes a resource out of the statement of a role that allows the action on it.
func withoutGrant(t *testing.T, tmpl *template, role, action, resource string) {
	t.Helper()
	for _, s := range statementsOf(tmpl.Resources[tmpl.construct(t, "AWS::IAM::Role", role)].Properties) {
		list, ok := s["Resource"].([]any)
		if s["Action"] != action || !ok {
			continue
		}
		left := slices.DeleteFunc(list, func(r any) bool { return strings.Contains(fmt.Sprint(r), resource) })
		if s["Resource"] = left; len(left) == len(list)-1 {
			return
		}
	}
	t.Fatalf("%s has no grant of %s on %s that could be taken away", role, action, resource)
}

// statementsOf finds the statements in a role's properties, as they stand in the template.
func statementsOf(properties any) []map[string]any {
	var found []map[string]any
	switch p := properties.(type) {
	case map[string]any:
		if p["Effect"] != nil && p["Resource"] != nil {
			return []map[string]any{p}
		}
		for _, value := range p {
			found = append(found, statementsOf(value)...)
		}
	case []any:
		for _, value := range p {
			found = append(found, statementsOf(value)...)
		}
	}
	return found
}
