package sink

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

const intakeToken = "tok-1234567890"

// intakes are the presets, each with its intake.
func intakes() map[string]func() *sinktest.Intake {
	return map[string]func() *sinktest.Intake{
		"splunk_hec":   sinktest.SplunkCollector{Token: intakeToken}.Intake,
		"datadog":      func() *sinktest.Intake { return sinktest.Datadog(intakeToken) },
		"sumo_logic":   func() *sinktest.Intake { return sinktest.SumoLogic(intakeToken) },
		"grafana_loki": sinktest.LokiPush{Token: intakeToken}.Intake,
		"new_relic":    func() *sinktest.Intake { return sinktest.NewRelic(intakeToken) },
		"elastic":      sinktest.ElasticBulk{Key: intakeToken, Path: "/logs-auditrelay-default/_bulk"}.Intake,
	}
}

// presetTarget runs the conformance suite over a preset.
type presetTarget struct {
	preset string
	intake func() *sinktest.Intake
}

func (presetTarget) Codes() map[sinktest.Scenario]failure.Code { return httpTarget{}.Codes() }

func (presetTarget) Deviations() []sinktest.Deviation { return nil }

// Open makes a receiver that counts each log once, however often it came: but for Elastic and Loki, these intakes keep every copy.
func (p presetTarget) Open(t *testing.T, s sinktest.Scenario) sinktest.Receiver {
	intake := p.intake()
	url := scripted(t, s, map[sinktest.Scenario]answer{
		sinktest.BadCredentials: {status: 401, body: "token " + intakeToken + " is unknown"},
		sinktest.NoPermission:   {status: 403},
		sinktest.Missing:        {status: 404},
		sinktest.Throttled:      {status: 429, header: map[string]string{"Retry-After": "7"}},
		sinktest.Broken:         {status: 503},
	}, intake)
	return sinktest.Receiver{
		Sink:    httpFor(t, map[string]any{"url": url, "preset": p.preset}, map[string]any{"token": intakeToken}),
		Held:    func(*testing.T) map[string]int { return intake.Different() },
		Secrets: []string{intakeToken, url},
	}
}

func TestPresetConformance(t *testing.T) {
	for preset, intake := range intakes() {
		t.Run(preset, func(t *testing.T) { sinktest.Run(t, presetTarget{preset, intake}) })
	}
}

// sendTo sends logs to an intake by way of a preset.
func sendTo(t *testing.T, intake http.Handler, settings map[string]any, docs []auditlog.Document) []delivery.Result {
	t.Helper()
	server := serve(t, intake.ServeHTTP)
	set := map[string]any{"url": server.URL}
	for name, value := range settings {
		set[name] = value
	}
	if path, ok := set["path"].(string); ok {
		set["url"] = server.URL + path
		delete(set, "path")
	}
	return httpFor(t, set, map[string]any{"token": intakeToken}).Send(t.Context(), docs)
}

// What intakes answer with 2xx, and which of it says that the logs were taken.
func TestSuccessIsWhatTheIntakeSays(t *testing.T) {
	const signIn = "<!DOCTYPE html><html><title>Sign in</title></html>"
	for _, c := range []struct {
		preset, body string
		taken        []int // statuses
	}{
		{"", "", []int{200, 201, 202, 204}},
		{"", "thanks", []int{200, 201, 202, 204}},                           // 204 has no body
		{"", `{"errors":["not one was taken"]}`, []int{200, 201, 202, 204}}, // whatever that receiver means by it
		{"", signIn, []int{204}},
		{"", "\ufeff \r\n<HTML lang=de>", []int{204}},
		{"datadog", `{}`, []int{200, 202}},
		{"datadog", signIn, nil},
		{"new_relic", `{"requestId":"f0e7"}`, []int{200, 202}},
		{"new_relic", signIn, nil},
		{"sumo_logic", "", []int{200}},
		{"sumo_logic", signIn, nil},
		{"grafana_loki", "", []int{200, 204}},
		{"grafana_loki", signIn, []int{204}},
		{"grafana_loki", "ingestion blocked for user acme", []int{200, 204}},
		{"elastic", `{"errors":false,"items":[]}`, []int{200}},
		{"elastic", `{"errors":false,"items":[]} and more`, []int{200}},
		{"elastic", `{"errors":false`, nil},
		{"elastic", `{"acknowledged":true}`, nil},
		{"elastic", signIn, nil},
		{"splunk_hec", `{"text":"Success","code":0}`, []int{200}},
		{"splunk_hec", `{"text":"Queue is approaching capacity","code":24}`, []int{200}},
		{"splunk_hec", `{"text":"Ack channel is approaching capacity","code":25}`, []int{200}},
		{"splunk_hec", `{"text":"Server is busy","code":9,"invalid-event-number":1}`, nil},
		{"splunk_hec", `{"text":"HEC is healthy","code":17}`, nil},
		{"splunk_hec", `{"text":"Success"}`, nil},
		{"splunk_hec", ``, nil},
		{"splunk_hec", signIn, nil},
	} {
		want, got := make(map[int]int), make(map[int]int)
		for _, status := range c.taken {
			want[status] = 3
		}
		for _, status := range []int{200, 201, 202, 203, 204, 206, 207, 226, 260, 299} {
			receiver := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(status)
				_, _ = io.WriteString(w, c.body)
			})
			set := map[string]any{"format": "json_array"}
			if c.preset != "" {
				set = map[string]any{"preset": c.preset}
			}
			server := serve(t, receiver)
			set["url"] = server.URL
			token := map[string]any{}
			if c.preset != "" {
				token["token"] = "t"
			}
			for _, r := range httpFor(t, set, token).Send(t.Context(), sinktest.Logs(3, 10)) {
				if r.Err == nil {
					got[status]++
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %.40q: logs delivered by status (-want +got):\n%s", c.preset, c.body, diff)
		}
	}
}

// large is a log of so many bytes besides its lines.
func large(t *testing.T, bytes, lines int) auditlog.Document {
	t.Helper()
	payload := fmt.Sprintf(`{"report":%q,"lines":[%q]}`, strings.Repeat("x", bytes), strings.Repeat("y", lines))
	doc, err := auditlog.Prepare(auditlog.Log{
		ID: "large", WorkspaceID: "ws", Type: events.JobDetails, OccurredAt: "2026-11-02T10:30:00Z", Payload: []byte(payload),
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// A log that an intake would cut or slice is not sent, or sent without its lines; the others of its batch are.
func TestNoLogIsCutByItsIntake(t *testing.T) {
	tooLarge := string(failure.HTTPLogTooLarge)
	for _, c := range []struct {
		preset       string
		bytes, lines int
		settings     map[string]any
		want         string
	}{
		{"new_relic", 127_000, 500, nil, ""},
		{"new_relic", 128_000, 0, nil, tooLarge},
		{"new_relic", 100_000, 100_000, nil, tooLarge},
		{"new_relic", 100_000, 100_000, map[string]any{"oversize": "shorten"}, ""},
		{"new_relic", 200_000, 10, map[string]any{"oversize": "shorten"}, tooLarge},
		{"new_relic", 60_000, 0, map[string]any{"max_log": 50_000}, tooLarge},
		{"new_relic", 70_000, 0, map[string]any{"template": `[{{log_message}},{{log_message}}]`}, tooLarge},
		{"datadog", 990_000, 0, nil, ""},
		{"datadog", 1_000_000, 0, nil, tooLarge},
		{"datadog", 200_000, 1_000_000, map[string]any{"oversize": "shorten", "gzip": true}, ""},
		{"sumo_logic", 64_000, 0, nil, ""},
		{"sumo_logic", 66_000, 0, nil, tooLarge},
		{"sumo_logic", 10_000, 66_000, map[string]any{"oversize": "shorten"}, ""},
		{"grafana_loki", 250_000, 0, nil, ""},
		{"grafana_loki", 300_000, 0, nil, tooLarge},
		{"splunk_hec", 3_000_000, 0, nil, ""},
		{"splunk_hec", 20_000, 0, map[string]any{"max_log": 10_000}, tooLarge},
		{"elastic", 3_000_000, 0, nil, ""},
	} {
		intake := intakes()[c.preset]()
		settings := map[string]any{"preset": c.preset}
		for name, value := range c.settings {
			settings[name] = value
		}
		docs := append(sinktest.Logs(2, 10), large(t, c.bytes, c.lines))
		got := codes(sendTo(t, intake, settings, docs))
		if diff := cmp.Diff([]string{"", "", c.want}, got); diff != "" {
			t.Errorf("%s, %d and %d bytes, %v (-want +got):\n%s", c.preset, c.bytes, c.lines, c.settings, diff)
		}
		want := map[string]int{"log-000": 1, "log-001": 1}
		if c.want == "" {
			want["large"] = 1
		}
		if c.settings["template"] != nil {
			continue
		}
		if diff := cmp.Diff(want, intake.Held()); diff != "" {
			t.Errorf("%s, %d and %d bytes, %v: kept (-want +got):\n%s", c.preset, c.bytes, c.lines, c.settings, diff)
		}
	}
}

// What a log says in place of its lines, and that it is otherwise what it was.
func TestAShortenedLogSaysSo(t *testing.T) {
	var body []byte
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) })
	s := httpFor(t, map[string]any{"url": server.URL, "max_log": 4096, "oversize": "shorten"}, nil)
	if got := codes(s.Send(t.Context(), []auditlog.Document{large(t, 2, 5000)})); got[0] != "" {
		t.Fatal(got)
	}
	want := `{"id":"large","type":"job_details","workspace_id":"ws","occurred_at":"2026-11-02T10:30:00Z",` +
		`"payload":{"report":"xx","lines":"Log lines exceed size limit"}}`
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOversizeSettings(t *testing.T) {
	for _, c := range []struct {
		settings map[string]any
		field    string
	}{
		{map[string]any{"max_log": 4096}, ""},
		{map[string]any{"max_log": events.MaxLogBytes, "oversize": "shorten"}, ""},
		{map[string]any{"max_log": 4095}, "settings.max_log"},
		{map[string]any{"max_log": events.MaxLogBytes + 1}, "settings.max_log"},
		{map[string]any{"max_log": -1}, "settings.max_log"},
		{map[string]any{"oversize": "truncate"}, "settings.oversize"},
		{map[string]any{"preset": "datadog", "max_log": 1_000_001}, "settings.max_log"},
		{map[string]any{"preset": "new_relic", "max_log": 100_000}, ""},
		{map[string]any{"preset": "grafana_loki", "max_log": 1 << 20}, ""},
		{map[string]any{"preset": "elastic", "without_ids": true}, ""},
		{map[string]any{"preset": "datadog", "without_ids": true}, "settings.without_ids"},
		{map[string]any{"without_ids": true}, "settings.without_ids"},
	} {
		set := map[string]any{"url": "https://a.example"}
		for name, value := range c.settings {
			set[name] = value
		}
		token := map[string]any{}
		if set["preset"] != nil {
			token["token"] = "t"
		}
		_, err := newHTTP(asJSON(t, set), asJSON(t, token), localEnvironment())
		if c.field == "" && err != nil {
			t.Errorf("%v: %v", c.settings, err)
		} else if c.field != "" {
			wantFieldError(t, err, c.field)
		}
	}
}

// However many events a collector refuses, each good log is kept once, and each request tells of one.
func TestSplunkNamesTheCulprit(t *testing.T) {
	for _, c := range []struct {
		bad      []int
		requests int
	}{
		{nil, 1},
		{[]int{57}, 2},
		{[]int{0}, 2},
		{[]int{99}, 1},
		{[]int{3, 4, 5, 50}, 5},
		{[]int{98, 99}, 2},
	} {
		bad := make(map[string]bool)
		want := make(map[string]int)
		docs := sinktest.Logs(100, 10)
		for _, i := range c.bad {
			bad[docs[i].ID] = true
		}
		wantCodes := make([]string, len(docs))
		for i, doc := range docs {
			if bad[doc.ID] {
				wantCodes[i] = string(failure.HTTPLogRefused)
			} else {
				want[doc.ID] = 1
			}
		}
		intake := sinktest.SplunkCollector{Token: intakeToken, Bad: bad}.Intake()
		got := codes(sendTo(t, intake, map[string]any{"preset": "splunk_hec"}, docs))
		if diff := cmp.Diff(wantCodes, got); diff != "" {
			t.Errorf("bad %v: codes (-want +got):\n%s", c.bad, diff)
		}
		if diff := cmp.Diff(want, intake.Held()); diff != "" {
			t.Errorf("bad %v: kept (-want +got):\n%s", c.bad, diff)
		}
		if intake.Requests() != c.requests {
			t.Errorf("bad %v: %d requests, want %d", c.bad, intake.Requests(), c.requests)
		}
	}
}

// A collector that refuses whatever comes is not asked a hundred times.
func TestSplunkRefusesEverything(t *testing.T) {
	bad := make(map[string]bool)
	for _, doc := range sinktest.Logs(100, 10) {
		bad[doc.ID] = true
	}
	intake := sinktest.SplunkCollector{Token: intakeToken, Bad: bad}.Intake()
	got := codes(sendTo(t, intake, map[string]any{"preset": "splunk_hec"}, sinktest.Logs(100, 10)))
	if diff := cmp.Diff(all(failure.HTTPUnexpectedReply, 100), got); diff != "" || intake.Requests() != manyRefused {
		t.Errorf("%d requests (-want +got):\n%s", intake.Requests(), diff)
	}
}

// Every code of the collector, and whom it concerns.
func TestSplunkCodes(t *testing.T) {
	const channel = "the header X-Splunk-Request-Channel must be a GUID"
	for _, c := range []struct {
		status, code int
		want         failure.Error
	}{
		{403, 1, failure.Error{Code: failure.HTTPForbidden, Detail: "HTTP 403, Splunk 1: the token is disabled"}},
		{401, 2, failure.Error{Code: failure.HTTPUnauthorized, Detail: "HTTP 401, Splunk 2: the token is not known"}},
		{401, 3, failure.Error{Code: failure.HTTPUnauthorized, Detail: "HTTP 401, Splunk 3: the token is not known"}},
		{403, 4, failure.Error{Code: failure.HTTPForbidden, Detail: "HTTP 403, Splunk 4: the token is not known"}},
		{400, 5, failure.Error{Code: failure.HTTPLogRefused, Detail: "HTTP 400"}},
		{400, 6, failure.Error{Code: failure.HTTPLogRefused, Detail: "HTTP 400"}},
		{400, 7, failure.Error{Code: failure.ConfigInvalid, Detail: "HTTP 400, Splunk 7: the index does not exist, or the token may not write to it"}},
		{500, 8, failure.Error{Code: failure.HTTPServerError, Detail: "HTTP 500, Splunk 8: it is busy, or ends"}},
		{503, 9, failure.Error{Code: failure.HTTPServerError, Detail: "HTTP 503, Splunk 9: it is busy, or ends"}},
		{200, 9, failure.Error{Code: failure.HTTPServerError, Detail: "HTTP 200, Splunk 9: it is busy, or ends"}},
		{400, 10, failure.Error{Code: failure.ConfigInvalid, Detail: "HTTP 400, Splunk 10: " + channel}},
		{400, 11, failure.Error{Code: failure.ConfigInvalid, Detail: "HTTP 400, Splunk 11: " + channel}},
		{400, 12, failure.Error{Code: failure.HTTPLogRefused, Detail: "HTTP 400"}},
		{400, 14, failure.Error{Code: failure.ConfigInvalid, Detail: "HTTP 400, Splunk 14: the token has no indexer acknowledgement, and was asked for it"}},
		{400, 15, failure.Error{Code: failure.HTTPLogRefused, Detail: "HTTP 400"}},
		{400, 16, failure.Error{Code: failure.HTTPUnauthorized, Detail: "HTTP 400, Splunk 16: the token must not stand in the URL"}},
		{503, 18, failure.Error{Code: failure.HTTPServerError, Detail: "HTTP 503, Splunk 18: it is busy, or ends"}},
		{400, 21, failure.Error{Code: failure.HTTPUnauthorized, Detail: "HTTP 400, Splunk 21: the token is not known"}},
		{400, 22, failure.Error{Code: failure.HTTPForbidden, Detail: "HTTP 400, Splunk 22: the token is disabled"}},
		{503, 23, failure.Error{Code: failure.HTTPServerError, Detail: "HTTP 503, Splunk 23: it is busy, or ends"}},
		{429, 26, failure.Error{Code: failure.HTTPThrottled, Detail: "HTTP 429"}},
		{418, 99, failure.Error{Code: failure.HTTPUnexpectedReply, Detail: "HTTP 418"}},
	} {
		intake := sinktest.SplunkCollector{Status: c.status, Code: c.code}.Intake()
		got := failure.Of(sendTo(t, intake, map[string]any{"preset": "splunk_hec"}, sinktest.Logs(1, 10))[0].Err)
		if diff := cmp.Diff(c.want, *got); diff != "" {
			t.Errorf("%d, code %d (-want +got):\n%s", c.status, c.code, diff)
		}
		if intake.Requests() != 1 {
			t.Errorf("%d, code %d: %d requests", c.status, c.code, intake.Requests())
		}
	}
}

// A log of a token with indexer acknowledgement is delivered once it is indexed, and is not if nobody says so in time.
func TestSplunkAcknowledgement(t *testing.T) {
	unconfirmed := string(failure.HTTPUnconfirmed)
	for _, c := range []struct {
		name  string
		polls int
		bad   map[string]bool
		want  []string
		held  map[string]int
		took  time.Duration // at least
	}{
		{"indexed at once", 0, nil, []string{"", "", ""}, map[string]int{"log-000": 1, "log-001": 1, "log-002": 1}, firstAck},
		{"indexed later", 3, nil, []string{"", "", ""}, map[string]int{"log-000": 1, "log-001": 1, "log-002": 1}, 3 * firstAck},
		{"never indexed", -1, nil, []string{unconfirmed, unconfirmed, unconfirmed}, map[string]int{"log-000": 1, "log-001": 1, "log-002": 1}, 10 * time.Second},
		{
			// What stood before the bad one was taken under no number, so once the token is known to give them it is sent again.
			"a bad one", 0, map[string]bool{"log-001": true}, []string{"", string(failure.HTTPLogRefused), ""},
			map[string]int{"log-000": 1, "log-002": 1}, firstAck,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				intake := sinktest.SplunkCollector{Token: intakeToken, Acks: true, Polls: c.polls, Bad: c.bad}.Intake()
				s := httpFor(t, map[string]any{"url": "https://splunk.example:8088", "preset": "splunk_hec"}, map[string]any{"token": intakeToken})
				s.transport = inMemory{intake}
				begun := time.Now()
				if diff := cmp.Diff(c.want, codes(s.Send(t.Context(), sinktest.Logs(3, 10)))); diff != "" {
					t.Errorf("codes (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(c.held, intake.Held()); diff != "" {
					t.Errorf("kept (-want +got):\n%s", diff)
				}
				if took := time.Since(begun); took < c.took || took > c.took+3*time.Second {
					t.Errorf("it took %v, want at least %v", took, c.took)
				}
			})
		})
	}
}

// inMemory is a transport to a handler, for the time of a bubble.
type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	out := httptest.NewRecorder()
	m.handler.ServeHTTP(out, r)
	return out.Result(), nil
}

// The channel's address follows from the collector's, whatever stands before it.
func TestSplunkChannelAddress(t *testing.T) {
	const own = "12345678-1234-1234-1234-1234567890ab"
	for base, want := range map[string]string{
		"https://s.example:8088":                             "https://s.example:8088/services/collector/ack?channel=" + own,
		"https://s.example/services/collector":               "https://s.example/services/collector/ack?channel=" + own,
		"https://s.example/services/collector/event/1.0":     "https://s.example/services/collector/ack?channel=" + own,
		"https://s.example/hec/services/collector/event?x=y": "https://s.example/hec/services/collector/ack?channel=" + own,
		"https://s.example/splunk/":                          "https://s.example/splunk/services/collector/ack?channel=" + own,
	} {
		set := map[string]any{"url": base, "preset": "splunk_hec", "headers": map[string]string{"X-Splunk-Request-Channel": own}}
		if got := httpFor(t, set, map[string]any{"token": "t"}).hec.acks.String(); got != want {
			t.Errorf("%s: got %s, want %s", base, got, want)
		}
	}
	one := httpFor(t, map[string]any{"url": "https://s.example", "preset": "splunk_hec"}, map[string]any{"token": "t"})
	if channel := one.header.Get(channelHeader); !guidForm.MatchString(channel) {
		t.Errorf("the sink's own channel is %q", channel)
	}
}

// A URL's path stands before the index, and one that leads to the bulk API already is left as it is.
func TestElasticAddress(t *testing.T) {
	const only = "?filter_path=errors,items.*.status"
	for _, c := range []struct{ url, index, want string }{
		{"", "", "/logs-auditrelay-default/_bulk" + only},
		{"/", "audit", "/audit/_bulk" + only},
		{"/es", "logs-x-y", "/es/logs-x-y/_bulk" + only},
		{"/es/", "", "/es/logs-auditrelay-default/_bulk" + only},
		{"/a/b%20c/", "audit", "/a/b%20c/audit/_bulk" + only},
		{"/audit/_bulk", "", "/audit/_bulk" + only},
		{"/es/audit/_bulk/", "", "/es/audit/_bulk/" + only},
		{"/es?routing=a", "audit", "/es/audit/_bulk?routing=a&filter_path=errors,items.*.status"},
		{"/es?filter_path=errors", "audit", "/es/audit/_bulk?filter_path=errors"},
		{"/audit/_bulk", "audit", "settings.index"},
	} {
		set := map[string]any{"url": "https://e.example" + c.url, "preset": "elastic", "index": c.index}
		s, err := newHTTP(asJSON(t, set), nil, localEnvironment())
		if c.want == "settings.index" {
			wantFieldError(t, err, c.want)
			continue
		}
		if err != nil {
			t.Errorf("%s, index %q: %v", c.url, c.index, err)
			continue
		}
		if got := s.(*httpSink).url.RequestURI(); got != c.want {
			t.Errorf("%s, index %q: got %s, want %s", c.url, c.index, got, c.want)
		}
	}
}

// Elastic answers for each log, in few words or many; a relative that takes no ids gets none.
func TestElasticBulk(t *testing.T) {
	const path = "/logs-auditrelay-default/_bulk"
	refused := func(ids ...string) map[string]int {
		statuses := make(map[string]int)
		for _, id := range ids {
			statuses[id] = 400
		}
		return statuses
	}
	for _, c := range []struct {
		name     string
		server   sinktest.ElasticBulk
		settings map[string]any
		logs     int
		bad      int // of the logs, the first
	}{
		{"all taken", sinktest.ElasticBulk{}, nil, 1000, 0},
		{"two refused", sinktest.ElasticBulk{Refuse: refused("log-000", "log-001")}, nil, 100, 2},
		{"all of each item", sinktest.ElasticBulk{Whole: true, Refuse: refused("log-000")}, map[string]any{"max_batch": 1000}, 1000, 1},
		{"ids that are refused", sinktest.ElasticBulk{NoIDs: true}, nil, 5, 5},
		{"no ids", sinktest.ElasticBulk{NoIDs: true}, map[string]any{"without_ids": true}, 5, 0},
	} {
		c.server.Key, c.server.Path = intakeToken, path
		intake := c.server.Intake()
		settings := map[string]any{"preset": "elastic"}
		for name, value := range c.settings {
			settings[name] = value
		}
		docs := sinktest.Logs(c.logs, 10)
		want := append(all(failure.HTTPLogRefused, c.bad), make([]string, c.logs-c.bad)...)
		if diff := cmp.Diff(want, codes(sendTo(t, intake, settings, docs))); diff != "" {
			t.Errorf("%s: codes (-want +got):\n%s", c.name, diff)
		}
		if n := len(intake.Held()); n != c.logs-c.bad {
			t.Errorf("%s: %d logs are kept, want %d", c.name, n, c.logs-c.bad)
		}
	}
}

// Loki that drops everything says so with a 2xx.
func TestLokiBlocked(t *testing.T) {
	intake := sinktest.LokiPush{Token: intakeToken, Blocked: true}.Intake()
	got := sendTo(t, intake, map[string]any{"preset": "grafana_loki"}, sinktest.Logs(3, 10))
	if diff := cmp.Diff(all(failure.HTTPUnexpectedReply, 3), codes(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if detail := failure.Of(got[0].Err).Detail; detail != "HTTP 260" {
		t.Errorf("detail %q", detail)
	}
}

// The page on HTTP destinations says what each preset takes for success, and how much of a log its intake keeps.
func TestIntakesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/destinations/http.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "<!-- intakes -->")
	table, _, _ = strings.Cut(table, "<!-- /intakes -->")
	for name := range intakes() {
		p, _ := findPreset(httpSettings{Preset: name})
		var statuses []string
		for _, status := range p.framing.success {
			statuses = append(statuses, fmt.Sprint(status))
		}
		row := fmt.Sprintf("| `%s` | %s |", name, strings.Join(statuses, ", "))
		_, rest, found := strings.Cut(table, row)
		line, _, _ := strings.Cut(rest, "\n")
		if !found || p.framing.largest > 0 && !strings.Contains(line, fmt.Sprintf("| %d bytes |", p.framing.largest)) {
			t.Errorf("the table does not say: %s … %d bytes", row, p.framing.largest)
		}
	}
}
