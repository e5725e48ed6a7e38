package rotator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/internal/jitter"
)

// follow keeps the node's copy of the ring current until ctx ends.
func (r *Rotator) follow(ctx context.Context) {
	for wait := (jitter.Backoff{}); ctx.Err() == nil; {
		start := time.Now()
		err := r.followOnce(ctx)
		if time.Since(start) > r.retry()/2 { // a pause already
			wait.Reset()
		}
		r.log.Debug("watch over", zap.Error(err))
		_ = wait.Sleep(ctx, r.retry())
	}
}

// followOnce looks, and then watches until the watch ends or proves deaf.
func (r *Rotator) followOnce(ctx context.Context) error {
	rev, _, err := r.look(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	events := make(chan clientv3.WatchResponse)
	go func() { // Watch itself may block for as long as etcd is away
		defer close(events)
		for resp := range r.cfg.Client.Watch(ctx, r.path.Ring(), clientv3.WithRev(rev+1)) {
			select {
			case events <- resp:
			case <-ctx.Done():
			}
		}
	}()
	defer func() {
		cancel()
		for range events {
		}
	}()

	poll := time.NewTimer(r.pollAfter())
	defer poll.Stop()
	for {
		select {
		case resp, open := <-events:
			switch {
			case !open:
				return errors.New("rotator: watch ended")
			case resp.Err() != nil:
				return fmt.Errorf("rotator: watch: %w", resp.Err())
			}
			for _, ev := range resp.Events {
				r.notice(ev)
			}
			rev = max(rev, resp.Header.Revision)
		case <-poll.C:
			// A watch goes deaf without an error when etcd is restored from
			// a backup. An unreachable etcd is the watch's own business.
			now, changed, err := r.look(ctx)
			switch {
			case err != nil:
				poll.Reset(r.retry()/2 + rand.N(r.retry()/2))
				continue
			case now < rev:
				return fmt.Errorf("rotator: etcd went back from revision %d to %d", rev, now)
			case changed:
				return errors.New("rotator: the watch missed a change")
			}
			poll.Reset(r.pollAfter())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// look reads the ring from etcd, linearizably. It returns the revision, and
// whether it found what the watch had not brought.
func (r *Rotator) look(ctx context.Context) (rev int64, changed bool, err error) {
	r.Ring() // so that what has expired is noticed where no client comes by
	defer r.read()()
	gctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), fleet.Timeout)
	defer cancel()
	resp, err := r.cfg.Client.Get(gctx, r.path.Ring())
	err = r.why(ctx, err)
	if ctx.Err() != nil {
		return 0, false, context.Cause(ctx)
	}
	r.linked(err)
	if err != nil {
		return 0, false, fmt.Errorf("rotator: reading the ring: %w", err)
	}
	was := r.sighted()
	rev = resp.Header.Revision
	if len(resp.Kvs) == 0 {
		r.observe(nil, 0, rev)
	} else {
		r.observe(resp.Kvs[0].Value, resp.Kvs[0].ModRevision, rev)
	}
	r.asked()
	return rev, r.sighted().rev != was.rev, nil
}

// notice takes in an event of the watch, unless a read has brought it or later.
func (r *Rotator) notice(ev *clientv3.Event) {
	defer r.read()()
	switch at := ev.Kv.ModRevision; {
	case at <= r.sighted().at:
	case ev.Type == clientv3.EventTypePut:
		r.observe(ev.Kv.Value, at, at)
	default:
		r.observe(nil, 0, at)
	}
}

// pollAfter is how long to trust the watch alone: P, jittered.
func (r *Rotator) pollAfter() time.Duration {
	p := r.interval()
	return p*3/4 + rand.N(p/4)
}

// retry is the longest pause between looks at an etcd that does not answer.
func (r *Rotator) retry() time.Duration { return min(r.interval(), 3*time.Second) }

// interval is P: how long a node goes at most without a look at etcd.
func (r *Rotator) interval() time.Duration {
	_, p := r.configured()
	if h, _ := r.view.snapshot(); h.ring != nil {
		p = h.ring.Info().Policy
	}
	return min(30*time.Second, p.Interval/4)
}
