package sink

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// framing is how logs are put into a request's body, and how the answer is read.
type framing struct {
	contentType            string
	before, between, after string
	// open appends what stands before one log's message, a JSON value on one line, and close is what stands after it. nil: nothing.
	open  func(dst []byte, doc auditlog.Document, at time.Time) []byte
	close string
	// around is how many bytes open, close and quotes add at most, besides a log's ids.
	around int
	// quotes puts the message in as a JSON string.
	quotes bool
	// alone sends each log in a request of its own.
	alone bool
	// verdict reads an answer that speaks of each log, and sets the err of those that were refused. nil: the status speaks for all.
	verdict func(answer []byte, logs []*outgoing) error
	// refusal reads what an answer says besides its status, which is no 2xx, and corrects the failure. nil: the status says all.
	refusal func(answer []byte, f *failure.Error)
}

// formats are the framings that an admin can choose by settings.format.
func formats(format string) (framing, bool) {
	switch format {
	case "", "single":
		return framing{contentType: "application/json", alone: true}, true
	case "ndjson":
		return framing{contentType: "application/x-ndjson", between: "\n", after: "\n"}, true
	case "json_array":
		return framing{contentType: "application/json", before: "[", between: ",", after: "]"}, true
	}
	return framing{}, false
}

// preset is what a known log intake wants: where, with which credential, in which form.
type preset struct {
	framing framing
	// path is the intake's, for a URL that has none.
	path string
	// query is added to a URL that has none.
	query string
	// authorize puts the token where the intake looks for it.
	authorize func(s *httpSink, token string)
	// tokenRule says where an admin finds the token; empty if the intake can do without one.
	tokenRule string
}

const service = "auditrelay"

// presetNames are those of the function below, in the order that messages name them.
const presetNames = "splunk_hec, datadog, sumo_logic, grafana_loki, new_relic or elastic"

// findPreset knows every preset. index is Splunk's or Elastic's, from the settings.
func findPreset(name, index string) (preset, bool) {
	switch name {
	case "splunk_hec":
		return splunk(index), true
	case "datadog":
		return datadog(), true
	case "sumo_logic":
		return sumo(), true
	case "grafana_loki":
		return loki(), true
	case "new_relic":
		return newRelic(), true
	case "elastic":
		return elastic(index), true
	}
	return preset{}, false
}

// splunk is the HTTP Event Collector: event objects one after another, each with its own time
// (https://docs.splunk.com/Documentation/Splunk/latest/Data/FormateventsforHTTPEventCollector).
func splunk(index string) preset {
	tail := `,"source":"` + service + `","sourcetype":"_json"`
	if index != "" {
		tail += `,"index":` + string(quoted(nil, []byte(index)))
	}
	return preset{
		path:      "/services/collector/event",
		tokenRule: "is the token of the HTTP Event Collector (Settings, Data inputs, HTTP Event Collector)",
		authorize: func(s *httpSink, token string) { s.header["Authorization"] = []string{"Splunk " + token} },
		framing: framing{
			contentType: "application/json", between: "\n", refusal: splunkRefusal, close: "}",
			around: 60 + len(tail),
			open: func(dst []byte, doc auditlog.Document, at time.Time) []byte {
				if t, err := time.Parse(time.RFC3339, doc.OccurredAt()); err == nil {
					at = t
				}
				dst = append(dst, `{"time":`...)
				dst = strconv.AppendFloat(dst, float64(at.UnixMilli())/1000, 'f', 3, 64)
				dst = append(dst, tail...)
				return append(dst, `,"event":`...)
			},
		},
	}
}

// splunkRefusal finds the answers 400 that are about the connection and not about a log: an index that does not exist or that the token may not
// write to, and a token with indexer acknowledgement, which wants a channel
// (https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector).
func splunkRefusal(answer []byte, f *failure.Error) {
	var said struct {
		Code int `json:"code"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return
	}
	switch said.Code {
	case 7:
		f.Code, f.Detail = failure.ConfigInvalid, f.Detail+", Splunk 7: the index does not exist, or the token may not write to it"
	case 10, 11:
		f.Code, f.Detail = failure.ConfigInvalid, f.Detail+", Splunk "+strconv.Itoa(said.Code)+": the token wants the header X-Splunk-Request-Channel, a GUID"
	}
}

// datadog is the v2 log intake (https://docs.datadoghq.com/api/latest/logs/#send-logs): at most
// 1,000 logs a request, which no max_batch exceeds. The event's time stays
// inside the message: a log that was retried for over 18 hours would be refused for a timestamp of its own.
func datadog() preset {
	return preset{
		path:      "/api/v2/logs",
		tokenRule: "is an API key (Organization Settings, API Keys)",
		authorize: func(s *httpSink, token string) { s.header["Dd-Api-Key"] = []string{token} },
		framing: framing{
			contentType: "application/json", before: "[", between: ",", after: "]", quotes: true, close: "}",
			around: 80,
			open: func(dst []byte, _ auditlog.Document, _ time.Time) []byte {
				return append(dst, `{"ddsource":"`+service+`","service":"`+service+`","message":`...)
			},
		},
	}
}

// sumo is an HTTP Logs and Metrics source: a message a line. Its token is the end of the URL that Sumo Logic shows, and so a credential
// (https://www.sumologic.com/help/docs/send-data/hosted-collectors/http-source/logs-metrics/).
func sumo() preset {
	return preset{
		path:      "/receiver/v1/http/",
		tokenRule: "is what stands after /receiver/v1/http/ in the source's URL; settings.url is the part before",
		authorize: func(s *httpSink, token string) { s.url = s.url.JoinPath(url.PathEscape(token)) },
		framing:   framing{contentType: "application/json", between: "\n", after: "\n"},
	}
}

// loki is the push API (https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs). The time is that of the sending, as a string:
// Loki refuses lines that are over an hour behind the newest of their stream, which retried logs can be. All logs of one Send have the same
// time, so lines that Loki took from a batch of which it refused others are recognised when they come again.
func loki() preset {
	return preset{
		path:      "/loki/api/v1/push",
		authorize: func(s *httpSink, token string) { s.header["Authorization"] = []string{"Bearer " + token} },
		framing: framing{
			contentType: "application/json",
			before:      `{"streams":[{"stream":{"service_name":"` + service + `"},"values":[`, between: ",", after: "]}]}",
			quotes: true, close: "]", around: 40,
			open: func(dst []byte, _ auditlog.Document, at time.Time) []byte {
				dst = append(dst, `["`...)
				dst = strconv.AppendInt(dst, at.UnixNano(), 10)
				return append(dst, `",`...)
			},
		},
	}
}

// newRelic is the Log API in its detailed form (https://docs.newrelic.com/docs/logs/log-api/introduction-log-api/). The event's time stays inside
// the message, since New Relic drops logs whose timestamp is over 48 hours old.
func newRelic() preset {
	return preset{
		path:      "/log/v1",
		tokenRule: "is a license key (API keys, type Ingest - License)",
		authorize: func(s *httpSink, token string) { s.header["Api-Key"] = []string{token} },
		framing: framing{
			contentType: "application/json",
			before:      `[{"common":{"attributes":{"service.name":"` + service + `","logtype":"` + service + `"}},"logs":[`, between: ",", after: "]}]",
			quotes: true, close: "}", around: 20,
			open: func(dst []byte, _ auditlog.Document, _ time.Time) []byte { return append(dst, `{"message":`...) },
		},
	}
}

// elastic is the bulk API on a data stream (https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk). Documents are created
// under an id of their own, so that a repeated one is answered with 409, which is success. Its answer speaks of each log.
func elastic(index string) preset {
	if index == "" {
		index = "logs-" + service + "-default"
	}
	return preset{
		path:      "/" + index + "/_bulk",
		query:     "filter_path=errors,items.*.status", // the answer without a copy of every id
		authorize: func(s *httpSink, token string) { s.header["Authorization"] = []string{"ApiKey " + token} },
		framing: framing{
			contentType: "application/x-ndjson", between: "\n", after: "\n",
			verdict: elasticVerdict, close: "}", around: 200,
			open: func(dst []byte, doc auditlog.Document, at time.Time) []byte {
				dst = append(dst, `{"create":{"_id":"`+doc.WorkspaceID+":"+doc.ID+`"}}`+"\n"...)
				occurred := doc.OccurredAt()
				if occurred == "" {
					occurred = at.UTC().Format(time.RFC3339Nano)
				}
				return append(dst, `{"@timestamp":"`+occurred+`","event":{"kind":"event","dataset":"`+service+`"},"`+service+`":`...)
			},
		},
	}
}

// elasticVerdict reads the answer to a bulk request.
func elasticVerdict(answer []byte, logs []*outgoing) error {
	var bulk struct {
		Errors *bool `json:"errors"`
		Items  []struct {
			Create struct {
				Status int `json:"status"`
			} `json:"create"`
		} `json:"items"`
	}
	if err := json.Unmarshal(answer, &bulk); err != nil || bulk.Errors == nil || *bulk.Errors && len(bulk.Items) != len(logs) {
		return &failure.Error{Code: failure.HTTPUnexpectedReply, Detail: "the answer is not that of a bulk request", Err: err}
	}
	for i, log := range logs {
		log.err = nil
		if !*bulk.Errors {
			continue
		}
		status := bulk.Items[i].Create.Status
		if status < 100 || status > 599 { // no status, so whatever the receiver likes to say
			return &failure.Error{Code: failure.HTTPUnexpectedReply, Detail: "the answer is not that of a bulk request"}
		}
		if status/100 != 2 && status != 409 {
			log.err = &failure.Error{Code: statusCode(status), Detail: "HTTP " + strconv.Itoa(status) + " for this log in a bulk request"}
		}
	}
	return nil
}

func quoted(dst, text []byte) []byte {
	return append(auditlog.AppendEscaped(append(dst, '"'), text), '"')
}

// usePreset takes over what a preset says.
func (s *httpSink) usePreset(set httpSettings, cred httpCredentials, base *url.URL) error {
	if set.Format != "" {
		return invalid("settings.format", "cannot be chosen with a preset, which has its own")
	}
	if set.Index != "" && set.Preset != "splunk_hec" && set.Preset != "elastic" {
		return invalid("settings.index", "belongs to the presets splunk_hec and elastic")
	}
	if !plainName(set.Index) {
		return invalid("settings.index", "must be at most 255 lower-case letters, digits, dots, hyphens and underscores")
	}
	p, known := findPreset(set.Preset, set.Index)
	switch {
	case !known:
		return invalid("settings.preset", "must be "+presetNames)
	case cred.Token == "" && p.tokenRule != "":
		return invalid("credentials.token", "is missing; it %s", p.tokenRule)
	case cred.Path != "":
		return invalid("credentials.path", "belongs to no preset")
	case !plainToken(cred.Token.Reveal()):
		return invalid("credentials.token", "must be one word of printable characters")
	}
	if strings.Trim(base.Path, "/") == "" {
		base.Path, base.RawPath = p.path, ""
	}
	if base.RawQuery == "" {
		base.RawQuery = p.query
	}
	s.url, s.framing = base, p.framing
	s.header["Content-Type"] = []string{p.framing.contentType}
	if cred.Token != "" {
		p.authorize(s, cred.Token.Reveal())
	}
	return nil
}

// plainName says whether a text can be an index in a path and in JSON.
func plainName(s string) bool {
	for _, c := range []byte(s) {
		if c == '/' || !isPlain(c) || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return len(s) <= 255 && s != "." && s != ".."
}

// plainToken says whether a text can stand in a header and, where a token is part of the path, be one segment of it.
func plainToken(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return s != "." && s != ".."
}
