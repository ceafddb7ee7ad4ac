// Package session opens the AWS account that a function runs in.
package session

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/caarlos0/env/v11"
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

// environment is what Lambda tells a function of its account. Source: "Using Lambda environment variables" of the Lambda Developer Guide.
type environment struct {
	Region          string `env:"AWS_REGION,notEmpty"`
	AccessKeyID     string `env:"AWS_ACCESS_KEY_ID,notEmpty"`
	SecretAccessKey string `env:"AWS_SECRET_ACCESS_KEY,notEmpty"`
	SessionToken    string `env:"AWS_SESSION_TOKEN"`
	// CABundle is a file of certificates that are trusted instead of the system's.
	CABundle string `env:"AWS_CA_BUNDLE"`
}

// Open reads the environment's region, credentials and endpoints. AWS_ENDPOINT_URL and its kin for each service lead to emulators. A function has no other
// source of credentials, and the SDK's search for them, with profiles and single sign-on, is a megabyte of each function.
func Open(context.Context) (aws.Config, error) {
	e, err := env.ParseAs[environment]()
	if err != nil {
		return aws.Config{}, fmt.Errorf("read the AWS configuration: %w", err)
	}
	roots, err := e.roots()
	if err != nil {
		return aws.Config{}, err
	}
	return aws.Config{
		Region:      e.Region,
		Credentials: credentials.NewStaticCredentialsProvider(e.AccessKeyID, e.SecretAccessKey, e.SessionToken),
		HTTPClient: awshttp.NewBuildableClient().
			WithTimeout(callTimeout).
			WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
			WithTransportOptions(func(t *http.Transport) {
				t.MaxIdleConnsPerHost = connections
				if roots != nil {
					t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
				}
			}),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = attempts
				o.MaxBackoff = longestBackoff
			})
		},
		BaseEndpoint:  endpoint("AWS_ENDPOINT_URL"),
		ConfigSources: []any{endpoints{}},
	}, nil
}

// roots are the certificates of the bundle, or nil for the system's.
func (e environment) roots() (*x509.CertPool, error) {
	if e.CABundle == "" {
		return nil, nil
	}
	text, err := os.ReadFile(e.CABundle)
	if err != nil {
		return nil, fmt.Errorf("read AWS_CA_BUNDLE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read AWS_CA_BUNDLE: %s holds no certificate", e.CABundle)
	}
	return roots, nil
}

// endpoints are those of single services. The SDK's clients ask it for theirs.
type endpoints struct{}

// GetServiceBaseEndpoint gives the endpoint of a service, AWS_ENDPOINT_URL_EVENTBRIDGE for example.
func (endpoints) GetServiceBaseEndpoint(_ context.Context, sdkID string) (string, bool, error) {
	e := endpoint("AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(sdkID, " ", "_")))
	if e == nil {
		return "", false, nil
	}
	return *e, true, nil
}

func endpoint(variable string) *string {
	if e := os.Getenv(variable); e != "" {
		return &e
	}
	return nil
}
