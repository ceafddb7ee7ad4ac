package delivery

import (
	"context"
	"time"
)

// admitted writes down what has come in, and answers what is to be done of it: one delivery for messages that brought
// the same, and none for what is known to be dealt with.
func (d *Deliver) admitted(ctx context.Context, trials []trial, known map[Content]Receipt) []trial {
	deliveries, repeats := merge(trials)
	d.recall(ctx, deliveries, known)
	now := d.Now()
	var fresh []trial
	first := make([]string, len(deliveries)) // the message that brought each
	for i, t := range deliveries {
		if r := known[t.Content()]; r.covers(t.dest, now) {
			first[i] = r.MessageID
			d.repeated(t, first[i], now)
			continue
		}
		first[i] = t.messages[0].id
		d.Journal.Record(t.arrival(EventAccepted, now))
		fresh = append(fresh, t)
	}
	for _, r := range repeats {
		d.repeated(r.trial, first[r.place], now)
	}
	return fresh
}

// repeated writes down that a message has brought what another one had brought. One that was handed out twice is no
// repeat.
func (d *Deliver) repeated(t trial, first string, now time.Time) {
	if t.messages[0].id == first {
		return
	}
	e := t.arrival(EventRepeated, now)
	e.Reason = "message " + first + " has brought the same log"
	d.Journal.Record(e)
}

// arrival is the fact that a message has brought the delivery.
func (t trial) arrival(event Event, at time.Time) Entry {
	m := t.messages[0]
	return Entry{Event: event, At: at, Key: t.Key, Type: t.Document.Type, Kind: t.dest.Kind,
		MessageID: m.id, Receives: m.receives, Redelivered: m.receives > 1}
}

// repeat is a delivery that another one stands for.
type repeat struct {
	trial
	place int // the other's
}

// merge makes one delivery of those that take the same log, by its content too, to the same destination. The one
// that was accepted last stands for all, so that none has less than its seven days.
//
// A message that was handed out before may have a delivery in the cache, which only its own key finds. So it is
// merged with those of the very same key alone.
func merge(trials []trial) (deliveries []trial, repeats []repeat) {
	byKey, byContent := make(map[Key]int, len(trials)), make(map[Key]int, len(trials)) // places in deliveries
	for _, t := range trials {
		place, known := byKey[t.Key]
		if !known && !t.redelivered {
			place, known = byContent[t.timeless()]
		}
		if !known {
			byKey[t.Key] = len(deliveries)
			if !t.redelivered {
				byContent[t.timeless()] = len(deliveries)
			}
			deliveries = append(deliveries, t)
			continue
		}
		byKey[t.Key] = place
		if t.redelivered {
			delete(byContent, t.timeless())
		}
		first := &deliveries[place]
		if t.AcceptedAt.After(first.AcceptedAt) {
			*first, t = t, *first
		}
		first.messages = append(first.messages[:len(first.messages):len(first.messages)], t.messages...)
		first.redelivered = first.redelivered || t.redelivered
		repeats = append(repeats, repeat{t, place})
	}
	return deliveries, repeats
}

// timeless is the key without the time, which two messages of one log do not share.
func (k Key) timeless() Key {
	k.AcceptedAt = time.Time{}
	return k
}
