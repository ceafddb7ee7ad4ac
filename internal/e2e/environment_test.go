//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// environment is one execution environment: a process of a bootstrap, and the Lambda Runtime API that it asks for work. It takes one invocation at
// a time.
type environment struct {
	started time.Time
	arn     string
	process *exec.Cmd
	server  *http.Server
	work    chan invocation
	ready   chan struct{} // closed at the first next
	ended   chan struct{} // closed when the process is gone

	mu      sync.Mutex
	current *invocation
	readyIn time.Duration
}

type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	answer   chan answer
}

// answer is what a function made of an invocation. failure is the JSON that it posted as its error, or what else ended it.
type answer struct {
	response []byte
	failure  string
}

// startEnvironment runs a bootstrap with these variables alone; nothing of this process's environment gets through. It can take so much memory for
// data and no more (RLIMIT_DATA), 0 for any: what it asks for beyond ends it, as it does on Lambda.
func startEnvironment(file, arn string, memoryMB int, variables []string, output io.Writer) (*environment, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &environment{arn: arn, work: make(chan invocation), ready: make(chan struct{}), ended: make(chan struct{})}
	api := http.NewServeMux()
	api.HandleFunc("GET /2018-06-01/runtime/invocation/next", e.next)
	api.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{outcome}", e.outcome)
	e.server = &http.Server{Handler: api}
	go func() { _ = e.server.Serve(l) }()
	e.process = exec.Command(file)
	if memoryMB > 0 {
		e.process = exec.Command("/bin/sh", "-c", fmt.Sprintf(`ulimit -d %d && exec "$0"`, memoryMB<<10), file)
	}
	e.process.Env = slices.Concat(variables, []string{"AWS_LAMBDA_RUNTIME_API=" + l.Addr().String()})
	e.process.Stdout, e.process.Stderr = output, output
	e.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	e.started = time.Now()
	if err := e.process.Start(); err != nil {
		_ = e.server.Close()
		return nil, err
	}
	go func() {
		_ = e.process.Wait()
		close(e.ended)
	}()
	return e, nil
}

func (e *environment) stop() {
	_ = e.process.Process.Kill()
	<-e.ended
	_ = e.server.Close()
}

// invoke hands an event to the function and waits for its answer, as long as the function may take. An environment that did not answer is lost.
func (e *environment) invoke(ctx context.Context, id string, payload []byte, limit time.Duration) (response []byte, err error) {
	i := invocation{id: id, payload: payload, deadline: time.Now().Add(limit), answer: make(chan answer, 1)}
	ctx, cancel := context.WithDeadline(ctx, i.deadline)
	defer cancel()
	select {
	case e.work <- i:
	case <-e.ended:
		return nil, errors.New("the process ended before it asked for work")
	case <-ctx.Done():
		return nil, fmt.Errorf("the process did not ask for work: %w", ctx.Err())
	}
	select {
	case a := <-i.answer:
		if a.failure != "" {
			return nil, errors.New(a.failure)
		}
		return a.response, nil
	case <-e.ended:
		return nil, errors.New("the process ended during the invocation")
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer within %v: %w", limit, ctx.Err())
	}
}

func (e *environment) next(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	if e.readyIn == 0 {
		e.readyIn = time.Since(e.started)
		close(e.ready)
	}
	e.mu.Unlock()
	select {
	case i := <-e.work:
		e.mu.Lock()
		e.current = &i
		e.mu.Unlock()
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", e.arn)
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0")
		h.Set("Content-Type", "application/json")
		_, _ = w.Write(i.payload)
	case <-r.Context().Done():
	}
}

func (e *environment) outcome(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	e.mu.Lock()
	current := e.current
	e.current = nil
	e.mu.Unlock()
	if err != nil || current == nil || current.id != r.PathValue("id") {
		http.Error(w, "no such invocation", http.StatusBadRequest)
		return
	}
	a := answer{response: body}
	if r.PathValue("outcome") == "error" {
		a = answer{failure: "the function failed: " + string(body)}
	}
	current.answer <- a
	w.WriteHeader(http.StatusAccepted)
}

// lines collects what a function writes, whole lines.
type lines struct {
	mu   sync.Mutex
	rest []byte
	all  []string
}

// Write takes output in any pieces.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.all = append(l.all, string(line))
		l.rest = rest
	}
}

// of gives the structured lines with this message.
func (l *lines) of(message string) []map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	for _, text := range l.all {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil && line["msg"] == message {
			found = append(found, line)
		}
	}
	return found
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}
