package memory

import (
	"context"
	"slices"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Pending implements admin.Pending.
func (c *Cache) Pending(_ context.Context, destinationID string, after delivery.Key, limit int) ([]delivery.Delivery, error) {
	return c.List(destinationID, after, limit), nil
}

// OldestPending implements admin.Pending.
func (c *Cache) OldestPending(_ context.Context, destinationID string) ([]delivery.Delivery, error) {
	return c.List(destinationID, delivery.Key{}, 1), nil
}

// Failed implements admin.Failed.
func (c *Cache) Failed(_ context.Context, destinationID string, after delivery.Key, newest bool, limit int) ([]delivery.FailedEvent, error) {
	order := func(a, b delivery.Key) int {
		if newest && a.DestinationID == b.DestinationID {
			a, b = b, a
		}
		return compareKeys(a, b)
	}
	var found []delivery.FailedEvent
	for _, e := range c.FailedEvents() {
		if (destinationID == "" || e.DestinationID == destinationID) && (after == delivery.Key{} || order(e.Key, after) > 0) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b delivery.FailedEvent) int { return order(a.Key, b.Key) })
	return found[:min(limit, len(found))], nil
}
