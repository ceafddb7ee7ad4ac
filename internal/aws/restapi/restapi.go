// Package restapi takes the requests of an API Gateway REST API to an http.Handler. The API hands them over by
// its Lambda proxy integration
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html).
package restapi

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

// proxy is the path parameter of the API's one resource, {proxy+}.
const proxy = "proxy"

type requestKey struct{}

// Caller is who signed a request that came through Handler. The API has checked the signature; without one nothing gets here.
func Caller(r *http.Request) connection.Caller {
	c, ok := r.Context().Value(requestKey{}).(events.APIGatewayProxyRequestContext)
	if !ok || c.Identity.UserArn == "" {
		return connection.Caller{Identity: "unknown", IPAddress: c.Identity.SourceIP, UserAgent: c.Identity.UserAgent}
	}
	return connection.Caller{Identity: c.Identity.UserArn, IPAddress: c.Identity.SourceIP, UserAgent: c.Identity.UserAgent}
}

// Handler answers each request with h. A request that is no HTTP is answered with 400.
func Handler(h http.Handler) func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	return func(ctx context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		r, ok := request(ctx, e)
		if !ok {
			return events.APIGatewayProxyResponse{
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
func request(ctx context.Context, e events.APIGatewayProxyRequest) (r *http.Request, ok bool) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, false
		}
	}
	target := path(e)
	if query := query(e); query != "" {
		target += "?" + query
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, false
	}
	u.Host, u.Scheme = e.RequestContext.DomainName, "https"
	ctx = context.WithValue(ctx, requestKey{}, e.RequestContext)
	if r, err = http.NewRequestWithContext(ctx, e.HTTPMethod, u.String(), bytes.NewReader(body)); err != nil {
		return nil, false
	}
	r.RequestURI, r.RemoteAddr = target, e.RequestContext.Identity.SourceIP
	for name, values := range e.MultiValueHeaders {
		for _, value := range values {
			r.Header.Add(name, value)
		}
	}
	return r, true
}

// path is the request's as the client wrote it, with its escapes: a REST API, other than an HTTP API, leaves them
// (https://github.com/middleapi/standard-server/pull/93). A mapping of a custom domain stands before what the
// parameter has, and is cut off.
func path(e events.APIGatewayProxyRequest) string {
	if rest := "/" + e.PathParameters[proxy]; rest != "/" && strings.HasSuffix(e.Path, rest) {
		return rest
	}
	return e.Path
}

// query is the request's, written anew, since the event has it without its escapes.
func query(e events.APIGatewayProxyRequest) string {
	if len(e.MultiValueQueryStringParameters) > 0 {
		return url.Values(e.MultiValueQueryStringParameters).Encode()
	}
	values := make(url.Values, len(e.QueryStringParameters))
	for name, value := range e.QueryStringParameters {
		values.Set(name, value)
	}
	return values.Encode()
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

func (a *answer) response() events.APIGatewayProxyResponse {
	out := events.APIGatewayProxyResponse{StatusCode: a.status, Headers: make(map[string]string, len(a.header))}
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
