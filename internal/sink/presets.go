package sink

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// framing is how logs are put into a request's body, and how the answer is read.
type framing struct {
	contentType            string
	before, between, after string
	// open appends what stands before one log's message, a JSON value on one line, and close is what stands after it. nil: nothing.
	open  func(dst []byte, o *outgoing) []byte
	close string
	// around is how many bytes open, close and quotes add at most, besides a log's ids.
	around int
	// quotes puts the message in as a JSON string.
	quotes bool
	// alone sends each log in a request of its own.
	alone bool
	// success are the statuses by which the receiver says that it took the logs.
	success []int
	// verdict reads the answer with such a status, a JSON value; it may set the err of logs that were refused, and answer a *culprit. nil: the
	// status speaks for all.
	verdict func(answer []byte, logs []*outgoing) (*receipt, error)
	// refusal reads an answer with another status and gives the failure, f or what it corrects it to. nil: the status says all.
	refusal func(answer []byte, f *failure.Error) error
	// largest is how many bytes of one log the receiver keeps, 0 for all; countsAll says that it counts all that it gets of one and not the
	// message alone. raisable says that a receiver can be set up to keep more.
	largest   int
	countsAll bool
	raisable  bool
}

// formats are the framings that an admin can choose by settings.format.
func formats(format string) (framing, bool) {
	switch format {
	case "", "single":
		return framing{contentType: "application/json", alone: true, success: successes()}, true
	case "ndjson":
		return framing{contentType: "application/x-ndjson", between: "\n", after: "\n", success: successes()}, true
	case "json_array":
		return framing{contentType: "application/json", before: "[", between: ",", after: "]", success: successes()}, true
	}
	return framing{}, false
}

// preset is what a known log intake wants: where, with which credential, in which form.
type preset struct {
	framing framing
	// path is the intake's, for a URL that has none.
	path string
	// address makes the URL of one with a path or a query; nil leaves both as they are.
	address func(base *url.URL) error
	// authorize puts the token where the intake looks for it.
	authorize func(s *httpSink, token string)
	// tokenRule says where an admin finds the token; empty if the intake can do without one.
	tokenRule string
}

const service = "auditrelay"

// presetNames are those of the function below, in the order that messages name them.
const presetNames = "splunk_hec, datadog, sumo_logic, grafana_loki, new_relic or elastic"

// findPreset knows every preset.
func findPreset(set httpSettings) (preset, bool) {
	switch set.Preset {
	case "splunk_hec":
		return splunk(set.Index), true
	case "datadog":
		return datadog(), true
	case "sumo_logic":
		return sumo(), true
	case "grafana_loki":
		return loki(), true
	case "new_relic":
		return newRelic(), true
	case "elastic":
		return elastic(set.Index, set.WithoutIDs), true
	}
	return preset{}, false
}

// datadog is the v2 log intake (https://docs.datadoghq.com/api/latest/logs/#send-logs): at most 1,000 logs a request, which no max_batch exceeds, and
// of one log 1 MB, beyond which it cuts and answers 202 all the same. The event's time stays inside the message: a log that was retried for over 18
// hours would be refused for a timestamp of its own.
func datadog() preset {
	return preset{
		path:      "/api/v2/logs",
		tokenRule: "is an API key (Organization Settings, API Keys)",
		authorize: func(s *httpSink, token string) { s.header["Dd-Api-Key"] = []string{token} },
		framing: framing{
			contentType: "application/json", before: "[", between: ",", after: "]", quotes: true, close: "}",
			around: 80, largest: 1_000_000, countsAll: true,
			success: []int{http.StatusOK, http.StatusAccepted}, // 200 is version 1's
			open: func(dst []byte, _ *outgoing) []byte {
				return append(dst, `{"ddsource":"`+service+`","service":"`+service+`","message":`...)
			},
		},
	}
}

// sumo is an HTTP Logs and Metrics source: a message a line. Its token is the end of the URL that Sumo Logic shows, and so a credential
// (https://www.sumologic.com/help/docs/send-data/hosted-collectors/http-source/logs-metrics/). It answers 200 alone
// (.../http-source/troubleshooting/), and slices a message of over 64 KB into several
// (https://www.sumologic.com/help/docs/search/get-started-with-search/search-basics/search-large-messages/).
func sumo() preset {
	return preset{
		path:      "/receiver/v1/http/",
		tokenRule: "is what stands after /receiver/v1/http/ in the source's URL; settings.url is the part before",
		authorize: func(s *httpSink, token string) { s.url = s.url.JoinPath(url.PathEscape(token)) },
		framing: framing{
			contentType: "application/json", between: "\n", after: "\n",
			largest: 64 << 10, success: []int{http.StatusOK},
		},
	}
}

// loki is the push API (https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs). The time is that of the sending, as a string:
// Loki refuses lines that are over an hour behind the newest of their stream, which retried logs can be. All logs of one Send have the same
// time, so lines that Loki took from a batch of which it refused others are recognised when they come again. It answers 204, or 200 if another store speaks
// its protocol; 260 while the tenant is blocked. Lines over max_line_size, 256 KB by default, are refused or cut
// (https://grafana.com/docs/loki/latest/configure/#limits_config).
func loki() preset {
	return preset{
		path:      "/loki/api/v1/push",
		authorize: func(s *httpSink, token string) { s.header["Authorization"] = []string{"Bearer " + token} },
		framing: framing{
			contentType: "application/json",
			before:      `{"streams":[{"stream":{"service_name":"` + service + `"},"values":[`, between: ",", after: "]}]}",
			quotes: true, close: "]", around: 40, largest: 256 << 10, raisable: true,
			success: []int{http.StatusOK, http.StatusNoContent},
			open: func(dst []byte, o *outgoing) []byte {
				dst = append(dst, `["`...)
				dst = strconv.AppendInt(dst, o.at.UnixNano(), 10)
				return append(dst, `",`...)
			},
		},
	}
}

// newRelic is the Log API in its detailed form (https://docs.newrelic.com/docs/logs/log-api/introduction-log-api/). The event's time stays inside
// the message, since New Relic drops logs whose timestamp is over 48 hours old. It answers 202, and keeps 128,000 bytes of a message
// (https://docs.newrelic.com/docs/logs/ui-data/long-logs-blobs/).
func newRelic() preset {
	return preset{
		path:      "/log/v1",
		tokenRule: "is a license key (API keys, type Ingest - License)",
		authorize: func(s *httpSink, token string) { s.header["Api-Key"] = []string{token} },
		framing: framing{
			contentType: "application/json",
			before:      `[{"common":{"attributes":{"service.name":"` + service + `","logtype":"` + service + `"}},"logs":[`, between: ",", after: "]}]",
			quotes: true, close: "}", around: 20, largest: 128_000,
			success: []int{http.StatusOK, http.StatusAccepted},
			open:    func(dst []byte, _ *outgoing) []byte { return append(dst, `{"message":`...) },
		},
	}
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
	p, known := findPreset(set)
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
	if p.address != nil {
		if err := p.address(base); err != nil {
			return err
		}
	} else if strings.Trim(base.Path, "/") == "" {
		base.Path, base.RawPath = p.path, ""
	}
	if set.WithoutIDs && set.Preset != "elastic" {
		return invalid("settings.without_ids", "belongs to the preset elastic")
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
