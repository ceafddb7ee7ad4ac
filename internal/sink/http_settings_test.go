package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

func TestHTTPSettingsRefused(t *testing.T) {
	const url = `"url":"https://logs.example.com/intake"`
	many := make([]string, 0, 21)
	for i := range 21 {
		many = append(many, fmt.Sprintf(`"x-%d":"v"`, i))
	}
	for _, c := range []struct{ settings, credentials, want string }{
		{``, ``, "settings.url: is missing"},
		{`[]`, ``, "settings: must be a JSON object"},
		{`{`, ``, "settings: is not valid JSON"},
		{`{} {}`, ``, "settings: must be one JSON object"},
		{`{"uri":"x"}`, ``, "settings.uri: is not known"},
		{`{` + url + `,"gzip":"yes"}`, ``, "settings.gzip: must be true or false, not a string"},
		{`{` + url + `,"max_batch":"many"}`, ``, "settings.max_batch: must be a whole number, not a string"},
		{`{` + url + `,"max_batch":1001}`, ``, "settings.max_batch: must be 1 to 1000"},
		{`{` + url + `,"max_batch":-1}`, ``, "settings.max_batch: must be 1 to 1000"},
		{`{` + url + `,"concurrency":33}`, ``, "settings.concurrency: must be 1 to 32"},
		{`{` + url + `,"rate":-1}`, ``, "settings.rate: must be 1 to 100000 logs a second, or 0 for any number"},
		{`{` + url + `,"rate":0.5}`, ``, "settings.rate: must be a whole number, not a number 0.5"},
		{`{` + url + `,"timeout":"10"}`, ``, "settings.timeout: must be a duration from 10ms to 30s, such as 10s"},
		{`{` + url + `,"timeout":"31s"}`, ``, "settings.timeout: must be"},
		{`{` + url + `,"format":"xml"}`, ``, "settings.format: must be single, ndjson or json_array"},
		{`{"url":"http://logs.example.com"}`, ``, "settings.url: must be an https URL"},
		{`{"url":"ftp://logs.example.com"}`, ``, "settings.url: must be an https URL"},
		{`{"url":"logs.example.com"}`, ``, "settings.url: must be an https URL"},
		{`{"url":"https:///intake"}`, ``, "settings.url: must name a host"},
		{`{"url":"https://:8088"}`, ``, "settings.url: must name a host"},
		{`{"url":"https://user:secret-pw@logs.example.com"}`, ``, "settings.url: must hold no user name or password"},
		{`{"url":"https://logs.example.com/#here"}`, ``, "settings.url: must have no fragment"},
		{`{"url":"https://logs.example.com/%zz"}`, ``, "settings.url: is not a valid URL"},
		{`{` + url + `,"headers":{"Authorization":"x"}}`, ``, "settings.headers.Authorization: is a credential"},
		{`{` + url + `,"headers":{"host":"x"}}`, ``, "settings.headers.host: cannot be set"},
		{`{` + url + `,"headers":{"Connection":"x"}}`, ``, "settings.headers.Connection: cannot be set"},
		{`{` + url + `,"headers":{"webhook-id":"x"}}`, ``, "settings.headers.webhook-id: cannot be set"},
		{`{` + url + `,"headers":{"a b":"x"}}`, ``, "settings.headers: must have names of letters"},
		{`{` + url + `,"headers":{"x":"a\r\nb"}}`, ``, "settings.headers.x: must be one line"},
		{`{` + url + `,"headers":{` + strings.Join(many, ",") + `}}`, ``, "settings.headers: must be at most 20"},
		{`{` + url + `,"template":"{\"a\":1}"}`, ``, "settings.template: must contain {{{log_message}}}"},
		{`{` + url + `,"ca":"nonsense"}`, ``, "settings.ca: must be one or more certificates in PEM form"},
		{`{` + url + `,"index":"main"}`, ``, "settings.index: belongs to the presets"},
		{`{` + url + `,"preset":"kibana"}`, ``, "settings.preset: must be splunk_hec"},
		{`{` + url + `,"preset":"splunk_hec"}`, ``, "credentials.token: is missing; it is the token of the HTTP Event Collector"},
		{`{` + url + `,"preset":"datadog","format":"single"}`, `{"token":"x"}`, "settings.format: cannot be chosen with a preset"},
		{`{` + url + `,"preset":"datadog","index":"x"}`, `{"token":"x"}`, "settings.index: belongs to the presets"},
		{`{` + url + `,"preset":"elastic","index":"../x"}`, `{"token":"x"}`, "settings.index: must be at most"},
		{`{` + url + `,"preset":"datadog"}`, `{"token":"x y"}`, "credentials.token: must be one word"},
		{`{` + url + `,"preset":"sumo_logic"}`, `{"token":".."}`, "credentials.token: must be one word"},
		{`{` + url + `,"oauth":{"token_url":"https://idp.example.com"}}`, ``, "settings.oauth: and credentials.oauth must both be given"},
		{`{` + url + `,"oauth":{"token_url":"http://idp.example.com"}}`, `{"oauth":{"client_id":"c","client_secret":"s"}}`, "settings.oauth.token_url: must be an https URL"},
		{`{` + url + `,"oauth":{"token_url":"https://idp.example.com"}}`, `{"oauth":{"client_id":"c"}}`, "credentials.oauth.client_secret: is missing"},
		{`{` + url + `,"oauth":{"url":"https://idp.example.com"}}`, ``, "settings.url: is not known"},
		{`{` + url + `}`, `{"oauth":{"client_id":"c","client_secret":"s"}}`, "settings.oauth: and credentials.oauth must both be given"},
		{`{` + url + `}`, `{"password":"secret-pw"}`, "credentials.password: is not known"},
		{`{` + url + `}`, `{"bearer":"secret-pw","basic":{"username":"u"}}`, "credentials: must hold only one of"},
		{`{` + url + `}`, `{"bearer":"secret-pw\n"}`, "credentials.bearer: must be one line"},
		{`{` + url + `}`, `{"bearer":["secret-pw"]}`, "credentials.bearer: must be a string, not a list"},
		{`{` + url + `}`, `{"basic":{"username":"a:b","password":"secret-pw"}}`, "credentials.basic.username: must be given, and hold no colon"},
		{`{` + url + `}`, `{"token":"secret-pw"}`, "credentials.token: belongs to a preset"},
		{`{` + url + `}`, `{"signing_secrets":["secret-pw"]}`, "credentials.signing_secrets: must each be whsec_"},
		{`{` + url + `}`, `{"signing_secrets":["whsec_c2VjcmV0LXB3"]}`, "credentials.signing_secrets: must each be whsec_"},
		{`{` + url + `}`, `{"signing_secrets":["a","b","c"]}`, "credentials.signing_secrets: must be one secret, or two"},
		{`{` + url + `}`, `{"client_certificate":"secret-pw"}`, "credentials.client_certificate: and client_key must both be given"},
		{`{` + url + `}`, `{"client_certificate":"x","client_key":"secret-pw"}`, "credentials.client_key: must be the private key"},
		{`{` + url + `}`, `{"headers":{"Content-Length":"secret-pw"}}`, "credentials.headers.Content-Length: cannot be set"},
	} {
		d := directory.Destination{Kind: directory.HTTP, Settings: json.RawMessage(c.settings)}
		err := Validate(d, json.RawMessage(c.credentials), Network{})
		if _, ok := errors.AsType[*FieldError](err); !ok || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s %s: got %v, want %s", c.settings, c.credentials, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret-pw") {
			t.Errorf("%s: the error shows a credential: %v", c.credentials, err)
		}
	}
	for _, settings := range []string{`{` + url + `}`, `{"url":"https://logs.example.com:8443","timeout":"1500ms","template":null}`} {
		if err := Validate(directory.Destination{Kind: directory.HTTP, Settings: json.RawMessage(settings)}, nil, Network{}); err != nil {
			t.Errorf("%s: %v", settings, err)
		}
	}
}

// What is refused when it is saved, and stands in the directory all the same, fails as config.invalid; a template never loses a log.
func TestFactoryBadSettings(t *testing.T) {
	f := Factory{Vault: openVault{}, Network: local(), Now: time.Now}
	_, err := f.Sink(t.Context(), directory.Destination{Kind: directory.HTTP, Settings: json.RawMessage(`{"url":"https://"}`)})
	want := "config.invalid: settings.url: must name a host, as in https://logs.example.com/intake"
	if got := failure.Of(err); got.Error() != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if _, err := f.Sink(t.Context(), directory.Destination{Kind: directory.HTTP, Settings: json.RawMessage(`{"url":"https://a.example","template":"{}"}`)}); err != nil {
		t.Errorf("a template without a placeholder: %v", err)
	}
}

// openVault has credentials in the clear, if any.
type openVault struct{}

func (openVault) Open(_ context.Context, d directory.Destination) (json.RawMessage, error) {
	return json.RawMessage(d.Credentials), nil
}

func TestSecretRedactsItself(t *testing.T) {
	s := Secret("hunter2")
	var line bytes.Buffer
	slog.New(slog.NewJSONHandler(&line, nil)).Info("m", slog.Any("secret", s), slog.Any("in", httpCredentials{Bearer: s, SigningSecrets: []Secret{s}, Basic: &basicCredentials{Password: s}}))
	slog.New(slog.NewTextHandler(&line, nil)).Info("m", slog.Any("secret", s))
	inJSON, err := json.Marshal(httpCredentials{Token: s, Headers: map[string]Secret{"x": s}})
	if err != nil {
		t.Fatal(err)
	}
	shown := line.String() + string(inJSON) + fmt.Sprintf("%s %v %+v %#v %q %x %d %T", s, s, s, s, s, s, s, s) + fmt.Sprintf("%v %+v %#v", []Secret{s}, httpCredentials{Bearer: s}, httpCredentials{Bearer: s})
	for _, form := range []string{"hunter2", "68756e74657232"} {
		if strings.Contains(shown, form) {
			t.Errorf("the secret shows: %s", shown)
		}
	}
	if s.Reveal() != "hunter2" {
		t.Error("the secret is lost")
	}
}

func TestBuildUnknownKind(t *testing.T) {
	f := Factory{Vault: openVault{}, Network: local(), Now: time.Now}
	_, err := f.Sink(t.Context(), directory.Destination{Kind: "fax"})
	if failure.Of(err).Code != failure.ConfigUnknownKind {
		t.Errorf("got %v", err)
	}
}

// FuzzHTTPSettings: whatever is saved is refused by a field's name or gives a sink; nothing panics.
func FuzzHTTPSettings(f *testing.F) {
	f.Add(`{"url":"https://a.example","format":"ndjson","headers":{"a":"b"},"timeout":"1s","template":"{{{log_message}}}"}`, `{"bearer":"x"}`)
	f.Add(`{"url":"https://a.example","preset":"elastic","index":"i"}`, `{"token":"x"}`)
	f.Add(`{"url":"https://a.example","oauth":{"token_url":"https://b.example"}}`, `{"oauth":{"client_id":"a","client_secret":"b"},"signing_secrets":["whsec_"]}`)
	f.Fuzz(func(t *testing.T, settings, credentials string) {
		s, err := newHTTP(json.RawMessage(settings), json.RawMessage(credentials), environment{now: time.Now, saving: true})
		if _, ok := errors.AsType[*FieldError](err); err != nil && !ok {
			t.Errorf("%T: %v", err, err)
		}
		if (err == nil) == (s == nil) {
			t.Errorf("sink %v with error %v", s, err)
		}
		if err != nil {
			return
		}
		h := s.(*httpSink)
		doc := auditlog.Document{ID: "l", WorkspaceID: "w", JSON: []byte(`{"id":"l"}`)}
		o := &outgoing{doc: doc, identity: doc.Identity(), at: time.Unix(1, 0), size: h.itemSize(doc)}
		if item := h.appendItem(nil, o); len(item) > o.size {
			t.Errorf("an item of %d bytes, said to be %d", len(item), o.size)
		}
		body, err := h.body([]*outgoing{o})
		if err != nil || len(body) == 0 {
			t.Errorf("body %q, error %v", body, err)
		}
	})
}
