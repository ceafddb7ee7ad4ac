package sink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// collector makes the calls of the HTTP Data Collector API, which Microsoft has retired in favour of the Logs Ingestion API.
//
// Source: "Send log data to Azure Monitor by using the HTTP Data Collector API (deprecated)".
type collector struct {
	settings monitorSettings
	url      string
	key      []byte
	client   *http.Client
	codes    serviceCodes
	now      func() time.Time
}

const collectorPath = "/api/logs"

var logTypeForm = regexp.MustCompile(`^[A-Za-z0-9_]{1,100}$`)

// newCollector makes the calls of the legacy API. A workspace id or key with which no request can be signed is an error of its own.
func newCollector(s monitorSettings, c monitorCredentials, env environment) (func(context.Context, []byte) error, error) {
	key, err := base64.StdEncoding.DecodeString(c.SharedKey.Reveal())
	switch {
	case s.given() || s.RuleID != "" || s.Stream != "" || c.ClientSecret != "":
		return nil, invalid("settings.api", "legacy takes workspace_id, log_type and shared_key, and nothing of the Logs Ingestion API")
	case !guidForm.MatchString(s.WorkspaceID):
		return nil, unsignable(env, "settings.workspace_id", "must be the workspace's id, a GUID")
	case err != nil || len(key) == 0:
		return nil, unsignable(env, "credentials.shared_key", "must be the primary or secondary key of the workspace, which is base64")
	case !logTypeForm.MatchString(s.LogType):
		return nil, invalid("settings.log_type", "must be 1 to 100 letters, digits and underscores")
	}
	in, _, err := s.cloudOf(s.Endpoint, env)
	if err != nil {
		return nil, err
	}
	host := s.Endpoint
	if host == "" {
		host = "https://" + s.WorkspaceID + "." + in.collector
	}
	endpoint, err := env.network.endpoint("settings.endpoint", host, "credentials.shared_key")
	if err != nil {
		return nil, err
	}
	if endpoint.RawQuery != "" {
		return nil, invalid("settings.endpoint", "must have no query")
	}
	address := endpoint.JoinPath(collectorPath)
	address.RawQuery = "api-version=2016-04-01"
	post := &collector{
		settings: s, url: address.String(), key: key, client: azureClient(env.network), codes: monitorCodes(env.said), now: env.now,
	}
	return post.post, nil
}

// unsignable is an error of the field for the admin who saves it, and a failure of signing afterwards.
func unsignable(env environment, field, rule string) error {
	if env.saving {
		return invalid(field, "%s", rule)
	}
	return &failure.Error{Code: failure.AzureMonitorSignatureError, Detail: field + " " + rule}
}

func (c *collector) post(ctx context.Context, records []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(records))
	if err != nil {
		return unclassified(err, "the request cannot be made")
	}
	date := c.now().UTC().Format(http.TimeFormat)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Log-Type", c.settings.LogType)
	r.Header.Set("X-Ms-Date", date)
	r.Header.Set("Authorization", "SharedKey "+c.settings.WorkspaceID+":"+signature(c.key, len(records), date))
	if c.settings.Template == "" {
		r.Header.Set("Time-Generated-Field", "occurred_at")
	}
	response, err := c.client.Do(r)
	if err != nil {
		return c.codes.failure(err, c.now())
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if response.StatusCode == http.StatusOK {
		return nil
	}
	if err != nil {
		return c.codes.failure(err, c.now())
	}
	var native struct {
		Error string `json:"Error"`
	}
	_ = json.Unmarshal(body, &native) // an answer of another form has no code
	return c.codes.answer(response.StatusCode, native.Error, response.Header, nil, c.now())
}

// signature signs a request: HMAC-SHA256 over the method, the body's length, its type, the date and the path.
func signature(key []byte, length int, date string) string {
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "POST\n%d\napplication/json\nx-ms-date:%s\n%s", length, date, collectorPath)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
