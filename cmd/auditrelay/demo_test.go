package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

func TestTalesAreAligned(t *testing.T) {
	accepted := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	key := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: "log-1", AcceptedAt: accepted}
	var tales table
	for _, e := range []delivery.Entry{
		{Event: delivery.EventAttempted, At: accepted, Key: key, Attempt: 1, Outcome: delivery.Failed, Code: failure.HTTPServerError, NextAt: accepted.Add(time.Minute)},
		{Event: delivery.EventFailing, At: accepted, Key: delivery.Key{DestinationID: "siem"}, Code: failure.HTTPServerError},
		{Event: delivery.EventAttempted, At: accepted, Key: key, Attempt: 2, Outcome: delivery.Delivered},
		{Event: delivery.EventFailed, At: accepted, Key: key, Attempt: 9, Code: failure.NetTimeout},
	} {
		tales.add(tale(e)...)
	}
	if tale(delivery.Entry{Event: delivery.EventAccepted}) != nil {
		t.Error("an acceptance has a line of its own")
	}
	var out bytes.Buffer
	if err := tales.write(&out); err != nil {
		t.Fatal(err)
	}
	want := `log-1  siem  attempt 1   http.server_error  again in 1m0s
       siem              is failing         5xx
log-1  siem  attempt 2   delivered
log-1  siem  9 attempts  given up           Timeout
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 518602: "518,602", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
}
