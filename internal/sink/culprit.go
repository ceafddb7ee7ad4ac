package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// culprit is the answer of a receiver that reads logs in their order and stops at the first that it refuses: it has
// taken those before it and looked at none after it.
type culprit struct {
	at      int
	failure *failure.Error
	// confirmed says that those before it are taken for good.
	confirmed bool
}

// Error gives the refused log's failure.
func (c *culprit) Error() string { return c.failure.Error() }

// Unwrap gives it too.
func (c *culprit) Unwrap() error { return c.failure }

// sendBatch hands over one batch. If the receiver says which log it refuses, the logs after it follow in another
// request; if it only says that it refuses one, the batch is searched for it.
func (s *httpSink) sendBatch(ctx context.Context, batch []*outgoing) []delivery.Result {
	results := make([]delivery.Result, 0, len(batch))
	var taken, refused int
	for requests := 0; len(results) < len(batch); requests++ {
		rest := batch[len(results):]
		if ctx.Err() != nil || requests == maxRequests {
			return append(results, sameResult(len(rest), delivery.Result{Err: delivery.ErrNotTried})...)
		}
		begun := time.Now() // a stopwatch: no decision hangs on it
		err := s.send(ctx, rest)
		took := time.Since(begun)
		c, named := errors.AsType[*culprit](err)
		if !named {
			results = append(results, s.search(ctx, rest, err, took)...)
			break
		}
		if c.confirmed {
			results = append(results, sameResult(c.at, delivery.Result{Took: took})...)
		} else if c.at > 0 {
			results = append(results, s.sendBatch(ctx, rest[:c.at])...)
		}
		results = append(results, delivery.Result{Err: c.failure, Took: took})
		taken, refused = taken+c.at, refused+1
		if taken == 0 && refused == manyRefused { // it refuses whatever comes
			err := hopelessly(failure.HTTPUnexpectedReply, c.failure)
			return sameResult(len(batch), delivery.Result{Err: err, Took: took})
		}
	}
	for i := range results {
		if results[i].Err == nil {
			results[i].Err = batch[i].err
		}
	}
	return results
}

// search gives the results of a batch whose first request has ended with err, looking for the culprits if it was refused for one log's sake.
func (s *httpSink) search(ctx context.Context, batch []*outgoing, err error, took time.Duration) []delivery.Result {
	if err == nil || len(batch) == 1 || !ofLog(err) {
		return sameResult(len(batch), delivery.Result{Err: err, Took: took})
	}
	first := true
	return sendSearching(ctx, batch, failure.HTTPUnexpectedReply, func(ctx context.Context, part []*outgoing) error {
		if first {
			first = false
			return err
		}
		err := s.send(ctx, part)
		if c, named := errors.AsType[*culprit](err); named {
			return c.failure
		}
		return err
	})
}

// fitting gives the log in a size that the receiver keeps whole: as it is, or without its lines if the destination says so. Receivers take larger ones,
// cut them and say nothing. The error is a *failure.Error, or ErrNotTried.
func (s *httpSink) fitting(ctx context.Context, doc auditlog.Document) (auditlog.Document, error) {
	if s.largest == 0 || s.kept(doc) <= s.largest {
		return doc, nil
	}
	refused := &failure.Error{
		Code:   failure.HTTPLogTooLarge,
		Detail: fmt.Sprintf("not sent: the log has %d bytes, and the receiver keeps %d of one", s.kept(doc), s.largest),
	}
	if !s.shorten {
		return doc, refused
	}
	leave, err := s.room.take(ctx, s.owner, len(doc.JSON))
	if err != nil {
		return doc, err
	}
	defer leave()
	shorter, err := doc.WithoutLines()
	if err != nil || s.kept(shorter) > s.largest {
		return doc, refused
	}
	return shorter, nil
}

// kept is how many bytes of a log the receiver counts: of the message, or of all that it gets.
func (s *httpSink) kept(doc auditlog.Document) int {
	if s.framing.countsAll {
		return s.itemSize(doc)
	}
	return s.template.Size(doc)
}
