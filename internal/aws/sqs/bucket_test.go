package sqs

import (
	"context"
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

func (b *bucket) get(key string) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.objects[key]
}
