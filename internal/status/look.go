package status

import (
	"context"
	"time"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/internal/jitter"
)

const (
	every    = time.Second            // between two looks at the fleet
	patience = 500 * time.Millisecond // of a request for the first of them
	stale    = 5 * time.Second        // what is older was not looked at meanwhile
)

// look is the fleet as etcd last told it.
type look struct {
	fleet fleet.Snapshot
	at    time.Time // zero is never
	err   error     // why it did not tell when it was last asked
}

// watch reads the fleet whenever somebody wants it, until ctx ends.
func (p *Page) watch(ctx context.Context) {
	for {
		select {
		case <-p.wanted:
		case <-ctx.Done():
			return
		}
		s, err := fleet.Read(ctx, p.cfg.Etcd, p.cfg.Layout)
		if ctx.Err() != nil {
			return
		}
		s.Ring, s.Requests = nil, nil
		p.take(s, err, time.Now())
		signal(p.woken)
		if err != nil {
			_ = jitter.Sleep(ctx, 2*every)
		} else {
			select {
			case <-time.After(every):
			case <-ctx.Done():
			}
		}
		p.mu.Lock()
		if p.streams > 0 {
			signal(p.wanted)
		}
		p.mu.Unlock()
	}
}

// take takes in what etcd told, or that it did not.
func (p *Page) take(s fleet.Snapshot, err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.fleet
	if err != nil {
		p.fleet.err = err
	} else {
		p.fleet = look{fleet: s, at: now}
		if !last.at.IsZero() {
			p.journal.fleet(last, p.fleet, p.was.ID)
		}
	}
	close(p.looked)
	p.looked = make(chan struct{})
}

// fresh has the fleet looked at, and waits a moment for that.
func (p *Page) fresh(ctx context.Context) {
	p.mu.Lock()
	looked, recent := p.looked, p.fleet.err == nil && time.Since(p.fleet.at) < every
	p.mu.Unlock()
	if recent {
		return
	}
	signal(p.wanted)
	select {
	case <-looked:
	case <-time.After(patience):
	case <-ctx.Done():
	case <-p.ended:
	}
}
