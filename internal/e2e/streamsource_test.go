//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// streamSource hands the changes of a table to a function. DynamoDB's own records have the form of Lambda's events, so they are passed on as they are.
type streamSource struct {
	mapping
	endpoint string
	table    string
	function *function
}

// record is a record of a stream; raw is all of it.
type record struct {
	Dynamodb struct{ SequenceNumber string }
	raw      map[string]any
}

// streamPause is between two looks at a stream that had nothing new.
const streamPause = 300 * time.Millisecond

func (s *streamSource) start(ctx context.Context, t *testing.T, running *sync.WaitGroup, keys func([]need) []need) error {
	t.Helper()
	for _, n := range s.needs(keys) {
		s.function.require(t, n)
	}
	if s.StartingPosition != "TRIM_HORIZON" {
		return fmt.Errorf("it starts at %s, so changes of the first moments can be missed", s.StartingPosition)
	}
	var table struct {
		Table struct{ LatestStreamArn string }
	}
	if err := s.call(ctx, "DynamoDB_20120810.DescribeTable", map[string]any{"TableName": s.table}, &table); err != nil {
		return err
	}
	var stream struct {
		StreamDescription struct{ Shards []struct{ ShardId string } }
	}
	name := table.Table.LatestStreamArn
	if err := s.call(ctx, "DynamoDBStreams_20120810.DescribeStream", map[string]any{"StreamArn": name}, &stream); err != nil {
		return err
	}
	for _, shard := range stream.StreamDescription.Shards {
		var iterator struct{ ShardIterator string }
		in := map[string]any{"StreamArn": name, "ShardId": shard.ShardId, "ShardIteratorType": s.StartingPosition}
		if err := s.call(ctx, "DynamoDBStreams_20120810.GetShardIterator", in, &iterator); err != nil {
			return err
		}
		running.Go(func() { s.follow(ctx, iterator.ShardIterator) })
	}
	return nil
}

func (s *streamSource) follow(ctx context.Context, iterator string) {
	for ctx.Err() == nil && iterator != "" {
		var out struct {
			Records           []map[string]any
			NextShardIterator string
		}
		err := s.call(ctx, "DynamoDBStreams_20120810.GetRecords", map[string]any{"ShardIterator": iterator, "Limit": s.BatchSize}, &out)
		if err == nil {
			iterator = out.NextShardIterator
			s.hand(ctx, out.Records)
		}
		select {
		case <-ctx.Done():
		case <-time.After(streamPause):
		}
	}
}

// hand takes records that pass the filters to the function, again from the first that it reports as failed, until it has dealt with all.
func (s *streamSource) hand(ctx context.Context, raw []map[string]any) {
	var batch []record
	for _, r := range raw {
		if !s.wants(r) {
			continue
		}
		parsed := record{raw: r}
		if text, err := json.Marshal(r); err == nil {
			_ = json.Unmarshal(text, &parsed)
		}
		r["eventSourceARN"] = s.EventSourceArn
		batch = append(batch, parsed)
	}
	for len(batch) > 0 && ctx.Err() == nil {
		records := make([]map[string]any, len(batch))
		for i, r := range batch {
			records[i] = r.raw
		}
		payload, err := json.Marshal(map[string]any{"Records": records})
		if err != nil {
			return
		}
		response, err := s.function.invoke(ctx, payload)
		if err == nil {
			batch = s.left(batch, response)
		}
		if len(batch) > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

func (s *streamSource) left(batch []record, response []byte) []record {
	if !s.reportsFailures() {
		return nil
	}
	failed, all := batchFailures(response)
	if all {
		return batch
	}
	if i := slices.IndexFunc(batch, func(r record) bool { return failed[r.Dynamodb.SequenceNumber] }); i >= 0 {
		return batch[i:]
	}
	return nil
}

func (s *streamSource) wants(r map[string]any) bool {
	if len(s.FilterCriteria.Filters) == 0 {
		return true
	}
	return slices.ContainsFunc(s.FilterCriteria.Filters, func(f struct{ Pattern string }) bool {
		var pattern map[string]any
		return json.Unmarshal([]byte(f.Pattern), &pattern) == nil && fulfils(r, pattern)
	})
}

// fulfils is Lambda's event filtering, as far as the template uses it: a list holds what a value may be, a text, a prefix, or to be there at all.
func fulfils(value any, pattern any) bool {
	switch p := pattern.(type) {
	case map[string]any:
		fields, ok := value.(map[string]any)
		for key, inner := range p {
			if !ok || !fulfils(fields[key], inner) {
				return false
			}
		}
		return true
	case []any:
		return slices.ContainsFunc(p, func(rule any) bool { return meetsRule(value, rule) })
	}
	return false
}

func meetsRule(value, rule any) bool {
	r, ok := rule.(map[string]any)
	if !ok {
		return value == rule
	}
	if exists, ok := r["exists"].(bool); ok {
		return (value != nil) == exists
	}
	prefix, ok := r["prefix"].(string)
	text, isText := value.(string)
	return ok && isText && len(text) >= len(prefix) && text[:len(prefix)] == prefix
}

// call speaks DynamoDB's protocol itself: the SDK has its streams in a module of their own, and what it gives would have to be turned back to JSON.
func (s *streamSource) call(ctx context.Context, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/"+region+"/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s", target, answer.Status, text)
	}
	return json.Unmarshal(text, out)
}
