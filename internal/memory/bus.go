package memory

import (
	"context"
	"slices"
	"sync"

	"github.com/auditrelay/auditrelay/events"
)

// Bus keeps every event that was published.
type Bus struct {
	Hook Hook

	mu   sync.Mutex
	sent []events.Announcement
}

// Publish implements connection.Bus.
func (b *Bus) Publish(_ context.Context, a events.Announcement) error {
	return b.Hook.do(CallPublish, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sent = append(b.sent, a)
		return nil
	})
}

// PublishAll implements delivery.Bus.
func (b *Bus) PublishAll(ctx context.Context, as []events.Announcement) []error {
	errs := make([]error, len(as))
	for i, a := range as {
		errs[i] = b.Publish(ctx, a)
	}
	return errs
}

// All gives every event in the order of publishing.
func (b *Bus) All() []events.Announcement {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.sent)
}
