package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
)

// route decodes and prepares one message, whose log is body, and finds its destinations. The error is an
// *auditlog.Invalid if the log is no valid one.
func (d *Deliver) route(ctx context.Context, m Message, body []byte, s *settlement, l *lookup) ([]trial, error) {
	log, err := auditlog.Decode(body)
	if err != nil {
		return nil, err
	}
	s.forget = log.ZeroRetention
	key := Key{WorkspaceID: log.WorkspaceID, LogID: log.ID, AcceptedAt: m.SentAt.UTC().Truncate(time.Millisecond)}
	destinations, known, err := l.routes(ctx, log)
	if err != nil {
		return nil, about(key, err)
	}
	if len(destinations) == 0 {
		unrouted := Entry{Event: EventUnrouted, At: d.Now(), Key: key, Type: log.Type, MessageID: m.ID, Receives: m.Receives,
			Redelivered: m.Receives > 1, Reason: "no destination of the workspace or shared by its parent wants this type"}
		if !known {
			unrouted.Reason = "the workspace is not in the directory"
		}
		d.Journal.Record(unrouted)
		if known {
			l.count(log)
		}
		return nil, nil
	}
	doc, err := auditlog.Prepare(log)
	if err != nil {
		return nil, err
	}
	key.Hash = doc.Hash()
	trials := make([]trial, len(destinations))
	for i, dest := range destinations {
		key.DestinationID = dest.ID
		trials[i] = trial{
			Delivery:    Delivery{Key: key, Owner: ownerOf(dest, log.WorkspaceID), Document: doc},
			dest:        dest,
			verdict:     admit(dest.Accepts(log.WorkspaceID, log.ID)),
			messages:    []*settlement{s},
			redelivered: m.Receives > 1,
			why:         WhyFresh,
		}
	}
	return trials, nil
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
			if ok {
				t.Delivery = c
			}
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
