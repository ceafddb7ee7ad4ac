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
	if err == nil || len(logs) == 1 || failure.Find(failure.Of(err).Code).Class != failure.Log {
		return sameResult(len(logs), delivery.Result{Err: err, Took: took})
	}
	half := len(logs) / 2
	return append(sendHalving(ctx, logs[:half], send), sendHalving(ctx, logs[half:], send)...)
}

// sameResult is one answer for n logs.
func sameResult(n int, r delivery.Result) []delivery.Result {
	results := make([]delivery.Result, n)
	for i := range results {
		results[i] = r
	}
	return results
}
