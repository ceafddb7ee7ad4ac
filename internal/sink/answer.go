package sink

import (
	"context"
	"io"
	"net/http"

	"golang.org/x/oauth2"
)

// maxAnswer is how many bytes are read of an answer's body, unless its request asks for more with withAnswer. Errors and tokens of every service are
// shorter; the body of a longer answer ends here, and its connection is closed.
const maxAnswer = 64 << 10

// answerKey is the key of a request's own limit in its context.
type answerKey struct{}

// withAnswer has up to limit bytes read of the answers to the requests that are made with the context.
func withAnswer(ctx context.Context, limit int) context.Context {
	return context.WithValue(ctx, answerKey{}, limit)
}

// maxTokenAnswer bounds what a token endpoint answers. A sink keeps its last answer, and an environment 10,000 sinks.
const maxTokenAnswer = 16 << 10

// forToken has golang.org/x/oauth2 ask for a token by way of client.
func forToken(ctx context.Context, client *http.Client) context.Context {
	return context.WithValue(withAnswer(ctx, maxTokenAnswer), oauth2.HTTPClient, client)
}

// bounded bounds what a receiver can make this process read, whoever reads it: SDKs and token libraries read an answer to its end. The transport below
// bounds the header (MaxResponseHeaderBytes) and unzips nothing; the request's context bounds the time.
type bounded struct{ next *http.Transport }

// RoundTrip implements http.RoundTripper. A body over the limit ends at it without an error, so that its reader judges the answer by the status
// and by what it holds: what is cut off JSON or XML is no longer either.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	limit, ok := r.Context().Value(answerKey{}).(int)
	if !ok {
		limit = maxAnswer
	}
	if answer.ContentLength > int64(limit) {
		answer.ContentLength = -1 // what is read may be shorter, and a reader may make room for it beforehand
	}
	answer.Body = boundedBody{io.LimitReader(answer.Body, int64(limit)), answer.Body}
	return answer, nil
}

// boundedBody ends early.
type boundedBody struct {
	io.Reader
	whole io.Closer
}

// Close closes the connection of what was not read. That it failed says nothing of the answer, and some SDKs would make it the request's failure.
func (b boundedBody) Close() error {
	_ = b.whole.Close()
	return nil
}
