package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// runtimeAPI is Lambda's side of the Runtime API: it hands out events, one at a time, and tells when the warm-up and the last are over.
type runtimeAPI struct {
	warm   [][]byte
	events [][]byte

	mu     sync.Mutex
	next   int
	failed error
	warmed func()
	ended  func()
	closed chan struct{}
}

// ServeHTTP answers the function's three calls.
func (a *runtimeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/invocation/next"):
		a.serveNext(w)
	case strings.HasSuffix(r.URL.Path, "/response"):
		answer, err := io.ReadAll(r.Body)
		if err == nil && strings.Contains(string(answer), "itemIdentifier") {
			err = fmt.Errorf("the function left messages open: %.300s", answer)
		}
		a.note(err)
		w.WriteHeader(http.StatusAccepted)
	default:
		text, _ := io.ReadAll(r.Body)
		a.note(fmt.Errorf("the function failed: %.500s", text))
		w.WriteHeader(http.StatusAccepted)
	}
}

func (a *runtimeAPI) note(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil && a.failed == nil {
		a.failed = err
	}
}

func (a *runtimeAPI) serveNext(w http.ResponseWriter) {
	a.mu.Lock()
	n := a.next
	a.next++
	a.mu.Unlock()
	if n == len(a.warm) {
		a.warmed()
	}
	if n == len(a.warm)+len(a.events) {
		a.ended()
		<-a.closed
		return
	}
	event := a.warm
	if n >= len(a.warm) {
		event, n = a.events, n-len(a.warm)
	}
	w.Header().Set("Lambda-Runtime-Aws-Request-Id", strconv.Itoa(n))
	w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10))
	w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:000000000000:function:bench")
	_, _ = w.Write(event[n])
}
