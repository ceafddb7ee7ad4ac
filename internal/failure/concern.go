package failure

import (
	"errors"
	"strings"
)

// Concern is what an error of our own concerns: a log, a destination, both, or the workspace of either. What
// does not apply is empty. An error that has one is found by it in the logs.
type Concern struct{ DestinationID, WorkspaceID, LogID string }

// About says what an error concerns. Nil stays nil.
func About(c Concern, err error) error {
	if err == nil {
		return nil
	}
	return &concerning{c, err}
}

// ConcernOf is what an error was last said to concern; zero if nobody said.
func ConcernOf(err error) Concern {
	if c, ok := errors.AsType[*concerning](err); ok {
		return c.concern
	}
	return Concern{}
}

// concerning is an error with its concern. It reads like the error itself.
type concerning struct {
	concern Concern
	err     error
}

func (c *concerning) Error() string { return c.err.Error() }

// Unwrap gives the error without its concern.
func (c *concerning) Unwrap() error { return c.err }

// Each gives the errors that errors.Join made one of, however deep, so that each can be told with its own
// concern. One that was said to concern something as a whole stays whole, as does one with words of its own.
func Each(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	parts := joined.Unwrap()
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = p.Error()
	}
	if strings.Join(texts, "\n") != err.Error() {
		return []error{err}
	}
	var all []error
	for _, p := range parts {
		all = append(all, Each(p)...)
	}
	return all
}
