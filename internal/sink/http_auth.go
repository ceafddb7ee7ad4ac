package sink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// sign adds what Standard Webhooks asks for (https://www.standardwebhooks.com): the id, and if there are secrets the time and a signature by
// each, so that a receiver can change from one secret to the next. The body is signed as it is sent, compressed if it is.
func (s *httpSink) sign(header http.Header, id string, body []byte) error {
	header["Webhook-Id"] = []string{id}
	if len(s.signers) == 0 {
		return nil
	}
	at := s.now()
	signatures := make([]string, len(s.signers))
	for i, signer := range s.signers {
		signature, err := signer.Sign(id, at, body)
		if err != nil {
			return &failure.Error{Code: failure.ConfigInvalid, Detail: "a request cannot be signed", Err: err}
		}
		signatures[i] = signature
	}
	header["Webhook-Timestamp"] = []string{strconv.FormatInt(at.Unix(), 10)}
	header["Webhook-Signature"] = []string{strings.Join(signatures, " ")}
	return nil
}

// verifiable refuses signatures that receivers cannot verify with the official libraries. They turn the body into
// text before they compute the signature, which changes what is compressed, and parse it as one JSON document after.
// Source: verify in libraries/javascript/src/index.ts and libraries/python/standardwebhooks/webhooks.py of
// github.com/standard-webhooks/standard-webhooks.
func verifiable(f framing, compressed bool) error {
	const field = "credentials.signing_secrets"
	switch {
	case compressed:
		return invalid(field, "cannot be used with settings.gzip: the libraries of Standard Webhooks cannot verify a compressed body")
	case !f.alone && f.before == "":
		return invalid(field, "cannot be used with several JSON documents in a request, which the libraries of Standard Webhooks cannot read; use the format single or json_array")
	}
	return nil
}

// The sizes of a signing secret in bytes, by the Standard Webhooks specification.
const (
	minSigningSecret = 24
	maxSigningSecret = 64
)

func newSigners(secrets []Secret) ([]*standardwebhooks.Webhook, error) {
	const field = "credentials.signing_secrets"
	if len(secrets) > 2 {
		return nil, invalid(field, "must be one secret, or two while receivers change from one to the other")
	}
	var signers []*standardwebhooks.Webhook
	for _, secret := range secrets {
		encoded, ok := strings.CutPrefix(secret.Reveal(), "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(key) < minSigningSecret || len(key) > maxSigningSecret {
			return nil, invalid(field, "must each be whsec_ and the base64 of %d to %d random bytes", minSigningSecret, maxSigningSecret)
		}
		signer, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, invalid(field, "must each be a Standard Webhooks secret")
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

// tokens gets access tokens by OAuth 2 client credentials (RFC 6749, 4.4) and keeps one for as long as it is valid.
type tokens struct {
	config clientcredentials.Config
	client *http.Client
	said   discretion
	now    func() time.Time

	mu      sync.Mutex
	token   *oauth2.Token
	refused *failure.Error
	until   time.Time
}

// refusedFor is how long the token endpoint is left alone once it has refused the credentials: a whole page of logs fails by one request.
const refusedFor = 10 * time.Second

func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token.Valid() {
		return t.token.AccessToken, nil
	}
	if t.refused != nil && t.now().Before(t.until) {
		return "", t.refused
	}
	token, err := t.config.Token(forToken(ctx, t.client))
	if err != nil {
		f := t.failure(err)
		if f.Code == failure.HTTPTokenRefused {
			t.refused, t.until = f, t.now().Add(refusedFor)
		}
		return "", f
	}
	t.token, t.refused = token, nil
	return token.AccessToken, nil
}

// drop forgets a token that the receiver refused, unless another request has replaced it meanwhile.
func (t *tokens) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != nil && t.token.AccessToken == token {
		t.token = nil
	}
}

// failure classifies the token endpoint's answer. Any 4xx that is not about pace says that the client may not have a token (RFC 6749, 5.2).
func (t *tokens) failure(err error) *failure.Error {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || answer.Response == nil {
		if f := network(err); f != nil {
			return f
		}
		return &failure.Error{Code: failure.HTTPTokenRefused, Detail: "the token endpoint's answer holds no token", Err: err}
	}
	status := answer.Response.StatusCode
	f := &failure.Error{
		Code:       statusCode(status),
		Detail:     t.said.tokenEndpoint(status, answer),
		RetryAfter: retryAfter(answer.Response.Header, answeredAt(answer.Response.Header, t.now())),
		Err:        err,
	}
	if status < 300 || f.Code != failure.HTTPThrottled && f.Code != failure.HTTPTimeout && status/100 == 4 {
		f.Code = failure.HTTPTokenRefused
	}
	return f
}

// newTLS makes the TLS configuration of a destination. A custom CA is trusted besides the system's, because the token endpoint of the same
// destination is often a public one.
func newTLS(ca string, certificate, key Secret) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	if ca != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(ca)) {
			return nil, invalid("settings.ca", "must be one or more certificates in PEM form")
		}
		config.RootCAs = pool
	}
	if (certificate == "") != (key == "") {
		return nil, invalid("credentials.client_certificate", "and client_key must both be given, or neither")
	}
	if certificate != "" {
		pair, err := tls.X509KeyPair([]byte(certificate.Reveal()), []byte(key.Reveal()))
		if err != nil {
			return nil, invalid("credentials.client_key", "must be the private key, in PEM form, that belongs to client_certificate, a certificate in PEM form")
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
