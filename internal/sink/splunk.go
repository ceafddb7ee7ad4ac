package sink

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/auditrelay/auditrelay/internal/failure"
)

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
			contentType: "application/json", between: "\n", close: "}", around: 60 + len(tail), success: []int{http.StatusOK},
			open: func(dst []byte, o *outgoing) []byte {
				at := o.at
				if t, err := time.Parse(time.RFC3339, o.doc.OccurredAt()); err == nil {
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

// The codes of the collector's answers
// (https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector, "Possible error codes").
const (
	hecSuccess         = 0
	hecTokenDisabled   = 1
	hecTokenRequired   = 2
	hecInvalidAuth     = 3
	hecInvalidToken    = 4
	hecInvalidFormat   = 6
	hecIncorrectIndex  = 7
	hecServerError     = 8
	hecBusy            = 9
	hecChannelMissing  = 10
	hecChannelInvalid  = 11
	hecEventRequired   = 12
	hecEventBlank      = 13
	hecAckDisabled     = 14
	hecIndexedFields   = 15
	hecQueryAuth       = 16
	hecUnhealthyFirst  = 18
	hecUnhealthyLast   = 20
	hecTokenUnknown    = 21
	hecTokenOff        = 22
	hecShuttingDown    = 23
	hecQueueNearlyFull = 24 // and 25, of acknowledgements: with 200, so the logs were taken
	hecAcksNearlyFull  = 25
)

// hecAnswer is what the collector answers.
type hecAnswer struct {
	Code    *int   `json:"code"`
	AckID   *int64 `json:"ackId"`
	Invalid *int   `json:"invalid-event-number"`
}

// collectorChannel is the sink's side of indexer acknowledgement
// (https://docs.splunk.com/Documentation/Splunk/latest/Data/AboutHECIDXAck): each request names a channel, which tokens without
// acknowledgement take too, and an answer that holds a number is no success before the channel says so of that number.
type collectorChannel struct {
	// acks is where the channel is asked.
	acks *url.URL
	// wanted says that the token has given a number before.
	wanted atomic.Bool
}

const channelHeader = "X-Splunk-Request-Channel"

// openChannel has the sink name a channel: the admin's, or one of its own.
func (s *httpSink) openChannel() {
	if s.header.Get(channelHeader) == "" {
		s.header[channelHeader] = []string{guid()}
	}
	acks := *s.url
	acks.RawQuery = "channel=" + url.QueryEscape(s.header.Get(channelHeader))
	const collector = "/services/collector"
	before, _, found := strings.Cut(acks.Path, collector)
	if !found {
		before = strings.TrimSuffix(before, "/")
	}
	acks.Path, acks.RawPath = before+collector+"/ack", ""
	s.hec = &collectorChannel{acks: &acks}
	s.framing.verdict = s.hec.verdict
	s.framing.refusal = s.hec.refusal
}

// guid is a random one (RFC 9562, version 4).
func guid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// verdict reads an answer with the status 200.
func (c *collectorChannel) verdict(answer []byte, logs []*outgoing) (*receipt, error) {
	var said hecAnswer
	if json.Unmarshal(answer, &said) != nil || said.Code == nil {
		return nil, unexpected("HTTP 200, and not the collector's answer")
	}
	switch *said.Code {
	case hecSuccess, hecQueueNearlyFull, hecAcksNearlyFull:
		if said.AckID == nil {
			return nil, nil
		}
		c.wanted.Store(true)
		return &receipt{ack: *said.AckID}, nil
	}
	f := unexpected("HTTP 200")
	return nil, c.judge(said, f)
}

// refusal reads an answer with another status.
func (c *collectorChannel) refusal(answer []byte, f *failure.Error) error {
	var said hecAnswer
	if json.Unmarshal(answer, &said) != nil || said.Code == nil {
		return f
	}
	return c.judge(said, f)
}

// judge corrects the failure that the status says by the collector's code. What the status of a code says already is left out.
func (c *collectorChannel) judge(said hecAnswer, f *failure.Error) error {
	var code failure.Code
	why := ""
	switch n := *said.Code; {
	case n == hecTokenDisabled, n == hecTokenOff:
		code, why = failure.HTTPForbidden, "the token is disabled"
	case n == hecInvalidToken:
		code, why = failure.HTTPForbidden, "the token is not known"
	case n == hecTokenRequired, n == hecInvalidAuth, n == hecTokenUnknown:
		code, why = failure.HTTPUnauthorized, "the token is not known"
	case n == hecQueryAuth:
		code, why = failure.HTTPUnauthorized, "the token must not stand in the URL"
	case n == hecIncorrectIndex:
		code, why = failure.ConfigInvalid, "the index does not exist, or the token may not write to it"
	case n == hecChannelMissing, n == hecChannelInvalid:
		code, why = failure.ConfigInvalid, "the header "+channelHeader+" must be a GUID"
	case n == hecAckDisabled:
		code, why = failure.ConfigInvalid, "the token has no indexer acknowledgement, and was asked for it"
	case n == hecServerError, n == hecBusy, n >= hecUnhealthyFirst && n <= hecUnhealthyLast, n == hecShuttingDown:
		code, why = failure.HTTPServerError, "it is busy, or ends"
	case n == hecInvalidFormat, n == hecEventRequired, n == hecEventBlank, n == hecIndexedFields:
		code = failure.HTTPLogRefused
		if said.Invalid != nil {
			f.Code = code
			return &culprit{at: *said.Invalid, failure: f, confirmed: !c.wanted.Load()}
		}
	default:
		return f
	}
	f.Code = code
	if why != "" {
		f.Detail += ", Splunk " + strconv.Itoa(*said.Code) + ": " + why
	}
	return f
}

// The pauses before the channel is asked: indexing takes some seconds.
const (
	firstAck = 250 * time.Millisecond
	lastAck  = 2 * time.Second
)

// confirm waits until the logs of a request are indexed, at most the time that a request may take. It holds no body meanwhile. A number that the
// channel does not confirm in that time fails its logs, and they are sent again: an acknowledgement that was lost costs a second copy.
func (s *httpSink) confirm(ctx context.Context, r receipt) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	unconfirmed := &failure.Error{Code: failure.HTTPUnconfirmed, Detail: "indexing was not acknowledged in " + s.timeout.String()}
	for wait := firstAck; ; wait = min(2*wait, lastAck) {
		select {
		case <-ctx.Done():
			return unconfirmed
		case <-time.After(wait):
		}
		indexed, err := s.askAck(ctx, r.ack)
		if err != nil && failure.Find(failure.Of(err).Code).Class == failure.Connection {
			return err
		}
		if indexed {
			return nil
		}
	}
}

// askAck asks the channel for one number.
func (s *httpSink) askAck(ctx context.Context, ack int64) (indexed bool, err error) {
	header := s.requestHeader()
	header.Del("Content-Encoding")
	resp, err := s.transport.RoundTrip(post(ctx, s.hec.acks, header, fmt.Appendf(nil, `{"acks":[%d]}`, ack)))
	if err != nil {
		return false, unanswered(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := value(resp.Body)
	if err != nil {
		return false, unanswered(err)
	}
	if resp.StatusCode != http.StatusOK {
		return false, s.hec.refusal(answer, s.statusError(resp))
	}
	var said struct {
		Acks map[string]bool `json:"acks"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return false, unexpected("the answer is not that of an acknowledgement")
	}
	return said.Acks[strconv.FormatInt(ack, 10)], nil
}
