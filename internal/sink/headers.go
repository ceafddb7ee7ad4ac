package sink

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// checkHeaders refuses, when they are saved, headers that would be sent and would not do what is meant.
func checkHeaders(plain map[string]string, secret map[string]Secret) error {
	type header struct{ field, name, value string }
	var all []header
	for _, name := range slices.Sorted(maps.Keys(plain)) {
		all = append(all, header{"settings.headers." + name, name, plain[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(secret)) {
		all = append(all, header{"credentials.headers." + name, name, secret[name].Reveal()})
	}
	seen := make(map[string]bool)
	for _, h := range all {
		canonical := http.CanonicalHeaderKey(h.name)
		switch {
		case seen[canonical]:
			return invalid(h.field, "is there twice; neither capitals nor secrecy make it another header")
		case canonical == "Accept-Encoding" || canonical == "Range" || strings.HasPrefix(canonical, "If-"):
			return invalid(h.field, "cannot be set, because answers are read whole and uncompressed")
		case !isASCII(h.value):
			return invalid(h.field, "must be one line of printable ASCII characters; receivers read others in different ways")
		}
		seen[canonical] = true
	}
	return nil
}

// isASCII says whether a text has printable ASCII characters only.
func isASCII(text string) bool {
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// checkScopes refuses what is no list of scopes (RFC 6749, 3.3). Several in one text, with a space between, are some.
func (s *oauthSettings) checkScopes() error {
	if s == nil {
		return nil
	}
	for _, scope := range s.Scopes {
		if strings.TrimSpace(scope) == "" || !isASCII(scope) || strings.ContainsAny(scope, "\"\\") {
			return invalid("settings.oauth.scopes", "must each be a word of printable ASCII characters")
		}
	}
	return nil
}
