// Package functionurl takes the requests of a Lambda function URL to an http.Handler.
package functionurl

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/auditrelay/auditrelay/internal/connection"
)

type requestKey struct{}

// Caller is who signed a request that came through Handler. The function URL has checked the signature; without one nothing gets here.
func Caller(r *http.Request) connection.Caller {
	c, ok := r.Context().Value(requestKey{}).(events.LambdaFunctionURLRequestContext)
	if !ok {
		return connection.Caller{Identity: "unknown"}
	}
	caller := connection.Caller{Identity: "unknown", IPAddress: c.HTTP.SourceIP, UserAgent: c.HTTP.UserAgent}
	if c.Authorizer != nil && c.Authorizer.IAM != nil {
		caller.Identity = c.Authorizer.IAM.UserARN
	}
	return caller
}

// Handler answers each request with h. A request that is no HTTP is answered with 400.
func Handler(h http.Handler) func(context.Context, events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
	return func(ctx context.Context, e events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		r, ok := request(ctx, e)
		if !ok {
			return events.LambdaFunctionURLResponse{
				StatusCode: http.StatusBadRequest,
				Headers:    map[string]string{"Content-Type": "application/problem+json"},
				Body:       `{"title":"Bad Request","status":400,"detail":"the request cannot be read as HTTP"}`,
			}, nil
		}
		w := &answer{header: make(http.Header), status: http.StatusOK}
		h.ServeHTTP(w, r)
		return w.response(), nil
	}
}

// request makes the request that came; ok is false if it is none.
func request(ctx context.Context, e events.LambdaFunctionURLRequest) (r *http.Request, ok bool) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, false
		}
	}
	target := e.RawPath
	if e.RawQueryString != "" {
		target += "?" + e.RawQueryString
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, false
	}
	u.Host, u.Scheme = e.RequestContext.DomainName, "https"
	ctx = context.WithValue(ctx, requestKey{}, e.RequestContext)
	if r, err = http.NewRequestWithContext(ctx, e.RequestContext.HTTP.Method, u.String(), bytes.NewReader(body)); err != nil {
		return nil, false
	}
	r.RequestURI, r.RemoteAddr = target, e.RequestContext.HTTP.SourceIP
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	return r, true
}

// answer collects what a handler writes.
type answer struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if !a.wrote {
		a.wrote, a.status = true, status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.wrote = true
	return a.body.Write(p)
}

func (a *answer) response() events.LambdaFunctionURLResponse {
	out := events.LambdaFunctionURLResponse{StatusCode: a.status, Headers: make(map[string]string, len(a.header))}
	for name, values := range a.header {
		out.Headers[name] = strings.Join(values, ", ")
	}
	if utf8.Valid(a.body.Bytes()) {
		out.Body = a.body.String()
		return out
	}
	out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(a.body.Bytes()), true
	return out
}
