package local

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
)

// Receiver is an HTTP log intake on loopback whose behaviour can be changed while it runs. It keeps each different log that it took.
type Receiver struct {
	server *http.Server
	url    string

	mu        sync.Mutex
	behaviour Behaviour
	requests  int
	logs      map[taken]json.RawMessage
}

// taken is what tells a log that arrived from others: its id, or the request's, and its hash.
type taken struct{ id, hash string }

// Behaviour is how a receiver answers: "200" or another status, "hang", "slow" or "reset".
type Behaviour string

// The behaviours that are no status.
const (
	Hang  Behaviour = "hang"
	Slow  Behaviour = "slow"
	Reset Behaviour = "reset"
)

// slowAnswer is how long a slow receiver takes.
const slowAnswer = 3 * time.Second

// StartReceiver listens on a free loopback port and answers 200.
func StartReceiver() (*Receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a receiver: %w", err)
	}
	r := &Receiver{url: "http://" + listener.Addr().String() + "/logs", behaviour: "200", logs: make(map[taken]json.RawMessage)}
	r.server = &http.Server{Handler: ownHost(nil, http.HandlerFunc(r.answer)), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

// URL is where it takes logs.
func (r *Receiver) URL() string { return r.url }

// Behave changes how it answers from now on.
func (r *Receiver) Behave(b Behaviour) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.behaviour = b
}

// Behaviour is how it answers now.
func (r *Receiver) Behaviour() Behaviour {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.behaviour
}

// Log is a log as it arrived, or nil. Of several under the id it is the one with the hash, if any has it.
func (r *Receiver) Log(id, hash string) json.RawMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	if log := r.logs[taken{id, hash}]; log != nil {
		return log
	}
	for name, log := range r.logs {
		if name.id == id { // a destination's template has made something else of it
			return log
		}
	}
	return nil
}

// Requests counts the requests so far.
func (r *Receiver) Requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// Logs counts the different logs that it took.
func (r *Receiver) Logs() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.logs)
}

// Close ends it and every connection to it.
func (r *Receiver) Close() error { return r.server.Close() }

func (r *Receiver) answer(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.requests++
	behaviour := r.behaviour
	r.mu.Unlock()
	switch behaviour {
	case Hang:
		<-req.Context().Done()
		return
	case Slow:
		if err := pause(req.Context(), slowAnswer); err != nil {
			return
		}
	case Reset:
		panic(http.ErrAbortHandler)
	case "200":
	default:
		var status int
		if _, err := fmt.Sscan(string(behaviour), &status); err != nil || status < 100 || status > 599 {
			status = http.StatusInternalServerError
		}
		w.WriteHeader(status)
		return
	}
	if err := r.take(req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// take reads one log, NDJSON or a JSON array.
func (r *Receiver) take(req *http.Request) error {
	body := io.Reader(req.Body)
	if strings.EqualFold(req.Header.Get("Content-Encoding"), "gzip") {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return fmt.Errorf("the body is not gzip: %w", err)
		}
		body = unzipped
	}
	decoder := json.NewDecoder(io.LimitReader(body, largestPayload))
	for {
		var value json.RawMessage
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return errors.New("the body is not JSON")
		}
		list := []json.RawMessage{value}
		if value[0] == '[' {
			if err := json.Unmarshal(value, &list); err != nil {
				return errors.New("the body is not a JSON array")
			}
		}
		for _, log := range list {
			r.keep(req.Header.Get("webhook-id"), log)
		}
	}
}

func (r *Receiver) keep(webhookID string, log json.RawMessage) {
	var named struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(log, &named) != nil || named.ID == "" {
		named.ID = webhookID
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logs[taken{named.ID, auditlog.Document{JSON: log}.Hash()}] = log
}
