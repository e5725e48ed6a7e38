// Package jitter keeps processes that fail together from retrying together.
package jitter

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep pauses for a random time between half of d and d. It returns ctx's
// cause if that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Backoff is the pauses between tries, without an end: each is twice as long as
// the one before. The zero Backoff begins at 100 ms.
type Backoff struct{ last time.Duration }

// Sleep is the next pause, of at most d.
func (b *Backoff) Sleep(ctx context.Context, d time.Duration) error {
	b.last = min(max(2*b.last, 100*time.Millisecond), d)
	return Sleep(ctx, b.last)
}

// Reset begins anew, after a success.
func (b *Backoff) Reset() { b.last = 0 }
