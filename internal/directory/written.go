package directory

import (
	"errors"
	"time"
)

// ErrManyWrites is the answer to the question what was written when it is too much to be told one by one.
var ErrManyWrites = errors.New("too many records were written to tell them one by one")

// Written says that a workspace or a destination was written or removed, so that whoever remembers it can forget it.
type Written struct {
	WorkspaceID string
	// DestinationID is empty if it was the workspace itself.
	DestinationID string
	// Incarnation is the record's, also of one that was removed.
	Incarnation string
	// Revision is the record's after the write.
	Revision int
	Removed  bool
	At       time.Time
}
