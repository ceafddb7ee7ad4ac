package sink

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// entraSettings say which application of Microsoft Entra ID a connection signs in as. They are embedded in the settings of the Azure kinds.
type entraSettings struct {
	// TenantID is the tenant's GUID or one of its domains.
	TenantID string `json:"tenant_id"`
	ClientID string `json:"client_id"`
	// AuthorityHost is where tokens come from, by default the authority of the cloud.
	AuthorityHost string `json:"authority_host"`
	// Cloud is public, us_government or china; by default the one whose host an endpoint or the authority is.
	Cloud string `json:"cloud"`
}

var (
	tenantForm = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
	guidForm   = regexp.MustCompile(`^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`)
)

// given says whether the settings name an application.
func (s entraSettings) given() bool { return s.TenantID != "" || s.ClientID != "" }

// credential makes the application's credential in a cloud.
func (s entraSettings) credential(secret Secret, in azureCloud, client *http.Client, env environment) (*entraCredential, error) {
	switch {
	case !tenantForm.MatchString(s.TenantID):
		return nil, invalid("settings.tenant_id", "must be the tenant's id (a GUID) or one of its domains")
	case env.saving && (s.TenantID == "common" || s.TenantID == "organizations" || s.TenantID == "consumers"):
		return nil, invalid("settings.tenant_id", "must be one tenant; an application signs in to no other")
	case !guidForm.MatchString(s.ClientID):
		return nil, invalid("settings.client_id", "must be the application's client id, a GUID")
	case secret == "":
		return nil, invalid("credentials.client_secret", "is missing")
	}
	host := s.AuthorityHost
	if host == "" {
		host = in.sdk.ActiveDirectoryAuthorityHost
	}
	authority, err := env.network.endpoint("settings.authority_host", host, "credentials.client_secret")
	if err != nil {
		return nil, err
	}
	if authority.RawQuery != "" {
		return nil, invalid("settings.authority_host", "must have no query; credentials.client_secret takes what is secret")
	}
	return &entraCredential{client: client, now: env.now, config: clientcredentials.Config{
		ClientID:     s.ClientID,
		ClientSecret: secret.Reveal(),
		TokenURL:     authority.JoinPath(s.TenantID, "oauth2/v2.0/token").String(),
		AuthStyle:    oauth2.AuthStyleInParams,
	}}, nil
}

// entraCredential gets tokens by OAuth 2 client credentials. It stands in for azidentity, which hides why the token endpoint could not be reached
// and asks it for its own description twice before the first token. The SDKs' clients keep tokens and renew them before they end.
type entraCredential struct {
	config clientcredentials.Config
	client *http.Client
	now    func() time.Time
	// audiences are asked for in turn when the authority does not know the one that the SDK wants: neither the endpoint
	// nor the authority says which cloud they are of.
	audiences []string

	mu      sync.Mutex
	scopes  []string // what the authority knew last, if not what the SDK wants
	refused *tokenError
	until   time.Time
}

// GetToken implements azcore.TokenCredential. A refusal is remembered for refusedFor: a whole page of logs fails by one request.
func (c *entraCredential) GetToken(ctx context.Context, want policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused != nil && c.now().Before(c.until) {
		return azcore.AccessToken{}, c.refused
	}
	token, err := c.token(ctx, want.Scopes)
	if err != nil {
		wrapped := &tokenError{err}
		if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok && answer.Response.StatusCode/100 == 4 {
			c.refused, c.until = wrapped, c.now().Add(refusedFor)
		}
		return azcore.AccessToken{}, wrapped
	}
	return azcore.AccessToken{Token: token.AccessToken, ExpiresOn: token.Expiry}, nil
}

// token asks for a token of the scopes, or of another cloud's.
func (c *entraCredential) token(ctx context.Context, scopes []string) (*oauth2.Token, error) {
	ctx = forToken(ctx, c.client)
	config := c.config
	config.Scopes = scopes
	if c.scopes != nil {
		config.Scopes = c.scopes
	}
	token, err := config.Token(ctx)
	for _, audience := range c.audiences {
		if !noSuchResource(err) {
			break
		}
		config.Scopes = []string{audience + "/.default"}
		if token, err = config.Token(ctx); err == nil {
			c.scopes = config.Scopes
		}
	}
	return token, err
}

// noSuchResource says whether the authority does not know what the token is to be for: AADSTS500011, and invalid_resource
// ("Microsoft Entra authentication and authorization error codes").
func noSuchResource(err error) bool {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	return ok && (answer.ErrorCode == "invalid_resource" || entraCode(answer.Body) == "500011")
}

// azureOptions are what the clients of the Azure SDK have in common: the guarded client, no retry (the schedule retries), no telemetry.
func azureOptions(client policy.Transporter) azcore.ClientOptions {
	return azcore.ClientOptions{
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{Disabled: true},
		Transport: terse{client},
	}
}

// terse leaves of each answer's body the error code alone. The SDK makes an error's text of the whole body and indents it: 30 KB of nested JSON would
// take half a gigabyte, and the text could hold a log that the service repeats.
type terse struct{ next policy.Transporter }

// Do implements policy.Transporter.
func (t terse) Do(r *http.Request) (*http.Response, error) {
	answer, err := t.next.Do(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil && answer.StatusCode/100 == 2 {
		return nil, err
	}
	rest, err := json.Marshal(map[string]any{"error": map[string]string{"code": azureErrorCode(body)}})
	if err != nil {
		return nil, err
	}
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(rest)), int64(len(rest))
	return answer, nil
}

// azureErrorCode reads an error's code in the forms of Azure's services, or "" if there is none. Blob says it in a header, whatever its body is.
func azureErrorCode(body []byte) string {
	var said struct {
		Code  string `json:"code"`
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &said) != nil {
		return ""
	}
	return cmp.Or(said.Error.Code, said.Code)
}

// failure classifies an error of the Azure SDK: by the service's error code, then by what happened below HTTP, then by the status.
func (k serviceCodes) failure(err error, now time.Time) *failure.Error {
	if token, ok := errors.AsType[*tokenError](err); ok {
		return k.token(token, now)
	}
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return k.answer(answer.StatusCode, answer.ErrorCode, answer.RawResponse.Header, err, now)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return &failure.Error{Code: k.hostNotFound, Detail: "the host name does not resolve", Err: err}
	}
	if below := network(err); below != nil {
		return below
	}
	return unclassified(err, "no answer that could be read")
}

// entraCode is Entra ID's own number of an error, such as 7000222 for a client secret that has expired, or "".
func entraCode(body []byte) string {
	var answer struct {
		Codes []int `json:"error_codes"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Codes) == 0 {
		return ""
	}
	return strconv.Itoa(answer.Codes[0])
}

// azureClient makes the guarded HTTP client of one destination.
func azureClient(n Network) *http.Client {
	return &http.Client{Transport: n.transport(nil, mostConcurrency), CheckRedirect: noRedirect}
}

// secureURL gives an endpoint as an https URL, and a client that reaches it: the SDK sends tokens over https only, and an endpoint may be plain
// http where the operator has opened that.
func secureURL(endpoint *url.URL, client *http.Client) (string, *http.Client) {
	if endpoint.Scheme == "https" {
		return endpoint.String(), client
	}
	secure := *endpoint
	secure.Scheme = "https"
	return secure.String(), &http.Client{Transport: downgrade{host: endpoint.Host, next: client.Transport}, CheckRedirect: noRedirect}
}

// downgrade sends the requests for one host over plain http.
type downgrade struct {
	host string
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (d downgrade) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == d.host {
		r = r.Clone(r.Context())
		r.URL.Scheme = "http"
	}
	return d.next.RoundTrip(r)
}
