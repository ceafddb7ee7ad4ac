package delivery

import (
	"errors"
	"slices"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// about says of an error which delivery it concerns, or which destination, or log: what is empty in the key
// is left out.
func about(k Key, err error) error {
	return failure.About(failure.Concern{DestinationID: k.DestinationID, WorkspaceID: k.WorkspaceID,
		LogID: k.LogID}, err)
}

// aboutDestination says of an error that it concerns a destination.
func aboutDestination(d directory.Destination, err error) error {
	return failure.About(failure.Concern{DestinationID: d.ID, WorkspaceID: d.WorkspaceID}, err)
}

// aboutAll says of an error which deliveries it concerns: the one, or else each of their destinations. A line
// for each of many logs would tell no more.
func aboutAll(keys []Key, err error) error {
	if len(keys) == 1 {
		return about(keys[0], err)
	}
	var ids []string
	var errs []error
	for _, k := range keys {
		if !slices.Contains(ids, k.DestinationID) {
			ids = append(ids, k.DestinationID)
			errs = append(errs, about(Key{DestinationID: k.DestinationID}, err))
		}
	}
	return errors.Join(errs...)
}

// Faults are the entries that tell of an error of our own: one for each of those that were joined, with what
// it concerns in fields.
func Faults(err error, at time.Time) []Entry {
	var all []Entry
	for _, e := range failure.Each(err) {
		c := failure.ConcernOf(e)
		all = append(all, Entry{
			Event: EventFault, At: at, Reason: e.Error(),
			Key: Key{DestinationID: c.DestinationID, WorkspaceID: c.WorkspaceID, LogID: c.LogID},
		})
	}
	return all
}

// fault records that something of our own failed, and has the messages that it concerns handed out again.
func (d *Deliver) fault(messages []*settlement, err error) {
	for _, m := range messages {
		m.reopen()
	}
	for _, e := range Faults(err, d.Now()) {
		if len(messages) == 1 {
			e.MessageID, e.Receives = messages[0].id, messages[0].receives
		}
		d.Journal.Record(e)
	}
}
