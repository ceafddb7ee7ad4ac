package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// route decodes and prepares one message, whose log is body, and finds its destinations. The error is an
// *auditlog.Invalid if the log is no valid one.
func (d *Deliver) route(ctx context.Context, m Message, body []byte, s *settlement) ([]trial, error) {
	log, err := auditlog.Decode(body)
	if err != nil {
		return nil, err
	}
	s.forget = log.ZeroRetention
	key := Key{WorkspaceID: log.WorkspaceID, LogID: log.ID, AcceptedAt: m.SentAt.UTC().Truncate(time.Millisecond)}
	destinations, known, err := d.routes(ctx, log)
	if err != nil {
		return nil, about(key, err)
	}
	entry := Entry{At: d.Now(), Key: key, Type: log.Type, MessageID: m.ID, Receives: m.Receives, Redelivered: m.Receives > 1}
	if len(destinations) == 0 {
		entry.Event, entry.Reason = EventUnrouted, "no destination of the workspace or shared by its parent wants this type"
		if !known {
			entry.Reason = "the workspace is not in the directory"
		}
		d.Journal.Record(entry)
		return nil, nil
	}
	doc, err := auditlog.Prepare(log)
	if err != nil {
		return nil, err
	}
	trials := make([]trial, len(destinations))
	for i, dest := range destinations {
		key.DestinationID = dest.ID
		trials[i] = trial{
			Delivery:    Delivery{Key: key, Owner: ownerOf(dest, log.WorkspaceID), Document: doc},
			dest:        dest,
			verdict:     admit(dest),
			redelivered: m.Receives > 1,
		}
		entry.Event, entry.Key, entry.Kind = EventAccepted, key, dest.Kind
		d.Journal.Record(entry)
	}
	return trials, nil
}

func (d *Deliver) routes(ctx context.Context, log auditlog.Log) (picked []directory.Destination, known bool, err error) {
	workspace, own, err := d.Directory.Workspace(ctx, log.WorkspaceID)
	if errors.Is(err, directory.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("look up workspace %s: %w", log.WorkspaceID, err)
	}
	if picked = directory.Route(log.Type, own, nil); len(picked) > 0 || workspace.ParentID == "" {
		return picked, true, nil
	}
	_, parents, err := d.Directory.Workspace(ctx, workspace.ParentID)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return nil, false, fmt.Errorf("look up parent workspace %s: %w", workspace.ParentID, err)
	}
	return directory.Route(log.Type, own, parents), true, nil
}

// destination finds a delivery's destination; known is false when it was deleted, also if another workspace has made one
// under its id since. The log stays in the cache for its seven days all the same.
func (d *Deliver) destination(ctx context.Context, waiting Delivery) (dest directory.Destination, known bool, err error) {
	id := waiting.DestinationID
	dest, err = d.Directory.Destination(ctx, id)
	if errors.Is(err, directory.ErrNotFound) || err == nil && !waiting.For(dest) {
		return directory.Destination{ID: id}, false, nil
	}
	if err != nil {
		return dest, false, fmt.Errorf("look up destination %s: %w", id, err)
	}
	return dest, true, nil
}

// unknown leaves out deliveries that the cache holds already. Only a message that was handed out before can have one there: its earlier
// invocation may have cached it and died before it could say so, or before it saw to it that somebody looks after it.
func (d *Deliver) unknown(ctx context.Context, trials []trial) []trial {
	var keys []Key
	for _, t := range trials {
		if t.redelivered {
			keys = append(keys, t.Key)
		}
	}
	if len(keys) == 0 {
		return trials
	}
	cached, further, err := d.Cache.Load(ctx, keys)
	if err != nil {
		d.fault(nil, aboutAll(keys, fmt.Errorf("load %d deliveries from the cache: %w", len(keys), err)))
	}
	var rest []trial
	parked := make(map[string][]trial)
	for _, t := range trials {
		if c, ok := cached[t.Key]; ok || slices.Contains(further, t.Key) {
			if !ok || c.Parked {
				parked[t.DestinationID] = append(parked[t.DestinationID], t)
			}
			continue
		}
		if err != nil && t.redelivered {
			t.reopen()
			continue
		}
		rest = append(rest, t)
	}
	for id, ts := range parked {
		d.own(ctx, id, ts)
	}
	return rest
}
