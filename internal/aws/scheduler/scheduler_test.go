package scheduler

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/connection"
)

func TestName(t *testing.T) {
	at := time.Date(2026, 11, 2, 17, 0, 0, 0, time.UTC)
	timer := connection.Timer{DestinationID: "siem", Generation: 2, At: at}
	names := map[string]bool{name(timer): true}
	for _, other := range []connection.Timer{
		{DestinationID: "siem", Generation: 3, At: at},
		{DestinationID: "siem", Generation: 2, At: at.Add(time.Millisecond)},
		{DestinationID: "siem-2", Generation: 2, At: at},
		{DestinationID: strings.Repeat("long", 32), Generation: 1_000_000_000, At: at},
	} {
		n := name(other)
		if names[n] {
			t.Errorf("%+v has the name of another timer", other)
		}
		names[n] = true
		if !regexp.MustCompile(`^[0-9a-zA-Z-_.]{1,64}$`).MatchString(n) {
			t.Errorf("the service does not take the name %s", n)
		}
	}
}

func TestExpression(t *testing.T) {
	at := time.Date(2026, 11, 2, 17, 0, 0, 0, time.FixedZone("", 3600))
	for after, want := range map[time.Duration]string{
		0:                      "at(2026-11-02T16:00:00)",
		time.Millisecond:       "at(2026-11-02T16:00:01)",
		999 * time.Millisecond: "at(2026-11-02T16:00:01)",
		time.Second:            "at(2026-11-02T16:00:01)",
	} {
		if got := expression(at.Add(after)); got != want {
			t.Errorf("%v later: %s, want %s", after, got, want)
		}
	}
}
