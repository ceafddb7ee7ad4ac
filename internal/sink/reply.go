package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// Success is what an intake says it is. Statuses of 2xx beside these say that a part was taken (206, 207), that the
// answer was changed on its way (203), or what a product makes of its own: Loki answers 260 and drops everything while
// a tenant is blocked (block_ingestion_status_code, https://grafana.com/docs/loki/latest/configure/).
func successes() []int {
	return []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}
}

const (
	// itemAnswer is how many bytes are read for each log of an answer that speaks of each: some 300 where all its fields are said.
	itemAnswer = 512
	// answerTime is how long the rest of an answer is waited for once its header has said what became of the logs.
	answerTime = time.Second
)

// receipt is what a receiver that took logs gave for them; nil if it confirms nothing later.
type receipt struct {
	// ack is the number under which Splunk says whether it has indexed them.
	ack int64
}

// reply judges an answer. cancel ends its reading.
func (s *httpSink) reply(resp *http.Response, cancel context.CancelFunc, logs []*outgoing) (*receipt, error) {
	f := s.framing
	taken := slices.Contains(f.success, resp.StatusCode)
	if taken && f.verdict != nil {
		answer, err := value(resp.Body)
		if err != nil {
			return nil, unanswered(err)
		}
		return f.verdict(answer, logs)
	}
	defer time.AfterFunc(answerTime, cancel).Stop()
	answer, err := io.ReadAll(resp.Body) // in any case, so that the connection can be used again
	switch {
	case !taken && f.refusal != nil:
		return nil, f.refusal(answer, s.statusError(resp))
	case !taken:
		return nil, s.statusError(resp)
	case err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
		// It broke off: it may come from something between that never passed the request on, so it counts as none. One that goes on without
		// end is whole in what it says.
		return nil, unanswered(err)
	case webPage(answer):
		return nil, &failure.Error{Code: failure.HTTPUnexpectedReply, Detail: s.statusError(resp).Detail + " with a web page, such as of a sign-in"}
	}
	return nil, nil
}

// value reads an answer's first JSON value, whatever comes after it, or an answer that is none to its end.
func value(body io.Reader) ([]byte, error) {
	var seen bytes.Buffer
	var first json.RawMessage
	in := json.NewDecoder(io.TeeReader(body, &seen))
	err := in.Decode(&first)
	if err == nil {
		return first, nil
	}
	if _, malformed := errors.AsType[*json.SyntaxError](err); !malformed && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return seen.Bytes(), nil
}

// webPage says whether an answer is an HTML document. An intake's answer is short and for programs.
func webPage(answer []byte) bool {
	answer = bytes.TrimLeft(bytes.TrimPrefix(answer, []byte("\xef\xbb\xbf")), " \t\r\n")
	for _, begin := range []string{"<!doctype html", "<html"} {
		if len(answer) >= len(begin) && bytes.EqualFold(answer[:len(begin)], []byte(begin)) {
			return true
		}
	}
	return false
}

// unanswered classifies a request that got no complete answer.
func unanswered(err error) error {
	if f := network(err); f != nil {
		return f
	}
	return &failure.Error{Code: failure.HTTPUnexpectedReply, Detail: "the answer is not valid HTTP", Err: err}
}

// unexpected is the failure of an answer that is not what the intake documents.
func unexpected(detail string) *failure.Error {
	return &failure.Error{Code: failure.HTTPUnexpectedReply, Detail: detail}
}

// statusError is the failure that an answer's status says when it is no success.
func (s *httpSink) statusError(resp *http.Response) *failure.Error {
	return &failure.Error{
		Code:       statusCode(resp.StatusCode),
		Detail:     fmt.Sprintf("HTTP %d", resp.StatusCode),
		RetryAfter: retryAfter(resp.Header, answeredAt(resp.Header, s.now())),
	}
}

// answeredAt is the time of an answer by the receiver's own clock, to which a date in Retry-After relates, or ours if it does not say.
func answeredAt(h http.Header, now time.Time) time.Time {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		return at
	}
	return now
}

// statusCode maps a status to the catalogue.
func statusCode(status int) failure.Code {
	switch status {
	case http.StatusUnauthorized:
		return failure.HTTPUnauthorized
	case http.StatusForbidden:
		return failure.HTTPForbidden
	case http.StatusNotFound, http.StatusGone:
		return failure.HTTPNotFound
	case http.StatusRequestTimeout:
		return failure.HTTPTimeout
	case http.StatusRequestEntityTooLarge:
		return failure.HTTPLogTooLarge
	case http.StatusTooManyRequests:
		return failure.HTTPThrottled
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return failure.HTTPLogRefused
	}
	switch status / 100 {
	case 3:
		return failure.HTTPRedirect
	case 5:
		return failure.HTTPServerError
	}
	return failure.HTTPUnexpectedReply
}
