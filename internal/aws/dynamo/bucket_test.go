package dynamo

import (
	"context"
	"io/fs"
	"sync"
)

// bucket is Objects in memory.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
	// fail, if set, is what every call answers.
	fail error
}

func (b *bucket) Put(_ context.Context, key string, body []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects == nil {
		b.objects = make(map[string][]byte)
	}
	if b.fail == nil {
		b.objects[key] = body
	}
	return b.fail
}

func (b *bucket) Get(_ context.Context, key string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body, ok := b.objects[key]
	if !ok && b.fail == nil {
		return nil, fs.ErrNotExist
	}
	return body, b.fail
}

func (b *bucket) Delete(_ context.Context, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail == nil {
		delete(b.objects, key)
	}
	return b.fail
}
