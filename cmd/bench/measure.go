package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// bench runs variants.
type bench struct {
	dir  string // of the compiled programs
	logs int
	// hints and items are what the variant that caches left for the one that retries.
	hints []string
	items map[string]row
}

// sample is what one run used: seconds of the program's processor time for 1,000 logs, its largest memory in megabytes, and how many logs a second it
// dealt with, one invocation at a time.
type sample struct {
	cpu    float64
	memory float64
	rate   float64
}

// runLimit ends a run that hangs.
const runLimit = time.Minute

// run does one variant once.
func (b *bench) run(ctx context.Context, v variant) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	if v.role == roleSyslogNG {
		return b.syslogNG(ctx, v)
	}
	var posts, calls atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		posts.Add(1)
		w.WriteHeader(v.status)
	}))
	defer receiver.Close()
	target := receiver.URL
	if v.kind == "s3" {
		store := s3mem.New()
		if err := store.CreateBucket("logs"); err != nil {
			return sample{}, fmt.Errorf("make a bucket: %w", err)
		}
		bucket := httptest.NewServer(late(&calls, gofakes3.New(store).Server()))
		defer bucket.Close()
		target = bucket.URL
	}
	s := &services{kind: v.kind, settings: strings.ReplaceAll(v.settings, "%s", target), items: make(map[string]row)}
	s.seal()
	api := &runtimeAPI{closed: make(chan struct{})}
	total := b.prepare(v, s, api)
	cloud := httptest.NewServer(late(&calls, s))
	defer cloud.Close()
	lambda := httptest.NewServer(api)
	defer lambda.Close()
	defer close(api.closed)

	cmd := b.command(ctx, v, target, cloud.URL, strings.TrimPrefix(lambda.URL, "http://"))
	cmd.Stderr = os.Stderr
	var begun, since atomic.Int64
	type usage struct{ cpu, wall time.Duration }
	done := make(chan usage, 1)
	start := func() {
		begun.Store(int64(b.used(cmd)))
		since.Store(time.Now().UnixNano())
	}
	end := func() {
		select {
		case done <- usage{b.used(cmd) - time.Duration(begun.Load()), time.Since(time.Unix(0, since.Load()))}:
		default: // the end was told before
		}
	}
	api.warmed, api.ended = start, end
	s.passed = func(deleted int) {
		switch deleted {
		case warmUp * batchSize:
			start()
		case warmUp*batchSize + b.logs:
			end()
		}
	}
	if err := cmd.Start(); err != nil {
		return sample{}, fmt.Errorf("start %s: %w", v.name, err)
	}
	var used usage
	var err error
	select {
	case used = <-done:
	case <-ctx.Done():
		err = fmt.Errorf("%s: %w", v.name, context.Cause(ctx))
	}
	memory := peak(cmd.Process.Pid)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	api.mu.Lock()
	err = errors.Join(err, api.failed)
	api.mu.Unlock()
	if v.status == http.StatusServiceUnavailable {
		b.hints, b.items = s.hints, s.items
	}
	one := sample{cpu: used.cpu.Seconds() * 1000 / float64(total), memory: memory, rate: float64(total) / used.wall.Seconds()}
	return one, errors.Join(err, b.check(v, s, posts.Load()))
}

// prepare makes the run's work and says how many logs are measured.
func (b *bench) prepare(v variant, s *services, api *runtimeAPI) int {
	bodies := make([]string, warmUp*batchSize+b.logs)
	for i := range bodies {
		bodies[i] = logBody(i)
	}
	switch v.work {
	case pulled:
		s.incoming = bodies
	case fresh:
		api.warm, api.events = sqsEvents(bodies[:warmUp*batchSize], ingestARN, batchSize), sqsEvents(bodies[warmUp*batchSize:], ingestARN, batchSize)
	case retried:
		s.items = b.items
		hints := make([]string, len(b.hints))
		for i, h := range b.hints { // as a drain sends them: without waiting for their time
			hints[i] = strings.TrimSuffix(h, "}") + `,"n":true}`
		}
		api.warm, api.events = sqsEvents(hints[:warmUp*batchSize], retryARN, batchSize), sqsEvents(hints[warmUp*batchSize:], retryARN, batchSize)
		return len(hints) - warmUp*batchSize
	case dueWork:
		s.due = b.logs
		api.warm, api.events = [][]byte{[]byte(`{"source":"aws.events"}`)}, [][]byte{[]byte(`{"source":"aws.events"}`)}
	case announced, removed:
		api.warm, api.events = streamEvents(v.work, 0, streamBatch), streamEvents(v.work, streamBatch, b.logs)
	case drainRun:
		s.backlog = b.logs
		page := sqsEvents([]string{"d1"}, drainARN, 1)
		api.warm, api.events = page, page
		for range b.logs/drainPage - 1 { // every run of the same state sends the first page
			api.events = append(api.events, page...)
		}
		return len(api.events) * drainPage
	}
	return b.logs
}

// drainPage is the first page of a drain.
const drainPage = 100

// check says whether the program did its work.
func (b *bench) check(v variant, s *services, posts int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := int64(warmUp*batchSize + b.logs)
	switch {
	case (v.role == rolePost || v.role == roleLoop || v.name == nameSingle) && posts != want:
		return fmt.Errorf("%s: %d posts, want %d", v.name, posts, want)
	case v.name == nameBatched && posts != want/batchSize:
		return fmt.Errorf("%s: %d posts, want %d", v.name, posts, want/batchSize)
	case v.status == http.StatusServiceUnavailable && int64(len(s.items)) != want:
		return fmt.Errorf("%s: %d logs in the cache, want %d", v.name, len(s.items), want)
	case v.work == retried && len(s.items) != 0:
		return fmt.Errorf("%s: %d logs still in the cache", v.name, len(s.items))
	case v.work == dueWork && len(s.hints) < 2*(b.logs-dueShards):
		return fmt.Errorf("%s: %d hints, want about %d", v.name, len(s.hints), 2*b.logs)
	case v.work == announced && s.announced != b.logs+streamBatch || v.work == removed && s.recorded != b.logs+streamBatch:
		return fmt.Errorf("%s: %d events on the bus and %d recorded, want %d", v.name, s.announced, s.recorded, b.logs+streamBatch)
	case v.work == drainRun && len(s.hints) < b.logs:
		return fmt.Errorf("%s: %d hints, want %d", v.name, len(s.hints), b.logs)
	}
	return nil
}

// command is the program in the environment that the stack gives it.
func (b *bench) command(ctx context.Context, v variant, receiver, cloud, runtime string) *exec.Cmd {
	name, args := v.binary, []string(nil)
	if name == "" {
		name, args = "bench", []string{"-role", v.role}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, name), args...) //nolint:gosec // programs of this repository
	cmd.Env = []string{
		"RECEIVER_URL=" + receiver, "AWS_LAMBDA_RUNTIME_API=" + runtime, "AWS_ENDPOINT_URL=" + cloud, "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=test", "AWS_LAMBDA_FUNCTION_NAME=bench", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512", "AWS_LAMBDA_FUNCTION_VERSION=1",
		"DIRECTORY_TABLE=directory", "DELIVERIES_TABLE=deliveries", "PAYLOAD_BUCKET=payloads", "ALLOW_PRIVATE_CIDRS=127.0.0.0/8", "ALLOW_HTTP=true",
		"RETRY_QUEUE_URL=" + cloud + "/retry", "RETRY_QUEUE_ARN=" + retryARN, "REJECTED_QUEUE_URL=" + cloud + "/rejected", "DRAIN_QUEUE_URL=" + cloud + "/drain",
		"NOTICES_QUEUE_URL=" + cloud + "/notices", "INGEST_QUEUE_URL=" + cloud + "/ingest", "KEY_ARN=arn:aws:kms:eu-central-1:123456789012:key/bench", "EVENT_BUS=bench", "EVENT_BUS_NAME=bench",
	}
	return cmd
}

// clockTick is the unit of processor time in /proc: 10 ms on every Linux of today.
const clockTick = 10 * time.Millisecond

// used is the processor time of a running program so far, all threads, user and system. It may be a tick behind.
func (b *bench) used(cmd *exec.Cmd) time.Duration {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick
}

// peak is the largest memory that a program held, in megabytes.
func peak(pid int) float64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if size, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(size)[0])
			return float64(kb) / 1024
		}
	}
	return 0
}
