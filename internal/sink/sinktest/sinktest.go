// Package sinktest is the conformance suite of destination kinds: what every sink does, whatever it sends to. Each kind runs it against a
// scripted server, which can be made to fail in every way, and against real ones with an explicit list of what they cannot do.
package sinktest

import (
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Scenario is a state of the receiver.
type Scenario string

// The scenarios.
const (
	// Works: the receiver takes everything.
	Works Scenario = "works"
	// BadCredentials: the receiver does not know the credentials, or they are wrong.
	BadCredentials Scenario = "bad credentials"
	// NoPermission: the receiver knows the credentials, but they do not allow writing.
	NoPermission Scenario = "no permission"
	// Missing: what the settings name (bucket, container, URL) does not exist.
	Missing Scenario = "missing"
	// Throttled: the receiver asks for fewer requests, and to wait for ThrottledFor.
	Throttled Scenario = "throttled"
	// Broken: the receiver has a fault of its own (5xx).
	Broken Scenario = "broken"
	// Hangs: the receiver takes the connection and never answers.
	Hangs Scenario = "hangs"
	// Refuses: nothing listens at the receiver's address.
	Refuses Scenario = "refuses"
	// CutOnce: the receiver reads the first request, stores what came, and closes the connection within its answer. All later requests work.
	CutOnce Scenario = "cut once"
)

// ThrottledFor is what the receiver asks for in the scenario Throttled, as the header "Retry-After: 7".
const ThrottledFor = 7 * time.Second

// Target is a kind of destination with a server to send to.
type Target interface {
	// Open puts a receiver of its own into the scenario and makes a sink for it. It is never called for a scenario that Deviations leaves out.
	Open(t *testing.T, s Scenario) Receiver
	// Codes gives the catalogue's code for every scenario but Works. Those that it does not name keep the general one: see Run.
	Codes() map[Scenario]failure.Code
	// Deviations lists what the server is known to do otherwise than the service itself.
	Deviations() []Deviation
}

// Deviation is a known difference between a server and the service that it stands for.
type Deviation struct {
	Scenario Scenario
	// Code is what this server leads to instead; empty if the server cannot be brought into the scenario at all.
	Code failure.Code
	// NoRetryAfter says that the server never asks for a pause.
	NoRetryAfter bool
	// Reason says what the server does, for the reader.
	Reason string
}

// Receiver is a destination in one scenario.
type Receiver struct {
	Sink delivery.Sink
	// Held gives how many copies of each log the receiver holds, by log id. A receiver that is told to recognise copies by a name or an id
	// counts them as one.
	Held func(t *testing.T) map[string]int
	// Secrets are the credentials in use and other texts that must not show in any error.
	Secrets []string
}
