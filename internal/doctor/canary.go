package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
)

// API is the management API of the deployment. Body and into are JSON, either may be nil. The error of an
// answer that is no success holds the API's sentence.
type API interface {
	Call(ctx context.Context, method, path string, query url.Values, body, into any) error
}

// Ingest is the deployment's queue for logs.
type Ingest interface {
	Send(ctx context.Context, l events.Log) error
}

// Receiver is the canary's own receiving end. It takes the one document that it was last asked to, and
// refuses every other as it refuses a sender without credentials.
type Receiver interface {
	// Open makes it. Close removes it, and may be called whether it was made or not.
	Open(ctx context.Context) error
	Close(ctx context.Context) error
	// Taking gives the settings and credentials of an HTTP destination by which it takes the document.
	Taking(ctx context.Context, document []byte) (settings, credentials any, err error)
	// Received gives the documents that arrived since it was last asked.
	Received(ctx context.Context) ([]string, error)
}

// Traces are what a deployment leaves where the API does not show it.
type Traces interface {
	// Mailed says whether a mail about a destination was handed to the mail service since a time.
	Mailed(ctx context.Context, destinationID string, since time.Time) (bool, error)
	// Timers are the timers of disconnects that are set for a destination, by its incarnation.
	Timers(ctx context.Context, destinationID, incarnation string) ([]time.Time, error)
}

// Canary sends marked logs through a deployment to a receiver of its own. Its workspace, its destination and
// the receiver are gone when it ends, whatever it found.
type Canary struct {
	API      API
	Ingest   Ingest
	Receiver Receiver
	Traces   Traces
	Now      func() time.Time
	// Wait lets time pass, or returns when the context ends.
	Wait func(ctx context.Context, d time.Duration)
	// ID names the canary's workspace and destination. No other run has it.
	ID string
	// Tell, if set, hears each finding as it is made.
	Tell func(Finding)

	findings    []Finding
	began       time.Time
	incarnation string // of the destination
}

const (
	// Simulator is where the canary's mails go: SES takes them, and nobody reads them (AWS, SES Developer
	// Guide, "Using the mailbox simulator").
	Simulator = "success@simulator.amazonses.com"
	// canaryType is not user_activity, so that the entries about the canary's own workspace do not go to it.
	canaryType = events.JobSummary

	// watch is how long the canary waits for one thing to happen, look how often it looks. Log groups show a
	// line some seconds after it was written, and a first invocation takes some.
	watch = 2 * time.Minute
	look  = 2 * time.Second
	// removal bounds the removal at the end, which is made even after Ctrl-C.
	removal = 30 * time.Second
	// disables is how long after a disconnect its timer is due.
	disables = 8 * time.Hour
)

// Run goes through it. It stops at the first step without which the next ones say nothing.
func (c *Canary) Run(ctx context.Context) []Finding {
	c.began = c.Now()
	steps := []func(context.Context) bool{c.answers, c.settle, c.arrival, c.refusal, c.mail, c.retry, c.timer}
	for _, step := range steps {
		if ctx.Err() != nil || !step(ctx) {
			break
		}
	}
	c.remove(ctx)
	return c.findings
}

// found notes a finding, and how long it took.
func (c *Canary) found(f Finding, since time.Time) bool {
	f.Took = c.Now().Sub(since)
	f.Seconds = f.Took.Seconds()
	c.findings = append(c.findings, f)
	if c.Tell != nil {
		c.Tell(f)
	}
	return f.Status != Failing
}

func (c *Canary) answers(ctx context.Context) bool {
	const check = "api"
	start := c.Now()
	if err := c.API.Call(ctx, http.MethodGet, "/v1/workspaces", url.Values{"limit": {"1"}}, nil, nil); err != nil {
		return c.found(failing(check, sentence(err), "attach the policy of the output OperatorPolicyArn to your role; the log group of admin says more"), start)
	}
	return c.found(ok(check, "the management API answers"), start)
}

// settle makes the receiver, the workspace and the destination, which takes the first log.
func (c *Canary) settle(ctx context.Context) bool {
	const check = "canary"
	start := c.Now()
	if err := c.Receiver.Open(ctx); err != nil {
		return c.found(failing(check, "the receiver could not be made: "+sentence(err), "let your role make, read and delete SQS queues named auditrelay-doctor-*"), start)
	}
	workspace := map[string]any{"name": "auditrelay doctor", "kind": "standalone", "admins": []string{Simulator}}
	if err := c.API.Call(ctx, http.MethodPut, "/v1/workspaces/"+c.ID, nil, workspace, nil); err != nil {
		return c.found(failing(check, "the workspace could not be made: "+sentence(err), "the log group of admin says more"), start)
	}
	if err := c.take(ctx, c.log(1)); err != nil {
		return c.found(failing(check, "the destination could not be made: "+sentence(err), "the log group of admin says more"), start)
	}
	return c.found(ok(check, "workspace and destination "+c.ID+" were made"), start)
}

// log is one of the marked logs.
func (c *Canary) log(n int) events.Log {
	return events.Log{
		ID: fmt.Sprintf("%s-%d", c.ID, n), WorkspaceID: c.ID, Type: canaryType, OccurredAt: c.began.UTC().Truncate(time.Second),
		Payload: json.RawMessage(fmt.Sprintf(`{"auditrelay_doctor":%q,"log":%d}`, c.ID, n)),
	}
}

// document is what arrives of a log.
func document(l events.Log) ([]byte, error) {
	message, err := l.Message()
	if err != nil {
		return nil, err
	}
	decoded, err := auditlog.Decode(message)
	if err != nil {
		return nil, err
	}
	doc, err := auditlog.Prepare(decoded)
	return doc.JSON, err
}

// take writes the destination anew, so that the receiver takes the log from then on.
func (c *Canary) take(ctx context.Context, l events.Log) error {
	doc, err := document(l)
	if err != nil {
		return err
	}
	settings, credentials, err := c.Receiver.Taking(ctx, doc)
	if err != nil {
		return err
	}
	var made struct{ Incarnation string }
	err = c.API.Call(ctx, http.MethodPut, "/v1/destinations/"+c.ID, nil, map[string]any{
		"name": "auditrelay doctor", "workspace_id": c.ID, "kind": "http", "log_types": []string{canaryType},
		"settings": settings, "credentials": credentials, "verify": false,
	}, &made)
	c.incarnation = made.Incarnation
	return err
}

// arrival sends a log that the receiver takes.
func (c *Canary) arrival(ctx context.Context) bool {
	const check = "arrival"
	start := c.Now()
	if f := c.sent(ctx, check, c.log(1)); f != nil {
		return c.found(*f, start)
	}
	return c.found(c.arrives(ctx, check, c.log(1), "the marked log arrived as it was sent"), start)
}

// sent puts a log on the queue; the finding is why it could not.
func (c *Canary) sent(ctx context.Context, check string, l events.Log) *Finding {
	if err := c.Ingest.Send(ctx, l); err != nil {
		f := failing(check, "the queue ingest does not take the log: "+sentence(err), "attach the policy of the output ProducerPolicyArn to your role")
		return &f
	}
	return nil
}

// arrives waits for a log at the receiver.
func (c *Canary) arrives(ctx context.Context, check string, l events.Log, well string) Finding {
	want, err := document(l)
	if err != nil {
		return failing(check, err.Error(), "")
	}
	changed := false
	there, err := c.until(ctx, func() (bool, error) {
		list, err := c.Receiver.Received(ctx)
		changed = changed || len(list) > 0
		return slices.Contains(list, string(want)), err
	})
	switch {
	case there:
		return ok(check, well)
	case err != nil:
		return failing(check, "the receiver cannot be read: "+sentence(err), "let your role receive messages of SQS queues named auditrelay-doctor-*")
	case changed:
		return failing(check, "something arrived that is not what was sent", "is this command as old as the deployment? auditrelay --version")
	}
	return failing(check, fmt.Sprintf("it did not arrive within %v: %s", watch, c.attempted(ctx, l)), "the alarms and the dashboard say where logs wait; docs/runbook.md")
}

// attempted puts what is known of a log's attempts into words.
func (c *Canary) attempted(ctx context.Context, l events.Log) string {
	attempts, err := c.attempts(ctx, l)
	switch {
	case err != nil:
		return "attempts cannot be listed: " + sentence(err)
	case len(attempts) == 0:
		return "no attempt was made"
	}
	last := attempts[len(attempts)-1]
	return fmt.Sprintf("%d attempts, the last %s %s", len(attempts), last.Outcome, last.Code)
}

type attempt struct{ Outcome, Code string }

func (c *Canary) attempts(ctx context.Context, l events.Log) ([]attempt, error) {
	var page struct{ Items []attempt }
	query := url.Values{"log_id": {l.ID}, "destination_id": {c.ID}, "since": {c.began.Add(-time.Minute).UTC().Format(time.RFC3339)}}
	err := c.API.Call(ctx, http.MethodGet, "/v1/attempts", query, nil, &page)
	return page.Items, err
}

// refusal sends a log that the receiver refuses, and waits until the attempt is written down.
func (c *Canary) refusal(ctx context.Context) bool {
	const check = "failure"
	start := c.Now()
	if f := c.sent(ctx, check, c.log(2)); f != nil {
		return c.found(*f, start)
	}
	code := ""
	seen, err := c.until(ctx, func() (bool, error) {
		list, err := c.attempts(ctx, c.log(2))
		for _, a := range list {
			if a.Outcome == "failed" {
				code = a.Code
			}
		}
		return code != "", err
	})
	switch {
	case seen:
		return c.found(ok(check, "the receiver refused a log, which is written down as "+code+" and waits"), start)
	case err != nil:
		return c.found(failing(check, "attempts cannot be listed: "+sentence(err), "the log group of admin says more"), start)
	}
	return c.found(failing(check, fmt.Sprintf("a log that the receiver refuses has no failed attempt within %v: %s", watch, c.attempted(ctx, c.log(2))),
		"the log group of deliver says what became of it"), start)
}

// mail waits for the mail that says that the destination fails. Without it, the canary goes on.
func (c *Canary) mail(ctx context.Context) bool {
	const check = "mail"
	start := c.Now()
	seen, err := c.until(ctx, func() (bool, error) { return c.Traces.Mailed(ctx, c.ID, c.began) })
	switch {
	case seen:
		c.found(ok(check, "SES took the mail about the failure, to its simulator"), start)
	case err != nil:
		c.found(failing(check, "the log group of notify cannot be read: "+sentence(err), "let your role logs:FilterLogEvents on it"), start)
	default:
		c.found(failing(check, fmt.Sprintf("no mail left within %v", watch), "look at the queue notices and its dead letters, and at what `auditrelay doctor` says of the sender"), start)
	}
	return true
}

// retry has the receiver take the second log: the change of the destination has what waits tried again.
func (c *Canary) retry(ctx context.Context) bool {
	const check = "retry"
	start := c.Now()
	if err := c.take(ctx, c.log(2)); err != nil {
		return c.found(failing(check, "the destination could not be changed: "+sentence(err), "the log group of admin says more"), start)
	}
	c.found(c.arrives(ctx, check, c.log(2), "the log that waited was tried again, and arrived"), start)
	return true
}

// timer disconnects the destination, looks for the timer that will disable it, and reconnects.
func (c *Canary) timer(ctx context.Context) bool {
	const check = "timer"
	start := c.Now()
	path := "/v1/destinations/" + c.ID
	if err := c.API.Call(ctx, http.MethodPost, path+"/disconnect", nil, nil, nil); err != nil {
		return c.found(failing(check, "the destination cannot be disconnected: "+sentence(err), "the log group of admin says more"), start)
	}
	due := start.Add(disables)
	var timers []time.Time
	set, err := c.until(ctx, func() (set bool, err error) {
		timers, err = c.Traces.Timers(ctx, c.ID, c.incarnation)
		return len(timers) > 0, err
	})
	switch {
	case err != nil:
		return c.found(failing(check, "schedules cannot be listed: "+sentence(err), "let your role scheduler:ListSchedules and scheduler:GetSchedule"), start)
	case !set:
		return c.found(failing(check, "a disconnect has set no timer", "the log group of admin says why; may it scheduler:CreateSchedule?"), start)
	case len(timers) > 1 || timers[0].Before(due.Add(-time.Minute)) || timers[0].After(due.Add(watch)):
		return c.found(failing(check, fmt.Sprintf("a disconnect has set timers for %v, not one for %v", timers, due), "is the clock of this machine right?"), start)
	}
	if err := c.API.Call(ctx, http.MethodPost, path+"/reconnect", url.Values{"verify": {"false"}}, nil, nil); err != nil {
		return c.found(failing(check, "the destination cannot be reconnected: "+sentence(err), "the log group of admin says more"), start)
	}
	gone, err := c.until(ctx, func() (bool, error) {
		timers, err := c.Traces.Timers(ctx, c.ID, c.incarnation)
		return len(timers) == 0, err
	})
	if err != nil || !gone {
		return c.found(failing(check, "a reconnect has left the timer", "the log group of admin says why; may it scheduler:DeleteSchedule?"), start)
	}
	return c.found(ok(check, "a disconnect set a timer for eight hours later, a reconnect removed it"), start)
}

// remove takes away what the canary made, also after Ctrl-C.
func (c *Canary) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removal)
	defer cancel()
	const check = "removal"
	start := c.Now()
	if !slices.ContainsFunc(c.findings, func(f Finding) bool { return f.Check == "canary" }) {
		return // nothing was made
	}
	err := errors.Join(
		absent(c.API.Call(ctx, http.MethodDelete, "/v1/destinations/"+c.ID, nil, nil, nil)),
		absent(c.API.Call(ctx, http.MethodDelete, "/v1/destinations/"+c.ID, url.Values{"purge": {"true"}}, nil, nil)),
		absent(c.API.Call(ctx, http.MethodDelete, "/v1/workspaces/"+c.ID, nil, nil, nil)),
		c.Receiver.Close(ctx),
	)
	if err != nil {
		c.found(failing(check, "something of the canary is left: "+sentence(err),
			"delete the destination and the workspace "+c.ID+" (auditrelay destination delete, then with --purge, auditrelay workspace delete) and the queue auditrelay-"+c.ID), start)
		return
	}
	c.found(ok(check, "workspace, destination and receiver are gone"), start)
}

// NotThere is implemented by an API's error that says that there is no such thing.
type NotThere interface{ NotThere() bool }

// absent is nil if there was nothing to delete.
func absent(err error) error {
	if gone, ok := errors.AsType[interface {
		error
		NotThere
	}](err); ok && gone.NotThere() {
		return nil
	}
	return err
}

// until looks until something is so, for as long as the canary watches. The error is the last look's, if that
// failed.
func (c *Canary) until(ctx context.Context, so func() (bool, error)) (bool, error) {
	end := c.Now().Add(watch)
	for {
		yes, err := so()
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case yes || !c.Now().Before(end):
			return yes && err == nil, err
		}
		c.Wait(ctx, look)
	}
}

// sentence is an error in one line.
func sentence(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
