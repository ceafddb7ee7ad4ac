package sink

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// retryAfter is how long an answer asks to wait, by its header Retry-After in seconds or as a date (RFC 9110, 10.2.3), or by Azure's
// x-ms-retry-after-ms. It is zero if the answer does not ask, or not in a form that can be read, or for so long that no log would live to see its
// end: such an answer is a mistake, and following it would leave the destination alone for good.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if asked := askedPause(h, now); asked < delivery.Lifetime {
		return asked
	}
	return 0
}

func askedPause(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseInt(h.Get("X-Ms-Retry-After-Ms"), 10, 32); err == nil && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
