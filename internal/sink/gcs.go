package sink

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// gcsSettings are the settings of the kind gcs.
type gcsSettings struct {
	objectSettings
	Bucket string `json:"bucket"`
	// Endpoint is the URL of the service, https://storage.googleapis.com by default.
	Endpoint string `json:"endpoint"`
}

// gcsCredentials are the credentials of the kind gcs.
type gcsCredentials struct {
	// ServiceAccount is the text of a service account's JSON key.
	ServiceAccount Secret `json:"service_account"`
}

const publicGCS = "https://storage.googleapis.com"

// gcsBucketForm is the form of a bucket's name. Source: "Bucket naming guidelines" of the Cloud Storage documentation.
var gcsBucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)

// newGCS makes a sink for a bucket.
func newGCS(settings, secret json.RawMessage, env environment) (delivery.Sink, error) {
	var s gcsSettings
	if err := decode("settings", settings, &s); err != nil {
		return nil, err
	}
	var c gcsCredentials
	if err := decode("credentials", secret, &c); err != nil {
		return nil, err
	}
	uploads, err := s.uploads(env)
	if err != nil {
		return nil, err
	}
	sink, err := newObjects(s.objectSettings, env)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: env.network.transport(nil, mostConcurrency), CheckRedirect: noRedirect}
	account, err := newServiceAccount(c.ServiceAccount, client, env)
	if err != nil {
		return nil, err
	}
	sink.put = (&gcsPut{uploads: uploads, client: client, account: account, codes: gcsCodes(env.said), now: env.now}).put
	return sink, nil
}

// uploads gives the URL that objects are sent to, or says what is wrong with the settings.
func (s gcsSettings) uploads(env environment) (*url.URL, error) {
	switch {
	case s.Bucket == "":
		return nil, invalid("settings.bucket", "is missing")
	case !validGCSBucket(s.Bucket) && !env.saving:
		return nil, &failure.Error{Code: failure.GCSBucketNameInvalid, Detail: "the bucket's name is malformed"}
	case !validGCSBucket(s.Bucket):
		return nil, invalid("settings.bucket", "must be 3 to 63 lower-case letters, digits, hyphens, underscores and dots (222 with dots), begin and end with a letter or digit, and be no IP address nor begin with goog")
	}
	endpoint := s.Endpoint
	if endpoint == "" {
		endpoint = publicGCS
	}
	u, err := env.network.endpoint("settings.endpoint", endpoint, accountKeyField)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" {
		return nil, invalid("settings.endpoint", "must have no query")
	}
	return u.JoinPath("upload/storage/v1/b", s.Bucket, "o"), nil
}

func validGCSBucket(name string) bool {
	if !gcsBucketForm.MatchString(name) || strings.HasPrefix(name, "goog") || strings.Contains(name, "google") {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	for part := range strings.SplitSeq(name, ".") {
		if part == "" || len(part) > 63 {
			return false
		}
	}
	return true
}

// gcsPut stores objects in one bucket through the JSON API.
type gcsPut struct {
	uploads *url.URL
	client  *http.Client
	account *serviceAccount
	codes   serviceCodes
	now     func() time.Time
}

// put stores one object unless one of its name is there (generation 0 stands for none): names are made from logs, so that one is this log's, from
// an earlier attempt.
func (p *gcsPut) put(ctx context.Context, o object) error {
	token, err := p.account.token(ctx)
	if err != nil {
		return err
	}
	request, err := p.request(ctx, o, token)
	if err != nil {
		return unclassified(err, "no request can be made of the settings")
	}
	response, err := p.client.Do(request)
	if err != nil {
		if below := network(err); below != nil {
			return below
		}
		return unclassified(err, "no answer that could be read")
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(response.Body) // the status alone says enough
	native := gcsReason(body)
	if response.StatusCode == http.StatusOK || gcsExists(response.StatusCode, native, body) {
		return nil
	}
	if response.StatusCode == http.StatusUnauthorized {
		p.account.drop(token)
	}
	return p.codes.answer(response.StatusCode, native, response.Header, nil, p.now())
}

// request makes a multipart upload: a part that describes the object, with a CRC32C for the service to check, and the object.
func (p *gcsPut) request(ctx context.Context, o object, token string) (*http.Request, error) {
	crc := crc32.Checksum(o.body, crc32.MakeTable(crc32.Castagnoli))
	about, err := json.Marshal(map[string]string{
		"name": o.key, "contentType": o.contentType, "crc32c": base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc)),
	})
	if err != nil {
		return nil, err
	}
	var frame bytes.Buffer // takes everything, so nothing written to it fails
	parts := multipart.NewWriter(&frame)
	part, _ := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/json"}})
	_, _ = part.Write(about)
	_, _ = parts.CreatePart(textproto.MIMEHeader{"Content-Type": {o.contentType}})
	cut := frame.Len()
	_ = parts.Close()
	content := func() (io.ReadCloser, error) { // an object can be 40 MB long: it is not copied
		return io.NopCloser(io.MultiReader(bytes.NewReader(frame.Bytes()[:cut]), bytes.NewReader(o.body), bytes.NewReader(frame.Bytes()[cut:]))), nil
	}
	body, _ := content()
	to := *p.uploads
	to.RawQuery = "uploadType=multipart&ifGenerationMatch=0&fields=name"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), body)
	if err != nil {
		return nil, err
	}
	r.GetBody, r.ContentLength = content, int64(frame.Len()+len(o.body))
	r.Header = http.Header{
		"Authorization": {"Bearer " + token},
		"Content-Type":  {"multipart/related; boundary=" + parts.Boundary()},
		"User-Agent":    {"auditrelay"},
		// Not sent, since it has no value; the transport may repeat the request on a new connection when a kept one turns out to be closed.
		"Idempotency-Key": {},
	}
	return r, nil
}

// gcsReason is the reason of an error of the JSON API, or "".
func gcsReason(body []byte) string {
	var answer struct {
		Error struct {
			Errors []struct {
				Reason string `json:"reason"`
			} `json:"errors"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Error.Errors) == 0 {
		return ""
	}
	return answer.Error.Errors[0].Reason
}

// gcsExists says whether an object was refused because one of its name is there. An account that may only create objects is told that it lacks the
// permission to delete, which nothing but an object to write over demands; retention policies and holds protect what is there. A 412 without a
// reason is about the one condition that the request makes.
func gcsExists(status int, reason string, body []byte) bool {
	switch status {
	case http.StatusPreconditionFailed:
		return reason == "conditionNotMet" || reason == ""
	case http.StatusForbidden:
		return reason == "retentionPolicyNotMet" || reason == "objectUnderActiveHold" || bytes.Contains(body, []byte("storage.objects.delete"))
	}
	return false
}

// gcsCodes maps the errors of Cloud Storage.
//
// Source: "HTTP status and error codes for JSON" of the Cloud Storage documentation.
func gcsCodes(said discretion) serviceCodes {
	return serviceCodes{
		known:        gcsKnown,
		said:         said,
		native:       gcsCode,
		status:       gcsStatus,
		tokenRefused: failure.GCSCredentialsInvalid,
		throttled:    failure.GCSThrottled,
		serverError:  failure.GCSServerError,
	}
}

// gcsCode knows the reasons that say something else than their status, 403 or 400.
func gcsCode(native string) failure.Code {
	switch native {
	case "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded":
		return failure.GCSThrottled
	case "authError", "expired":
		return failure.GCSCredentialsInvalid
	}
	return ""
}

func gcsStatus(status int) failure.Code {
	switch {
	case status == http.StatusUnauthorized:
		return failure.GCSCredentialsInvalid
	case status == http.StatusForbidden:
		return failure.GCSPermissionDenied
	case status == http.StatusNotFound:
		return failure.GCSBucketNotFound
	case status == http.StatusTooManyRequests:
		return failure.GCSThrottled
	case status == http.StatusRequestTimeout:
		return failure.NetTimeout
	case status >= 500:
		return failure.GCSServerError
	case status >= 400:
		return failure.GCSRejected
	}
	return ""
}
