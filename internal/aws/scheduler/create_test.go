package scheduler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/connection"
)

// service is EventBridge Scheduler by its documented errors
// (https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html, and API_GetSchedule): each
// entry is its answer to one call, the last for all that follow.
type service struct {
	creates, gets []string
	calls         []string
	tokens        map[string]bool
}

// statuses are those of the documented errors.
func statuses() map[string]int {
	return map[string]int{
		"": http.StatusOK, "ConflictException": http.StatusConflict, "InternalServerException": http.StatusInternalServerError,
		"ResourceNotFoundException": http.StatusNotFound, "ServiceQuotaExceededException": http.StatusPaymentRequired,
		"ThrottlingException": http.StatusTooManyRequests, "ValidationException": http.StatusBadRequest,
	}
}

// Do implements aws.HTTPClient.
func (s *service) Do(r *http.Request) (*http.Response, error) {
	next := func(list *[]string) string {
		code := (*list)[0]
		if len(*list) > 1 {
			*list = (*list)[1:]
		}
		return code
	}
	var code string
	switch r.Method {
	case http.MethodPost:
		code = next(&s.creates)
		var in struct{ ClientToken string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return nil, err
		}
		s.tokens[in.ClientToken] = true
	case http.MethodGet:
		code = next(&s.gets)
	default:
		return nil, &url.Error{Op: r.Method, URL: path.Dir(r.URL.Path), Err: errors.New("nobody calls that")}
	}
	s.calls = append(s.calls, r.Method+" "+code)
	header := http.Header{"Content-Type": {"application/json"}}
	if code != "" {
		header.Set("X-Amzn-Errortype", code)
	}
	return &http.Response{StatusCode: statuses()[code], Header: header, Body: io.NopCloser(bytes.NewReader([]byte(`{"Message":"no"}`))), Request: r}, nil
}

// TestSetMeetsDeletions holds what comes of a create that meets a deletion, or a creation, that is under way.
func TestSetMeetsDeletions(t *testing.T) {
	const conflict, missing, throttled = "ConflictException", "ResourceNotFoundException", "ThrottlingException"
	for name, test := range map[string]struct {
		creates, gets []string
		want          []string
		took          time.Duration
		// unsettled says that the same call may succeed in some seconds; failed that it ended with another error.
		unsettled, failed bool
	}{
		"nothing is in the way":        {creates: []string{""}, want: []string{"POST "}},
		"the timer is set already":     {creates: []string{conflict}, gets: []string{""}, want: []string{"POST " + conflict, "GET "}},
		"a schedule is being deleted":  {creates: []string{conflict, ""}, gets: []string{missing}, want: []string{"POST " + conflict, "GET " + missing, "POST "}, took: 200 * time.Millisecond},
		"a group is not there yet":     {creates: []string{missing, missing, ""}, want: []string{"POST " + missing, "POST " + missing, "POST "}, took: 600 * time.Millisecond},
		"too many calls at the moment": {creates: []string{throttled, ""}, want: []string{"POST " + throttled, "POST "}, took: 200 * time.Millisecond},
		"the other try had set it":     {creates: []string{missing, conflict}, gets: []string{""}, want: []string{"POST " + missing, "POST " + conflict, "GET "}, took: 200 * time.Millisecond},
		"a group stays away":           {creates: []string{missing}, want: []string{"POST " + missing, "POST " + missing, "POST " + missing, "POST " + missing}, took: 1400 * time.Millisecond, unsettled: true},
		"a deletion does not come to an end": {creates: []string{conflict}, gets: []string{missing}, took: 1400 * time.Millisecond, unsettled: true, want: []string{
			"POST " + conflict, "GET " + missing, "POST " + conflict, "GET " + missing, "POST " + conflict, "GET " + missing, "POST " + conflict, "GET " + missing}},
		"it cannot be seen what is there": {creates: []string{conflict}, gets: []string{"InternalServerException"}, want: []string{"POST " + conflict, "GET InternalServerException"}, failed: true},
		"it is no schedule":               {creates: []string{"ValidationException"}, want: []string{"POST ValidationException"}, failed: true},
		"the account has enough of them":  {creates: []string{"ServiceQuotaExceededException"}, want: []string{"POST ServiceQuotaExceededException"}, failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{creates: test.creates, gets: test.gets, tokens: make(map[string]bool)}
				began := time.Now()
				err := timersOf(s).Set(t.Context(), connection.Timer{DestinationID: "siem", Incarnation: "A", Generation: 2, At: began})
				if diff := cmp.Diff(test.want, s.calls); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
				if took := time.Since(began); took != test.took {
					t.Errorf("it took %v, want %v", took, test.took)
				}
				if errors.Is(err, connection.ErrTimersUnsettled) != test.unsettled || (err != nil) != (test.unsettled || test.failed) {
					t.Errorf("the error is %v", err)
				}
				if len(s.tokens) != 1 || s.tokens[""] {
					t.Errorf("tries of one create have the tokens %v", s.tokens)
				}
			})
		})
	}
}

// TestSetEndsWithItsCaller holds that a wait for a deletion ends with the request that wanted the timer.
func TestSetEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		s := &service{creates: []string{"ResourceNotFoundException"}, tokens: make(map[string]bool)}
		err := timersOf(s).Set(ctx, connection.Timer{DestinationID: "siem", At: time.Now()})
		if !errors.Is(err, context.DeadlineExceeded) || len(s.calls) != 2 {
			t.Errorf("%v after %v", err, s.calls)
		}
	})
}

// timersOf calls the service once for each call: the SDK's own tries are not what is held here.
func timersOf(s *service) *Timers {
	return &Timers{Group: "auditrelay-dev", Client: scheduler.NewFromConfig(aws.Config{
		HTTPClient: s, Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	})}
}
