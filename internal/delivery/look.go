package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// lookup is what one batch asks the directory. That nobody wants a log, that only another workspace's destination does, and that a destination is gone, it
// takes only from an answer of after the batch was handed over, so of after its logs were sent. It asks for each of those once.
type lookup struct {
	*Deliver
	at         time.Time // when the batch was handed over
	workspaces map[string]workspaceAnswer
	gone       map[string]destinationAnswer
	// unrouted is what is to be told of logs that nobody wants, by their workspace; nil of one of which nobody is told.
	unrouted map[string]*directory.Notice
}

func (d *Deliver) look() *lookup {
	return &lookup{Deliver: d, at: d.Now(), workspaces: make(map[string]workspaceAnswer), gone: make(map[string]destinationAnswer),
		unrouted: make(map[string]*directory.Notice)}
}

// routes finds the destinations of a log; known is false if its workspace is not in the directory.
func (l *lookup) routes(ctx context.Context, log auditlog.Log) (picked []directory.Destination, known bool, err error) {
	_, own, err := l.Directory.Workspace(ctx, log.WorkspaceID)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return nil, false, fmt.Errorf("look up workspace %s: %w", log.WorkspaceID, err)
	}
	if picked = directory.Route(log.Type, own, nil); len(picked) > 0 {
		return picked, true, nil
	}
	workspace, err := l.since(ctx, log.WorkspaceID)
	if err != nil || workspace.err != nil {
		return nil, false, err
	}
	own = workspace.own
	if picked = directory.Route(log.Type, own, nil); len(picked) > 0 || workspace.workspace.ParentID == "" {
		return picked, true, nil
	}
	parent := workspace.workspace.ParentID
	_, parents, err := l.Directory.Workspace(ctx, parent)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return nil, false, fmt.Errorf("look up parent workspace %s: %w", parent, err)
	}
	if picked = directory.Route(log.Type, own, parents); len(picked) > 0 {
		return picked, true, nil
	}
	above, err := l.since(ctx, parent)
	if err != nil {
		return nil, false, err
	}
	return directory.Route(log.Type, own, above.own), true, nil
}

// since is a workspace of after the batch was handed over. Its err says that there is none.
func (l *lookup) since(ctx context.Context, id string) (workspaceAnswer, error) {
	if a, ok := l.workspaces[id]; ok {
		return a, nil
	}
	var a workspaceAnswer
	a.workspace, a.own, a.err = l.Directory.WorkspaceSince(ctx, id, l.at)
	if !final(a.err) {
		return a, fmt.Errorf("look up workspace %s as of now: %w", id, a.err)
	}
	if len(l.workspaces) == 0 {
		l.at = l.at.Add(-time.Nanosecond) // the question that was just asked is good for the whole batch, also by a clock that has not moved
	}
	l.workspaces[id] = a
	return a, nil
}

// destination finds a delivery's destination; known is false when it was deleted, also if another workspace has made one
// under its id since. The log stays in the cache for its seven days all the same.
func (l *lookup) destination(ctx context.Context, waiting Delivery) (dest directory.Destination, known bool, err error) {
	id := waiting.DestinationID
	dest, err = l.Directory.Destination(ctx, id)
	if errors.Is(err, directory.ErrNotFound) || err == nil && !waiting.For(dest) {
		dest, err = l.current(ctx, id)
	}
	if errors.Is(err, directory.ErrNotFound) || err == nil && !waiting.For(dest) {
		return directory.Destination{ID: id}, false, nil
	}
	if err != nil {
		return dest, false, fmt.Errorf("look up destination %s: %w", id, err)
	}
	return dest, true, nil
}

// current is a destination that seems to be gone, as it is now.
func (l *lookup) current(ctx context.Context, id string) (directory.Destination, error) {
	a, ok := l.gone[id]
	if !ok {
		a.destination, a.err = l.Destinations.CurrentDestination(ctx, id)
		if final(a.err) {
			l.gone[id] = a
		}
	}
	return a.destination, a.err
}
