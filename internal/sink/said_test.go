package sink

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// parrot is a receiver that answers every request with the bytes that say gives.
type parrot struct {
	mu  sync.Mutex
	say func(r *http.Request) string
}

// newParrot starts the receiver and gives it and its URL.
func newParrot(t *testing.T) (*parrot, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	p := new(parrot)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p, "http://" + listener.Addr().String()
}

func (p *parrot) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		p.mu.Lock()
		answer := p.say(r)
		p.mu.Unlock()
		if _, err := io.WriteString(c, answer); err != nil || strings.Contains(answer, "Connection: close") {
			return
		}
	}
}

func (p *parrot) repeats(say func(r *http.Request) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say = say
}

// The canaries. Each stands in credentials, in the access tokens that the token endpoints of these tests give, or in
// both. The number is a credential as well: service errors have numbers.
const (
	canaryWord   = "CANARY-word.7f3a"
	canaryToken  = "CANARYtoken9b1c"
	canaryNumber = "83719274"
)

// talker is a destination of some kind whose credentials are canaries.
type talker struct {
	name                  string
	kind                  directory.Kind
	settings, credentials map[string]any
}

// talkers are all kinds, with every credential that they take.
func talkers(t *testing.T, url string) []talker {
	word := func(field string) map[string]any { return map[string]any{field: canaryWord + canaryNumber} }
	preset := func(name string) map[string]any { return map[string]any{"url": url + "/in", "preset": name} }
	entra := map[string]any{"tenant_id": testTenant, "client_id": testClient, "authority_host": url}
	with := func(settings, more map[string]any) map[string]any {
		all := make(map[string]any)
		for _, m := range []map[string]any{settings, more} {
			for name, value := range m {
				all[name] = value
			}
		}
		return all
	}
	key := base64.StdEncoding.EncodeToString([]byte(canaryWord + canaryNumber + "and some more bytes"))
	account := newGoogleAccount(t)
	account.url = url + "/token"
	blob := map[string]any{"account": "acme", "container": "audit", "endpoint": url}
	return []talker{
		{"http, bearer and headers", directory.HTTP, map[string]any{"url": url + "/in"}, map[string]any{
			"bearer": canaryWord + canaryNumber, "headers": map[string]any{"X-Api-Key": canaryWord}, "signing_secrets": []string{"whsec_" + key}}},
		{"http, basic", directory.HTTP, map[string]any{"url": url + "/in", "format": "ndjson"}, map[string]any{
			"basic": map[string]any{"username": canaryWord, "password": canaryNumber}}},
		{"http, oauth", directory.HTTP, map[string]any{"url": url + "/in", "oauth": map[string]any{"token_url": url + "/token"}},
			map[string]any{"oauth": map[string]any{"client_id": canaryWord, "client_secret": canaryNumber}}},
		{"splunk", directory.HTTP, preset("splunk_hec"), word("token")},
		{"datadog", directory.HTTP, preset("datadog"), word("token")},
		{"sumo", directory.HTTP, preset("sumo_logic"), word("token")},
		{"loki", directory.HTTP, preset("grafana_loki"), word("token")},
		{"new relic", directory.HTTP, preset("new_relic"), word("token")},
		{"elastic", directory.HTTP, preset("elastic"), word("token")},
		{"azure monitor", directory.AzureMonitor, with(entra, map[string]any{
			"endpoint": url, "rule_id": testRule, "stream": "Custom-AuditLogs_CL"}), word("client_secret")},
		{"azure monitor, legacy", directory.AzureMonitor, map[string]any{
			"api": "legacy", "endpoint": url, "workspace_id": testWorkspace, "log_type": "Audit"}, map[string]any{"shared_key": key}},
		{"azure blob, application", directory.AzureBlob, with(entra, blob), word("client_secret")},
		{"azure blob, key", directory.AzureBlob, blob, map[string]any{"account_key": key}},
		{"azure blob, sas", directory.AzureBlob, blob, map[string]any{"sas": "sv=1&sr=c&sig=" + canaryWord + canaryNumber}},
		{"s3", directory.S3, map[string]any{"bucket": "audit-logs", "endpoint": url}, map[string]any{
			"access_key_id": canaryWord, "secret_access_key": canaryNumber, "session_token": canaryToken}},
		{"gcs", directory.GCS, map[string]any{"bucket": "audit-logs", "endpoint": url}, map[string]any{
			"service_account": account.file(t, map[string]string{"private_key_id": canaryWord, "client_id": canaryNumber})}},
	}
}

// answered is a whole answer.
func answered(status, header, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s", status, header, len(body), body)
}

// tokenGiven is what a token endpoint says when it is content. The token ends at once, so that each request wants another.
func tokenGiven() string {
	return answered("200 OK", "Content-Type: application/json\r\n",
		`{"access_token":"`+canaryToken+`","token_type":"Bearer","expires_in":1}`)
}

// repetitions are the ways of a receiver to repeat a word, in every place of an answer.
func repetitions(status int, word string) map[string]string {
	number := word
	if strings.Trim(word, "0123456789") != "" {
		number = `"` + word + `"`
	}
	plain := fmt.Sprintf("%d Said", status)
	header := ""
	for _, name := range []string{"x-ms-error-code", "WWW-Authenticate", "Retry-After", "x-ms-retry-after-ms", "Date", "Location", "Server",
		"x-amz-bucket-region", "x-amz-request-id", "x-amz-error-code", "X-Amzn-ErrorType", "Content-Language"} {
		header += name + ": " + word + "\r\n"
	}
	said := map[string]string{
		"status text": answered(fmt.Sprintf("%d %s", status, word), "", ""),
		"header":      answered(plain, header, ""),
		"redirect":    answered(plain, "Location: http://127.0.0.1:1/"+word+"?"+word+"\r\n", ""),
		"no redirect": answered(plain, "Location: ://%zz/"+word+"\r\n", ""),
		"text":        answered(plain, "Content-Type: text/plain\r\n", word),
		"status line": "HTTP/1.1 " + word + "\r\nConnection: close\r\n\r\n",
		"protocol":    word + " 200 OK\r\nConnection: close\r\n\r\n",
		"header line": plain + "\r\n" + word + "\r\nConnection: close\r\n\r\n",
		"length":      "HTTP/1.1 " + plain + "\r\nConnection: close\r\nContent-Length: " + word + "x\r\n\r\n",
		"chunk":       "HTTP/1.1 " + plain + "\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + word + "x\r\n" + word,
		"coding":      "HTTP/1.1 " + plain + "\r\nConnection: close\r\nTransfer-Encoding: " + word + "\r\n\r\n",
		"early":       "HTTP/1.1 103 " + word + "\r\nLink: " + word + "\r\n\r\n" + answered(plain, "", ""),
		"cut off":     "HTTP/1.1 " + plain + "\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n" + word,
	}
	for name, body := range map[string]string{
		"fields": `{"error":"WORD","error_description":"WORD","code":NUMBER,"text":"WORD","Error":"WORD","message":"WORD","error_codes":[NUMBER],
			"status":NUMBER,"errors":true,"items":[{"create":{"status":NUMBER,"error":{"type":"WORD","reason":"WORD"}}}]}`,
		"error object": `{"error":{"code":"WORD","message":"WORD","status":"WORD","errors":[{"reason":"WORD","message":"WORD","domain":"WORD"}]}}`,
		"list":         `["WORD",NUMBER]`,
		"xml":          `<Error><Code>WORD</Code><Message>WORD</Message><Region>WORD</Region><Endpoint>WORD</Endpoint></Error>`,
		"sts xml":      `<ErrorResponse><Error><Type>Sender</Type><Code>WORD</Code><Message>WORD</Message></Error></ErrorResponse>`,
	} {
		media := "Content-Type: application/json\r\n"
		if body[0] == '<' {
			media = "Content-Type: application/xml\r\n"
		}
		said[name] = answered(plain, media, strings.NewReplacer("WORD", word, "NUMBER", number).Replace(body))
	}
	return said
}

// TestNothingOfACredentialIsShown has every kind meet a receiver, and a token endpoint, that repeat a credential in
// every place of an answer, and looks for it in every form in which a failure can be written down.
func TestNothingOfACredentialIsShown(t *testing.T) {
	p, url := newParrot(t)
	for _, k := range talkers(t, url) {
		t.Run(k.name, func(t *testing.T) {
			d := directory.Destination{ID: "d-1", Kind: k.kind, Settings: asJSON(t, k.settings)}
			env, hours := localEnvironment(), 0
			env.now = func() time.Time { // no refusal is remembered
				hours++
				return time.Now().Add(time.Duration(hours) * time.Hour)
			}
			s, err := build(d, asJSON(t, k.credentials), env)
			if err != nil {
				t.Fatal(err)
			}
			for _, status := range []int{200, 302, 400, 401, 403, 412, 429, 503} {
				for _, word := range []string{canaryWord, canaryToken, canaryNumber} {
					for place, answer := range repetitions(status, word) {
						for _, tokens := range []bool{true, false} {
							p.repeats(func(r *http.Request) string {
								if tokens && strings.Contains(r.URL.Path, "token") {
									return tokenGiven()
								}
								return answer
							})
							silentOf(t, fmt.Sprintf("%d, %s", status, place), s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err)
						}
					}
				}
			}
		})
	}
}

// STS is sent this system's own credentials, and is not asked by way of a setting; what it repeats is not shown either.
func TestNothingOfTheSystemsCredentialsIsShown(t *testing.T) {
	p, url := newParrot(t)
	useSTS(t, http.NotFoundHandler())
	t.Setenv("AWS_ENDPOINT_URL_STS", url)
	t.Setenv("AWS_ACCESS_KEY_ID", canaryWord)
	t.Setenv("AWS_SECRET_ACCESS_KEY", canaryNumber)
	t.Setenv("AWS_SESSION_TOKEN", canaryToken)
	d := s3Destination(t, map[string]string{"bucket": "audit-logs", "region": "us-east-1", "role_arn": "arn:aws:iam::222222222222:role/audit"})
	d.ExternalID = canaryToken
	s, err := build(d, nil, localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{200, 302, 400, 403, 500} {
		for _, word := range []string{canaryWord, canaryToken, canaryNumber} {
			for place, answer := range repetitions(status, word) {
				p.repeats(func(*http.Request) string { return answer })
				err := s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err
				if err == nil {
					t.Fatalf("%d, %s: a log was delivered without a session", status, place)
				}
				silentOf(t, fmt.Sprintf("%d, %s", status, place), err)
			}
		}
	}
}

// A certificate says more than a host: none of its words is shown.
func TestNothingOfACertificateIsShown(t *testing.T) {
	for name, change := range map[string]func(*x509.Certificate){
		"common name": func(c *x509.Certificate) { c.Subject.CommonName = canaryWord },
		"organization": func(c *x509.Certificate) {
			c.Subject.Organization, c.DNSNames = []string{canaryWord}, []string{canaryToken + ".example"}
		},
		"expired": func(c *x509.Certificate) {
			c.Subject.CommonName, c.IPAddresses, c.NotAfter = canaryWord, []net.IP{net.IPv4(127, 0, 0, 1)}, time.Now().Add(-time.Minute)
		},
		"nobody's": func(c *x509.Certificate) {
			c.Subject.CommonName, c.IPAddresses = canaryWord, []net.IP{net.IPv4(127, 0, 0, 1)}
		},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		change(template)
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
		server.StartTLS()
		s, err := build(directory.Destination{Kind: directory.HTTP, Settings: asJSON(t, map[string]string{"url": server.URL})}, nil, localEnvironment())
		if err != nil {
			t.Fatal(err)
		}
		err = s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err
		if code := failure.Of(err).Code; code != failure.NetTLS {
			t.Errorf("%s: %v", name, err)
		}
		silentOf(t, name, err)
		server.Close()
	}
}

// silentOf checks that an error shows no canary, however it is written down.
func silentOf(t *testing.T, place string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if _, ok := errors.AsType[*failure.Error](err); !ok {
		t.Errorf("%s: got %T, want a *failure.Error, whose text leaves its cause out", place, err)
	}
	var line bytes.Buffer
	slog.New(slog.NewJSONHandler(&line, nil)).Error("failed", slog.Any("err", err), slog.String("detail", failure.Of(err).Detail))
	shown := line.String() + fmt.Sprintf("%s %v %+v %q", err, err, err, err)
	for _, canary := range []string{canaryWord, canaryToken, canaryNumber, "CANARY"} {
		if strings.Contains(shown, canary) {
			t.Errorf("%s: the credential %s shows in %v", place, canary, err)
		}
	}
}

// A code that the service documents is shown, because it helps; not one that nobody documents, nor one that is part of
// a credential.
func TestCodesOfServicesThatAreShown(t *testing.T) {
	entra := func(code string, number int) string {
		return answered("401 Unauthorized", "Content-Type: application/json\r\n", fmt.Sprintf(`{"error":%q,"error_codes":[%d]}`, code, number))
	}
	s3Said := func(code string) string { return answered("403 Forbidden", "", "<Error><Code>"+code+"</Code></Error>") }
	blobSaid := func(code string) string { return answered("403 Forbidden", "x-ms-error-code: "+code+"\r\n", "") }
	gcsSaid := func(reason string) string {
		return answered("403 Forbidden", "", `{"error":{"errors":[{"reason":"`+reason+`"}]}}`)
	}
	p, url := newParrot(t)
	kinds := make(map[string]talker)
	for _, k := range talkers(t, url) {
		kinds[k.name] = k
	}
	for _, c := range []struct {
		name, kind, answer string
		// holds, if any, is a text that stands within the talker's first credential.
		holds string
		want  string
	}{
		{"S3's own", "s3", s3Said("AccessDenied"), "", "HTTP 403 AccessDenied"},
		{"S3's own, without a code of ours", "s3", s3Said("RequestTimeTooSkewed"), "", "HTTP 403 RequestTimeTooSkewed"},
		{"a store's", "s3", s3Said("QuotaExceeded"), "", "HTTP 403 QuotaExceeded"},
		{"nobody's", "s3", s3Said("SomethingElse"), "", "HTTP 403"},
		{"a key's", "s3", s3Said("KMS.DisabledException"), "", "HTTP 403 KMS.DisabledException"},
		{"nobody's key's", "s3", s3Said("KMS.SomethingElse"), "", "HTTP 403"},
		{"S3's own in a secret key", "s3", s3Said("AccessDenied"), "AccessDenied", "HTTP 403"},
		{"S3's own as part of a word in a secret key", "s3", s3Said("AccessDenied"), "xAccessDeniedx", "HTTP 403"},
		{"blob's own", "azure blob, key", blobSaid("InvalidHeaderValue"), "", "HTTP 403 InvalidHeaderValue"},
		{"nobody's blob", "azure blob, key", blobSaid("SomethingElse"), "", "HTTP 403"},
		{"blob's own in a signature", "azure blob, sas", blobSaid("AuthenticationFailed"), "AuthenticationFailed", "HTTP 403"},
		{"Monitor's own", "azure monitor, legacy", answered("403 Forbidden", "", `{"Error":"InvalidAuthorization"}`), "", "HTTP 403 InvalidAuthorization"},
		{"nobody's Monitor", "azure monitor, legacy", answered("403 Forbidden", "", `{"Error":"SomethingElse"}`), "", "HTTP 403"},
		{"Google's own", "gcs", gcsSaid("userProjectMissing"), "", "HTTP 403 userProjectMissing"},
		{"nobody's Google", "gcs", gcsSaid("somethingElse"), "", "HTTP 403"},
		{"Entra's own", "azure monitor", entra("invalid_client", 7000215), "", "token endpoint: HTTP 401 invalid_client AADSTS7000215"},
		{"nobody's Entra", "azure monitor", entra("something_else", 1234567), "", "token endpoint: HTTP 401"},
		{"Entra's own in a secret", "azure monitor", entra("invalid_client", 7000215), "xx7000215", "token endpoint: HTTP 401 invalid_client"},
		{"Entra's number in a secret", "azure monitor", entra("invalid_client", 7000215), "7000215", "token endpoint: HTTP 401 invalid_client"},
		{"a token endpoint's own", "http, oauth", entra("invalid_scope", 0), "", "token endpoint: HTTP 401 invalid_scope"},
		{"a token endpoint's own in a client id", "http, oauth", entra("invalid_scope", 0), "invalid_scope", "token endpoint: HTTP 401"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.repeats(func(r *http.Request) string {
				if strings.Contains(r.URL.Path, "token") && !strings.HasPrefix(c.want, "token endpoint") {
					return tokenGiven()
				}
				return c.answer
			})
			k := kinds[c.kind]
			credentials := asJSON(t, k.credentials)
			if c.holds != "" {
				credentials = bytes.Replace(credentials, []byte(canaryWord), []byte(canaryWord+c.holds), 1)
			}
			s, err := build(directory.Destination{ID: "d-1", Kind: k.kind, Settings: asJSON(t, k.settings)}, credentials, localEnvironment())
			if err != nil {
				t.Fatal(err)
			}
			got := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err)
			if diff := cmp.Diff(c.want, got.Detail); diff != "" {
				t.Errorf("detail of %v (-want +got), cause %v:\n%s", got, got.Err, diff)
			}
		})
	}
}

// What a receiver sends on a connection on which nothing was asked for is quoted by net/http in package log.
func TestUnquoted(t *testing.T) {
	var mu sync.Mutex
	var lines bytes.Buffer
	log.SetOutput(Unquoted(writer(func(line []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return lines.Write(line)
	})))
	t.Cleanup(func() { log.SetOutput(io.Discard) })
	log.Print("an ordinary line")
	p, url := newParrot(t)
	p.repeats(func(*http.Request) string {
		return answered("200 OK", "", "") + "HTTP/1.1 200 OK " + canaryWord + "\r\n"
	})
	s, err := build(directory.Destination{ID: "d-1", Kind: directory.HTTP, Settings: asJSON(t, map[string]string{"url": url})},
		asJSON(t, map[string]string{"bearer": canaryWord}), localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.Send(t.Context(), sinktest.Logs(1, 10))
	}
	said := func() string {
		mu.Lock()
		defer mu.Unlock()
		return lines.String()
	}
	for end := time.Now().Add(5 * time.Second); !strings.Contains(said(), "not asked for") && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // the transport reads on a goroutine of its own, over a real connection
	}
	if got := said(); !strings.Contains(got, "an ordinary line") || !strings.Contains(got, "not asked for") || strings.Contains(got, canaryWord) {
		t.Errorf("package log wrote %q", got)
	}
}

// writer is a function as an io.Writer.
type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
