package sink

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// s3Put stores objects in one bucket.
type s3Put struct {
	settings s3Settings
	client   *s3.Client
	session  *aws.CredentialsCache
	said     discretion
	now      func() time.Time
}

// s3Code gives the catalogue's code of an error of S3, or "" if the map does not hold it.
//
// Sources: "Error responses" of the S3 API Reference (list of error codes, and the list of SSE-KMS ones). A status without a body, which some
// stores send, has the text of the status as its code in the SDK.
func s3Code(native string) failure.Code {
	switch native {
	case "PermanentRedirect", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "MovedPermanently":
		return failure.S3RegionMismatch
	case "AccessDenied", "AllAccessDisabled", "AccountProblem", "UnauthorizedAccess", "Forbidden":
		return failure.S3PermissionDenied
	case "NoSuchBucket", "NotFound":
		return failure.S3BucketNotFound
	case "InvalidBucketName":
		return failure.S3BucketNameInvalid
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired", "InvalidSecurity", "NotSignedUp":
		return failure.S3CredentialsWrong
	case "SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "RequestLimitExceeded", "KMS.ThrottlingException":
		return failure.S3Throttled
	case "InternalError", "KMS.DependencyTimeoutException", "KMS.InternalException", "KMS.KMSInternalException":
		return failure.S3ServerError
	case "RequestTimeout":
		return failure.NetTimeout
	}
	if strings.HasPrefix(native, "KMS.") {
		return failure.S3KeyUnusable
	}
	return ""
}

// stsCode gives the catalogue's code of an error of STS, or "" if the map does not hold it. The first line is what AssumeRole answers for a role
// that does not exist, does not trust this system or demands another external id, and for a malformed ARN. The second is about this
// system's own credentials, which no admin of a destination can mend.
//
// Source: the errors of AssumeRole and the common errors in the STS API Reference.
func stsCode(native string) failure.Code {
	switch native {
	case "AccessDenied", "AccessDeniedException", "ValidationError", "InvalidParameterValue":
		return failure.S3RoleInvalid
	case "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken",
		"OptInRequired", "RequestExpired", "RegionDisabledException":
		return failure.ConfigCredentials
	case "Throttling", "ThrottlingException", "RequestLimitExceeded", "ServiceUnavailable":
		return failure.S3Throttled
	case "InternalFailure", "InternalError":
		return failure.S3ServerError
	}
	return ""
}

// classify turns an error of the SDK into a failure. A session that S3 no longer takes is thrown away, so that the next attempt gets another.
func (p *s3Put) classify(err error) *failure.Error {
	if _, ok := errors.AsType[*roleError](err); ok {
		return p.classifyRole(err)
	}
	f := awsFailure(err, awsCodes{s3Code, s3Known, failure.S3Rejected, p.said}, p.now())
	if f.Code == failure.S3CredentialsWrong && p.settings.RoleARN != "" {
		p.session.Invalidate()
		f.Code = failure.S3RoleInvalid
	}
	if f.Code == failure.S3PermissionDenied && p.settings.KMSKeyID != "" {
		f.Detail += "; s3:PutObject on the bucket or kms:GenerateDataKey on the key is not allowed"
	}
	return f
}

func (p *s3Put) classifyRole(err error) *failure.Error {
	f := awsFailure(err, awsCodes{stsCode, stsKnown, failure.S3RoleInvalid, p.said}, p.now())
	if f.Code == failure.Unknown {
		return &failure.Error{Code: failure.ConfigCredentials, Detail: "this system has no AWS credentials to assume the role with", Err: err}
	}
	f.Detail = "assuming the role: " + f.Detail
	return f
}

// awsCodes are the part of the catalogue of S3 or of STS.
type awsCodes struct {
	// native gives the code of the service's own error, or "" if it is not known.
	native func(code string) failure.Code
	// known says whether a code is one that the service documents. Others are not shown.
	known func(code string) bool
	// rejected is the code for the other 4xx.
	rejected failure.Code
	said     discretion
}

// awsFailure classifies by the service's error code, then by what happened below HTTP, then by the status.
func awsFailure(err error, codes awsCodes, now time.Time) *failure.Error {
	response, answered := errors.AsType[*awshttp.ResponseError](err)
	answered = answered && response.Response != nil && response.HTTPStatusCode() > 0 // the SDK makes a response of status 0 up when there was none
	f := &failure.Error{Err: err}
	if answered {
		f.Detail = fmt.Sprintf("HTTP %d", response.HTTPStatusCode())
		f.RetryAfter = retryAfter(response.Response.Header, now)
	}
	if native, ok := errors.AsType[smithy.APIError](err); ok {
		f.Code = codes.native(native.ErrorCode())
		f.Detail = strings.TrimSpace(f.Detail + " " + codes.said.code(native.ErrorCode(), codes.known))
	}
	if f.Code != "" {
		return f
	}
	if below := network(err); below != nil {
		return below
	}
	if !answered {
		return unclassified(err, "no answer that could be read")
	}
	f.Code = awsStatus(response.HTTPStatusCode(), codes.rejected)
	return f
}

func awsStatus(status int, rejected failure.Code) failure.Code {
	switch {
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		return failure.S3Throttled
	case status >= 500:
		return failure.S3ServerError
	case status == http.StatusMovedPermanently:
		return failure.S3RegionMismatch
	}
	return rejected
}
