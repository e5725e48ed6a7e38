package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// swaps notes when each of N nodes first uses a version.
type swaps struct {
	mu      sync.Mutex
	want    uint64
	seen    []uint64 // the newest version of each node
	missing int
	first   time.Time
	last    time.Time
	all     chan struct{} // closed when no node is missing
}

func newSwaps(n int) *swaps { return &swaps{seen: make([]uint64, n), all: make(chan struct{})} }

// expect begins to wait for the version after all that were ever seen, and
// returns it.
func (s *swaps) expect() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want = slices.Max(s.seen) + 1
	s.first, s.last, s.all, s.missing = time.Time{}, time.Time{}, make(chan struct{}), len(s.seen)
	return s.want
}

// swap notes that a node uses a version.
func (s *swaps) swap(node int, version uint64) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.seen[node]
	s.seen[node] = max(had, version)
	if had >= s.want || version < s.want || s.want == 0 {
		return
	}
	if s.first.IsZero() {
		s.first = now
	}
	s.last = now
	if s.missing--; s.missing == 0 {
		close(s.all)
	}
}

// wait returns when the first and the last node have swapped.
func (s *swaps) wait(ctx context.Context, most time.Duration) (first, last time.Time, err error) {
	s.mu.Lock()
	all := s.all
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case <-all:
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		return first, last, fmt.Errorf("%d of %d nodes do not have version %d after %v", s.missing, len(s.seen), s.want, most)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first, s.last, nil
}
