//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// gateway stands between the functions and AWS. It knows a caller by the access key of the signature, lets each call only what the template grants
// it, and passes the call on to the emulator of the service.
type gateway struct {
	endpoint string
	values   *values
	backends map[string]string // service of the signature's scope → endpoint
	callers  map[string]caller // by access key

	mu       sync.Mutex
	refusals []string
	calls    map[string]bool
}

// caller is a function, or a producer of logs.
type caller struct {
	name string
	may  []statement
}

func openGateway(t *testing.T, v *values, backends map[string]string) *gateway {
	t.Helper()
	g := &gateway{values: v, backends: backends, callers: make(map[string]caller), calls: make(map[string]bool)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.endpoint = "http://" + l.Addr().String()
	server := &http.Server{Handler: g}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return g
}

// admit makes an access key for a caller.
func (g *gateway) admit(name string, may []statement) (accessKey string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	accessKey = "KEYOF" + strings.ToUpper(strings.ReplaceAll(name, "-", ""))
	g.callers[accessKey] = caller{name: name, may: may}
	return accessKey
}

// refused lists the calls that were refused, or that nothing is known of.
func (g *gateway) refused() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.refusals)
}

// used lists the grants that calls have rested on.
func (g *gateway) used() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.calls))
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	accessKey, service, ok := scope(r.Header.Get("Authorization"))
	g.mu.Lock()
	from, known := g.callers[accessKey]
	g.mu.Unlock()
	backend := g.backends[service]
	if !ok || !known || backend == "" {
		g.refuse(w, fmt.Sprintf("nobody known called %s %s %s", service, r.Method, r.URL.Path))
		return
	}
	c, err := read(r, service)
	if err != nil {
		g.refuse(w, err.Error())
		return
	}
	needs, err := g.values.needsOf(c)
	if err != nil {
		g.refuse(w, from.name+": "+err.Error())
		return
	}
	for _, n := range needs {
		if allowed, err := allows(from.may, n); err != nil || !allowed {
			g.refuse(w, fmt.Sprintf("%s may not %s %v", from.name, n, errorOrNone(err)))
			return
		}
		g.note(from.name + ": " + n.action)
	}
	target, err := url.Parse(backend)
	if err != nil {
		g.refuse(w, err.Error())
		return
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }, ErrorHandler: broken}
	proxy.ServeHTTP(w, r)
}

// broken ends a call that the emulator did not answer, as a network does.
func broken(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }

func errorOrNone(err error) string {
	if err == nil {
		return ""
	}
	return "(" + err.Error() + ")"
}

func (g *gateway) note(used string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls[used] = true
}

// refuse answers in the form of the JSON services. To S3's client it is an answer that it cannot read, so a refusal there too.
func (g *gateway) refuse(w http.ResponseWriter, reason string) {
	g.mu.Lock()
	g.refusals = append(g.refusals, strings.TrimSpace(reason))
	g.mu.Unlock()
	w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(http.StatusForbidden)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": "AccessDeniedException", "message": reason})
}

// scope reads the access key and the service from a signature of version 4.
func scope(authorization string) (accessKey, service string, ok bool) {
	_, credential, ok := strings.Cut(authorization, "Credential=")
	parts := strings.Split(strings.SplitN(credential, ",", 2)[0], "/")
	if !ok || len(parts) != 5 {
		return "", "", false
	}
	return parts[0], parts[3], true
}

// read takes from a request what the check looks at, and leaves it as it was.
func read(r *http.Request, service string) (call, error) {
	c := call{service: service, method: r.Method, path: r.URL.Path, query: r.URL.Query()}
	_, c.target, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if service == "s3" {
		return c, nil
	}
	var err error
	if c.body, err = io.ReadAll(r.Body); err != nil {
		return c, fmt.Errorf("read the request: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(c.body))
	return c, nil
}
