package sink

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	tests := []struct {
		header, value string
		want          time.Duration
	}{
		{"Retry-After", "", 0},
		{"Retry-After", "120", 2 * time.Minute},
		{"Retry-After", " 7 ", 7 * time.Second},
		{"Retry-After", "-1", 0},
		{"Retry-After", "99999999999999999999", 0},
		{"Retry-After", "soon", 0},
		{"Retry-After", "Mon, 02 Nov 2026 09:31:00 GMT", time.Minute},
		{"Retry-After", "Mon, 02 Nov 2026 09:29:00 GMT", 0},
		{"Retry-After", "604799", 7*24*time.Hour - time.Second},
		{"Retry-After", "604800", 0},
		{"Retry-After", "1795510000", 0}, // a time since 1970, where seconds were due
		{"Retry-After", "Mon, 09 Nov 2026 09:30:00 GMT", 0},
		{"Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT", 0},
		{"X-Ms-Retry-After-Ms", "1500", 1500 * time.Millisecond},
	}
	for _, tt := range tests {
		h := http.Header{}
		h.Set(tt.header, tt.value)
		if got := retryAfter(h, now); got != tt.want {
			t.Errorf("%s: %q gives %v, want %v", tt.header, tt.value, got, tt.want)
		}
	}
}
