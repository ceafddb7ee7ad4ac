package memory

import (
	"context"
	"sync"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// Claims implements notice.Claims. Nothing is forgotten.
type Claims struct {
	Hook Hook

	mu     sync.Mutex
	claims map[string]notice.Claim
}

// Claim implements notice.Claims.
func (s *Claims) Claim(_ context.Context, key string) (notice.Claim, error) {
	var c notice.Claim
	err := s.Hook.do(CallClaim, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		c = s.claims[key]
		c.Key = key
		return nil
	})
	if err != nil {
		return notice.Claim{}, err
	}
	return c, nil
}

// SaveClaim implements notice.Claims.
func (s *Claims) SaveClaim(_ context.Context, c notice.Claim) (notice.Claim, error) {
	err := s.Hook.do(CallSaveClaim, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.claims[c.Key].Revision != c.Revision {
			return directory.ErrChanged
		}
		if s.claims == nil {
			s.claims = make(map[string]notice.Claim)
		}
		c.Revision++
		s.claims[c.Key] = c
		return nil
	})
	if err != nil {
		return notice.Claim{}, err
	}
	return c, nil
}
