package delivery

import (
	"hash/fnv"
	"strconv"
	"time"
)

// Lifetime is how long a log is kept and retried, counted from its acceptance.
const Lifetime = 7 * 24 * time.Hour

// retryDelays is the pause after the first failed attempt, the second, and so on, each ±10 %. Together they take 3.8 days; what follows is one
// last attempt, lastAttempt before the end.
var retryDelays = [...]time.Duration{
	1 * time.Minute,
	4 * time.Minute,
	16 * time.Minute,
	64 * time.Minute,
	256 * time.Minute,
	1024 * time.Minute,
	4096 * time.Minute,
}

const (
	// lastAttempt is how long before its expiry a log is tried for the last time.
	lastAttempt = time.Hour
	// jitterShare is the largest deviation from the table, in either direction.
	jitterShare = 0.10
	// rideLimit is the longest delay that a queue message can have (SQS: 900 s). Longer waits are the due index's.
	rideLimit = 15 * time.Minute
	// longestPause is the longest that a log or a destination is left alone because the destination asked for it with Retry-After: what is longer is a mistake
	// as often as not, of milliseconds for seconds, say. A destination that has asked for more than probeEvery is tried with one log in each.
	longestPause = 24 * time.Hour
	probeEvery   = time.Hour
	// heldFor is the pause of a log that could not be tried for lack of time.
	heldFor = time.Minute
	// handOverIn is when a fresh log of a failing destination is tried, and the shortest delay of a hint that goes before its write: it gives the write
	// time to be durable before the hint is read.
	handOverIn = time.Second
)

// retryDelay is the pause after the given number of failed attempts, or false when the table has ended. It is jittered by a hash of the
// delivery's key, so that logs that failed together do not return together, and the same log always gets the same times.
func retryDelay(k Key, attempts int) (time.Duration, bool) {
	if attempts < 1 || attempts > len(retryDelays) {
		return 0, false
	}
	delay := retryDelays[attempts-1]
	return delay + time.Duration(jitter(k, attempts)*jitterShare*float64(delay)), true
}

// jitter is a number from -1 to 1.
func jitter(k Key, attempts int) float64 {
	h := fnv.New64a()
	for _, s := range []string{k.DestinationID, k.WorkspaceID, k.LogID, strconv.Itoa(attempts)} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	x := h.Sum64()
	x ^= x >> 33 // FNV's high bits are poor on short keys: mix once more
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x)/float64(1<<63) - 1
}
