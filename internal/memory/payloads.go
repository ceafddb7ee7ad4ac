package memory

import (
	"context"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Payloads is the payload bucket.
type Payloads struct {
	Hook Hook

	mu      sync.Mutex
	objects map[string][]byte
}

// Put stores an object.
func (p *Payloads) Put(key string, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.objects == nil {
		p.objects = make(map[string][]byte)
	}
	p.objects[key] = body
}

// Read implements delivery.Payloads.
func (p *Payloads) Read(_ context.Context, key string, limit int) (body []byte, err error) {
	err = p.Hook.do(CallReadPayload, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		var ok bool
		if body, ok = p.objects[key]; !ok {
			return fs.ErrNotExist
		}
		if len(body) > limit {
			return delivery.ErrTooLarge
		}
		return nil
	})
	return body, err
}

// Delete implements delivery.Payloads.
func (p *Payloads) Delete(_ context.Context, key string) error {
	return p.Hook.do(CallDeletePayload, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.objects, key)
		return nil
	})
}

// Keys lists the objects, sorted.
func (p *Payloads) Keys() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.objects))
}

// Len counts the objects.
func (p *Payloads) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.objects)
}
