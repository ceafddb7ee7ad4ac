package sink

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"mime/multipart"
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

// gcsError is an error as Cloud Storage sends it: "HTTP status and error codes for JSON" of its documentation.
func gcsError(status int, reason, message string) answer {
	return answer{
		status: status,
		header: map[string]string{"Content-Type": "application/json; charset=UTF-8"},
		body: fmt.Sprintf(`{"error":{"errors":[{"domain":"global","reason":%q,"message":%q}],"code":%d,"message":%q}}`,
			reason, message, status, message),
	}
}

const testAccount = "writer@acme-audit.iam.gserviceaccount.com"

// googleAccount is a service account and the token endpoint that knows it.
type googleAccount struct {
	key *rsa.PrivateKey
	pem string
	// refusal is what the endpoint answers instead of a token; nil for tokens.
	refusal *answer

	mu    sync.Mutex
	asked int
	now   string // the token that was given last
	url   string
}

func newGoogleAccount(t *testing.T) *googleAccount {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a := &googleAccount{key: key, pem: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.url = server.URL + "/token"
	return a
}

// file is the account's key as the console gives it, with a change.
func (a *googleAccount) file(t *testing.T, change map[string]string) string {
	t.Helper()
	file := map[string]string{
		"type": "service_account", "project_id": "acme-audit", "private_key_id": "4f1d", "private_key": a.pem, "client_email": testAccount,
		"client_id": "117", "auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": a.url, "universe_domain": "googleapis.com",
	}
	for name, value := range change {
		file[name] = value
	}
	return string(asJSON(t, file))
}

// ServeHTTP plays https://oauth2.googleapis.com/token: it takes what RFC 7523 and "Using OAuth 2.0 for Server to Server Applications" ask for.
func (a *googleAccount) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if a.refusal != nil {
		a.refusal.write(w)
		return
	}
	if problem := a.wrong(r); problem != "" {
		answer{status: 400, body: fmt.Sprintf(`{"error":"invalid_grant","error_description":%q}`, problem)}.write(w)
		return
	}
	a.now = fmt.Sprintf("ya29.token-%d", a.asked)
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":3599,"token_type":"Bearer"}`, a.now)
}

// wrong says what is wrong with a request for a token.
func (a *googleAccount) wrong(r *http.Request) string {
	parts := strings.Split(r.FormValue("assertion"), ".")
	if len(parts) != 3 || r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return "no assertion"
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	if rsa.VerifyPKCS1v15(&a.key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return "Invalid JWT Signature."
	}
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Iss, Aud, Scope string
		Iat, Exp        int64
	}
	if json.Unmarshal(payload, &claims) != nil || string(header) != `{"alg":"RS256","kid":"4f1d","typ":"JWT"}` || claims.Iss != testAccount ||
		claims.Aud != a.url || claims.Scope != "https://www.googleapis.com/auth/devstorage.read_write" ||
		claims.Exp <= claims.Iat || claims.Exp-claims.Iat > 3600 || time.Since(time.Unix(claims.Iat, 0)) > time.Minute {
		return "Invalid JWT."
	}
	return ""
}

func (a *googleAccount) token() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

// gcsBucket plays a bucket that takes every object once.
type gcsBucket struct {
	account *googleAccount

	mu      sync.Mutex
	objects map[string][]byte
}

func (b *gcsBucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, content, problem := b.read(r)
	if problem != "" {
		gcsError(400, "invalid", problem).write(w)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects == nil {
		b.objects = make(map[string][]byte)
	}
	if _, exists := b.objects[name]; exists {
		gcsError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.").write(w)
		return
	}
	b.objects[name] = content
	_, _ = fmt.Fprintf(w, `{"name":%q}`, name)
}

// read takes a multipart upload apart as the documentation of objects.insert describes it.
func (b *gcsBucket) read(r *http.Request) (name string, content []byte, problem string) {
	query := r.URL.Query()
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/upload/storage/v1/b/audit-logs/o" || kind != "multipart/related" ||
		query.Get("uploadType") != "multipart" || query.Get("ifGenerationMatch") != "0" || r.Header.Get("Authorization") != "Bearer "+b.account.token() {
		return "", nil, "not a conditional multipart upload"
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || int64(len(body)) != r.ContentLength {
		return "", nil, "length"
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	first, err := parts.NextPart()
	if err != nil {
		return "", nil, err.Error()
	}
	var about struct{ Name, ContentType, CRC32C string }
	if err := json.NewDecoder(first).Decode(&about); err != nil {
		return "", nil, err.Error()
	}
	second, err := parts.NextPart()
	if err != nil {
		return "", nil, err.Error()
	}
	if content, err = io.ReadAll(second); err != nil {
		return "", nil, err.Error()
	}
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli)))
	if about.CRC32C != base64.StdEncoding.EncodeToString(sum) || second.Header.Get("Content-Type") != about.ContentType {
		return "", nil, "Provided CRC32C does not match"
	}
	return about.Name, content, ""
}

func (b *gcsBucket) held(t *testing.T) map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := make(map[string]int)
	for _, content := range b.objects {
		logIDs(t, content, count)
	}
	return count
}

func openGCS(t *testing.T, url string, account *googleAccount, layout layout) delivery.Sink {
	t.Helper()
	s, err := build(directory.Destination{ID: "d-1", Kind: directory.GCS, Settings: asJSON(t, map[string]string{
		"bucket": "audit-logs", "endpoint": url, "layout": string(layout),
	})}, asJSON(t, map[string]string{"service_account": account.file(t, nil)}), localEnvironment())
	if err != nil {
		t.Fatalf("build the sink: %v", err)
	}
	return s
}

// scriptedGCS is a target that answers as Google Cloud Storage does.
type scriptedGCS struct {
	account *googleAccount
	layout  layout
}

func (g scriptedGCS) Open(t *testing.T, s sinktest.Scenario) sinktest.Receiver {
	store := &gcsBucket{account: g.account}
	throttled := gcsError(429, "rateLimitExceeded", "The object exceeded the rate limit for object mutation operations (create, update, and delete). Please reduce your request rate.")
	throttled.header["Retry-After"] = "7"
	url := scripted(t, s, map[sinktest.Scenario]answer{
		sinktest.BadCredentials: gcsError(401, "authError", "Invalid Credentials"),
		sinktest.NoPermission:   gcsForbidden(),
		sinktest.Missing:        gcsError(404, "notFound", "The specified bucket does not exist."),
		sinktest.Throttled:      throttled,
		sinktest.Broken:         gcsError(500, "backendError", "We encountered an internal error. Please try again."),
	}, store)
	return sinktest.Receiver{Sink: openGCS(t, url, g.account, g.layout), Held: store.held, Secrets: []string{g.account.pem, "ya29.token", testAccount}}
}

func gcsForbidden() answer {
	return gcsError(403, "forbidden", testAccount+" does not have storage.objects.create access to the Google Cloud Storage object. Permission 'storage.objects.create' denied on resource (or it may not exist).")
}

func (scriptedGCS) Codes() map[sinktest.Scenario]failure.Code {
	return map[sinktest.Scenario]failure.Code{
		sinktest.BadCredentials: failure.GCSCredentialsInvalid,
		sinktest.NoPermission:   failure.GCSPermissionDenied,
		sinktest.Missing:        failure.GCSBucketNotFound,
		sinktest.Throttled:      failure.GCSThrottled,
		sinktest.Broken:         failure.GCSServerError,
	}
}

func (scriptedGCS) Deviations() []sinktest.Deviation { return nil }

func TestGCSConformance(t *testing.T) {
	account := newGoogleAccount(t)
	for _, l := range []layout{layoutObject, layoutBatch} {
		t.Run(string(l), func(t *testing.T) { sinktest.Run(t, scriptedGCS{account, l}) })
	}
}

func TestGCSCodes(t *testing.T) {
	tests := []struct {
		answer answer
		want   failure.Code // "" for delivered
		detail string
	}{
		{gcsError(401, "required", "Anonymous caller does not have storage.objects.create access to the Google Cloud Storage object."), failure.GCSCredentialsInvalid, "HTTP 401 required"},
		{answer{status: 401}, failure.GCSCredentialsInvalid, "HTTP 401"},
		{gcsForbidden(), failure.GCSPermissionDenied, "HTTP 403 forbidden"},
		{gcsError(403, "accountDisabled", "The project to be billed is associated with an absent billing account."), failure.GCSPermissionDenied, "HTTP 403 accountDisabled"},
		{gcsError(403, "userRateLimitExceeded", "The user has exceeded the rate limit."), failure.GCSThrottled, "HTTP 403 userRateLimitExceeded"},
		{gcsError(404, "notFound", "The specified bucket does not exist."), failure.GCSBucketNotFound, "HTTP 404 notFound"},
		{answer{status: 404, body: "Not Found"}, failure.GCSBucketNotFound, "HTTP 404"},
		{answer{status: 408}, failure.NetTimeout, "HTTP 408"},
		{answer{status: 429}, failure.GCSThrottled, "HTTP 429"},
		{gcsError(503, "backendError", "Backend Error"), failure.GCSServerError, "HTTP 503 backendError"},
		{answer{status: 502, body: "<html>"}, failure.GCSServerError, "HTTP 502"},
		{gcsError(400, "invalid", "Provided CRC32C does not match"), failure.GCSRejected, "HTTP 400 invalid"},
		{gcsError(412, "orgPolicyConstraintFailed", "Request violates organization policy constraint."), failure.GCSRejected, "HTTP 412 orgPolicyConstraintFailed"},
		{gcsError(400, "a reason that is none: <b>", ""), failure.GCSRejected, "HTTP 400"},
		{answer{status: 302, header: map[string]string{"Location": "https://example.com/"}}, failure.Unknown, "HTTP 302"},

		// An object of the same name is this log's, from an earlier attempt, whichever way the bucket says so.
		{gcsError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold."), "", ""},
		{gcsError(403, "forbidden", testAccount+" does not have storage.objects.delete access to the Google Cloud Storage object."), "", ""},
		{gcsError(403, "retentionPolicyNotMet", "Object 'audit-logs/x' is subject to bucket's retention policy and cannot be deleted, overwritten or archived until 2027-01-01."), "", ""},
		{gcsError(403, "objectUnderActiveHold", "Object 'audit-logs/x' is under active Temporary hold and cannot be deleted, overwritten or archived until hold is removed."), "", ""},
	}
	account := newGoogleAccount(t)
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d %s", tt.answer.status, tt.detail), func(t *testing.T) {
			url := scripted(t, "answer", map[sinktest.Scenario]answer{"answer": tt.answer}, nil)
			err := openGCS(t, url, account, "").Send(t.Context(), sinktest.Logs(1, 10))[0].Err
			if err == nil {
				err = &failure.Error{}
			}
			f := failure.Of(err)
			if diff := cmp.Diff([]string{string(tt.want), tt.detail}, []string{string(f.Code), f.Detail}); diff != "" {
				t.Errorf("failure (-want +got), cause %v:\n%s", f.Err, diff)
			}
		})
	}
}

func TestGCSTokenCodes(t *testing.T) {
	tests := []struct {
		refusal answer
		want    failure.Code
		detail  string
		asked   int
	}{
		{answer{status: 400, body: `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`}, failure.GCSCredentialsInvalid, "token endpoint: HTTP 400 invalid_grant", 1},
		{answer{status: 401, body: `{"error":"invalid_client","error_description":"The OAuth client was disabled."}`}, failure.GCSCredentialsInvalid, "token endpoint: HTTP 401 invalid_client", 1},
		{answer{status: 429}, failure.GCSThrottled, "token endpoint: HTTP 429", 3},
		{answer{status: 503}, failure.GCSServerError, "token endpoint: HTTP 503", 3},
		{answer{status: 200, body: `{}`}, failure.GCSCredentialsInvalid, "the token endpoint's answer holds no token", 1},
	}
	for _, tt := range tests {
		t.Run(tt.detail, func(t *testing.T) {
			account := newGoogleAccount(t)
			account.refusal = &tt.refusal
			s := openGCS(t, scripted(t, sinktest.Works, nil, &gcsBucket{account: account}), account, "")
			for _, r := range s.Send(t.Context(), sinktest.Logs(3, 10)) {
				f := failure.Of(r.Err)
				if diff := cmp.Diff([]string{string(tt.want), tt.detail}, []string{string(f.Code), f.Detail}); diff != "" {
					t.Errorf("failure (-want +got), cause %v:\n%s", f.Err, diff)
				}
			}
			if account.asked != tt.asked {
				t.Errorf("the token endpoint was asked %d times, want %d: a refusal is remembered", account.asked, tt.asked)
			}
		})
	}
}

// One token serves many logs, and one that the service no longer takes is replaced on the next attempt.
func TestGCSTokenIsKeptUntilItIsRefused(t *testing.T) {
	account := newGoogleAccount(t)
	store := &gcsBucket{account: account}
	revoked := true
	s := openGCS(t, scripted(t, sinktest.Works, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if revoked {
			gcsError(401, "authError", "Invalid Credentials").write(w)
			return
		}
		store.ServeHTTP(w, r)
	})), account, "")
	if got := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err).Code; got != failure.GCSCredentialsInvalid {
		t.Errorf("code %s", got)
	}
	revoked = false
	for i, r := range s.Send(t.Context(), sinktest.Logs(20, 10)) {
		if r.Err != nil {
			t.Errorf("log %d: %v", i, r.Err)
		}
	}
	if account.asked != 2 {
		t.Errorf("the token endpoint was asked %d times, want once before and once after the refusal", account.asked)
	}
}

func TestGCSSettings(t *testing.T) {
	account := newGoogleAccount(t)
	good := account.file(t, map[string]string{"token_uri": "https://oauth2.googleapis.com/token"})
	tests := []struct {
		name     string
		settings map[string]string
		key      string
		field    string
		// later is the code when the same settings turn up as logs are sent.
		later failure.Code
	}{
		{name: "a bucket", settings: map[string]string{"bucket": "acme-audit_logs"}, key: good},
		{name: "a domain", settings: map[string]string{"bucket": "logs.acme.example.com"}, key: good},
		{name: "a key without its token_uri", settings: map[string]string{"bucket": "acme"}, key: account.file(t, map[string]string{"token_uri": ""})},
		{name: "no bucket", key: good, field: "settings.bucket", later: failure.ConfigInvalid},
		{name: "capitals", settings: map[string]string{"bucket": "Acme"}, key: good, field: "settings.bucket", later: failure.GCSBucketNameInvalid},
		{name: "a path", settings: map[string]string{"bucket": "acme/../x"}, key: good, field: "settings.bucket", later: failure.GCSBucketNameInvalid},
		{name: "two dots", settings: map[string]string{"bucket": "acme..logs"}, key: good, field: "settings.bucket", later: failure.GCSBucketNameInvalid},
		{name: "64 characters", settings: map[string]string{"bucket": strings.Repeat("a", 64)}, key: good, field: "settings.bucket", later: failure.GCSBucketNameInvalid},
		{name: "an address", settings: map[string]string{"bucket": "192.168.5.4"}, key: good, field: "settings.bucket", later: failure.GCSBucketNameInvalid},
		{name: "Google's own", settings: map[string]string{"bucket": "goog-logs"}, key: good, field: "settings.bucket", later: failure.GCSBucketNameInvalid},
		{name: "plain http", settings: map[string]string{"bucket": "acme", "endpoint": "http://gcs.example.com"}, key: good, field: "settings.endpoint", later: failure.ConfigInvalid},
		{name: "a query", settings: map[string]string{"bucket": "acme", "endpoint": "https://gcs.example.com/?x=1"}, key: good, field: "settings.endpoint", later: failure.ConfigInvalid},
		{name: "a prefix that climbs", settings: map[string]string{"bucket": "acme", "prefix": "../x"}, key: good, field: "settings.prefix", later: failure.ConfigInvalid},
		{name: "no key", settings: map[string]string{"bucket": "acme"}, field: "credentials.service_account", later: failure.ConfigInvalid},
		{name: "no JSON", settings: map[string]string{"bucket": "acme"}, key: account.pem, field: "credentials.service_account", later: failure.GCSCredentialsInvalid},
		{name: "a person's key", settings: map[string]string{"bucket": "acme"}, key: account.file(t, map[string]string{"type": "authorized_user"}), field: "credentials.service_account", later: failure.GCSCredentialsInvalid},
		{name: "no account", settings: map[string]string{"bucket": "acme"}, key: account.file(t, map[string]string{"client_email": ""}), field: "credentials.service_account", later: failure.GCSCredentialsInvalid},
		{name: "a private key that is none", settings: map[string]string{"bucket": "acme"}, key: account.file(t, map[string]string{"private_key": "x"}), field: "credentials.service_account", later: failure.GCSCredentialsInvalid},
		{name: "tokens over plain http", settings: map[string]string{"bucket": "acme"}, key: account.file(t, nil), field: "credentials.service_account", later: failure.GCSCredentialsInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := directory.Destination{ID: "d-1", Kind: directory.GCS, Settings: asJSON(t, tt.settings)}
			secret := asJSON(t, map[string]string{"service_account": tt.key})
			wantFieldError(t, Validate(d, secret, Network{}), tt.field)
			_, err := build(d, secret, environment{now: time.Now})
			if (err == nil) != (tt.later == "") || err != nil && failure.Of(configInvalid(err)).Code != tt.later {
				t.Errorf("when sending: %v, want %q", err, tt.later)
			}
		})
	}
}

// The address at which tokens are to be had comes from the key, so it passes the guard as every address does.
func TestGCSTokenAddressIsGuarded(t *testing.T) {
	account := newGoogleAccount(t)
	env := localEnvironment()
	env.network.AllowPrivate = nil
	s, err := newGCS(asJSON(t, map[string]string{"bucket": "audit-logs"}), asJSON(t, map[string]string{"service_account": account.file(t, nil)}), env)
	if err != nil {
		t.Fatal(err)
	}
	if got := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err).Code; got != failure.NetBlocked || account.asked != 0 {
		t.Errorf("code %s, want %s; asked %d times", got, failure.NetBlocked, account.asked)
	}
}
