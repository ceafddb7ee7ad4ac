package sink

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// Role sessions. An hour is the longest that AWS allows when one role assumes another, as a Lambda's does, and every role allows it.
const (
	sessionLife = time.Hour
	// sessionMargin is how long before its end a session is replaced at the latest: longer than any upload takes.
	sessionMargin = 5 * time.Minute
	// stsTimeout bounds one call, which goes on when the upload that wanted it is given up: others may wait for it.
	stsTimeout = 10 * time.Second
)

// roleError is a session that could not be had. It tells a denial by STS from one by S3.
type roleError struct{ err error }

func (e *roleError) Error() string { return "assume the role: " + e.err.Error() }

func (e *roleError) Unwrap() error { return e.err }

// Account opens this system's own AWS account, whose credentials assume roles.
type Account func(ctx context.Context) (aws.Config, error)

// systemAccount opens this system's account when it is first needed, and keeps it.
type systemAccount struct {
	open Account

	made lazily[aws.Config]
}

func (a *systemAccount) config(ctx context.Context) (aws.Config, error) {
	return a.made.get(func() (aws.Config, error) {
		if a.open == nil {
			return aws.Config{}, errors.New("this system has no AWS account of its own")
		}
		return a.open(context.WithoutCancel(ctx))
	})
}

// lazily makes a value when it is first needed and keeps it. What could not be made is tried again the next time.
type lazily[T any] struct {
	mu    sync.Mutex
	value *T
}

func (l *lazily[T]) get(make func() (T, error)) (T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.value == nil {
		value, err := make()
		if err != nil {
			return value, err
		}
		l.value = &value
	}
	return *l.value, nil
}

// tokens opens STS: the one of this system's own region, where its account is certainly enabled and whose sessions are
// valid in all regions, unless AWS_ENDPOINT_URL_STS names another.
func (a *systemAccount) tokens(ctx context.Context, region string) (*sts.Client, error) {
	own, err := a.config(ctx)
	if err != nil {
		return nil, err
	}
	if own.Region == "" {
		own.Region = region
	}
	own.HTTPClient = onceAnHour(own.HTTPClient)
	own.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // the schedule retries
	return sts.NewFromConfig(own), nil
}

// assumeRole gives the sessions of a destination's role. It connects when the first session is needed. The external id
// always goes along: without one no role is assumed.
func assumeRole(d directory.Destination, s s3Settings, account *systemAccount) *aws.CredentialsCache {
	var role lazily[*stscreds.AssumeRoleProvider]
	provider := func(ctx context.Context) (*stscreds.AssumeRoleProvider, error) {
		return role.get(func() (*stscreds.AssumeRoleProvider, error) {
			tokens, err := account.tokens(ctx, s.Region)
			if err != nil {
				return nil, err
			}
			return stscreds.NewAssumeRoleProvider(tokens, s.RoleARN, func(o *stscreds.AssumeRoleOptions) {
				o.RoleSessionName = sessionName(d.ID)
				o.ExternalID = &d.ExternalID
				o.Duration = sessionLife
			}), nil
		})
	}
	return aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		if d.ExternalID == "" {
			return aws.Credentials{}, &roleError{errNoExternalID}
		}
		role, err := provider(ctx)
		if err != nil {
			return aws.Credentials{}, &roleError{err}
		}
		ctx, cancel := context.WithTimeout(ctx, stsTimeout)
		defer cancel()
		session, err := role.Retrieve(ctx)
		if err != nil {
			return aws.Credentials{}, &roleError{err}
		}
		return session, nil
	}), func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = sessionMargin })
}

// errNoExternalID is of a destination that was saved before workspaces had external ids.
var errNoExternalID = errors.New("the destination has no external id")

// onceAnHour keeps no connection, since each destination's next session is an hour away and connections are few.
func onceAnHour(client aws.HTTPClient) aws.HTTPClient {
	own, ok := client.(*awshttp.BuildableClient)
	if !ok {
		own = awshttp.NewBuildableClient()
	}
	return own.WithTransportOptions(func(t *http.Transport) { t.DisableKeepAlives = true })
}

// sessionName is what the customer's CloudTrail shows. STS allows 64 characters of [\w+=,.@-].
func sessionName(destinationID string) string {
	return "auditrelay-" + strings.ReplaceAll(pathSegment(destinationID, 40), "%2E", ".")
}
