package memory

import (
	"context"
	"slices"
	"sync"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Receipts remembers what was dealt with. It implements delivery.Receipts.
type Receipts struct {
	Hook Hook

	mu   sync.Mutex
	kept map[delivery.Content]delivery.Receipt
}

// Look implements delivery.Receipts.
func (s *Receipts) Look(ctx context.Context, logs []delivery.Content) (found map[delivery.Content]delivery.Receipt, err error) {
	found = make(map[delivery.Content]delivery.Receipt)
	err = s.Hook.do(CallReceipts, func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range logs {
			if r, ok := s.kept[c]; ok {
				found[c] = r
			}
		}
		return nil
	})
	return found, err
}

// Keep implements delivery.Receipts.
func (s *Receipts) Keep(ctx context.Context, rs []delivery.Receipt) error {
	return s.Hook.do(CallKeepReceipts, func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.kept == nil {
			s.kept = make(map[delivery.Content]delivery.Receipt)
		}
		for _, r := range rs {
			r.To = slices.Clone(r.To)
			s.kept[r.Content] = r
		}
		return nil
	})
}

// Len counts the receipts.
func (s *Receipts) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kept)
}
