package local

import (
	"sync"
	"time"
)

// Clock is the virtual clock. It moves only when it is set, and never back.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the virtual time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *Clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.now) {
		c.now = t
	}
}
