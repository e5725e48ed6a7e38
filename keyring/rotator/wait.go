package rotator

import (
	"context"
	"time"

	"github.com/stekring/stekring/keyring"
)

// Wait blocks until the fleet's ring is known, and returns nil, or until ctx
// ends, and returns context.Cause(ctx). The ring comes by Run; TLS works without.
func (r *Rotator) Wait(ctx context.Context) error {
	return r.await(ctx, func() bool { return r.view.known() })
}

// Await blocks until Ring is no longer have, and returns what it is then, or until
// ctx ends, and returns context.Cause(ctx). It is for whoever pushes keys on to
// something else.
func (r *Rotator) Await(ctx context.Context, have *keyring.Ring) (*keyring.Ring, error) {
	for {
		news := r.changes()
		ring, until := r.view.now(time.Now())
		if ring != have {
			return ring, nil
		}
		if err := pause(ctx, until, news, nil); err != nil {
			return nil, err
		}
	}
}

// tell wakes whoever waits for a change.
func (r *Rotator) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.news)
	r.news = make(chan struct{})
}

// changes returns a channel that is closed at the next change. Take it before
// looking at what may change.
func (r *Rotator) changes() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.news
}

// await blocks until ok holds; it is asked again at every change.
func (r *Rotator) await(ctx context.Context, ok func() bool) error {
	for {
		news := r.changes()
		if ok() {
			return nil
		}
		if err := pause(ctx, time.Time{}, news, nil); err != nil {
			return err
		}
	}
}

// pause waits for an instant (zero is never) or one of two channels (nil is
// never). Its only error is ctx's cause.
func pause(ctx context.Context, until time.Time, news, asked <-chan struct{}) error {
	var at <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		at = t.C
	}
	select {
	case <-at:
	case <-news:
	case <-asked:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
