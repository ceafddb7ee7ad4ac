package sink

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Settings are shown to everybody who may read a destination, credentials to nobody. So a secret that stands in
// settings is refused when it is saved, with the credential that takes it. What is refused is what is known to be a
// credential by its name, its form or its place; no rule finds a secret under a harmless name.

// misplaced says which of the settings is a credential.
func (s httpSettings) misplaced() error {
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		canonical := http.CanonicalHeaderKey(name)
		if canonical == authorization || isOwn(canonical) {
			continue // refused in any case, with other words
		}
		if secretName(name) || secretValue(s.Headers[name]) {
			return invalid("settings.headers."+name, "is a credential, which everybody can read here; credentials.headers takes it")
		}
	}
	if strings.Contains(s.CA, "PRIVATE KEY-----") {
		return invalid("settings.ca", "holds a private key, which everybody can read here; credentials.client_key takes it")
	}
	if s.OAuth != nil && secretQuery(s.OAuth.TokenURL) {
		return invalid("settings.oauth.token_url", "holds a credential in its query; credentials.oauth takes it")
	}
	if secretQuery(s.URL) {
		return invalid("settings.url", "holds a credential in its query, which everybody can read here; credentials.query takes it")
	}
	if before := secretPath(s.URL); before != "" {
		field := "credentials.path"
		if s.Preset != "" {
			field = "credentials.token"
		}
		return invalid("settings.url", "ends in a credential, which everybody can read here; %s takes what follows %s", field, before)
	}
	return nil
}

// secretName says whether what a header or a parameter of this name holds is a credential: Authorization, X-API-Key,
// DD-API-KEY, Ocp-Apim-Subscription-Key, X-Amz-Signature, access_token, sig, clientSecret.
func secretName(name string) bool {
	switch strings.ToLower(name) {
	case "x-honeycomb-team", "code": // Honeycomb's API key; the key of an Azure function
		return true
	}
	words := nameWords(name)
	for i, word := range words {
		switch word {
		case "auth", "authorization", "authentication", "bearer", "jwt", "cookie", "cookies", "session", "sessionid",
			"credential", "credentials", "pass", "passwd", "pwd", "passphrase", "passcode", "hmac", "sig", "signature", "sas":
			return true
		case "key", "keys":
			if i == 0 || !slices.Contains([]string{"partition", "sort", "message", "event", "object", "idempotency", "cache", "shard"}, words[i-1]) {
				return true
			}
		}
		for _, part := range []string{"token", "secret", "password", "apikey", "accesskey", "authkey", "licensekey", "privatekey", "sharedkey"} {
			if strings.Contains(word, part) {
				return true
			}
		}
	}
	return false
}

// nameWords cuts a name into its words, in lower case: at what is no letter or digit, and where a capital follows a
// small letter.
func nameWords(name string) []string {
	var words []string
	begin := 0
	end := func(at int) {
		if at > begin {
			words = append(words, strings.ToLower(name[begin:at]))
		}
		begin = at
	}
	for i := range len(name) {
		switch c := name[i]; {
		case (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9'):
			end(i)
			begin = i + 1
		case c >= 'A' && c <= 'Z' && i > 0 && name[i-1] >= 'a' && name[i-1] <= 'z':
			end(i)
		}
	}
	end(len(name))
	return words
}

var (
	// schemeForm is a credential of HTTP authentication (RFC 9110, 11.4) under a scheme that intakes use.
	schemeForm = regexp.MustCompile(`(?i)^(basic|bearer|digest|token|api-?token|api-?key|splunk|sharedkey|sharedaccesssignature|geniekey|aws4-hmac-sha256) +\S{6,}`)
	// jwtForm is a JSON Web Token (RFC 7519): two JSON objects in base64url begin with {" .
	jwtForm = regexp.MustCompile(`^eyJ[A-Za-z0-9_-]+\.eyJ`)
)

// secretValue says whether a text has the form of a credential, whatever it is called.
func secretValue(value string) bool {
	return schemeForm.MatchString(value) || jwtForm.MatchString(value) || strings.Contains(value, "PRIVATE KEY-----")
}

// secretQuery says whether a URL's query holds a credential. What is no URL has none.
func secretQuery(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	for pair := range strings.FieldsFuncSeq(u.RawQuery, func(c rune) bool { return c == '&' || c == ';' }) {
		name, value, _ := strings.Cut(pair, "=")
		if secretName(unescaped(name)) || secretValue(unescaped(value)) {
			return true
		}
	}
	return false
}

// unescaped reads a part of a query; one that is escaped wrongly is read as it stands.
func unescaped(part string) string {
	if text, err := url.QueryUnescape(part); err == nil {
		return text
	}
	return part
}

// secretPath gives the part of a URL after which its path is a credential, at intakes that have it there; "" for
// others, and for a URL that ends before it.
//
// Sources: Slack, "Sending messages using incoming webhooks"; Microsoft Teams, "Create an Incoming Webhook"; Discord,
// "Execute Webhook"; Loggly, "HTTP/S Event Endpoint" and "HTTP/S Bulk Endpoint"; Sumo Logic, "HTTP Logs and Metrics
// Source"; PagerDuty, "Events API v1"; Zapier, "Trigger Zaps from webhooks".
func secretPath(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	for _, intake := range []struct {
		host string
		path string
	}{
		{"hooks.slack.com", "/services/"}, {"hooks.slack.com", "/workflows/"}, {"hooks.slack.com", "/triggers/"},
		{"hooks.slack-gov.com", "/services/"},
		{"webhook.office.com", "/webhookb2/"}, {"outlook.office.com", "/webhook/"}, {"outlook.office365.com", "/webhook/"},
		{"discord.com", "/api/webhooks/"}, {"discordapp.com", "/api/webhooks/"},
		{"loggly.com", "/inputs/"}, {"loggly.com", "/bulk/"},
		{"sumologic.com", "/receiver/v1/http/"}, {"sumologic.net", "/receiver/v1/http/"},
		{"events.pagerduty.com", "/integration/"},
		{"hooks.zapier.com", "/hooks/catch/"},
	} {
		if host != intake.host && !strings.HasSuffix(host, "."+intake.host) {
			continue
		}
		if rest, found := strings.CutPrefix(u.Path, intake.path); found && rest != "" {
			return intake.path
		}
	}
	return ""
}

// secretURL adds the secret parts to the URL that requests are sent to.
func secretURL(base *url.URL, cred httpCredentials) (*url.URL, error) {
	to := *base
	if cred.Path != "" {
		added, ok := pathOf(cred.Path.Reveal())
		if !ok {
			return nil, invalid("credentials.path", "must be what follows the path of settings.url, such as T000/B000/XXXX: printable, without a query, and no segment . or ..")
		}
		to.RawPath = strings.TrimSuffix(to.EscapedPath(), "/") + added.EscapedPath()
		to.Path = strings.TrimSuffix(to.Path, "/") + added.Path
	}
	if cred.Query != "" {
		query := strings.TrimPrefix(cred.Query.Reveal(), "?")
		names, err := url.ParseQuery(query)
		if err != nil || query == "" || !plainToken(query) || strings.Contains(query, "#") {
			return nil, invalid("credentials.query", "must be a query such as sp=…&sv=1.0&sig=…, escaped as in a URL")
		}
		for name := range names {
			if to.Query().Has(name) {
				return nil, invalid("credentials.query", "must have no parameter that settings.url has too")
			}
		}
		to.RawQuery = strings.TrimPrefix(to.RawQuery+"&"+query, "&")
	}
	return &to, nil
}

// pathOf reads the end of a path, with or without a slash before it.
func pathOf(end string) (*url.URL, bool) {
	u, err := url.Parse("https://host/" + strings.TrimPrefix(end, "/"))
	if err != nil || !plainToken(end) || u.RawQuery != "" || u.ForceQuery || strings.Contains(end, "#") {
		return nil, false
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return nil, false
		}
	}
	return u, true
}
