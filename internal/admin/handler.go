package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/legible"
)

const (
	// maxBody is the largest request body.
	maxBody = 256 << 10
	// maxTarget is the longest path with query.
	maxTarget = 8 << 10
)

type callerKey struct{}

func callerFrom(ctx context.Context) connection.Caller {
	c, _ := ctx.Value(callerKey{}).(connection.Caller)
	return c
}

// Handler serves the API under /v1.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	a.register(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer a.recoverPanic(w, r)
		if p := misdirected(mux, w, r); p != nil {
			p.write(w)
			return
		}
		ctx := concerned(context.WithValue(r.Context(), callerKey{}, a.Caller(r)), concernOf(r))
		mux.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (a *API) register(mux *http.ServeMux) huma.API {
	config := described()
	config.DocsPath, config.SchemasPath, config.OpenAPIPath = "", "", ""
	config.CreateHooks = nil // no $schema fields: answers hold what the contract says and nothing else
	config.Transformers = []huma.Transformer{problems}
	config.RejectUnknownQueryParameters = true
	config.Formats = map[string]huma.Format{"application/json": shown(), "json": shown()}
	api := humago.New(mux, config)
	a.workspaceRoutes(api)
	a.trustRoutes(api)
	a.destinationRoutes(api)
	a.deletionRoutes(api)
	a.connectionRoutes(api)
	a.deliveryRoutes(api)
	a.redriveRoutes(api)
	complete(api.OpenAPI())
	mux.HandleFunc("GET /v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_ = json.NewEncoder(w).Encode(api.OpenAPI())
	})
	return api
}

// shown is JSON that may be shown on a terminal: hidden characters, which customers' names may hold, are escapes.
func shown() huma.Format {
	f := huma.DefaultJSONFormat
	plain := f.Marshal
	f.Marshal = func(w io.Writer, v any) error { return plain(legible.JSONWriter{To: w}, v) }
	return f
}

// misdirected answers for requests that no route takes, which the standard library would answer with plain text or a redirect.
func misdirected(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) *Problem {
	switch {
	case len(r.RequestURI) > maxTarget:
		return problem(http.StatusRequestURITooLong, "the path and query are longer than %d characters", maxTarget)
	case r.URL.Path != path.Clean(r.URL.Path):
		return notServed()
	}
	if _, pattern := mux.Handler(r); pattern != "" {
		return nil
	}
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodPost, http.MethodDelete} {
		other := *r
		other.Method = method
		if _, pattern := mux.Handler(&other); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return notServed()
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return problem(http.StatusMethodNotAllowed, "this path takes %s", strings.Join(allowed, ", "))
}

func notServed() *Problem {
	return problem(http.StatusNotFound, "there is no such path; GET /v1/openapi.json describes those that are")
}

// recoverPanic keeps a bug's trace from the client.
func (a *API) recoverPanic(w http.ResponseWriter, r *http.Request) {
	if p := recover(); p != nil {
		a.internal(concerned(r.Context(), concernOf(r)), fmt.Errorf("panic in %s %s: %v", r.Method, r.Pattern, p)).write(w)
	}
}

// internal reports an error of our own and gives what the client may see of it.
func (a *API) internal(ctx context.Context, err error) *Problem {
	a.Fault(about(ctx, err))
	return problem(http.StatusInternalServerError, "something went wrong on this side; the operator finds it in the function's log. Try again")
}
