package sink

import (
	"context"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// sendHalving hands logs over in one request. When the request is refused for one log's sake (a failure of class log) it is sent again in
// halves, until the culprit stands alone and the others are delivered. send answers nil when all its logs were taken; otherwise its error, a
// *failure.Error as a rule, is the failure of each. A log's Took is that of the last request it was part of. Logs whose turn comes after ctx has
// ended are not tried.
func sendHalving[T any](ctx context.Context, logs []T, send func(context.Context, []T) error) []delivery.Result {
	if ctx.Err() != nil {
		return sameResult(len(logs), delivery.Result{Err: delivery.ErrNotTried})
	}
	begun := time.Now() // a stopwatch: no decision hangs on it
	err := send(ctx, logs)
	took := time.Since(begun)
	if err == nil || len(logs) == 1 || !ofLog(err) {
		return sameResult(len(logs), delivery.Result{Err: err, Took: took})
	}
	half := len(logs) / 2
	return append(sendHalving(ctx, logs[:half], send), sendHalving(ctx, logs[half:], send)...)
}

const (
	// maxRequests bounds the requests that one refused batch may cost. One culprit among a hundred takes 15, three take about 40.
	maxRequests = 64
	// manyRefused is how many logs must have been refused alone, while none was taken, to say that the receiver refuses whatever comes.
	manyRefused = 8
)

// sendSearching is sendHalving within both bounds above. After manyRefused, each part that is left is sent once more, whole: the culprits may
// all stand at the beginning of the batch. What is refused then, or was not sent within maxRequests, counts as refused without another request, and
// is tried again at its next time in other company. If none was taken at all, the fault is hardly that of the logs: the failure is hopeless then,
// a code that concerns the connection.
func sendSearching[T any](ctx context.Context, batch []T, hopeless failure.Code, send func(context.Context, []T) error) []delivery.Result {
	var requests, taken, alone int
	var decided int // how many of the next logs belong to a part that was refused whole
	var refused error
	doubtful := func() bool { return taken == 0 && alone >= manyRefused }
	results := sendHalving(ctx, batch, func(ctx context.Context, part []T) error {
		if decided > 0 {
			if len(part) == 1 {
				decided--
			}
			return refused
		}
		if refused != nil && requests == maxRequests {
			return refused
		}
		whole := doubtful()
		requests++
		err := send(ctx, part)
		switch {
		case err == nil:
			taken += len(part)
		case ofLog(err):
			refused = err
			if len(part) == 1 {
				alone++
			} else if whole {
				decided = len(part)
			}
		}
		return err
	})
	for i, r := range results {
		if doubtful() && r.Err != nil && ofLog(r.Err) {
			results[i].Err = hopelessly(hopeless, r.Err)
		}
	}
	return results
}

// ofLog says whether a failure is one log's alone.
func ofLog(err error) bool { return failure.Find(failure.Of(err).Code).Class == failure.Log }

// sameResult is one answer for n logs.
func sameResult(n int, r delivery.Result) []delivery.Result {
	results := make([]delivery.Result, n)
	for i := range results {
		results[i] = r
	}
	return results
}
