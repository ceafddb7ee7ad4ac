package admin

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// testBudget is how long a test log may take. It must end before the function does.
const testBudget = 20 * time.Second

// TestResult is how a destination took a test log.
type TestResult struct {
	OK bool `json:"ok"`
	// LogID is the test log's, to look for at the destination.
	LogID string `json:"log_id"`
	// Code, Status, Description and Guidance are the catalogue's; empty if the log was taken.
	Code        failure.Code `json:"code"`
	Status      string       `json:"status" doc:"The error as the service itself names it."`
	Description string       `json:"description"`
	Guidance    string       `json:"guidance" doc:"What to do."`
	Detail      string       `json:"detail" doc:"What the service answered, in short."`
	DurationMS  int64        `json:"duration_ms"`
}

func (a *API) connectionRoutes(api huma.API) {
	tags := []string{"connections"}
	huma.Register(api, huma.Operation{OperationID: "disconnect-destination", Method: http.MethodPost, Path: "/v1/destinations/{id}/disconnect",
		Summary: "Stop delivery; logs wait", Tags: tags,
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
		Description: "Logs wait in the cache, each for its seven days. Eight hours later the destination is disabled and one mail is sent; " +
			"a reconnect before that takes it back."}, a.disconnect)
	huma.Register(api, huma.Operation{OperationID: "reconnect-destination", Method: http.MethodPost, Path: "/v1/destinations/{id}/reconnect",
		Summary: "Start delivery again, the backlog first", Tags: tags, MaxBodyBytes: maxBody,
		Errors:      []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge},
		Description: "The destination must take a test log first, unless verify is false."}, a.reconnect)
	huma.Register(api, huma.Operation{OperationID: "test-destination", Method: http.MethodPost, Path: "/v1/destinations/{id}/test",
		Summary: "Send a marked test log", Tags: tags, Errors: []int{http.StatusNotFound, http.StatusConflict},
		Description: "One log of type user_activity whose id begins with test- and whose payload has test: true. It is not kept or tried again. " +
			"If a destination takes it that is failing, the oldest logs that wait are tried at once, so that it recovers."}, a.test)
}

func (a *API) disconnect(ctx context.Context, in *DestinationPath) (*destinationAnswer, error) {
	d, err := a.Connections.Disconnect(ctx, in.ID, callerFrom(ctx))
	if err != nil {
		return nil, a.transitionError(ctx, in.ID, err)
	}
	return answerDestination(http.StatusOK, d), nil
}

func (a *API) transitionError(ctx context.Context, id string, err error) error {
	if conflict, ok := errors.AsType[*directory.Conflict](err); ok {
		if conflict.State == directory.Deleted {
			return problem(http.StatusConflict, "%v; restore it first: POST /v1/destinations/%s/restore", conflict, id)
		}
		return problem(http.StatusConflict, "%v", conflict)
	}
	if errors.Is(err, directory.ErrChanged) {
		return problem(http.StatusConflict, "somebody else changed the destination at the same time; look at its state and repeat if need be")
	}
	if errors.Is(err, connection.ErrTimersUnsettled) {
		a.Fault(about(ctx, failure.About(failure.Concern{DestinationID: id}, err)))
		return unsettled()
	}
	return a.destinationError(ctx, id, err)
}

// VerifyInput is the body that reconnect may have.
type VerifyInput struct {
	Verify *bool `json:"verify,omitempty" doc:"Default true."`
}

func (b *VerifyInput) verify() *bool {
	if b == nil {
		return nil
	}
	return b.Verify
}

func (a *API) reconnect(ctx context.Context, in *struct {
	DestinationPath
	Verification
	Body *VerifyInput
}) (*destinationAnswer, error) {
	d, err := a.Destinations.CurrentDestination(ctx, in.ID)
	if err != nil {
		return nil, a.destinationError(ctx, in.ID, err)
	}
	if in.wanted(in.Body.verify()) && (d.State == directory.Disconnected || d.State == directory.Disabled) {
		if err := a.verifyStored(ctx, d); err != nil {
			return nil, err
		}
	}
	d, err = a.Connections.Reconnect(ctx, in.ID, callerFrom(ctx))
	if err != nil {
		return nil, a.transitionError(ctx, in.ID, err)
	}
	return answerDestination(http.StatusOK, d), nil
}

func (a *API) test(ctx context.Context, in *DestinationPath) (*struct{ Body TestResult }, error) {
	d, err := a.Destinations.CurrentDestination(ctx, in.ID)
	if err != nil {
		return nil, a.destinationError(ctx, in.ID, err)
	}
	if d.State == directory.Deleted {
		return nil, a.wasDeleted(d)
	}
	credentials, err := a.Vault.Open(ctx, d)
	if err != nil {
		return nil, a.vaultError(ctx, err)
	}
	result, err := a.try(ctx, d, credentials)
	if err != nil {
		return nil, a.internal(ctx, err)
	}
	if result.OK {
		a.nudge(ctx, d)
	}
	return &struct{ Body TestResult }{result}, nil
}

// verify refuses a destination that does not take a test log.
func (a *API) verify(ctx context.Context, d directory.Destination, credentials json.RawMessage) error {
	result, err := a.try(ctx, d, credentials)
	if err != nil {
		return a.internal(ctx, err)
	}
	if result.OK {
		return nil
	}
	p := problem(http.StatusUnprocessableEntity, "the destination does not take a test log (%s): %s %s Nothing was changed; verify=false skips this test",
		result.Status, result.Description, result.Guidance)
	p.Code, p.Guidance = result.Code, result.Guidance
	return p
}

// inHand are credentials and a record that may not be stored yet.
type inHand struct {
	destination directory.Destination
	credentials json.RawMessage
}

// Open implements sink.Vault.
func (h inHand) Open(context.Context, directory.Destination) (json.RawMessage, error) {
	return h.credentials, nil
}

// CurrentDestination implements sink.Records.
func (h inHand) CurrentDestination(context.Context, string) (directory.Destination, error) {
	return h.destination, nil
}

// try sends one test log over a sink of its own. It takes credentials to the destination's hosts, so it is an entry of the
// activity audit, which is kept before anything is sent.
func (a *API) try(ctx context.Context, d directory.Destination, credentials json.RawMessage) (TestResult, error) {
	doc, err := testLog(d, a.Now())
	if err != nil {
		return TestResult{}, fmt.Errorf("make a test log: %w", err)
	}
	tell, err := a.testActivity(ctx, d, doc.ID)
	if err != nil {
		return TestResult{}, err
	}
	if err := a.Outbox.Keep(ctx, tell); err != nil {
		return TestResult{}, fmt.Errorf("keep the entry of the test in the activity audit: %w", err)
	}
	defer a.Outbox.Tell(ctx, tell)
	at, began := a.Now(), time.Now()
	err = a.send(ctx, d, credentials, doc)
	result := TestResult{OK: err == nil, LogID: doc.ID, DurationMS: time.Since(began).Milliseconds()}
	if errors.Is(err, delivery.ErrNotTried) {
		err = &failure.Error{Code: failure.NetTimeout}
	}
	var f *failure.Error
	if err != nil {
		f = failure.Of(err)
		entry := failure.Find(f.Code)
		result.Code, result.Status, result.Description, result.Guidance, result.Detail = f.Code, cmp.Or(f.Answer(), entry.Status), entry.Description, entry.Guidance, f.Detail
	}
	a.Journal.Record(testEntry(d, doc, at, time.Since(began), f))
	return result, nil
}

// testEntry is a test as it is written down; f is nil if the log was taken.
func testEntry(d directory.Destination, doc auditlog.Document, at time.Time, took time.Duration, f *failure.Error) delivery.Entry {
	e := delivery.Entry{
		Event: delivery.EventAttempted, Why: delivery.WhyTest, At: at, Kind: d.Kind, Type: doc.Type, Attempt: 1,
		Key:     delivery.Key{DestinationID: d.ID, WorkspaceID: d.WorkspaceID, LogID: doc.ID},
		Outcome: delivery.Delivered, Took: took,
	}
	if f != nil {
		e.Outcome, e.Code, e.Detail = delivery.Failed, f.Code, f.Detail
	}
	return e
}

// send hands a document to the destination, with the credentials in hand.
func (a *API) send(ctx context.Context, d directory.Destination, credentials json.RawMessage, doc auditlog.Document) error {
	ctx, cancel := context.WithTimeout(ctx, testBudget)
	defer cancel()
	hand := inHand{d, credentials}
	// Receivers hold signatures and tokens against the real time, wherever a.Now is.
	factory := sink.Factory{Vault: hand, Records: hand, Network: a.Network, Account: a.Account, Now: time.Now}
	s, err := factory.Sink(ctx, d)
	if err != nil {
		return err
	}
	if err := factory.CheckTrust(ctx, d); err != nil {
		return err
	}
	return s.Send(ctx, []auditlog.Document{doc})[0].Err
}

func testLog(d directory.Destination, now time.Time) (auditlog.Document, error) {
	payload, err := json.Marshal(map[string]any{
		"test": true, "event": "test", "timestamp": now, "message": "A test log of auditrelay. It shows that the connection works.",
		"resource": map[string]any{"type": "streaming_destination", "id": d.ID, "name": d.Name},
	})
	if err != nil {
		return auditlog.Document{}, err
	}
	body, err := json.Marshal(events.Log{
		ID: "test-" + rand.Text(), WorkspaceID: d.WorkspaceID, Type: events.UserActivity, OccurredAt: now.UTC(), Payload: payload,
	})
	if err != nil {
		return auditlog.Document{}, err
	}
	log, err := auditlog.Decode(body)
	if err != nil {
		return auditlog.Document{}, err
	}
	return auditlog.Prepare(log)
}
