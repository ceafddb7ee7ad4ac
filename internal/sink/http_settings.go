package sink

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/net/http/httpguts"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// httpSettings are the settings of an HTTP destination, see docs/destinations/http.md.
type httpSettings struct {
	paceSettings
	URL      string            `json:"url"`
	Preset   string            `json:"preset"`
	Format   string            `json:"format"`
	MaxBatch int               `json:"max_batch"`
	Headers  map[string]string `json:"headers"`
	Gzip     bool              `json:"gzip"`
	Timeout  string            `json:"timeout"`
	Template string            `json:"template"`
	// Index is Splunk's or Elastic's, for their presets.
	Index string `json:"index"`
	// WithoutIDs sends documents without ids, for Elastic's relatives that refuse them.
	WithoutIDs bool `json:"without_ids"`
	// MaxLog is how many bytes the receiver keeps of one log, in place of the preset's number; Oversize what becomes of larger ones.
	MaxLog   int      `json:"max_log"`
	Oversize oversize `json:"oversize"`
	// CA is one or more certificates in PEM form.
	CA    string         `json:"ca"`
	OAuth *oauthSettings `json:"oauth"`
}

// oversize says what becomes of a log that is larger than the receiver keeps.
type oversize string

const (
	refuseOversize  oversize = "refuse" // the default
	shortenOversize oversize = "shorten"
)

type oauthSettings struct {
	TokenURL string   `json:"token_url"`
	Scopes   []string `json:"scopes"`
	Audience string   `json:"audience"`
}

// httpCredentials are the credentials of an HTTP destination.
type httpCredentials struct {
	Bearer Secret            `json:"bearer"`
	Basic  *basicCredentials `json:"basic"`
	// Query and Path are the secret parts of a URL: parameters, and what follows the path of settings.url.
	Query Secret `json:"query"`
	Path  Secret `json:"path"`
	// Token is what a preset's intake wants.
	Token Secret            `json:"token"`
	OAuth *oauthCredentials `json:"oauth"`
	// Headers are headers whose values are secret.
	Headers           map[string]Secret `json:"headers"`
	SigningSecrets    []Secret          `json:"signing_secrets"`
	ClientCertificate Secret            `json:"client_certificate"`
	ClientKey         Secret            `json:"client_key"`
}

// ownScheme says whether the credentials hold a header Authorization of their own, for schemes that have no field.
func (c httpCredentials) ownScheme() bool {
	for name := range c.Headers {
		if http.CanonicalHeaderKey(name) == authorization {
			return true
		}
	}
	return false
}

const authorization = "Authorization"

type basicCredentials struct {
	Username string `json:"username"`
	Password Secret `json:"password"`
}

type oauthCredentials struct {
	ClientID     string `json:"client_id"`
	ClientSecret Secret `json:"client_secret"`
}

// The limits and defaults of the settings.
const (
	defaultBatch       = 100
	mostBatch          = 1000
	defaultConcurrency = 8
	defaultTimeout     = 10 * time.Second
	leastTimeout       = 10 * time.Millisecond
	mostTimeout        = 30 * time.Second
	mostHeaders        = 20
	longestHeader      = 4096
)

// newHTTP makes the sink of an HTTP destination. The error is a *FieldError.
func newHTTP(settings, credentials json.RawMessage, env environment) (delivery.Sink, error) {
	var set httpSettings
	if err := decode("settings", settings, &set); err != nil {
		return nil, err
	}
	var cred httpCredentials
	if err := decode("credentials", credentials, &cred); err != nil {
		return nil, err
	}
	s := &httpSink{now: env.now, room: env.room, owner: env.owner, doubt: doubt{hopeless: failure.HTTPUnexpectedReply}, header: http.Header{
		"User-Agent": {"auditrelay"},
		// Not sent, since it has no value; it tells the transport that a request may be repeated on a new connection when a kept one turns out to
		// be closed. The receiver recognises the repetition by webhook-id.
		"Idempotency-Key": {},
	}}
	if env.saving {
		if err := cmp.Or(set.misplaced(), checkHeaders(set.Headers, cred.Headers), set.OAuth.checkScopes()); err != nil {
			return nil, err
		}
	}
	if err := s.limits(set); err != nil {
		return nil, err
	}
	if err := s.intake(set, cred, env.network); err != nil {
		return nil, err
	}
	if err := s.headers(set.Headers, cred.Headers); err != nil {
		return nil, err
	}
	if err := s.largestLog(set); err != nil {
		return nil, err
	}
	if set.Preset == "splunk_hec" {
		s.openChannel()
	}
	tlsConfig, err := newTLS(set.CA, cred.ClientCertificate, cred.ClientKey)
	if err != nil {
		return nil, err
	}
	transport := env.network.transport(tlsConfig, s.parallel)
	s.transport = transport
	if err := s.authorize(set, cred, env, transport); err != nil {
		return nil, err
	}
	if s.signers, err = newSigners(cred.SigningSecrets); err != nil {
		return nil, err
	}
	if env.saving && len(s.signers) > 0 {
		if err := verifiable(s.framing, set.Gzip); err != nil {
			return nil, err
		}
	}
	if set.Template != "" {
		// A template that turns out wrong when logs are sent gives the default message; losing the log would be worse.
		if s.template, err = auditlog.ParseTemplate(set.Template); err != nil && env.saving {
			return nil, invalid("settings.template", "%v", err)
		}
	}
	if set.Gzip {
		s.header["Content-Encoding"] = []string{"gzip"}
		s.zippers = &sync.Pool{New: func() any {
			zipper, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
			if err != nil {
				panic("sink: " + err.Error()) // the level is a constant
			}
			return zipper
		}}
	}
	return s, nil
}

// limits takes over the numbers.
func (s *httpSink) limits(set httpSettings) error {
	var err error
	if s.parallel, err = set.check(defaultConcurrency); err != nil {
		return err
	}
	s.maxBatch, s.timeout = defaultBatch, defaultTimeout
	if set.MaxBatch != 0 {
		s.maxBatch = set.MaxBatch
	}
	if s.maxBatch < 1 || s.maxBatch > mostBatch {
		return invalid("settings.max_batch", "must be 1 to %d", mostBatch)
	}
	if set.Timeout != "" {
		timeout, err := time.ParseDuration(set.Timeout)
		if err != nil || timeout < leastTimeout || timeout > mostTimeout {
			return invalid("settings.timeout", "must be a duration from %v to %v, such as 10s", leastTimeout, mostTimeout)
		}
		s.timeout = timeout
	}
	return nil
}

// leastLog is the smallest number that max_log can be: what a log has besides its payload, several times.
const leastLog = 4 << 10

// largestLog takes over how large a log may be.
func (s *httpSink) largestLog(set httpSettings) error {
	s.largest = s.framing.largest
	switch {
	case set.MaxLog == 0:
	case set.MaxLog < leastLog, set.MaxLog > events.MaxLogBytes:
		return invalid("settings.max_log", "must be %d to %d bytes", leastLog, events.MaxLogBytes)
	case s.largest > 0 && set.MaxLog > s.largest && !s.framing.raisable:
		return invalid("settings.max_log", "must be at most %d with this preset, whose intake keeps no more of a log", s.largest)
	default:
		s.largest = set.MaxLog
	}
	switch set.Oversize {
	case "", refuseOversize:
	case shortenOversize:
		s.shorten = true
	default:
		return invalid("settings.oversize", "must be refuse or shorten")
	}
	return nil
}

// intake takes over where logs go and in which form.
func (s *httpSink) intake(set httpSettings, cred httpCredentials, n Network) error {
	base, err := n.endpoint("settings.url", set.URL, "credentials.basic")
	if err != nil {
		return err
	}
	if set.Preset == "" {
		switch {
		case cred.Token != "":
			return invalid("credentials.token", "belongs to a preset; without one use bearer, basic, oauth or headers")
		case set.Index != "":
			return invalid("settings.index", "belongs to the presets splunk_hec and elastic")
		case set.WithoutIDs:
			return invalid("settings.without_ids", "belongs to the preset elastic")
		}
		var known bool
		if s.framing, known = formats(set.Format); !known {
			return invalid("settings.format", "must be single, ndjson or json_array")
		}
		s.url = base
		s.header["Content-Type"] = []string{s.framing.contentType}
	} else if err := s.usePreset(set, cred, base); err != nil {
		return err
	}
	s.url, err = secretURL(s.url, cred)
	return err
}

// headers takes over the admin's own headers, plain and secret.
func (s *httpSink) headers(plain map[string]string, secret map[string]Secret) error {
	if len(plain)+len(secret) > mostHeaders {
		return invalid("settings.headers", "must be at most %d, with those of the credentials", mostHeaders)
	}
	// In order, so that every instance sends the same one of two names that differ in case only.
	for _, name := range slices.Sorted(maps.Keys(plain)) {
		if err := s.addHeader("settings.headers", name, plain[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(secret)) {
		if err := s.addHeader("credentials.headers", name, secret[name].Reveal()); err != nil {
			return err
		}
	}
	return nil
}

// isOwn says whether a header, by its canonical name, is set by this program or by HTTP itself.
func isOwn(canonical string) bool {
	switch canonical {
	case "Host", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Connection", "Keep-Alive", "Te", "Trailer", "Upgrade", "Expect",
		"Proxy-Authorization", "Proxy-Authenticate", "Proxy-Connection", "Idempotency-Key", "X-Idempotency-Key":
		return true
	}
	return strings.HasPrefix(canonical, "Webhook-")
}

func (s *httpSink) addHeader(field, name, value string) error {
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return invalid(field, "must have names of letters, digits and hyphens")
	case canonical == authorization && field == "settings.headers":
		return invalid(field+"."+name, "is a credential, which everybody can read here; credentials.bearer, basic, token, oauth or headers takes it")
	case isOwn(canonical):
		return invalid(field+"."+name, "cannot be set, because this program or HTTP sets it")
	case !httpguts.ValidHeaderFieldValue(value) || len(value) > longestHeader:
		return invalid(field+"."+name, "must be one line of at most %d printable characters", longestHeader)
	}
	s.header[canonical] = []string{value}
	return nil
}

// authorize takes over the one way in which the destination identifies itself, apart from a preset's token.
func (s *httpSink) authorize(set httpSettings, cred httpCredentials, env environment, transport http.RoundTripper) error {
	ways := 0
	for _, given := range []bool{cred.Bearer != "", cred.Basic != nil, cred.Token != "", cred.OAuth != nil, cred.ownScheme()} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1:
		return invalid("credentials", "must hold only one of bearer, basic, token, oauth and a header Authorization")
	case (cred.OAuth == nil) != (set.OAuth == nil):
		return invalid("settings.oauth", "and credentials.oauth must both be given, or neither")
	case cred.Bearer != "":
		if !httpguts.ValidHeaderFieldValue(cred.Bearer.Reveal()) {
			return invalid("credentials.bearer", "must be one line of printable characters")
		}
		s.header["Authorization"] = []string{"Bearer " + cred.Bearer.Reveal()}
	case cred.Basic != nil:
		if cred.Basic.Username == "" || strings.Contains(cred.Basic.Username, ":") {
			return invalid("credentials.basic.username", "must be given, and hold no colon")
		}
		pair := cred.Basic.Username + ":" + cred.Basic.Password.Reveal()
		s.header["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(pair))}
	case cred.OAuth != nil:
		return s.useOAuth(*set.OAuth, *cred.OAuth, env, transport)
	}
	return nil
}

func (s *httpSink) useOAuth(set oauthSettings, cred oauthCredentials, env environment, transport http.RoundTripper) error {
	endpoint, err := env.network.endpoint("settings.oauth.token_url", set.TokenURL, "credentials.oauth")
	switch {
	case err != nil:
		return err
	case cred.ClientID == "":
		return invalid("credentials.oauth.client_id", "is missing")
	case cred.ClientSecret == "":
		return invalid("credentials.oauth.client_secret", "is missing")
	}
	s.tokens = &tokens{
		config: clientcredentials.Config{
			ClientID:     cred.ClientID,
			ClientSecret: cred.ClientSecret.Reveal(),
			TokenURL:     endpoint.String(),
			Scopes:       set.Scopes,
		},
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		said: env.said,
		now:  s.now,
	}
	if set.Audience != "" {
		s.tokens.config.EndpointParams = map[string][]string{"audience": {set.Audience}}
	}
	return nil
}
