package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/auditrelay/auditrelay/internal/aws/session"
)

// The baselines: what the least of programs takes for the same logs.
const (
	roleNoop = "noop"
	rolePost = "post"
	roleLoop = "loop"
)

// baselineAtOnce is how many requests a baseline has under way, as many as the HTTP sink has.
const baselineAtOnce = 8

// baseline is the child process of a baseline.
func baseline(role string) error {
	url := os.Getenv("RECEIVER_URL")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: baselineAtOnce, MaxConnsPerHost: baselineAtOnce}}
	switch role {
	case roleNoop:
		lambda.Start(func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
			return events.SQSEventResponse{}, nil
		})
	case rolePost:
		lambda.Start(func(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
			bodies := make([]string, len(e.Records))
			for i, r := range e.Records {
				bodies[i] = r.Body
			}
			return events.SQSEventResponse{}, postAll(ctx, client, url, bodies)
		})
	case roleLoop:
		return loop(context.Background(), client, url)
	}
	return fmt.Errorf("no baseline is called %q", role)
}

// loop receives, posts and deletes until it is killed.
func loop(ctx context.Context, client *http.Client, url string) error {
	account, err := session.Open(ctx)
	if err != nil {
		return err
	}
	queues, queue := sqs.NewFromConfig(account), aws.String(os.Getenv("AWS_ENDPOINT_URL")+"/ingest")
	for {
		out, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 20})
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		bodies := make([]string, len(out.Messages))
		entries := make([]types.DeleteMessageBatchRequestEntry, len(out.Messages))
		for i, m := range out.Messages {
			bodies[i] = *m.Body
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle}
		}
		if len(entries) == 0 {
			continue
		}
		if err := postAll(ctx, client, url, bodies); err != nil {
			return err
		}
		if _, err := queues.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: queue, Entries: entries}); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
}

// postAll posts each body by itself.
func postAll(ctx context.Context, client *http.Client, url string, bodies []string) error {
	var wg sync.WaitGroup
	next := make(chan string, len(bodies))
	for _, b := range bodies {
		next <- b
	}
	close(next)
	errs := make(chan error, baselineAtOnce)
	for range min(baselineAtOnce, len(bodies)) {
		wg.Go(func() {
			for body := range next {
				if err := post(ctx, client, url, []byte(body)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func post(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body)) //nolint:gosec // the bench's own receiver
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req) //nolint:gosec // the bench's own receiver
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the receiver answered %d", resp.StatusCode)
	}
	return nil
}
