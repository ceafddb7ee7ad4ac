package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/auditrelay/auditrelay/internal/aws/profile"
	"github.com/auditrelay/auditrelay/internal/aws/sqs"
	"github.com/auditrelay/auditrelay/internal/legible"
)

// outgoing is the message of a log, in one line, or of a pointer to one, which names no workspace.
type outgoing struct {
	workspaceID string
	body        []byte
}

// target is where logs are sent. send answers for each log, in their order: nil if it was taken, a
// *refusedError if it will never be. Any other error says that no answer was heard: the log may have been
// taken, unless it is a *net.OpError of dialling.
type target interface {
	send(ctx context.Context, logs []outgoing) []error
}

// refusedError is the receiving side's answer to a log that it does not take.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return e.reason }

const whereToSend = "the /ingest address of auditrelay local, such as http://127.0.0.1:8686/ingest, or an SQS queue URL"

// openTarget tells an SQS queue URL, whose path is an account and a name, from the address of a local runner
// by the runner's path, /ingest.
func openTarget(ctx context.Context, address string) (target, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, usageError("--url must be " + whereToSend)
	}
	switch account, name, ok := strings.Cut(strings.Trim(u.Path, "/"), "/"); {
	case u.Path == "/ingest":
		return httpTarget(address), nil
	case !ok || account == "" || name == "" || strings.Contains(name, "/"):
		return nil, usageError(fmt.Sprintf("--url must be %s, not %s", whereToSend, address))
	}
	c, err := profile.Open(ctx)
	if err != nil {
		return nil, err
	}
	return queueTarget{sqs.IngestQueue{Client: awssqs.NewFromConfig(c), QueueURL: address}}, nil
}

// httpTarget is a local runner. It takes the logs of a call all together.
type httpTarget string

func (t httpTarget) send(ctx context.Context, logs []outgoing) []error {
	refused, err := t.call(ctx, logs)
	if err != nil {
		return slices.Repeat([]error{err}, len(logs))
	}
	answers := make([]error, len(logs))
	for _, line := range refused {
		if line >= 1 && line <= len(logs) {
			answers[line-1] = &refusedError{"the runner does not take the log; GET /rejected says why"}
		}
	}
	return answers
}

// call sends the logs, a line each, and gives the lines that were refused.
func (t httpTarget) call(ctx context.Context, logs []outgoing) (refused []int, err error) {
	var body bytes.Buffer
	for _, l := range logs {
		body.Write(l.body)
		body.WriteByte('\n')
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, string(t), &body)
	if err != nil {
		return nil, fmt.Errorf("send to %s: %w", t, err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("send logs: %w; is auditrelay local running there?", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return nil, fmt.Errorf("send logs: %s answers %s: %s", t, resp.Status, legible.Line(string(text)))
	}
	var answer struct {
		Queued       *int
		RefusedLines []int `json:"refused_lines"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Queued == nil {
		return nil, fmt.Errorf("send logs: %s answers something other than auditrelay local", t)
	}
	return answer.RefusedLines, nil
}

// queueTarget is an ingest queue on AWS.
type queueTarget struct{ queue sqs.IngestQueue }

func (t queueTarget) send(ctx context.Context, logs []outgoing) []error {
	answers := make([]error, len(logs))
	var messages []sqs.Outgoing
	var places []int
	for i, l := range logs {
		if answers[i] = sqsTakes(l.body); answers[i] == nil {
			messages, places = append(messages, sqs.Outgoing{WorkspaceID: l.workspaceID, Body: l.body}), append(places, i)
		}
	}
	for i, err := range t.queue.Send(ctx, messages) {
		if r, ok := errors.AsType[*sqs.Refusal](err); ok && r.Sender {
			err = &refusedError{r.Error()}
		}
		answers[places[i]] = err
	}
	return answers
}

// sqsTakes says whether a message has only characters that SQS takes: of those that JSON allows it refuses
// U+FFFE and U+FFFF, and with one the call (SendMessage in the API reference of SQS).
func sqsTakes(body []byte) error {
	for at, r := range string(body) {
		if r == '\ufffe' || r == '\uffff' {
			return &refusedError{fmt.Sprintf("the character U+%04X at byte %d is one that SQS does not take; write it as an escape, \\u%04x", r, at+1, r)}
		}
	}
	return nil
}
