package sink

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/monitor/ingestion/azlogs"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// monitorSettings are the settings of the kind azure_monitor.
type monitorSettings struct {
	paceSettings
	entraSettings
	// API is "ingestion" (the default, the Logs Ingestion API) or "legacy" (the HTTP Data Collector API).
	API string `json:"api"`
	// Template makes each record, see auditlog.Template; empty for the document itself.
	Template string `json:"template"`
	// Endpoint is the data collection endpoint, or the rule's own logs endpoint; for the legacy API the workspace's host by default.
	Endpoint string `json:"endpoint"`
	// RuleID is the immutable id of the data collection rule, Stream one of its streams.
	RuleID string `json:"rule_id"`
	Stream string `json:"stream"`
	// WorkspaceID is the Log Analytics workspace of the legacy API, LogType the table, without its suffix _CL.
	WorkspaceID string `json:"workspace_id"`
	LogType     string `json:"log_type"`
}

// monitorCredentials are the credentials of the kind azure_monitor: one of the two.
type monitorCredentials struct {
	// ClientSecret belongs to the application in the settings.
	ClientSecret Secret `json:"client_secret"`
	// SharedKey is the primary or secondary key of the workspace, base64, for the legacy API.
	SharedKey Secret `json:"shared_key"`
}

var (
	ruleForm   = regexp.MustCompile(`^dcr-[0-9a-f]{32}$`)
	streamForm = regexp.MustCompile(`^(Custom|Microsoft)-[A-Za-z0-9_-]{1,200}$`)
)

// Limits of a call in bytes, before compression.
const (
	// maxIngestion is 1 MB. Source: "Azure Monitor service limits", Logs Ingestion API.
	maxIngestion = 1_000_000
	// maxCollector is what one log may have in the legacy API, whose calls may have 30 MB. Calls of several logs stay under maxIngestion there too.
	maxCollector   = 30_000_000
	monitorTimeout = 30 * time.Second
	// parallelPosts is how many calls of one destination are under way at once.
	parallelPosts = 4
)

// newAzureMonitor makes a sink for a data collection rule, or for a workspace by the legacy API.
func newAzureMonitor(settings, secret json.RawMessage, env environment) (delivery.Sink, error) {
	var s monitorSettings
	if err := decode("settings", settings, &s); err != nil {
		return nil, err
	}
	var c monitorCredentials
	if err := decode("credentials", secret, &c); err != nil {
		return nil, err
	}
	parallel, err := s.check(parallelPosts)
	if err != nil {
		return nil, err
	}
	m := &monitorSink{now: env.now, room: env.room, owner: env.owner, parallel: parallel, doubt: doubt{hopeless: failure.Unknown}}
	if s.Template != "" {
		template, err := auditlog.ParseTemplate(s.Template)
		if err != nil && env.saving {
			return nil, invalid("settings.template", "%v", err)
		}
		m.template = template // on an error the zero one, which gives the document itself
	}
	switch s.API {
	case "", "ingestion":
		m.largest = maxIngestion
		m.post, err = newIngestion(s, c, env)
	case "legacy":
		m.largest = maxCollector
		m.post, err = newCollector(s, c, env)
	default:
		err = invalid("settings.api", "must be ingestion or legacy")
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// monitorSink sends logs as JSON arrays of at most 1 MB. A log that alone is larger than the API takes is not sent.
type monitorSink struct {
	template auditlog.Template
	now      func() time.Time
	largest  int
	parallel int
	room     *Room
	owner    string
	doubt    doubt
	// post makes one call. The error is a *failure.Error.
	post func(ctx context.Context, records []byte) error
}

// record is a log on its way, of size bytes at most. What is sent of it is made with the call.
type record struct {
	index int
	doc   auditlog.Document
	size  int
}

// Send implements delivery.Sink.
func (m *monitorSink) Send(ctx context.Context, logs []auditlog.Document) []delivery.Result {
	results := make([]delivery.Result, len(logs))
	var records []record
	for i, log := range logs {
		r := record{index: i, doc: log, size: m.template.Size(log)}
		if r.size+len("[]") > m.largest {
			results[i].Err = &failure.Error{Code: failure.AzureMonitorLogTooLarge, Detail: "not sent"}
			continue
		}
		records = append(records, r)
	}
	calls := pages(records)
	inParallel(len(calls), m.parallel, func(i int) {
		for j, result := range sendSearching(ctx, calls[i], failure.Unknown, m.send) {
			results[calls[i][j].index] = result // no two calls share a log
		}
	})
	m.doubt.judge(logs, results)
	return results
}

func (m *monitorSink) send(ctx context.Context, records []record) error {
	size := len("[]")
	for _, r := range records {
		size += r.size + len(",")
	}
	leave, err := m.room.take(ctx, m.owner, size+maxAnswer)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	body := make([]byte, 0, size)
	for i, r := range records {
		body = append(body, "[,"[min(i, 1)])
		body = m.template.Append(body, r.doc, m.now())
	}
	return m.post(ctx, append(body, ']'))
}

// pages cuts records into calls of at most maxIngestion bytes, each of at least one record.
func pages(records []record) (calls [][]record) {
	begin, size := 0, len("[]")
	for i, r := range records {
		if i > begin && size+r.size+len(",") > maxIngestion {
			calls = append(calls, records[begin:i])
			begin, size = i, len("[]")
		}
		size += r.size + len(",")
	}
	if begin < len(records) {
		calls = append(calls, records[begin:])
	}
	return calls
}

// newIngestion makes the calls of the Logs Ingestion API.
func newIngestion(s monitorSettings, c monitorCredentials, env environment) (func(context.Context, []byte) error, error) {
	endpoint, err := env.network.endpoint("settings.endpoint", s.Endpoint, "credentials.client_secret")
	switch {
	case err != nil:
		return nil, err
	case endpoint.RawQuery != "":
		return nil, invalid("settings.endpoint", "must have no query")
	case s.WorkspaceID != "" || s.LogType != "":
		return nil, invalid("settings.workspace_id", "and log_type belong to the legacy API; the Logs Ingestion API wants rule_id and stream")
	case s.Stream == "":
		return nil, invalid("settings.stream", "is missing")
	case env.saving && !streamForm.MatchString(s.Stream):
		return nil, invalid("settings.stream", "must be the name of a stream of the data collection rule, such as Custom-AuditLogs_CL")
	case s.RuleID == "":
		return nil, invalid("settings.rule_id", "is missing")
	case env.saving && !ruleForm.MatchString(s.RuleID):
		return nil, invalid("settings.rule_id", "must be the immutable id of a data collection rule: dcr- and 32 hexadecimal digits")
	case c.SharedKey != "":
		return nil, invalid("credentials.shared_key", "belongs to the legacy API; the Logs Ingestion API wants a client_secret")
	}
	in, told, err := s.cloudOf(s.Endpoint, env)
	if err != nil {
		return nil, err
	}
	client := azureClient(env.network)
	credential, err := s.credential(c.ClientSecret, in, client, env)
	if err != nil {
		return nil, err
	}
	if !told {
		for _, other := range azureClouds()[1:] {
			credential.audiences = append(credential.audiences, other.sdk.Services[azlogs.ServiceNameIngestion].Audience)
		}
	}
	address, sender := secureURL(endpoint, client)
	options := azureOptions(sender)
	options.Cloud = in.sdk
	uploads, err := azlogs.NewClient(address, credential, &azlogs.ClientOptions{ClientOptions: options})
	if err != nil {
		return nil, invalid("settings", "no client can be made of these settings")
	}
	codes := monitorCodes(env.said)
	return func(ctx context.Context, records []byte) error {
		if _, err := uploads.Upload(ctx, s.RuleID, s.Stream, records, nil); err != nil {
			return codes.failure(err, env.now())
		}
		return nil
	}, nil
}

// monitorCodes maps the errors of both APIs.
//
// Sources: "Logs Ingestion API" (response codes and troubleshooting) and "HTTP Data Collector API" (return codes) of Azure Monitor's documentation.
func monitorCodes(said discretion) serviceCodes {
	return serviceCodes{
		known:        monitorKnown,
		said:         said,
		native:       monitorCode,
		status:       monitorStatus,
		hostNotFound: failure.AzureMonitorDestinationNotFound,
		tokenRefused: failure.AzureMonitorCredentialsInvalid,
		throttled:    failure.AzureMonitorThrottled,
		serverError:  failure.AzureMonitorServerError,
	}
}

// monitorCode knows the errors that their status would misjudge: a rule, stream or workspace that is not there is answered with 400, as is a log
// that is refused.
func monitorCode(native string) failure.Code {
	switch native {
	case "InvalidStream", "InvalidDcrImmutableId", "InvalidDataCollectionRule", "InactiveCustomer", "InvalidCustomerId":
		return failure.AzureMonitorDestinationNotFound
	case "InvalidLogType", "MissingLogType":
		return failure.ConfigInvalid
	case "InvalidAuthorization":
		return failure.AzureMonitorInvalidAuthorization
	case "ContentLengthLimitExceeded":
		return failure.AzureMonitorLogTooLarge
	}
	return ""
}

func monitorStatus(status int) failure.Code {
	switch {
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		return failure.AzureMonitorRejected
	case status == http.StatusUnauthorized:
		return failure.AzureMonitorCredentialsInvalid
	case status == http.StatusForbidden:
		return failure.AzureMonitorInvalidAuthorization
	case status == http.StatusNotFound:
		return failure.AzureMonitorDestinationNotFound
	case status == http.StatusRequestEntityTooLarge:
		return failure.AzureMonitorLogTooLarge
	case status == http.StatusTooManyRequests:
		return failure.AzureMonitorThrottled
	case status >= 500:
		return failure.AzureMonitorServerError
	}
	return ""
}
