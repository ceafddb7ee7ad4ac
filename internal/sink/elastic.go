package sink

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/internal/failure"
)

// elastic is the bulk API on a data stream (https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk). Documents are created
// under an id of their own, so that a repeated one is answered with 409, which is success. Its answer speaks of each log.
//
// Time series and vector collections of Amazon OpenSearch Serverless make the ids themselves and refuse one that is given
// (https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-genref.html); withoutIDs sends none.
func elastic(index string, withoutIDs bool) preset {
	return preset{
		address:   func(base *url.URL) error { return bulkAddress(base, index) },
		authorize: func(s *httpSink, token string) { s.header["Authorization"] = []string{"ApiKey " + token} },
		framing: framing{
			contentType: "application/x-ndjson", between: "\n", after: "\n", success: []int{http.StatusOK},
			verdict: elasticVerdict, close: "}", around: 200,
			open: func(dst []byte, o *outgoing) []byte {
				if withoutIDs {
					dst = append(dst, `{"create":{}}`+"\n"...)
				} else {
					dst = append(dst, `{"create":{"_id":"`+o.identity+`"}}`+"\n"...)
				}
				occurred := o.doc.OccurredAt()
				if occurred == "" {
					occurred = o.at.UTC().Format(time.RFC3339Nano)
				}
				return append(dst, `{"@timestamp":"`+occurred+`","event":{"kind":"event","dataset":"`+service+`"},"`+service+`":`...)
			},
		},
	}
}

const (
	bulkEnd = "/_bulk"
	// onlyStatus has the answer come without a copy of every id.
	onlyStatus = "filter_path=errors,items.*.status"
)

// bulkAddress completes a URL: its path leads to Elastic, behind a proxy for example, or to the bulk API of an index.
func bulkAddress(base *url.URL, index string) error {
	path := strings.TrimSuffix(base.Path, "/")
	if !strings.HasSuffix(path, bulkEnd) {
		if index == "" {
			index = "logs-" + service + "-default"
		}
		base.Path, base.RawPath = path+"/"+index+bulkEnd, ""
	} else if index != "" {
		return invalid("settings.index", "cannot be used with a URL that ends in /_bulk; give the URL without /<index>/_bulk")
	}
	switch query := base.Query(); {
	case base.RawQuery == "":
		base.RawQuery = onlyStatus
	case !query.Has("filter_path"):
		base.RawQuery += "&" + onlyStatus
	}
	return nil
}

// elasticVerdict reads the answer to a bulk request.
func elasticVerdict(answer []byte, logs []*outgoing) (*receipt, error) {
	var bulk struct {
		Errors *bool `json:"errors"`
		Items  []struct {
			Create struct {
				Status int `json:"status"`
			} `json:"create"`
		} `json:"items"`
	}
	if err := json.Unmarshal(answer, &bulk); err != nil || bulk.Errors == nil || *bulk.Errors && len(bulk.Items) != len(logs) {
		return nil, unexpected("the answer is not that of a bulk request")
	}
	for i, log := range logs {
		log.err = nil
		if !*bulk.Errors {
			continue
		}
		status := bulk.Items[i].Create.Status
		if status < 100 || status > 599 { // no status, so whatever the receiver likes to say
			return nil, unexpected("the answer is not that of a bulk request")
		}
		if status/100 != 2 && status != http.StatusConflict {
			log.err = &failure.Error{Code: statusCode(status), Detail: "HTTP " + strconv.Itoa(status) + " for this log in a bulk request"}
		}
	}
	return nil, nil
}
