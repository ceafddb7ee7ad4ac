package sink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// httpSink posts logs to a URL. Whatever is the same for every request is made once, in newHTTP.
type httpSink struct {
	url       *url.URL
	header    http.Header
	framing   framing
	maxBatch  int
	parallel  int
	timeout   time.Duration
	template  auditlog.Template
	zippers   *sync.Pool // of *gzip.Writer; nil for no compression
	signers   []*standardwebhooks.Webhook
	tokens    *tokens // nil unless the destination uses OAuth
	room      *Room
	owner     string
	transport http.RoundTripper
	now       func() time.Time
	doubt     doubt
	// largest is how many bytes one log may have at the receiver, 0 for any number; shorten says what becomes of larger ones.
	largest int
	shorten bool
	hec     *collectorChannel // nil unless the receiver is Splunk's collector
}

// outgoing is a log on its way. Its item, what goes into the body, is made with the body.
type outgoing struct {
	doc auditlog.Document
	// identity is that of the log as it came, be it shortened for the receiver.
	identity string
	at       time.Time
	// size is how many bytes the item has at most.
	size int
	// err is why the receiver refused this log within a request that it took.
	err error
}

// Send posts logs, each alone or in batches, several requests beside each other.
func (s *httpSink) Send(ctx context.Context, logs []auditlog.Document) []delivery.Result {
	results := s.sendAll(ctx, logs)
	s.doubt.judge(logs, results)
	return results
}

func (s *httpSink) sendAll(ctx context.Context, logs []auditlog.Document) []delivery.Result {
	results := make([]delivery.Result, len(logs))
	at := s.now()
	var out []*outgoing
	var places []int // in results
	for i, log := range logs {
		doc, err := s.fitting(ctx, log)
		if err != nil {
			results[i].Err = err
			continue
		}
		out, places = append(out, &outgoing{doc: doc, identity: log.Identity(), at: at, size: s.itemSize(doc)}), append(places, i)
	}
	parts := s.batches(out)
	inParallel(len(parts), s.parallel, func(i int) {
		p := parts[i]
		for j, result := range s.sendBatch(ctx, out[p.from:p.to]) {
			results[places[p.from+j]] = result // no two parts share a log
		}
	})
	return results
}

// itemSize is how many bytes a log takes in a body at most.
func (s *httpSink) itemSize(doc auditlog.Document) int {
	size := s.template.Size(doc)
	switch {
	case s.framing.quotes && s.template.IsZero():
		size = auditlog.EscapedSize(doc.JSON)
	case s.framing.quotes:
		size *= 2 // a message is JSON on one line, in which nothing takes more when it is escaped
	}
	if s.framing.open != nil {
		size += s.framing.around + len(doc.WorkspaceID) + len(doc.ID)
	}
	return size
}

// appendItem makes of a log what goes into the body.
func (s *httpSink) appendItem(dst []byte, o *outgoing) []byte {
	f := s.framing
	if f.open != nil {
		dst = f.open(dst, o)
	}
	switch {
	case !f.quotes:
		dst = s.template.Append(dst, o.doc, o.at)
	case s.template.IsZero():
		dst = quoted(dst, o.doc.JSON)
	default:
		dst = quoted(dst, s.template.Append(nil, o.doc, o.at))
	}
	return append(dst, f.close...)
}

// maxBody is the most bytes in a request of several logs, before compression: every intake takes that much. A larger log goes alone.
const maxBody = 1_000_000

// span is a part of the logs: from inclusive, to exclusive.
type span struct{ from, to int }

func (s *httpSink) batches(out []*outgoing) []span {
	var batches []span
	frame := len(s.framing.before) + len(s.framing.after)
	from, size := 0, frame
	for i, o := range out {
		more := o.size + len(s.framing.between)
		if i > from && (s.framing.alone || i-from == s.maxBatch || size+more > maxBody) {
			batches = append(batches, span{from, i})
			from, size = i, frame
		}
		size += more
	}
	if from < len(out) {
		batches = append(batches, span{from, len(out)})
	}
	return batches
}

// send hands logs over in one request, and waits until the receiver has confirmed them if it wants to be asked. The error is a *failure.Error, a
// *culprit, or ErrNotTried if there was no room for the request in time.
func (s *httpSink) send(ctx context.Context, logs []*outgoing) error {
	got, err := s.exchange(ctx, logs)
	if err != nil || got == nil {
		return err
	}
	return s.confirm(ctx, *got)
}

// exchange makes and sends one request.
func (s *httpSink) exchange(ctx context.Context, logs []*outgoing) (*receipt, error) {
	leave, err := s.room.take(ctx, s.owner, s.need(logs))
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	body, err := s.body(logs)
	if err != nil {
		return nil, err
	}
	header := s.requestHeader()
	if err := s.sign(header, messageID(logs), body); err != nil {
		return nil, err
	}
	if s.tokens == nil {
		return s.request(ctx, header, body, logs)
	}
	for attempt := 1; ; attempt++ {
		token, err := s.tokens.get(ctx)
		if err != nil {
			return nil, err
		}
		header["Authorization"] = []string{"Bearer " + token}
		got, err := s.request(ctx, header, body, logs)
		if err == nil || failure.Of(err).Code != failure.HTTPUnauthorized || attempt == 2 {
			return got, err
		}
		s.tokens.drop(token) // it may have been revoked before its time
	}
}

// need is how much memory a request takes at most: its body, the largest message that is made for it, and the answer.
func (s *httpSink) need(logs []*outgoing) int {
	need := maxAnswer
	if s.framing.verdict != nil {
		need += itemAnswer * len(logs)
	}
	if s.bare(logs) {
		return need
	}
	largest := 0
	for _, o := range logs {
		need += o.size + len(s.framing.between)
		largest = max(largest, o.size)
	}
	if s.framing.quotes && !s.template.IsZero() || s.zippers != nil {
		need += largest
	}
	if s.zippers != nil {
		need += zipperSize
	}
	return need
}

// zipperSize is how many bytes a writer of the pool takes.
const zipperSize = 1 << 20

// bare says whether the body is a document as it is, which nothing is made of.
func (s *httpSink) bare(logs []*outgoing) bool {
	f := s.framing
	return len(logs) == 1 && f.before+f.after == "" && f.open == nil && !f.quotes && s.template.IsZero() && s.zippers == nil
}

// body puts the logs together.
func (s *httpSink) body(logs []*outgoing) ([]byte, error) {
	if s.bare(logs) {
		return logs[0].doc.JSON, nil
	}
	if s.zippers != nil {
		return s.zipped(logs)
	}
	size := len(s.framing.before) + len(s.framing.after)
	for _, o := range logs {
		size += o.size + len(s.framing.between)
	}
	body := append(make([]byte, 0, size), s.framing.before...)
	for i, o := range logs {
		if i > 0 {
			body = append(body, s.framing.between...)
		}
		body = s.appendItem(body, o)
	}
	return append(body, s.framing.after...), nil
}

// zipped puts the logs together compressed, one item at a time.
func (s *httpSink) zipped(logs []*outgoing) ([]byte, error) {
	zipper, ok := s.zippers.Get().(*gzip.Writer)
	if !ok {
		panic("sink: the pool holds something else than writers")
	}
	defer s.zippers.Put(zipper)
	size := 0
	for _, o := range logs {
		size += o.size
	}
	var body bytes.Buffer // takes everything, so nothing written to it fails
	body.Grow(size/4 + 64)
	zipper.Reset(&body)
	_, _ = io.WriteString(zipper, s.framing.before)
	var item []byte
	for i, o := range logs {
		if i > 0 {
			_, _ = io.WriteString(zipper, s.framing.between)
		}
		item = s.appendItem(item[:0], o)
		_, _ = zipper.Write(item)
	}
	_, _ = io.WriteString(zipper, s.framing.after)
	if err := zipper.Close(); err != nil {
		return nil, &failure.Error{Code: failure.Unknown, Err: fmt.Errorf("compress a request: %w", err)}
	}
	return body.Bytes(), nil
}

// messageID is what the receiver recognises a repeated request by: the log's identity, or for a batch a hash of its logs'. It holds no dot, since
// ids are a producer's and dots separate what is signed (Standard Webhooks 1.0.0, "Signature scheme").
func messageID(logs []*outgoing) string {
	if len(logs) == 1 {
		return strings.ReplaceAll(logs[0].identity, ".", "~") // which stands in no identity
	}
	h := sha256.New()
	for _, o := range logs {
		_, _ = io.WriteString(h, o.identity+"\n")
	}
	return "batch-" + hex.EncodeToString(h.Sum(nil)[:16])
}

// requestHeader is a copy of the header that may be added to. The values are shared, since nothing writes to them.
func (s *httpSink) requestHeader() http.Header {
	header := make(http.Header, len(s.header)+4)
	for name, values := range s.header {
		header[name] = values
	}
	return header
}

// request does one round trip. It goes to the transport and not through a client, so redirects are answers like any other.
func (s *httpSink) request(ctx context.Context, header http.Header, body []byte, logs []*outgoing) (*receipt, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.framing.verdict != nil {
		ctx = withAnswer(ctx, maxAnswer+itemAnswer*len(logs))
	}
	resp, err := s.transport.RoundTrip(post(ctx, s.url, header, body))
	if err != nil {
		return nil, unanswered(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return s.reply(resp, cancel, logs)
}

// post makes a request that can be repeated on a new connection.
func post(ctx context.Context, to *url.URL, header http.Header, body []byte) *http.Request {
	return (&http.Request{
		Method:        http.MethodPost,
		URL:           to,
		Host:          to.Host,
		Header:        header,
		ContentLength: int64(len(body)),
		Body:          io.NopCloser(bytes.NewReader(body)),
		GetBody:       func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}).WithContext(ctx)
}
