package delivery

import (
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// heard is what is known of writes of the directory, so that no answer is believed that is older than one of them.
type heard struct {
	workspaces   map[string]floors
	destinations map[string]floors
	owned        map[string]map[string]bool // the destinations of which something was heard, by workspace
}

// floors are what was heard of the records that an id has had, by their incarnations.
type floors map[string]floor

// floor is the lowest that an answer may be.
type floor struct {
	workspace string
	revision  int
	// written and removed are the times of the last write and of the removal, by their writers' clocks.
	written, removed time.Time
	// since is when it was heard first, by our clock.
	since time.Time
}

// gone and there are both true of a record without an incarnation that was removed and made again in one moment: nothing is believed of it then.
func (f floor) gone(incarnation string) bool {
	return !f.removed.IsZero() && (incarnation != "" || !f.removed.Before(f.written))
}

func (f floor) there(incarnation string) bool {
	return !f.written.IsZero() && (f.removed.IsZero() || incarnation == "" && !f.written.Before(f.removed))
}

// add takes in a write and says whether it is news.
func (h *heard) add(w directory.Written, now time.Time) bool {
	of, id := &h.workspaces, w.WorkspaceID
	if w.DestinationID != "" {
		of, id = &h.destinations, w.DestinationID
		if h.owned == nil {
			h.owned = make(map[string]map[string]bool)
		}
		if h.owned[w.WorkspaceID] == nil {
			h.owned[w.WorkspaceID] = make(map[string]bool)
		}
		h.owned[w.WorkspaceID][id] = true
	}
	if *of == nil {
		*of = make(map[string]floors)
	}
	if (*of)[id] == nil {
		(*of)[id] = make(floors)
	}
	old := (*of)[id][w.Incarnation]
	next := old
	next.workspace = w.WorkspaceID
	switch {
	case w.Removed:
		next.removed = latest(old.removed, w.At)
	case old.written.Before(old.removed) && !w.At.Before(old.removed):
		next.revision, next.written = w.Revision, w.At // made again
	default:
		next.revision, next.written = max(old.revision, w.Revision), latest(old.written, w.At)
	}
	if next == old {
		return false
	}
	next.since = now
	(*of)[id][w.Incarnation] = next
	return true
}

// agrees says whether an answer may be believed of a record: its incarnation and revision, 0 if there is none, as somebody of that workspace sees it, or
// anybody if that is empty. What was heard before an answer was read as of now is in it; of one that an index gave, read is zero.
func (f floors) agrees(workspace, incarnation string, revision int, read time.Time) bool {
	for heard, low := range f {
		if workspace != "" && low.workspace != workspace || !read.IsZero() && low.since.Before(read) {
			continue
		}
		same := revision > 0 && incarnation == heard
		if low.gone(heard) && same || low.there(heard) && (!same || revision < low.revision) {
			return false
		}
	}
	return true
}

// size is how many records something was heard of.
func (h *heard) size() int { return len(h.workspaces) + len(h.destinations) }

// forget drops what was heard before a time: every index has shown it.
func (h *heard) forget(before time.Time) {
	for id, f := range h.workspaces {
		if f.forget(before); len(f) == 0 {
			delete(h.workspaces, id)
		}
	}
	for id, f := range h.destinations {
		for incarnation, low := range f {
			if low.since.Before(before) {
				delete(f, incarnation)
				delete(h.owned[low.workspace], id)
			}
		}
		for _, low := range f {
			h.owned[low.workspace][id] = true
		}
		if len(f) == 0 {
			delete(h.destinations, id)
		}
	}
	for workspace, ids := range h.owned {
		if len(ids) == 0 {
			delete(h.owned, workspace)
		}
	}
}

func (f floors) forget(before time.Time) {
	for incarnation, low := range f {
		if low.since.Before(before) {
			delete(f, incarnation)
		}
	}
}
