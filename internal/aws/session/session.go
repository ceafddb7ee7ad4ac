// Package session opens the AWS account that a function runs in.
package session

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
)

const (
	attempts       = 5
	longestBackoff = 2 * time.Second
	// callTimeout bounds one attempt of a call, its body included: 40 MB compressed to 10 at 2 MB a second.
	callTimeout = 5 * time.Second
	dialTimeout = 2 * time.Second
	// connections that are kept open to one service; with fewer, calls side by side open a new one each.
	connections = 64
)

// Open reads the environment's region, credentials and endpoints. AWS_ENDPOINT_URL and its kin for each service lead to emulators.
func Open(ctx context.Context) (aws.Config, error) {
	client := awshttp.NewBuildableClient().
		WithTimeout(callTimeout).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = connections })
	c, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client), config.WithRetryer(func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = attempts
			o.MaxBackoff = longestBackoff
		})
	}))
	if err != nil {
		return c, fmt.Errorf("read the AWS configuration: %w", err)
	}
	return c, nil
}
