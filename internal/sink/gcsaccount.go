package sink

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// serviceAccount is a service account of Google Cloud. It gets tokens for a JWT that it signs (RFC 7523) and keeps one for as long as it is valid.
// It stands in for golang.org/x/oauth2/jwt, which cannot be cancelled and hides why the token endpoint could not be reached.
type serviceAccount struct {
	email, keyID string
	key          *rsa.PrivateKey
	tokenURL     string
	client       *http.Client
	codes        serviceCodes
	now          func() time.Time

	mu      sync.Mutex
	kept    *oauth2.Token
	refused *failure.Error
	until   time.Time
}

// writeScope is the least that allows to create objects. An assertion is valid for an hour at most.
const (
	writeScope      = "https://www.googleapis.com/auth/devstorage.read_write"
	jwtBearer       = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	googleTokens    = "https://oauth2.googleapis.com/token"
	assertionLife   = 10 * time.Minute
	accountKeyField = "credentials.service_account"
)

// newServiceAccount reads a service account's JSON key, as the console of Google Cloud gives it. The key itself says where tokens come from.
func newServiceAccount(secret Secret, client *http.Client, env environment) (*serviceAccount, error) {
	if secret == "" {
		return nil, invalid(accountKeyField, "is missing")
	}
	var file struct {
		Type     string `json:"type"`
		Email    string `json:"client_email"`
		KeyID    string `json:"private_key_id"`
		Key      string `json:"private_key"`
		TokenURI string `json:"token_uri"`
	}
	if json.Unmarshal([]byte(secret.Reveal()), &file) != nil || file.Type != "service_account" || file.Email == "" {
		return nil, badAccountKey(env, `must be the text of a service account's key in JSON form ("type": "service_account")`)
	}
	key, err := rsaKey(file.Key)
	if err != nil {
		return nil, badAccountKey(env, "must hold the account's private_key, an RSA key in PEM form")
	}
	if file.TokenURI == "" {
		file.TokenURI = googleTokens
	}
	if _, err := env.network.endpoint(accountKeyField, file.TokenURI, "its private_key"); err != nil {
		return nil, badAccountKey(env, "must have an https URL as its token_uri")
	}
	return &serviceAccount{
		email: file.Email, keyID: file.KeyID, key: key, tokenURL: file.TokenURI, client: client, codes: gcsCodes(env.said), now: env.now,
	}, nil
}

// badAccountKey is an error of the field for the admin who saves it, and a failure of authentication afterwards.
func badAccountKey(env environment, rule string) error {
	if env.saving {
		return invalid(accountKeyField, "%s", rule)
	}
	return &failure.Error{Code: failure.GCSCredentialsInvalid, Detail: accountKeyField + " " + rule}
}

func rsaKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	return key, nil
}

// token gives an access token. The error is a *failure.Error. A refusal is remembered for refusedFor: a whole page of logs fails by one request.
func (a *serviceAccount) token(ctx context.Context) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept.Valid() {
		return a.kept.AccessToken, nil
	}
	if a.refused != nil && a.now().Before(a.until) {
		return "", a.refused
	}
	assertion, err := a.assertion()
	if err != nil {
		return "", &failure.Error{Code: failure.GCSCredentialsInvalid, Detail: "the account's key cannot sign", Err: err}
	}
	config := clientcredentials.Config{
		TokenURL:       a.tokenURL,
		AuthStyle:      oauth2.AuthStyleInParams,
		EndpointParams: url.Values{"grant_type": {jwtBearer}, "assertion": {assertion}},
	}
	token, err := config.Token(forToken(ctx, a.client))
	if err != nil {
		f := a.codes.token(&tokenError{err}, a.now())
		if f.Code == failure.GCSCredentialsInvalid {
			a.refused, a.until = f, a.now().Add(refusedFor)
		}
		return "", f
	}
	a.kept, a.refused = token, nil
	return token.AccessToken, nil
}

// drop forgets a token that the service refused, unless another request has replaced it meanwhile.
func (a *serviceAccount) drop(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept != nil && a.kept.AccessToken == token {
		a.kept = nil
	}
}

// assertion is a JWT (RFC 7519, signed by RS256) that says who the account is and what for it wants a token.
func (a *serviceAccount) assertion() (string, error) {
	header, err := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", "kid": a.keyID})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iss": a.email, "scope": writeScope, "aud": a.tokenURL, "iat": a.now().Unix(), "exp": a.now().Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign the assertion: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
