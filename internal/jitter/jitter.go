// Package jitter keeps processes that fail together from retrying together.
package jitter

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep pauses for a random time between half of d and d, so that processes
// that fail together do not retry together. It returns ctx's cause if that
// ends first.
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
