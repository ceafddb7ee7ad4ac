package sinktest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// Intake is the intake of a product, scripted by its documentation: it takes requests in its form and with its token only, answers as it does, and keeps
// of a log what it keeps. The functions below name their sources. It is an http.Handler, and safe for concurrent use.
type Intake struct {
	answer func(i *Intake, r *http.Request, body []byte) (status int, answer string)

	mu       sync.Mutex
	held     map[string]map[string]int // by id and text
	requests int
	polls    map[string]int // how often Splunk was asked for a number
	sent     int            // requests that Splunk has numbered
}

// CutLog is the key under which Held counts logs of which an intake kept a part alone.
const CutLog = "cut"

// ServeHTTP implements http.Handler.
func (i *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, "no gzip", http.StatusBadRequest)
			return
		}
		in = unzipped
	}
	body, err := io.ReadAll(in)
	if err != nil {
		http.Error(w, "no body", http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	i.requests++
	status, answer := i.answer(i, r, body)
	i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if status != http.StatusNoContent {
		_, _ = io.WriteString(w, answer)
	}
}

// Held gives how many copies of each log are kept whole, by id, and under CutLog how many in part.
func (i *Intake) Held() map[string]int {
	i.mu.Lock()
	defer i.mu.Unlock()
	copies := make(map[string]int, len(i.held))
	for id, texts := range i.held {
		for _, n := range texts {
			copies[id] += n
		}
	}
	return copies
}

// Different gives how many different logs are kept of each id.
func (i *Intake) Different() map[string]int {
	i.mu.Lock()
	defer i.mu.Unlock()
	different := make(map[string]int, len(i.held))
	for id, texts := range i.held {
		different[id] = len(texts)
	}
	return different
}

// Requests counts the requests.
func (i *Intake) Requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests
}

// keep keeps up to most bytes of a log's text, 0 for all. distinct says that a second copy is known for what it is.
func (i *Intake) keep(text string, most int, distinct bool) {
	if most > 0 && len(text) > most {
		text = text[:most]
	}
	var log struct {
		ID string `json:"id"`
	}
	if json.Unmarshal([]byte(text), &log) != nil {
		log.ID = CutLog
	}
	if i.held == nil {
		i.held = make(map[string]map[string]int)
	}
	if i.held[log.ID] == nil {
		i.held[log.ID] = make(map[string]int)
	}
	if i.held[log.ID][text] == 0 || !distinct {
		i.held[log.ID][text]++
	}
}

// SplunkCollector is how a collector is set up.
type SplunkCollector struct {
	Token string
	// Acks says that the token has indexer acknowledgement, and Polls how often a number is asked for until it is indexed; below zero it never is.
	Acks  bool
	Polls int
	// Bad are the ids of events whose format it refuses.
	Bad map[string]bool
	// Code is what it answers to everything, with Status, unless Status is 0.
	Status, Code int
}

// Intake is Splunk's HTTP Event Collector. It reads events in their order up to the first that it refuses, keeps those before it, and names it
// (https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector; splunk-connect-for-kubernetes#48). A token with indexer
// acknowledgement wants a channel, and gives a number for each request that the channel is asked for until it is indexed; a number that was confirmed
// is forgotten (https://docs.splunk.com/Documentation/Splunk/latest/Data/AboutHECIDXAck).
func (c SplunkCollector) Intake() *Intake {
	says := func(status, code int, more string) (int, string) {
		return status, fmt.Sprintf(`{"text":"as documented","code":%d%s}`, code, more)
	}
	return &Intake{polls: make(map[string]int), answer: func(i *Intake, r *http.Request, body []byte) (int, string) {
		channel := r.Header.Get("X-Splunk-Request-Channel")
		switch {
		case c.Status != 0:
			return says(c.Status, c.Code, "")
		case r.Header.Get("Authorization") == "":
			return says(401, 2, "")
		case r.Header.Get("Authorization") != "Splunk "+c.Token:
			return says(403, 4, "")
		case c.Acks && channel == "":
			return says(400, 10, "")
		case channel != "" && len(channel) != 36:
			return says(400, 11, "")
		case strings.HasSuffix(r.URL.Path, "/services/collector/ack"):
			return c.acks(i, channel, body)
		case !strings.HasSuffix(r.URL.Path, "/services/collector/event"):
			return 404, "Not Found"
		}
		in := json.NewDecoder(strings.NewReader(string(body)))
		for n := 0; ; n++ {
			var e struct{ Event json.RawMessage }
			if err := in.Decode(&e); err != nil {
				break
			}
			var log struct{ ID string }
			_ = json.Unmarshal(e.Event, &log)
			if c.Bad[log.ID] {
				return says(400, 6, fmt.Sprintf(`,"invalid-event-number":%d`, n))
			}
			i.keep(string(e.Event), 0, false)
		}
		if !c.Acks {
			return says(200, 0, "")
		}
		i.sent++
		return says(200, 0, fmt.Sprintf(`,"ackId":%d`, i.sent-1))
	}}
}

// acks answers the channel's question.
func (c SplunkCollector) acks(i *Intake, channel string, body []byte) (int, string) {
	if !c.Acks {
		return 400, `{"text":"ACK is disabled","code":14}`
	}
	var asked struct{ Acks []int64 }
	if err := json.Unmarshal(body, &asked); err != nil {
		return 400, `{"text":"Invalid data format","code":6}`
	}
	acks := make(map[string]bool)
	for _, id := range asked.Acks {
		key := channel + " " + strconv.FormatInt(id, 10)
		i.polls[key]++
		acks[strconv.FormatInt(id, 10)] = c.Polls >= 0 && i.polls[key] == c.Polls+1
	}
	text, err := json.Marshal(map[string]any{"acks": acks})
	if err != nil {
		panic("sinktest: " + err.Error()) // strings and truths
	}
	return 200, string(text)
}

// Datadog is the log intake: it cuts a log over 1 MB and answers 202 all the same (https://docs.datadoghq.com/api/latest/logs/#send-logs).
func Datadog(key string) *Intake {
	return &Intake{answer: func(i *Intake, r *http.Request, body []byte) (int, string) {
		var logs []json.RawMessage
		switch {
		case r.Header.Get("Dd-Api-Key") != key:
			return 403, `{"errors":[{"status":"403","title":"Forbidden"}]}`
		case r.URL.Path != "/api/v2/logs" || json.Unmarshal(body, &logs) != nil:
			return 400, `{"errors":[{"status":"400"}]}`
		case len(body) > 5_000_000 || len(logs) > 1000:
			return 413, `{"errors":[{"status":"413"}]}`
		}
		for _, raw := range logs {
			var log struct{ Message string }
			_ = json.Unmarshal(raw, &log)
			i.keep(log.Message, len(log.Message)-max(0, len(raw)-1_000_000), false)
		}
		return 202, `{}`
	}}
}

// NewRelic is the Log API: it keeps 128,000 bytes of a message and answers 202
// (https://docs.newrelic.com/docs/logs/log-api/introduction-log-api/, https://docs.newrelic.com/docs/logs/ui-data/long-logs-blobs/).
func NewRelic(key string) *Intake {
	return &Intake{answer: func(i *Intake, r *http.Request, body []byte) (int, string) {
		var groups []struct{ Logs []struct{ Message string } }
		switch {
		case r.Header.Get("Api-Key") != key:
			return 403, `{}`
		case r.URL.Path != "/log/v1" || json.Unmarshal(body, &groups) != nil:
			return 400, `{}`
		case len(body) > 1_000_000:
			return 413, `{}`
		}
		for _, g := range groups {
			for _, log := range g.Logs {
				i.keep(log.Message, 128_000, false)
			}
		}
		return 202, `{"requestId":"f0e7bfff-001a-b000-0000-01682bcf4565"}`
	}}
}

// SumoLogic is an HTTP source: it slices a message of over 64 KB into several and answers 200 without a body
// (https://www.sumologic.com/help/docs/send-data/hosted-collectors/http-source/troubleshooting/,
// https://www.sumologic.com/help/docs/search/get-started-with-search/search-basics/search-large-messages/).
func SumoLogic(token string) *Intake {
	return &Intake{answer: func(i *Intake, r *http.Request, body []byte) (int, string) {
		if r.URL.Path != "/receiver/v1/http/"+token {
			return 401, ""
		}
		for line := range strings.Lines(string(body)) {
			i.keep(strings.TrimSuffix(line, "\n"), 64<<10, false)
		}
		return 200, ""
	}}
}

// LokiPush is how a Loki is set up.
type LokiPush struct {
	Token string
	// Blocked says that the tenant's ingestion is blocked, and Truncates that max_line_size_truncate is on.
	Blocked, Truncates bool
}

// Intake is the push API: it answers 204, 260 while it drops everything, and 400 for lines over max_line_size, keeping the others
// (https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs, https://grafana.com/docs/loki/latest/configure/). A line that comes
// again with its time is known.
func (l LokiPush) Intake() *Intake {
	const maxLine = 256 << 10
	return &Intake{answer: func(i *Intake, r *http.Request, body []byte) (int, string) {
		var push struct {
			Streams []struct{ Values [][2]string }
		}
		switch {
		case r.Header.Get("Authorization") != "Bearer "+l.Token:
			return 401, "authentication error"
		case r.URL.Path != "/loki/api/v1/push" || json.Unmarshal(body, &push) != nil:
			return 400, "loghttp.PushRequest"
		case l.Blocked:
			return 260, "ingestion blocked for user acme until '2026-12-01T00:00:00Z' with status code '260'"
		}
		status := http.StatusNoContent
		for _, s := range push.Streams {
			for _, v := range s.Values {
				if len(v[1]) > maxLine && !l.Truncates {
					status = http.StatusBadRequest
					continue
				}
				i.keep(v[1], maxLine, true)
			}
		}
		return status, "max entry size exceeded"
	}}
}

// ElasticBulk is how an Elastic, or a relative, is set up.
type ElasticBulk struct {
	Key string
	// Path is that of its bulk API, /<index>/_bulk behind whatever stands before it.
	Path string
	// NoIDs refuses documents with an id, as time series collections of OpenSearch Serverless do.
	NoIDs bool
	// Refuse are the statuses of documents that it refuses, by log id.
	Refuse map[string]int
	// Whole has it answer with all of each item, whatever the request asks for.
	Whole bool
}

// Intake is the bulk API: 200, and in the answer a status for each document (https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk).
func (e ElasticBulk) Intake() *Intake {
	ids := make(map[string]bool)
	return &Intake{answer: func(i *Intake, r *http.Request, body []byte) (int, string) {
		switch {
		case r.Header.Get("Authorization") != "ApiKey "+e.Key:
			return 401, `{"error":{"type":"security_exception"},"status":401}`
		case r.URL.Path != e.Path:
			return 405, `{"error":"Incorrect HTTP method","status":405}`
		}
		var items []string
		failed := false
		lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
		for n := 0; n+1 < len(lines); n += 2 {
			status := e.take(i, ids, lines[n], lines[n+1])
			failed = failed || status >= 300
			more := ""
			if e.Whole || !r.URL.Query().Has("filter_path") {
				more = `"_index":".ds-logs-auditrelay-default-2026.11.28-000001","_id":"` + strings.Repeat("x", 60) + `","_version":1,"result":"created",` +
					`"_shards":{"total":2,"successful":1,"failed":0},"_seq_no":1234567,"_primary_term":1,`
			}
			items = append(items, fmt.Sprintf(`{"create":{%s"status":%d}}`, more, status))
		}
		return 200, fmt.Sprintf(`{"errors":%t,"items":[%s]}`, failed, strings.Join(items, ","))
	}}
}

// take creates one document.
func (e ElasticBulk) take(i *Intake, ids map[string]bool, action, document string) (status int) {
	var create struct {
		Create *struct {
			ID *string `json:"_id"`
		} `json:"create"`
	}
	var doc struct{ Auditrelay json.RawMessage }
	if json.Unmarshal([]byte(action), &create) != nil || create.Create == nil || json.Unmarshal([]byte(document), &doc) != nil {
		return 400
	}
	var log struct{ ID string }
	_ = json.Unmarshal(doc.Auditrelay, &log)
	id := create.Create.ID
	switch {
	case e.Refuse[log.ID] != 0:
		return e.Refuse[log.ID]
	case id != nil && e.NoIDs:
		return 400
	case id != nil && ids[*id]:
		return 409
	case id != nil:
		ids[*id] = true
	}
	i.keep(string(doc.Auditrelay), 0, false)
	return 201
}
