package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// s3Code gives the catalogue's code of an error of S3, or "" if the map does not hold it.
//
// Sources: "Error responses" of the S3 API Reference (list of error codes, and the list of SSE-KMS ones). A status without
// a body, which some stores send, has the text of the status as its code in the SDK. SecondLevelDomainForbidden is
// Alibaba's (peak/s5cmd#518), PathStyleDomainForbidden Tencent's (gobackup/gobackup#268).
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
	case "SecondLevelDomainForbidden", "PathStyleDomainForbidden":
		return failure.S3PathStyleRefused
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

// classify turns an error of the SDK into a failure. A session that S3 no longer takes is thrown away, so that the next
// attempt gets another.
func (p *s3Put) classify(ctx context.Context, err error) *failure.Error {
	if role, ok := errors.AsType[*roleError](err); ok {
		return classifyRole(role, p.said, p.now())
	}
	f := awsFailure(err, awsCodes{s3Code, s3Known, s3Status, p.said}, p.now())
	switch {
	case f.Code == failure.S3CredentialsWrong && p.settings.RoleARN != "":
		p.session.Invalidate()
		f.Code = failure.S3RoleInvalid
	case f.Code == failure.S3PermissionDenied && p.settings.BucketOwner != "" && !p.ownerConfirmed(ctx):
		f.Code = failure.S3OwnerUnconfirmed
		f.Detail += "; the bucket does not confirm that account " + p.settings.BucketOwner + " owns it"
	case f.Code == failure.S3PermissionDenied && p.settings.KMSKeyID != "":
		f.Detail += "; s3:PutObject on the bucket or kms:GenerateDataKey on the key is not allowed"
	}
	return f
}

func classifyRole(err *roleError, said discretion, now time.Time) *failure.Error {
	if errors.Is(err, errNoExternalID) {
		return &failure.Error{Code: failure.ConfigInvalid, Detail: "the connection has no external id yet: save it again", Err: err}
	}
	f := awsFailure(err, awsCodes{stsCode, stsKnown, stsStatus, said}, now)
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
	// status gives the code of an HTTP status without such an error.
	status func(status int) failure.Code
	said   discretion
}

// awsFailure classifies by the service's error code, then by what happened below HTTP, then by the status.
func awsFailure(err error, codes awsCodes, now time.Time) *failure.Error {
	status, header, native, answered := awsAnswer(err)
	f := &failure.Error{Err: err, Code: codes.native(native)}
	if answered {
		f.Detail = strings.TrimSpace(fmt.Sprintf("HTTP %d %s", status, codes.said.code(native, codes.known)))
		f.RetryAfter = retryAfter(header, now)
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
	f.Code = codes.status(status)
	return f
}

// awsAnswer is what a service of AWS answered, if err is an answer: the SDK makes one of status 0 up when there was none.
func awsAnswer(err error) (status int, header http.Header, native string, ok bool) {
	if api, is := errors.AsType[smithy.APIError](err); is {
		native = api.ErrorCode()
	}
	response, is := errors.AsType[*awshttp.ResponseError](err)
	if !is || response.Response == nil || response.HTTPStatusCode() == 0 {
		return 0, nil, native, false
	}
	return response.HTTPStatusCode(), response.Response.Header, native, true
}

// s3Status is for error codes that s3Code does not know. A 401 or 403 concerns the connection, whatever a store calls it.
func s3Status(status int) failure.Code {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return failure.S3Refused
	case http.StatusMovedPermanently:
		return failure.S3RegionMismatch
	}
	return cmp.Or(passing(status), failure.S3Rejected)
}

func stsStatus(status int) failure.Code { return cmp.Or(passing(status), failure.S3RoleInvalid) }

// passing is the code of a status that ends by itself, or "".
func passing(status int) failure.Code {
	switch {
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		return failure.S3Throttled
	case status >= 500:
		return failure.S3ServerError
	}
	return ""
}
