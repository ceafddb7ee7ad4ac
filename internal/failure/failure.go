// Package failure is the catalogue of what can go wrong when a log is handed to a destination: for each code its class, what it means,
// and what an admin does about it. Sinks turn a service's own errors into an [Error] here, once; everything after that reads codes.
package failure

import (
	"errors"
	"time"
)

// Code names one way to fail, as <kind>.<what>: "s3.bucket_not_found", "net.timeout".
type Code string

// Class says who can end a failure, and so whom it concerns.
type Class string

const (
	// Connection failures end when an admin acts. They are mailed at once, within the limit of one mail a day.
	Connection Class = "connection"
	// Transient failures end by themselves. They are mailed only once they have lasted an hour.
	Transient Class = "transient"
	// Log failures concern one log that the destination refuses while it takes others. They never blame the connection.
	Log Class = "log"
)

// Error is a failed attempt. Its text names the code and what the service answered; it never holds a credential, a URL's query or any
// part of a payload, so it may stand in a log line or a mail.
type Error struct {
	Code Code
	// Detail is a short addition that is safe to show, such as "HTTP 503". It may be empty.
	Detail string
	// RetryAfter is how long the service asked us to wait, counted from the answer; zero if it did not ask.
	RetryAfter time.Duration
	// Err is the cause, for errors.Is and errors.As only. Its text is not part of Error's, because libraries put URLs into theirs.
	Err error
}

// Error gives the code and the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Detail
}

// Answer is the detail if the code is a general one, whose status in the catalogue says less than the service did. It is
// cut to what fits a line.
func (e *Error) Answer() string {
	if !General(e.Code) {
		return ""
	}
	runes := []rune(e.Detail)
	return string(runes[:min(len(runes), longestAnswer)])
}

// longestAnswer is how many characters of a detail are kept. A status, a code of 64 and a few words have room.
const longestAnswer = 120

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Of gives the failure that err carries. An error that carries none is Unknown, which is retried like any transient failure.
func Of(err error) *Error {
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	return &Error{Code: Unknown, Err: err}
}
