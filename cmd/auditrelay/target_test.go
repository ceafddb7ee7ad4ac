package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/aws/sqs"
	"github.com/auditrelay/auditrelay/internal/logfile"
)

// queueService is a scripted SQS: it takes every message but those with a word that says how it answers.
type queueService struct {
	mu    sync.Mutex
	taken []string // the groups and bodies of what it took
}

// RoundTrip implements http.RoundTripper.
func (q *queueService) RoundTrip(r *http.Request) (*http.Response, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var call struct {
		Entries []struct{ Id, MessageBody, MessageGroupId string }
	}
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		return nil, err
	}
	type result struct {
		Id, MessageId, MD5OfMessageBody, Code string
		SenderFault                           bool
	}
	var answer struct{ Successful, Failed []result }
	for _, e := range call.Entries {
		switch {
		case strings.Contains(e.MessageBody, "reset"):
			return nil, errors.New("connection reset")
		case strings.Contains(e.MessageBody, "refuse"):
			answer.Failed = append(answer.Failed, result{Id: e.Id, Code: "InvalidMessageContents", SenderFault: true})
		case strings.Contains(e.MessageBody, "fault"):
			answer.Failed = append(answer.Failed, result{Id: e.Id, Code: "InternalError"})
		default:
			q.taken = append(q.taken, e.MessageGroupId+" "+e.MessageBody)
			answer.Successful = append(answer.Successful, result{Id: e.Id, MessageId: "m", MD5OfMessageBody: "x"})
		}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader(string(body))), Request: r}, nil
}

func (q *queueService) target() queueTarget {
	return queueTarget{sqs.IngestQueue{QueueURL: "https://sqs.example/1/ingest", Client: awssqs.NewFromConfig(aws.Config{
		Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), HTTPClient: &http.Client{Transport: q},
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}, func(o *awssqs.Options) { o.DisableMessageChecksumValidation = true })}}
}

// inWords puts an answer into a word: taken, refused, or unheard.
func inWords(err error) string {
	_, refused := errors.AsType[*refusedError](err)
	switch {
	case err == nil:
		return "taken"
	case refused:
		return "refused"
	}
	return "unheard"
}

func TestQueueTarget(t *testing.T) {
	q := new(queueService)
	var logs []outgoing
	for i, body := range slices.Concat([]string{"a", "refuse", "\uffff", "fault"}, slices.Repeat([]string{"c"}, 7), []string{"b", "reset", "d"}) {
		logs = append(logs, outgoing{workspaceID: fmt.Sprint("w", i), body: []byte(body)})
	}
	var got []string
	for _, err := range q.target().send(t.Context(), logs) {
		got = append(got, inWords(err))
	}
	// Ten messages are a call; U+FFFF is refused before it, and the call with "reset" is not answered.
	want := slices.Concat([]string{"taken", "refused", "refused", "unheard"}, slices.Repeat([]string{"taken"}, 7), []string{"unheard", "unheard", "unheard"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(q.taken) != 9 || !slices.Contains(q.taken, "w0 a") {
		t.Errorf("it took %q", q.taken)
	}
}

func TestCharactersThatSQSTakes(t *testing.T) {
	for body, want := range map[string]string{
		"{\"a\":\"\t\u007f\u0085\ue000\ufffd\U0010ffff\"}": "",
		"{\"a\":\"\ufffe\"}":  "the character U+FFFE at byte 7 is one that SQS does not take; write it as an escape, \\ufffe",
		"{\"a\":\"ü\uffff\"}": "the character U+FFFF at byte 9 is one that SQS does not take; write it as an escape, \\uffff",
	} {
		got := ""
		if err := sqsTakes([]byte(body)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
}

// TestQueueThatFails holds that the sending stops at the first message whose fate is not known, and goes on
// there.
func TestQueueThatFails(t *testing.T) {
	q := new(queueService)
	s := sender{target: q.target(), files: []string{"logs"}, errors: io.Discard, bar: progress(io.Discard, 0, "")}
	for i := range 30 {
		body := "log"
		if i == 3 {
			body = "refuse"
		}
		if i == 25 {
			body = "reset"
		}
		s.waiting = append(s.waiting, entry{position: position{at: logfile.Place{Line: i + 1}, next: logfile.Place{Line: i + 2}}, message: outgoing{body: []byte(body)}})
	}
	err := s.flush(t.Context())
	if err == nil || exitCode(s.verdict(err)) != exitFailed {
		t.Errorf("it ends with %v", err)
	}
	if got, want := []int{s.sent, s.refused, s.unknown, s.last.next.Line}, []int{19, 1, 10, 21}; !slices.Equal(got, want) {
		t.Errorf("sent, refused, unknown and next line are %v, want %v", got, want)
	}
}

func TestHTTPTarget(t *testing.T) {
	answer, status := "", http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	logs := make([]outgoing, 3)
	for _, test := range []struct {
		status int
		answer string
		want   []string
		err    string
	}{
		{200, `{"queued":3}`, []string{"taken", "taken", "taken"}, ""},
		{200, `{"queued":2,"refused":1,"refused_lines":[2]}`, []string{"taken", "refused", "taken"}, ""},
		{200, `{"queued":2,"refused_lines":[0,4]}`, []string{"taken", "taken", "taken"}, ""},
		{200, `{}`, []string{"unheard", "unheard", "unheard"}, "answers something other than auditrelay local"},
		{200, `<html>`, []string{"unheard", "unheard", "unheard"}, "answers something other than auditrelay local"},
		{202, `{"queued":3}`, []string{"unheard", "unheard", "unheard"}, "answers 202 Accepted"},
		{503, "over\x1bloaded", []string{"unheard", "unheard", "unheard"}, "answers 503 Service Unavailable: overloaded"},
	} {
		status, answer = test.status, test.answer
		var got []string
		answers := httpTarget(server.URL+"/ingest").send(t.Context(), logs)
		for _, err := range answers {
			got = append(got, inWords(err))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%d %s (-want +got):\n%s", test.status, test.answer, diff)
		}
		if test.err != "" && !strings.Contains(answers[0].Error(), test.err) {
			t.Errorf("%d %s: %v", test.status, test.answer, answers[0])
		}
	}
}
