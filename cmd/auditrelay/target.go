package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/auditrelay/auditrelay/internal/aws/profile"
	"github.com/auditrelay/auditrelay/internal/aws/sqs"
	"github.com/auditrelay/auditrelay/internal/legible"
)

// target is where logs are sent. send answers a sentence for each log that was refused.
type target interface {
	send(ctx context.Context, logs []outgoing) (refused []string, err error)
}

const whereToSend = "the /ingest address of auditrelay local, such as http://127.0.0.1:8686/ingest, or an SQS queue URL"

// openTarget tells an SQS queue URL, whose path is an account and a name, from the address of a local runner by the runner's path, /ingest.
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

// httpTarget is a local runner.
type httpTarget string

func (t httpTarget) send(ctx context.Context, logs []outgoing) ([]string, error) {
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
	var answer struct{ Queued, Refused int }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("send logs: %s answers something other than auditrelay local: %w", t, err)
	}
	refused := make([]string, answer.Refused)
	for i := range refused {
		refused[i] = "a log was refused for its size; see GET /rejected"
	}
	return refused, nil
}

// queueTarget is an ingest queue on AWS.
type queueTarget struct{ queue sqs.IngestQueue }

func (t queueTarget) send(ctx context.Context, logs []outgoing) ([]string, error) {
	messages := make([]sqs.Outgoing, len(logs))
	for i, l := range logs {
		messages[i] = sqs.Outgoing{WorkspaceID: l.workspaceID, Body: l.body}
	}
	var refused []string
	for i, err := range t.queue.Send(ctx, messages) {
		if err != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", logs[i].place, err))
		}
	}
	return refused, nil
}
