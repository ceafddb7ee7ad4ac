package delivery

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/directory"
)

const (
	// unroutedCalm is how long a process says nothing more to an owner of unrouted logs, unless other types are asked for.
	unroutedCalm = 24 * time.Hour
	// unroutedAnHour is how many such notices a process sends in an hour. With 100 processes they are two a second at most, which leaves notify the time
	// for the others.
	unroutedAnHour = 60
	// unroutedTime is what a batch gives to them: a queue that hangs must not keep it from being settled.
	unroutedTime = 2 * time.Second
)

// count notes a log that nobody wants, if somebody is to be told of it. An entry of the activity audit is no reason: a workspace that leaves it out has it
// by every change that its admins make.
func (l *lookup) count(log auditlog.Log) {
	if log.Type == events.UserActivity && strings.HasPrefix(log.ID, directory.ActivityPrefix) {
		return
	}
	n, ok := l.unrouted[log.WorkspaceID]
	if !ok {
		n = l.unroutedNotice(log.WorkspaceID)
		l.unrouted[log.WorkspaceID] = n
	}
	if n != nil {
		n.Unrouted.Add(log.Type)
	}
}

// unroutedNotice is about no log yet; nil if nobody is to be told. The batch has asked for the workspace and its parent already.
func (l *lookup) unroutedNotice(workspaceID string) *directory.Notice {
	w := l.workspaces[workspaceID]
	d, asked, ok := directory.Served(w.own, l.workspaces[w.workspace.ParentID].own)
	if !ok {
		return nil
	}
	now := l.Now()
	return &directory.Notice{
		Kind: directory.UnroutedNotice, DestinationID: d.ID, Incarnation: d.Incarnation, Since: now, At: now,
		Unrouted: &directory.Unrouted{WorkspaceID: workspaceID, Name: w.workspace.Name, OwnerID: d.WorkspaceID, Asked: asked},
	}
}

// tellUnrouted has the admins told of the batch's logs that nobody wants. The logs are settled whether or not that succeeds: what could not be said now is
// said with the next of them.
func (d *Deliver) tellUnrouted(ctx context.Context, l *lookup) {
	ctx, cancel := context.WithTimeout(ctx, unroutedTime)
	defer cancel()
	for id, n := range l.unrouted {
		if n == nil {
			continue
		}
		about := n.Unrouted.OwnerID + "#" + n.Unrouted.Asked
		if !d.unrouted.take(about, d.Now()) {
			continue
		}
		if err := d.Notices.Notify(ctx, *n); err != nil {
			d.unrouted.giveBack(about)
			d.fault(nil, aboutDestination(directory.Destination{ID: n.DestinationID, WorkspaceID: id}, fmt.Errorf("tell of unrouted logs: %w", err)))
			return
		}
	}
}

// unroutedTold are the notices about unrouted logs that this process has sent.
type unroutedTold struct {
	mu   sync.Mutex
	at   map[string]time.Time
	hour time.Time
	sent int
}

// take says whether a notice may be sent, and counts it.
func (u *unroutedTold) take(about string, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if at, ok := u.at[about]; ok && now.Sub(at) < unroutedCalm {
		return false
	}
	if now.Sub(u.hour) >= time.Hour {
		u.hour, u.sent = now, 0
	}
	if u.sent >= unroutedAnHour {
		return false
	}
	if u.at == nil || len(u.at) >= takingsAtMost {
		u.at = make(map[string]time.Time)
	}
	u.at[about] = now
	u.sent++
	return true
}

// giveBack lets a notice be sent that could not be. It stays counted, so that a queue that is down is not asked for each log.
func (u *unroutedTold) giveBack(about string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.at, about)
}
