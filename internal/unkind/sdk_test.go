package unkind

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/aws/session"
)

// service answers each try of a call with the next of its answers: an exception's name, "ok", or "lost" for a connection that breaks.
type service struct {
	answers []string
	tokens  map[string]bool
	tries   int
}

// RoundTrip implements http.RoundTripper.
func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	var request struct{ ClientRequestToken string }
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, err
	}
	s.tokens[request.ClientRequestToken] = true
	answer := s.answers[min(s.tries, len(s.answers)-1)]
	s.tries++
	status, body := http.StatusOK, "{}"
	switch answer {
	case "lost":
		return nil, io.ErrUnexpectedEOF
	case "ok":
	default:
		status, body = http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#`+answer+`"}`
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// TestTheSDKRepeatsAsItIsPlayed holds the real SDK, as the functions configure it, against what environment.reach plays: which answers it repeats a call
// after, how often, with which token, and what the caller hears.
func TestTheSDKRepeatsAsItIsPlayed(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	account, err := session.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		Tries, Tokens int
		Refused       bool // by a condition
		Failed        bool
	}
	for name, c := range map[string]struct {
		answers  []string
		transact bool
		want     outcome
	}{
		"a lost answer, then its own write is in the way": {[]string{"lost", "ConditionalCheckFailedException"}, false, outcome{2, 1, true, true}},
		"a lost answer of a transaction":                  {[]string{"lost", "ok"}, true, outcome{2, 1, false, false}},
		"lost for good":                                   {[]string{"lost"}, false, outcome{sdkAttempts, 1, false, true}},
		"throttled for good":                              {[]string{"ProvisionedThroughputExceededException"}, false, outcome{sdkAttempts, 1, false, true}},
		"throttled, then taken":                           {[]string{"ThrottlingException", "ok"}, false, outcome{2, 1, false, false}},
		"a transaction has the item under way":            {[]string{"TransactionConflictException"}, false, outcome{1, 1, false, true}},
		"refused at once":                                 {[]string{"ConditionalCheckFailedException"}, false, outcome{1, 1, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{answers: c.answers, tokens: make(map[string]bool)}
				account := account.Copy()
				account.HTTPClient = &http.Client{Transport: s}
				err := write(t.Context(), dynamodb.NewFromConfig(account), c.transact)
				_, refused := errors.AsType[*types.ConditionalCheckFailedException](err)
				if diff := cmp.Diff(c.want, outcome{s.tries, len(s.tokens), refused, err != nil}); diff != "" {
					t.Errorf("(-want +got):\n%s%v", diff, err)
				}
				if c.transact && s.tokens[""] {
					t.Error("the transaction had no token")
				}
			})
		})
	}
}

func write(ctx context.Context, client *dynamodb.Client, transact bool) error {
	if !transact {
		_, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("things"), Item: map[string]types.AttributeValue{}})
		return err
	}
	_, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Put: &types.Put{TableName: aws.String("things"), Item: map[string]types.AttributeValue{}}},
	}})
	return err
}

// TestWhatIsPlayedRepeatsSo is the same of environment.reach.
func TestWhatIsPlayedRepeatsSo(t *testing.T) {
	parts := parts(t)
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		kinds   Kinds
		away    bool
		want    int // how often the service is reached
		wantErr error
	}{
		"nothing unkind": {0, false, 1, nil},
		"a lost answer, then its own write is in the way": {LostAnswer, false, 2, refused},
		"a service that is away":                          {Outage, true, 0, errUnreached},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reached, err := 0, error(nil)
				for seed := uint64(1); reached != c.want || seed == 1; seed++ { // the first seed that draws it
					w := newWorld(parts, chance(seed), c.kinds)
					w.calm = time.Now().Add(time.Hour)
					if c.away {
						w.outages = []outage{{service: "directory", from: time.Now(), to: w.calm}}
					}
					e := &environment{world: w, id: "e", at: &invocation{chance: chance(seed), began: time.Now(), died: make(chan struct{})}}
					reached = 0
					err = e.reach(t.Context(), call{service: "directory"}, func() error {
						if reached++; reached > 1 {
							return refused
						}
						return nil
					})
					close(w.over)
				}
				if !errors.Is(err, c.wantErr) {
					t.Errorf("the caller hears %v, want %v", err, c.wantErr)
				}
			})
		})
	}
}
