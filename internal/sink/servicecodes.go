package sink

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// tokenError is a token that could not be had. It tells a refusal by the token endpoint from one by the service.
type tokenError struct{ err error }

func (e *tokenError) Error() string { return "get a token: " + e.err.Error() }

func (e *tokenError) Unwrap() error { return e.err }

// serviceCodes are the part of the catalogue of a kind that is a service with tokens.
type serviceCodes struct {
	// native gives the code of the service's own error, or "" if it is not known.
	native func(code string) failure.Code
	// known says whether a code is one that the service documents. Others are not shown.
	known func(code string) bool
	said  discretion
	// status gives the code of an HTTP status without such an error, or "".
	status func(status int) failure.Code
	// hostNotFound is the code when the service's own host name does not resolve, as it is with a deleted account or workspace.
	hostNotFound failure.Code
	// tokenRefused, throttled and serverError are the codes when the token endpoint refuses, throttles or fails.
	tokenRefused, throttled, serverError failure.Code
}

// answer classifies what the service said.
func (k serviceCodes) answer(status int, native string, header http.Header, err error, now time.Time) *failure.Error {
	f := &failure.Error{
		Code:       k.native(native),
		Detail:     strings.TrimSpace(fmt.Sprintf("HTTP %d %s", status, k.said.code(native, k.known))),
		RetryAfter: retryAfter(header, answeredAt(header, now)),
		Err:        err,
	}
	if f.Code == "" {
		f.Code = k.status(status)
	}
	if f.Code == "" {
		f.Code = failure.Unknown
	}
	return f
}

// token classifies what the token endpoint said. Any 4xx that is not about pace says that the application may not have a token (RFC 6749, 5.2).
func (k serviceCodes) token(err *tokenError, now time.Time) *failure.Error {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		if below := network(err.err); below != nil {
			return below
		}
		return &failure.Error{Code: k.tokenRefused, Detail: "the token endpoint's answer holds no token", Err: err}
	}
	status := answer.Response.StatusCode
	f := &failure.Error{
		Code:       k.tokenRefused,
		Detail:     k.said.tokenEndpoint(status, answer),
		RetryAfter: retryAfter(answer.Response.Header, answeredAt(answer.Response.Header, now)),
		Err:        err,
	}
	switch {
	case status == http.StatusTooManyRequests:
		f.Code = k.throttled
	case status >= 500, status == http.StatusRequestTimeout:
		f.Code = k.serverError
	}
	return f
}

// tokenEndpoint tells what a token endpoint answered.
func (d discretion) tokenEndpoint(status int, answer *oauth2.RetrieveError) string {
	told := fmt.Sprintf("token endpoint: HTTP %d", status)
	if code := d.code(answer.ErrorCode, tokenKnown); code != "" {
		told += " " + code
	}
	if number := d.code(entraCode(answer.Body), entraKnown); number != "" {
		told += " AADSTS" + number
	}
	return told
}
