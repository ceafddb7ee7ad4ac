package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// blobError is an error as Azure Storage sends it: "Status and error codes" of the Azure Storage REST API reference.
func blobError(status int, code, message string, header ...string) answer {
	a := answer{
		status: status,
		header: map[string]string{"x-ms-error-code": code, "Content-Type": "application/xml"},
		body: "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>" + code + "</Code><Message>" + message +
			"\nRequestId:8a5b4e7c-001e-0042-5d11-4c2f3b000000\nTime:2026-11-02T09:30:00.1234567Z</Message></Error>",
	}
	for i := 0; i+1 < len(header); i += 2 {
		a.header[header[i]] = header[i+1]
	}
	return a
}

const entraChallenge = `Bearer authorization_uri=https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/authorize resource_id=https://storage.azure.com`

// The answers of Microsoft Entra ID's token endpoint, as its "Authentication and authorization error codes" show them.
const (
	entraSecretExpired = `{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys for app '5a5c0f7e-3f0a-4c0e-9d8e-0a1b2c3d4e5f' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret","error_codes":[7000222],"timestamp":"2026-11-02 09:30:00Z","trace_id":"0b9c5f7e-3f0a-4c0e-9d8e-0a1b2c3d4e5f","correlation_id":"1b9c5f7e-3f0a-4c0e-9d8e-0a1b2c3d4e5f","error_uri":"https://login.microsoftonline.com/error?code=7000222"}`
	entraSecretWrong   = `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.","error_codes":[7000215],"timestamp":"2026-11-02 09:30:00Z","trace_id":"0b9c5f7e-3f0a-4c0e-9d8e-0a1b2c3d4e5f","correlation_id":"1b9c5f7e-3f0a-4c0e-9d8e-0a1b2c3d4e5f","error_uri":"https://login.microsoftonline.com/error?code=7000215"}`
	entraNoApplication = `{"error":"unauthorized_client","error_description":"AADSTS700016: Application with identifier '5a5c0f7e-3f0a-4c0e-9d8e-0a1b2c3d4e5f' was not found in the directory.","error_codes":[700016],"timestamp":"2026-11-02 09:30:00Z"}`
)

const (
	testTenant       = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	testClient       = "5a5c0f7e-3f0a-4c0e-9d8e-0a1b2c3d4e5f"
	testClientSecret = "s3cr3t~of.the-application"
	testToken        = "eyJ0eXAi.token-of-the.application"
	testAccountKey   = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// tokenEndpoint plays Entra ID. A nil refusal gives tokens.
func tokenEndpoint(t *testing.T, token string, refusal *answer) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		switch {
		case refusal != nil:
			refusal.write(w)
		case r.URL.Path != "/"+testTenant+"/oauth2/v2.0/token" || r.FormValue("grant_type") != "client_credentials" ||
			r.FormValue("client_id") != testClient || r.FormValue("client_secret") != testClientSecret || !strings.HasSuffix(r.FormValue("scope"), "/.default"):
			answer{status: 400, body: entraSecretWrong}.write(w)
		default:
			_, _ = fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":%q}`, token)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// blobContainer plays a container that takes every authorized blob once.
type blobContainer struct {
	authorized func(*http.Request) bool

	mu    sync.Mutex
	blobs map[string][]byte
	puts  int
}

func (c *blobContainer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPut || r.Header.Get("X-Ms-Blob-Type") != "BlockBlob" || r.Header.Get("If-None-Match") != "*" || !c.authorized(r) {
		blobError(400, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format.").write(w)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.puts++
	if c.blobs == nil {
		c.blobs = make(map[string][]byte)
	}
	if _, exists := c.blobs[r.URL.Path]; exists {
		blobError(409, "BlobAlreadyExists", "The specified blob already exists.").write(w)
		return
	}
	c.blobs[r.URL.Path] = body
	w.WriteHeader(http.StatusCreated)
}

func (c *blobContainer) held(t *testing.T) map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	count := make(map[string]int)
	for _, content := range c.blobs {
		logIDs(t, content, count)
	}
	return count
}

// blobAuth is a way to authenticate, in settings, credentials and as the service sees it.
type blobAuth struct {
	name        string
	settings    func(t *testing.T) map[string]string
	credentials map[string]string
	authorized  func(*http.Request) bool
}

func blobAuths() []blobAuth {
	none := func(*testing.T) map[string]string { return nil }
	return []blobAuth{
		{"client secret", func(t *testing.T) map[string]string {
			return map[string]string{"tenant_id": testTenant, "client_id": testClient, "authority_host": tokenEndpoint(t, testToken, nil)}
		}, map[string]string{"client_secret": testClientSecret}, func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer "+testToken }},
		{"account key", none, map[string]string{"account_key": testAccountKey},
			func(r *http.Request) bool { return strings.HasPrefix(r.Header.Get("Authorization"), "SharedKey acme:") }},
		{"sas", none, map[string]string{"sas": "?sv=2026-02-06&sr=c&sp=c&sig=c2lnbmF0dXJl%3D"},
			func(r *http.Request) bool {
				return r.URL.Query().Get("sig") == "c2lnbmF0dXJl=" && r.Header.Get("Authorization") == ""
			}},
	}
}

// openBlob makes a sink for a container at a server of the test.
func openBlob(t *testing.T, url string, auth blobAuth) delivery.Sink {
	t.Helper()
	settings := map[string]string{"account": "acme", "container": "audit-logs", "endpoint": url + "/acme"}
	for name, value := range auth.settings(t) {
		settings[name] = value
	}
	s, err := build(directory.Destination{ID: "d-1", Kind: directory.AzureBlob, Settings: asJSON(t, settings)}, asJSON(t, auth.credentials), localEnvironment())
	if err != nil {
		t.Fatalf("build the sink: %v", err)
	}
	return s
}

// scriptedBlob is a target that answers as Azure Blob does.
type scriptedBlob struct{ auth blobAuth }

func (b scriptedBlob) Open(t *testing.T, s sinktest.Scenario) sinktest.Receiver {
	store := &blobContainer{authorized: b.auth.authorized}
	url := scripted(t, s, map[sinktest.Scenario]answer{
		sinktest.BadCredentials: blobError(403, "AuthenticationFailed", "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature."),
		sinktest.NoPermission:   blobError(403, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission."),
		sinktest.Missing:        blobError(404, "ContainerNotFound", "The specified container does not exist."),
		sinktest.Throttled:      blobError(503, "ServerBusy", "The server is busy.", "Retry-After", "7"),
		sinktest.Broken:         blobError(500, "InternalError", "The server encountered an internal error. Please retry the request."),
	}, store)
	secrets := []string{testToken}
	for _, secret := range b.auth.credentials {
		secrets = append(secrets, secret)
	}
	return sinktest.Receiver{Sink: openBlob(t, url, b.auth), Held: store.held, Secrets: append(secrets, "c2lnbmF0dXJl")}
}

func (scriptedBlob) Codes() map[sinktest.Scenario]failure.Code {
	return map[sinktest.Scenario]failure.Code{
		sinktest.BadCredentials: failure.AzureBlobInvalidAuthentication,
		sinktest.NoPermission:   failure.AzureBlobPermissionMismatch,
		sinktest.Missing:        failure.AzureBlobContainerNotFound,
		sinktest.Throttled:      failure.AzureBlobThrottled,
		sinktest.Broken:         failure.AzureBlobServerError,
	}
}

func (scriptedBlob) Deviations() []sinktest.Deviation { return nil }

func TestAzureBlobConformance(t *testing.T) {
	for _, auth := range blobAuths() {
		t.Run(auth.name, func(t *testing.T) { sinktest.Run(t, scriptedBlob{auth}) })
	}
}

func TestAzureBlobCodes(t *testing.T) {
	tests := []struct {
		answer answer
		want   failure.Code
		detail string
	}{
		{blobError(404, "ContainerNotFound", "The specified container does not exist."), failure.AzureBlobContainerNotFound, "HTTP 404 ContainerNotFound"},
		{blobError(409, "ContainerBeingDeleted", "The specified container is being deleted. Try operation later."), failure.AzureBlobContainerNotFound, "HTTP 409 ContainerBeingDeleted"},
		{blobError(404, "ResourceNotFound", "The specified resource does not exist."), failure.AzureBlobAccountNotFound, "HTTP 404 ResourceNotFound"},
		{blobError(403, "AccountIsDisabled", "The specified account is disabled."), failure.AzureBlobAccountNotFound, "HTTP 403 AccountIsDisabled"},
		{blobError(403, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission."), failure.AzureBlobPermissionMismatch, "HTTP 403 AuthorizationPermissionMismatch"},
		{blobError(403, "AuthorizationFailure", "This request is not authorized to perform this operation."), failure.AzureBlobPermissionMismatch, "HTTP 403 AuthorizationFailure"},
		{blobError(401, "InvalidAuthenticationInfo", "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.", "WWW-Authenticate", entraChallenge), failure.AzureBlobInvalidAuthentication, "HTTP 401 InvalidAuthenticationInfo"},
		{blobError(401, "InvalidAuthenticationInfo", "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."), failure.AzureBlobInvalidAuthentication, "HTTP 401 InvalidAuthenticationInfo"},
		{blobError(401, "NoAuthenticationInformation", "Server failed to authenticate the request.", "WWW-Authenticate", entraChallenge), failure.AzureBlobInvalidAuthentication, "HTTP 401 NoAuthenticationInformation"},
		{blobError(403, "AuthenticationFailed", "Server failed to authenticate the request."), failure.AzureBlobInvalidAuthentication, "HTTP 403 AuthenticationFailed"},
		{blobError(503, "ServerBusy", "The server is busy."), failure.AzureBlobThrottled, "HTTP 503 ServerBusy"},
		{answer{status: 429}, failure.AzureBlobThrottled, "HTTP 429"},
		{blobError(500, "OperationTimedOut", "The operation could not be completed within the permitted time."), failure.AzureBlobServerError, "HTTP 500 OperationTimedOut"},
		{answer{status: 502, body: "<html>"}, failure.AzureBlobServerError, "HTTP 502"},
		{blobError(413, "RequestBodyTooLarge", "The request body is too large."), failure.AzureBlobRejected, "HTTP 413 RequestBodyTooLarge"},
		{answer{status: 302, header: map[string]string{"Location": "https://example.com/"}}, failure.Unknown, "HTTP 302"},
	}
	for _, auth := range blobAuths() {
		for _, tt := range tests {
			t.Run(auth.name+" "+tt.detail, func(t *testing.T) {
				url := scripted(t, "answer", map[sinktest.Scenario]answer{"answer": tt.answer}, nil)
				f := failure.Of(openBlob(t, url, auth).Send(t.Context(), sinktest.Logs(1, 10))[0].Err)
				if diff := cmp.Diff([]string{string(tt.want), tt.detail}, []string{string(f.Code), f.Detail}); diff != "" {
					t.Errorf("failure (-want +got), cause %v:\n%s", f.Err, diff)
				}
			})
		}
	}
}

// A blob of the same name is this log's, from an earlier attempt, whichever way the container says so.
func TestAzureBlobThatExistsIsDelivered(t *testing.T) {
	for _, a := range []answer{
		blobError(409, "BlobAlreadyExists", "The specified blob already exists."),
		blobError(403, "UnauthorizedBlobOverwrite", "This request is not authorized to perform blob overwrites."),
		blobError(409, "BlobImmutableDueToPolicy", "This operation is not permitted as the blob is immutable due to a policy."),
	} {
		url := scripted(t, "exists", map[sinktest.Scenario]answer{"exists": a}, nil)
		if err := openBlob(t, url, blobAuths()[1]).Send(t.Context(), sinktest.Logs(1, 10))[0].Err; err != nil {
			t.Errorf("%v, want delivered", err)
		}
	}
}

func TestAzureBlobTokenCodes(t *testing.T) {
	tests := []struct {
		refusal answer
		want    failure.Code
		detail  string
	}{
		{answer{status: 401, body: entraSecretExpired}, failure.AzureBlobPermissionMismatch, "token endpoint: HTTP 401 invalid_client AADSTS7000222"},
		{answer{status: 401, body: entraSecretWrong}, failure.AzureBlobPermissionMismatch, "token endpoint: HTTP 401 invalid_client AADSTS7000215"},
		{answer{status: 400, body: entraNoApplication}, failure.AzureBlobPermissionMismatch, "token endpoint: HTTP 400 unauthorized_client AADSTS700016"},
		{answer{status: 429}, failure.AzureBlobThrottled, "token endpoint: HTTP 429"},
		{answer{status: 503}, failure.AzureBlobServerError, "token endpoint: HTTP 503"},
	}
	for _, tt := range tests {
		t.Run(tt.detail, func(t *testing.T) {
			auth := blobAuths()[0]
			auth.settings = func(t *testing.T) map[string]string {
				return map[string]string{"tenant_id": testTenant, "client_id": testClient, "authority_host": tokenEndpoint(t, testToken, &tt.refusal)}
			}
			store := &blobContainer{authorized: auth.authorized}
			f := failure.Of(openBlob(t, scripted(t, sinktest.Works, nil, store), auth).Send(t.Context(), sinktest.Logs(1, 10))[0].Err)
			if diff := cmp.Diff([]string{string(tt.want), tt.detail}, []string{string(f.Code), f.Detail}); diff != "" {
				t.Errorf("failure (-want +got), cause %v:\n%s", f.Err, diff)
			}
		})
	}
}

// A token endpoint that refuses is asked once for a page of logs.
func TestAzureTokenRefusalIsRemembered(t *testing.T) {
	asked := 0
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		answer{status: 401, body: entraSecretExpired}.write(w)
	}))
	t.Cleanup(endpoint.Close)
	auth := blobAuths()[0]
	auth.settings = func(*testing.T) map[string]string {
		return map[string]string{"tenant_id": testTenant, "client_id": testClient, "authority_host": endpoint.URL}
	}
	s := openBlob(t, scripted(t, sinktest.Works, nil, &blobContainer{}), auth)
	for _, r := range s.Send(t.Context(), sinktest.Logs(20, 10)) {
		if got := failure.Of(r.Err).Code; got != failure.AzureBlobPermissionMismatch {
			t.Errorf("code %s", got)
		}
	}
	if asked != 1 {
		t.Errorf("the token endpoint was asked %d times, want once", asked)
	}
}

// The host name of an account that was deleted does not resolve (.invalid never does, RFC 6761).
func TestAzureBlobAccountDoesNotResolve(t *testing.T) {
	s := openBlob(t, "http://acme.invalid", blobAuths()[1])
	if got := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err).Code; got != failure.AzureBlobAccountNotFound {
		t.Errorf("code %s, want %s", got, failure.AzureBlobAccountNotFound)
	}
}

func TestAzureBlobSettings(t *testing.T) {
	app := map[string]string{"account": "acme", "container": "audit-logs", "tenant_id": testTenant, "client_id": testClient}
	key := map[string]string{"account": "acme", "container": "audit-logs"}
	tests := []struct {
		name     string
		settings map[string]string
		change   map[string]string
		secret   string
		field    string
		// later is the code when the same settings turn up as logs are sent.
		later failure.Code
	}{
		{name: "an application", settings: app, secret: `{"client_secret":"x"}`},
		{name: "a key", settings: key, secret: `{"account_key":"` + testAccountKey + `"}`},
		{name: "a SAS", settings: key, secret: `{"sas":"sv=1&sig=x"}`},
		{name: "no account", settings: app, change: map[string]string{"account": ""}, field: "settings.account", later: failure.ConfigInvalid},
		{name: "a host for an account", settings: app, change: map[string]string{"account": "x.example.com/"}, field: "settings.account", later: failure.AzureBlobAccountNotFound},
		{name: "no container", settings: app, change: map[string]string{"container": ""}, field: "settings.container", later: failure.ConfigInvalid},
		{name: "two hyphens", settings: app, change: map[string]string{"container": "a--b"}, field: "settings.container", later: failure.AzureBlobContainerNotFound},
		{name: "the root container", settings: app, change: map[string]string{"container": "$root"}, secret: `{"client_secret":"x"}`, field: "settings.container", later: failure.AzureBlobContainerNotFound},
		{name: "a container that everybody reads", settings: app, change: map[string]string{"container": "$web"}, secret: `{"client_secret":"x"}`, field: "settings.container"},
		{name: "a container of Azure's own", settings: app, change: map[string]string{"container": "$logs"}, secret: `{"client_secret":"x"}`, field: "settings.container", later: failure.AzureBlobContainerNotFound},
		{name: "no tenant in particular", settings: app, change: map[string]string{"tenant_id": "common"}, secret: `{"client_secret":"x"}`, field: "settings.tenant_id"},
		{name: "no tenant", settings: app, change: map[string]string{"tenant_id": ""}, secret: `{"client_secret":"x"}`, field: "settings.tenant_id", later: failure.ConfigInvalid},
		{name: "a tenant that climbs", settings: app, change: map[string]string{"tenant_id": "../x"}, secret: `{"client_secret":"x"}`, field: "settings.tenant_id", later: failure.ConfigInvalid},
		{name: "a client id that is none", settings: app, change: map[string]string{"client_id": "x"}, secret: `{"client_secret":"x"}`, field: "settings.client_id", later: failure.ConfigInvalid},
		{name: "no client secret", settings: app, field: "credentials.client_secret", later: failure.ConfigInvalid},
		{name: "a secret without its application", settings: key, secret: `{"client_secret":"x"}`, field: "settings.client_id", later: failure.ConfigInvalid},
		{name: "no credentials", settings: key, field: "credentials", later: failure.ConfigInvalid},
		{name: "a key that is no base64", settings: key, secret: `{"account_key":"%%%"}`, field: "credentials.account_key", later: failure.AzureBlobInvalidAuthentication},
		{name: "a SAS without its signature", settings: key, secret: `{"sas":"sv=1"}`, field: "credentials.sas", later: failure.AzureBlobInvalidAuthentication},
		{name: "key and SAS", settings: key, secret: `{"account_key":"YQ==","sas":"sig=x"}`, field: "credentials.sas", later: failure.ConfigInvalid},
		{name: "a SAS in the endpoint", settings: key, change: map[string]string{"endpoint": "https://acme.example.com/?sig=x"}, secret: `{"sas":"sig=x"}`, field: "settings.endpoint", later: failure.ConfigInvalid},
		{name: "plain http", settings: key, change: map[string]string{"endpoint": "http://acme.example.com/"}, secret: `{"sas":"sig=x"}`, field: "settings.endpoint", later: failure.ConfigInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			settings := make(map[string]string)
			for _, from := range []map[string]string{tt.settings, tt.change} {
				for name, value := range from {
					settings[name] = value
				}
			}
			d := directory.Destination{ID: "d-1", Kind: directory.AzureBlob, Settings: asJSON(t, settings)}
			wantFieldError(t, Validate(d, json.RawMessage(tt.secret), Network{}), tt.field)
			_, err := build(d, json.RawMessage(tt.secret), environment{now: time.Now})
			if (err == nil) != (tt.later == "") || err != nil && failure.Of(configInvalid(err)).Code != tt.later {
				t.Errorf("when sending: %v, want %q", err, tt.later)
			}
		})
	}
}

// wantFieldError checks that err names the field, or that there is none for "".
func wantFieldError(t *testing.T, err error, field string) {
	t.Helper()
	wrong, _ := errors.AsType[*FieldError](err)
	switch {
	case field == "" && err != nil:
		t.Errorf("refused: %v", err)
	case field != "" && (wrong == nil || wrong.Field != field):
		t.Errorf("got %v, want an error of the field %s", err, field)
	}
}
