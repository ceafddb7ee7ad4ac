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

// assumeRole gives the sessions of a destination's role. It connects when the first session is needed. STS is the one of this system's own
// region, where its account is certainly enabled and whose sessions are valid in all regions, unless AWS_ENDPOINT_URL_STS names another.
func assumeRole(destinationID string, s s3Settings, account Account) *aws.CredentialsCache {
	role := sync.OnceValues(func() (*stscreds.AssumeRoleProvider, error) {
		if account == nil {
			return nil, errors.New("this system has no AWS account of its own")
		}
		own, err := account(context.Background())
		if err != nil {
			return nil, err
		}
		if own.Region == "" {
			own.Region = s.Region
		}
		own.HTTPClient = onceAnHour(own.HTTPClient)
		own.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // the schedule retries
		return stscreds.NewAssumeRoleProvider(sts.NewFromConfig(own), s.RoleARN, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = sessionName(destinationID)
			o.ExternalID = optional(s.ExternalID)
			o.Duration = sessionLife
		}), nil
	})
	return aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		provider, err := role()
		if err != nil {
			return aws.Credentials{}, &roleError{err}
		}
		ctx, cancel := context.WithTimeout(ctx, stsTimeout)
		defer cancel()
		session, err := provider.Retrieve(ctx)
		if err != nil {
			return aws.Credentials{}, &roleError{err}
		}
		return session, nil
	}), func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = sessionMargin })
}

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
