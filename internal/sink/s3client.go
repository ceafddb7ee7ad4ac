package sink

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

// client makes the client of a destination, when it is first needed. A role's is of the region's own S3, unless the
// system's own account knows another, by AWS_ENDPOINT_URL_S3 for one, as it may know another STS.
func (s s3Settings) client(own *systemAccount, session aws.CredentialsProvider, via *http.Client) func(context.Context) (*s3.Client, error) {
	options := func(o *s3.Options) {
		o.Region = s.Region
		o.Credentials = session
		o.HTTPClient = via
		o.Retryer = aws.NopRetryer{} // the schedule retries
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		if s.Endpoint != "" {
			o.BaseEndpoint = &s.Endpoint
			o.UsePathStyle = s.Addressing != addressHost
			o.APIOptions = append(o.APIOptions, unsignedAcceptEncoding)
		}
	}
	if s.RoleARN == "" {
		client := s3.New(s3.Options{}, options)
		return func(context.Context) (*s3.Client, error) { return client, nil }
	}
	var made lazily[*s3.Client]
	return func(ctx context.Context) (*s3.Client, error) {
		return made.get(func() (*s3.Client, error) {
			account, err := own.config(ctx)
			if err != nil {
				return nil, &roleError{err}
			}
			return s3.NewFromConfig(aws.Config{BaseEndpoint: account.BaseEndpoint, ConfigSources: account.ConfigSources}, options), nil
		})
	}
}

// unsignedAcceptEncoding leaves out the header Accept-Encoding, which the SDK would sign. Google's front end changes it on
// the way to Cloud Storage, whose answer to the signature is then 403 (aws-sdk-go-v2#1816).
func unsignedAcceptEncoding(stack *middleware.Stack) error {
	_, err := stack.Finalize.Remove("DisableAcceptEncodingGzip")
	return err
}
