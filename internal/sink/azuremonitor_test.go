package sink

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

const (
	testRule      = "dcr-d2784248993e4127b5be12676fc436c9"
	testWorkspace = "8a5b4e7c-3f0a-4c0e-9d8e-0a1b2c3d4e5f"
	testSharedKey = "c2hhcmVkLWtleS1vZi10aGUtdGVzdA=="
)

// The answers of Azure Monitor. The Logs Ingestion API's denial is the one of the SDK's troubleshooting guide; the Data Collector API's are of the
// form that its documentation shows under "Return codes".
const (
	ingestionDenied    = `{"error":{"code":"OperationFailed","message":"The authentication token provided does not have access to ingest data for the data collection rule with immutable Id 'dcr-d2784248993e4127b5be12676fc436c9'."}}`
	ingestionNoRule    = `{"error":{"code":"NotFound","message":"Data collection rule with immutable Id 'dcr-d2784248993e4127b5be12676fc436c9' not found."}}`
	ingestionNoStream  = `{"error":{"code":"InvalidStream","message":"The stream Custom-AuditLogs_CL was not configured in the Data collection rule."}}`
	ingestionBadToken  = `{"error":{"code":"InvalidToken","message":"The authentication token provided is invalid."}}`
	ingestionTooLarge  = `{"error":{"code":"ContentLengthLimitExceeded","message":"Maximum allowed content length: 1048576 bytes (1 MB). Provided content length: 1148576 bytes."}}`
	ingestionBadRecord = `{"error":{"code":"InvalidPayload","message":"The request body is not valid for the stream."}}`
	collectorDenied    = `{"Error":"InvalidAuthorization","Message":"An invalid signature was specified in the Authorization header"}`
	collectorClosed    = `{"Error":"InactiveCustomer","Message":"The workspace has been closed."}`
	collectorBadID     = `{"Error":"InvalidCustomerId","Message":"The specified workspace ID is invalid."}`
	collectorBadFormat = `{"Error":"InvalidDataFormat","Message":"An invalid JSON was submitted."}`
	collectorBadType   = `{"Error":"InvalidLogType","Message":"The log type that was specified contained special characters or numerics."}`
	collectorBusy      = `{"Error":"ServiceUnavailable","Message":"The service currently is unavailable to receive requests."}`
)

// table plays what receives records. It counts a log once, since queries know a copy by all its columns.
type table struct {
	accepts func(*http.Request, int) bool
	status  int
	// refuse gives an answer for a call, or nil to take it.
	refuse func(ids []string) *answer

	mu    sync.Mutex
	logs  map[document]bool
	calls int
}

// document is what a table has of a log.
type document struct {
	ID         string `json:"id"`
	Workspace  string `json:"workspace_id"`
	OccurredAt string `json:"occurred_at"`
}

func (m *table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var records []document
	if err := json.NewDecoder(r.Body).Decode(&records); err != nil || !m.accepts(r, int(r.ContentLength)) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	var ids []string
	for _, record := range records {
		ids = append(ids, record.ID)
	}
	if m.refuse != nil {
		if a := m.refuse(ids); a != nil {
			a.write(w)
			return
		}
	}
	if m.logs == nil {
		m.logs = make(map[document]bool)
	}
	for _, record := range records {
		m.logs[record] = true
	}
	w.WriteHeader(m.status)
}

func (m *table) held(*testing.T) map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := make(map[string]int)
	for record := range m.logs {
		count[record.ID]++
	}
	return count
}

// monitorAPI is one of the two APIs.
type monitorAPI struct {
	name        string
	settings    func(t *testing.T) map[string]string
	credentials map[string]string
	table       func() *table
	answers     map[sinktest.Scenario]answer
	badLogin    failure.Code
	secrets     []string
}

func ingestionAPI() monitorAPI {
	return monitorAPI{
		name: "ingestion",
		settings: func(t *testing.T) map[string]string {
			return map[string]string{
				"rule_id": testRule, "stream": "Custom-AuditLogs_CL",
				"tenant_id": testTenant, "client_id": testClient, "authority_host": tokenEndpoint(t, testToken, nil),
			}
		},
		credentials: map[string]string{"client_secret": testClientSecret},
		table: func() *table {
			return &table{status: http.StatusNoContent, accepts: func(r *http.Request, _ int) bool {
				return r.Header.Get("Authorization") == "Bearer "+testToken &&
					r.URL.Path == "/dataCollectionRules/"+testRule+"/streams/Custom-AuditLogs_CL" && r.URL.Query().Get("api-version") != ""
			}}
		},
		answers: map[sinktest.Scenario]answer{
			sinktest.BadCredentials: {status: 401, body: ingestionBadToken},
			sinktest.NoPermission:   {status: 403, body: ingestionDenied},
			sinktest.Missing:        {status: 404, body: ingestionNoRule},
			sinktest.Throttled:      {status: 429, header: map[string]string{"Retry-After": "7"}},
			sinktest.Broken:         {status: 500},
		},
		badLogin: failure.AzureMonitorCredentialsInvalid,
		secrets:  []string{testClientSecret, testToken},
	}
}

func legacyAPI() monitorAPI {
	return monitorAPI{
		name: "legacy",
		settings: func(*testing.T) map[string]string {
			return map[string]string{"api": "legacy", "workspace_id": testWorkspace, "log_type": "Audit"}
		},
		credentials: map[string]string{"shared_key": testSharedKey},
		table: func() *table {
			return &table{status: http.StatusOK, accepts: func(r *http.Request, length int) bool {
				key, _ := base64.StdEncoding.DecodeString(testSharedKey)
				return r.Header.Get("Authorization") == "SharedKey "+testWorkspace+":"+signature(key, length, r.Header.Get("X-Ms-Date")) &&
					r.URL.RequestURI() == "/api/logs?api-version=2016-04-01" && r.Header.Get("Log-Type") == "Audit" &&
					r.Header.Get("Time-Generated-Field") == "occurred_at" && r.Header.Get("Content-Type") == "application/json"
			}}
		},
		answers: map[sinktest.Scenario]answer{
			sinktest.BadCredentials: {status: 403, body: collectorDenied},
			sinktest.NoPermission:   {status: 403, body: collectorDenied},
			sinktest.Missing:        {status: 404},
			sinktest.Throttled:      {status: 429, header: map[string]string{"Retry-After": "7"}},
			sinktest.Broken:         {status: 503, body: collectorBusy},
		},
		badLogin: failure.AzureMonitorInvalidAuthorization,
		secrets:  []string{testSharedKey},
	}
}

func openMonitor(t *testing.T, url string, api monitorAPI) delivery.Sink {
	t.Helper()
	settings := map[string]string{"endpoint": url}
	for name, value := range api.settings(t) {
		settings[name] = value
	}
	s, err := build(directory.Destination{ID: "d-1", Kind: directory.AzureMonitor, Settings: asJSON(t, settings)}, asJSON(t, api.credentials), localEnvironment())
	if err != nil {
		t.Fatalf("build the sink: %v", err)
	}
	return s
}

// scriptedMonitor is a target that answers as Azure Monitor does. There is no emulator of it.
type scriptedMonitor struct{ api monitorAPI }

func (m scriptedMonitor) Open(t *testing.T, s sinktest.Scenario) sinktest.Receiver {
	table := m.api.table()
	url := scripted(t, s, m.api.answers, table)
	return sinktest.Receiver{Sink: openMonitor(t, url, m.api), Held: table.held, Secrets: m.api.secrets}
}

func (m scriptedMonitor) Codes() map[sinktest.Scenario]failure.Code {
	return map[sinktest.Scenario]failure.Code{
		sinktest.BadCredentials: m.api.badLogin,
		sinktest.NoPermission:   failure.AzureMonitorInvalidAuthorization,
		sinktest.Missing:        failure.AzureMonitorDestinationNotFound,
		sinktest.Throttled:      failure.AzureMonitorThrottled,
		sinktest.Broken:         failure.AzureMonitorServerError,
	}
}

func (scriptedMonitor) Deviations() []sinktest.Deviation { return nil }

func TestAzureMonitorConformance(t *testing.T) {
	for _, api := range []monitorAPI{ingestionAPI(), legacyAPI()} {
		t.Run(api.name, func(t *testing.T) { sinktest.Run(t, scriptedMonitor{api}) })
	}
}

func TestAzureMonitorCodes(t *testing.T) {
	tests := []struct {
		name   string
		api    monitorAPI
		answer answer
		want   failure.Code
		detail string
	}{
		{"no access to the rule", ingestionAPI(), answer{status: 403, body: ingestionDenied}, failure.AzureMonitorInvalidAuthorization, "HTTP 403 OperationFailed"},
		{"no rule", ingestionAPI(), answer{status: 404, body: ingestionNoRule}, failure.AzureMonitorDestinationNotFound, "HTTP 404 NotFound"},
		{"no stream", ingestionAPI(), answer{status: 400, body: ingestionNoStream}, failure.AzureMonitorDestinationNotFound, "HTTP 400 InvalidStream"},
		{"bad token", ingestionAPI(), answer{status: 401, body: ingestionBadToken}, failure.AzureMonitorCredentialsInvalid, "HTTP 401 InvalidToken"},
		{"too large", ingestionAPI(), answer{status: 413, body: ingestionTooLarge}, failure.AzureMonitorLogTooLarge, "HTTP 413 ContentLengthLimitExceeded"},
		{"bad record", ingestionAPI(), answer{status: 400, body: ingestionBadRecord}, failure.AzureMonitorRejected, "HTTP 400 InvalidPayload"},
		{"throttled", ingestionAPI(), answer{status: 429}, failure.AzureMonitorThrottled, "HTTP 429"},
		{"fault", ingestionAPI(), answer{status: 502, body: "<html>"}, failure.AzureMonitorServerError, "HTTP 502"},
		{"success of another kind", ingestionAPI(), answer{status: 200, body: "hello"}, failure.Unknown, "HTTP 200"},
		{"wrong key", legacyAPI(), answer{status: 403, body: collectorDenied}, failure.AzureMonitorInvalidAuthorization, "HTTP 403 InvalidAuthorization"},
		{"workspace closed", legacyAPI(), answer{status: 400, body: collectorClosed}, failure.AzureMonitorDestinationNotFound, "HTTP 400 InactiveCustomer"},
		{"workspace unknown", legacyAPI(), answer{status: 400, body: collectorBadID}, failure.AzureMonitorDestinationNotFound, "HTTP 400 InvalidCustomerId"},
		{"not there", legacyAPI(), answer{status: 404}, failure.AzureMonitorDestinationNotFound, "HTTP 404"},
		{"bad format", legacyAPI(), answer{status: 400, body: collectorBadFormat}, failure.AzureMonitorRejected, "HTTP 400 InvalidDataFormat"},
		{"bad type", legacyAPI(), answer{status: 400, body: collectorBadType}, failure.ConfigInvalid, "HTTP 400 InvalidLogType"},
		{"too large", legacyAPI(), answer{status: 413}, failure.AzureMonitorLogTooLarge, "HTTP 413"},
		{"busy", legacyAPI(), answer{status: 503, body: collectorBusy}, failure.AzureMonitorServerError, "HTTP 503 ServiceUnavailable"},
		{"redirect", legacyAPI(), answer{status: 302, header: map[string]string{"Location": "https://example.com/"}}, failure.Unknown, "HTTP 302"},
	}
	for _, tt := range tests {
		t.Run(tt.api.name+" "+tt.name, func(t *testing.T) {
			url := scripted(t, "answer", map[sinktest.Scenario]answer{"answer": tt.answer}, nil)
			f := failure.Of(openMonitor(t, url, tt.api).Send(t.Context(), sinktest.Logs(1, 10))[0].Err)
			if diff := cmp.Diff([]string{string(tt.want), tt.detail}, []string{string(f.Code), f.Detail}); diff != "" {
				t.Errorf("failure (-want +got), cause %v:\n%s", f.Err, diff)
			}
		})
	}
}

func TestAzureMonitorTokenRefused(t *testing.T) {
	api := ingestionAPI()
	api.settings = func(t *testing.T) map[string]string {
		settings := ingestionAPI().settings(t)
		settings["authority_host"] = tokenEndpoint(t, "", &answer{status: 401, body: entraSecretExpired})
		return settings
	}
	f := failure.Of(openMonitor(t, scripted(t, sinktest.Works, nil, api.table()), api).Send(t.Context(), sinktest.Logs(1, 10))[0].Err)
	if diff := cmp.Diff([]string{"azure_monitor.credentials_invalid", "token endpoint: HTTP 401 invalid_client AADSTS7000222"}, []string{string(f.Code), f.Detail}); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
}

// The host names of a workspace and of an endpoint that were deleted do not resolve (.invalid never does, RFC 6761).
func TestAzureMonitorHostDoesNotResolve(t *testing.T) {
	for _, api := range []monitorAPI{ingestionAPI(), legacyAPI()} {
		s := openMonitor(t, "http://deleted.invalid", api)
		if got := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err).Code; got != failure.AzureMonitorDestinationNotFound {
			t.Errorf("%s: code %s, want %s", api.name, got, failure.AzureMonitorDestinationNotFound)
		}
	}
}

// One log that the rule refuses does not hold up the others, and one that is too large is not even sent.
func TestAzureMonitorRefusesOneLog(t *testing.T) {
	api := ingestionAPI()
	receiver := api.table()
	receiver.refuse = func(ids []string) *answer {
		if slices.Contains(ids, "log-003") {
			return &answer{status: 400, body: ingestionBadRecord}
		}
		return nil
	}
	logs := sinktest.Logs(6, 10)
	logs[5] = sinktest.Logs(6, maxIngestion)[5]
	var got []string
	for _, r := range openMonitor(t, scripted(t, sinktest.Works, nil, receiver), api).Send(t.Context(), logs) {
		got = append(got, fmt.Sprint(r.Err))
	}
	want := []string{"<nil>", "<nil>", "<nil>", "azure_monitor.rejected: HTTP 400 InvalidPayload", "<nil>", "azure_monitor.log_too_large: not sent"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"log-000": 1, "log-001": 1, "log-002": 1, "log-004": 1}, receiver.held(t)); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
}

func TestAzureMonitorCallsStayUnderTheLimit(t *testing.T) {
	var largest, calls int
	m := &monitorSink{parallel: parallelPosts, now: time.Now, largest: maxIngestion}
	var mu sync.Mutex
	m.post = func(_ context.Context, records []byte) error {
		mu.Lock()
		defer mu.Unlock()
		calls++
		largest = max(largest, len(records))
		return nil
	}
	m.Send(t.Context(), sinktest.Logs(30, 99_000))
	if largest > maxIngestion || calls != 3 {
		t.Errorf("%d calls, the largest of %d bytes; want 3 of at most %d", calls, largest, maxIngestion)
	}
}

func TestAzureMonitorTemplate(t *testing.T) {
	var sent string
	s, err := build(directory.Destination{Kind: directory.AzureMonitor, Settings: asJSON(t, map[string]string{
		"api": "legacy", "workspace_id": testWorkspace, "log_type": "Audit", "endpoint": "https://example.com", "template": `{"RawData":{{{log_message_str}}}}`,
	})}, asJSON(t, map[string]string{"shared_key": testSharedKey}), localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	s.(*monitorSink).post = func(_ context.Context, records []byte) error { sent = string(records); return nil }
	s.Send(t.Context(), []auditlog.Document{{ID: "a", JSON: []byte(`{"id":"a"}`)}})
	if want := `[{"RawData":"{\"id\":\"a\"}"}]`; sent != want {
		t.Errorf("sent %s, want %s", sent, want)
	}
}

// The expected signature was made with openssl: printf 'POST\n1024\napplication/json\nx-ms-date:…\n/api/logs' | openssl dgst -sha256 -mac HMAC.
func TestCollectorSignature(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString(testSharedKey)
	if err != nil {
		t.Fatal(err)
	}
	const want = "QPtFC854XsbMWu8UUucEmZ6k4ggQGytljStI90PbLXw="
	if got := signature(key, 1024, "Mon, 02 Nov 2026 09:30:00 GMT"); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestAzureMonitorSettings(t *testing.T) {
	ingestion := map[string]string{
		"endpoint": "https://audit-x1y2.westeurope-1.ingest.monitor.azure.com", "rule_id": testRule, "stream": "Custom-AuditLogs_CL", "tenant_id": "contoso.com", "client_id": testClient,
	}
	legacy := map[string]string{"api": "legacy", "workspace_id": testWorkspace, "log_type": "Audit"}
	secret, key := `{"client_secret":"x"}`, `{"shared_key":"`+testSharedKey+`"}`
	tests := []struct {
		name     string
		settings map[string]string
		change   map[string]string
		secret   string
		field    string
		// later is the code when the same settings turn up as logs are sent.
		later failure.Code
	}{
		{name: "ingestion", settings: ingestion, secret: secret},
		{name: "legacy", settings: legacy, secret: key},
		{name: "an unknown API", settings: legacy, change: map[string]string{"api": "v3"}, secret: key, field: "settings.api", later: failure.ConfigInvalid},
		{name: "a workspace id that is no GUID", settings: legacy, change: map[string]string{"workspace_id": "acme"}, secret: key, field: "settings.workspace_id", later: failure.AzureMonitorSignatureError},
		{name: "a host for a workspace id", settings: legacy, change: map[string]string{"workspace_id": testWorkspace + ".example.com/"}, secret: key, field: "settings.workspace_id", later: failure.AzureMonitorSignatureError},
		{name: "a key that is no base64", settings: legacy, secret: `{"shared_key":"%"}`, field: "credentials.shared_key", later: failure.AzureMonitorSignatureError},
		{name: "no key", settings: legacy, field: "credentials.shared_key", later: failure.AzureMonitorSignatureError},
		{name: "a log type with a hyphen", settings: legacy, change: map[string]string{"log_type": "a-b"}, secret: key, field: "settings.log_type", later: failure.ConfigInvalid},
		{name: "both APIs", settings: legacy, change: map[string]string{"rule_id": testRule}, secret: key, field: "settings.api", later: failure.ConfigInvalid},
		{name: "both APIs, the other way", settings: ingestion, change: map[string]string{"log_type": "x"}, secret: secret, field: "settings.workspace_id", later: failure.ConfigInvalid},
		{name: "no endpoint", settings: ingestion, change: map[string]string{"endpoint": ""}, secret: secret, field: "settings.endpoint", later: failure.ConfigInvalid},
		{name: "plain http", settings: ingestion, change: map[string]string{"endpoint": "http://x.example.com"}, secret: secret, field: "settings.endpoint", later: failure.ConfigInvalid},
		{name: "a rule's name", settings: ingestion, change: map[string]string{"rule_id": "my-rule"}, secret: secret, field: "settings.rule_id"},
		{name: "a table's name", settings: ingestion, change: map[string]string{"stream": "AuditLogs"}, secret: secret, field: "settings.stream"},
		{name: "no stream", settings: ingestion, change: map[string]string{"stream": ""}, secret: secret, field: "settings.stream", later: failure.ConfigInvalid},
		{name: "the wrong credential", settings: ingestion, secret: key, field: "credentials.shared_key", later: failure.ConfigInvalid},
		{name: "no credential", settings: ingestion, field: "credentials.client_secret", later: failure.ConfigInvalid},
		{name: "a template that is no JSON", settings: ingestion, change: map[string]string{"template": "{{{log_message}}"}, secret: secret, field: "settings.template"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			settings := make(map[string]string)
			for _, from := range []map[string]string{tt.settings, tt.change} {
				for name, value := range from {
					settings[name] = value
				}
			}
			d := directory.Destination{ID: "d-1", Kind: directory.AzureMonitor, Settings: asJSON(t, settings)}
			wantFieldError(t, Validate(d, json.RawMessage(tt.secret), Network{}), tt.field)
			_, err := build(d, json.RawMessage(tt.secret), environment{now: time.Now})
			if (err == nil) != (tt.later == "") || err != nil && failure.Of(configInvalid(err)).Code != tt.later {
				t.Errorf("when sending: %v, want %q", err, tt.later)
			}
			if err != nil && strings.Contains(err.Error(), testSharedKey) {
				t.Errorf("the error %v shows the key", err)
			}
		})
	}
}

// The table and the transform of docs/destinations/azure_monitor.md keep each field of the document, and the time of
// the log in a column that Azure leaves alone.
func TestAzureMonitorPageKeepsOccurredAt(t *testing.T) {
	page, err := os.ReadFile("../../docs/destinations/azure_monitor.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rule, _ := strings.Cut(string(page), "```json\n")
	rule, _, _ = strings.Cut(rule, "```")
	var dcr struct {
		Streams map[string]struct {
			Columns []struct{ Name, Type string } `json:"columns"`
		} `json:"streamDeclarations"`
		Flows []struct {
			Transform string `json:"transformKql"`
		} `json:"dataFlows"`
	}
	if err := json.Unmarshal([]byte(rule), &dcr); err != nil {
		t.Fatalf("the rule: %v", err)
	}
	types := make(map[string]string)
	for _, c := range dcr.Streams["Custom-AuditLogs_CL"].Columns {
		types[c.Name] = c.Type
	}
	wantTypes := map[string]string{"id": "string", "type": "string", "workspace_id": "string", "occurred_at": "datetime", "payload": "dynamic"}
	if diff := cmp.Diff(wantTypes, types); diff != "" {
		t.Errorf("the stream's columns are not the document's fields (-want +got):\n%s", diff)
	}
	projected := make(map[string]string)
	columns := make(map[string]string)
	_, list, _ := strings.Cut(dcr.Flows[0].Transform, "project ")
	for part := range strings.SplitSeq(list, ", ") {
		column, field, _ := strings.Cut(part, " = ")
		projected[column] = field
		columns[column] = types[field]
	}
	wantProjected := map[string]string{
		"TimeGenerated": "occurred_at", "OccurredAt": "occurred_at", "LogId": "id", "LogType": "type", "WorkspaceId": "workspace_id", "Payload": "payload",
	}
	if diff := cmp.Diff(wantProjected, projected); diff != "" {
		t.Errorf("transform (-want +got):\n%s", diff)
	}
	table := make(map[string]string)
	_, list, _ = strings.Cut(string(page), "--columns ")
	list, _, _ = strings.Cut(list, "\n")
	for part := range strings.SplitSeq(list, " ") {
		column, of, _ := strings.Cut(part, "=")
		table[column] = of
	}
	if diff := cmp.Diff(columns, table); diff != "" {
		t.Errorf("the table's columns are not those of the transform (-transform +table):\n%s", diff)
	}
}
