package rotator

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/internal/jitter"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

type digest [sha256.Size]byte

// sighting is what etcd held when this node last looked.
type sighting struct {
	looked bool  // at all
	at     int64 // the etcd revision of the look
	rev    int64 // the ring's ModRevision; 0 is no ring
	record digest
	info   keyring.Info // of a ring that could be opened
	refuse error        // why this node does not use it
}

// Why a ring that can be opened, or is not there, is not used.
var (
	errMissing    = errors.New("rotator: etcd has no ring")
	errRolledBack = errors.New("rotator: etcd went back to an older ring")
	errFork       = errors.New("rotator: etcd has another ring of the same version")
)

// foreign reports whether only other nodes may touch what etcd has.
func (s sighting) foreign() bool {
	return errors.Is(s.refuse, seal.ErrUnknownKEK) || errors.Is(s.refuse, seal.ErrFormat)
}

// follow keeps the node's copy of the ring current until ctx ends.
func (r *Rotator) follow(ctx context.Context) {
	for wait := 100 * time.Millisecond; ctx.Err() == nil; {
		start := time.Now()
		err := r.followOnce(ctx)
		if time.Since(start) > 10*time.Second {
			wait = 100 * time.Millisecond
		}
		r.log.Debug("watch over", zap.Error(err))
		_ = jitter.Sleep(ctx, wait)
		wait = min(2*wait, r.retry())
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
	r.reading.Lock()
	defer r.reading.Unlock()
	gctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), fleet.Timeout)
	defer cancel()
	resp, err := r.cfg.Client.Get(gctx, r.path.Ring())
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
	return rev, r.sighted().rev != was.rev, nil
}

// notice takes in an event of the watch, unless a read has brought it or later.
func (r *Rotator) notice(ev *clientv3.Event) {
	r.reading.Lock()
	defer r.reading.Unlock()
	switch at := ev.Kv.ModRevision; {
	case at <= r.sighted().at:
	case ev.Type == clientv3.EventTypePut:
		r.observe(ev.Kv.Value, at, at)
	default:
		r.observe(nil, 0, at)
	}
}

// observe takes in what etcd held at a revision: a record and its ModRevision,
// or none. Only a newer ring is ever taken; anything else leaves the last good
// one in use. The caller holds reading, and has since before it asked etcd, so
// that what seems older is older.
func (r *Rotator) observe(rec []byte, rev, at int64) {
	last := r.sighted()
	s := sighting{looked: true, at: at, rev: rev, record: sha256.Sum256(rec)}
	if last.looked && last.rev == rev && last.record == s.record {
		s.info, s.refuse = last.info, last.refuse
		r.sight(s)
		return
	}
	have, _ := r.view.snapshot()
	var ring *keyring.Ring
	if rec == nil {
		s.refuse = errMissing
	} else if ring, s.refuse = r.cfg.KEK.Open(r.path.Ring(), rec); s.refuse == nil {
		s.info = ring.Info()
		if have.ring != nil {
			switch c := s.info.Compare(have.ring.Info()); {
			case c < 0:
				s.refuse = errRolledBack
			case c == 0 && s.record != have.digest:
				s.refuse = errFork
			case c == 0:
				ring = nil // have it
			}
		}
	}
	heard := r.sight(s)
	switch {
	case s.refuse == errMissing && have.ring == nil:
		r.log.Info("etcd has no ring yet", zap.String("key", r.path.Ring()))
	case s.refuse != nil:
		r.refused(s)
	case ring != nil:
		seen, guess := r.written(ring, heard, time.Now())
		r.view.take(ring, s.record, seen, guess)
		r.log.Info("ring applied", zap.Uint64("epoch", s.info.Epoch), zap.Uint64("version", s.info.Version),
			zap.String("active", s.info.Keys[0].ID), zap.Int("keys", len(s.info.Keys)))
		return // take has told
	}
	r.tell()
}

// sight notes what etcd has, and returns when it was heard from before.
func (r *Rotator) sight(s sighting) (heard time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard = r.heard
	r.etcd, r.heard = s, time.Now()
	return heard
}

// written returns when a ring must be taken to have been written that arrives
// at now, and whether that is a guess. Who follows without a gap sees it at once.
// Who was away has the stamp to go by, but never for longer than it was away.
func (r *Rotator) written(ring *keyring.Ring, heard, now time.Time) (seen time.Time, guess bool) {
	if !heard.IsZero() && now.Sub(heard) <= 2*r.interval()+fleet.Timeout {
		return now, false
	}
	if seen = ring.Seen(now); seen.Before(heard) {
		seen = heard
	}
	return seen, true
}

// refused logs why the ring in etcd is not used; somebody who writes garbage
// does not fill the log with it.
func (r *Rotator) refused(s sighting) {
	r.mu.Lock()
	quiet := time.Since(r.loud) < 10*time.Second
	if !quiet {
		r.loud = time.Now()
	}
	r.mu.Unlock()
	if quiet {
		return
	}
	instead := "the last good ring"
	if !r.view.known() {
		instead = "an own key"
	}
	r.log.Error("ring in etcd refused", zap.String("serving_with", instead), zap.String("key", r.path.Ring()),
		zap.Int64("revision", s.rev), zap.Error(s.refuse))
}

// linked notes whether etcd answers.
func (r *Rotator) linked(err error) {
	r.mu.Lock()
	was := r.link
	r.link = err
	r.mu.Unlock()
	switch {
	case err != nil:
		// The client waits ever longer between connections, up to minutes.
		if conn := r.cfg.Client.ActiveConnection(); conn != nil {
			conn.ResetConnectBackoff()
		}
		if was != nil {
			return
		}
		r.log.Warn("etcd does not answer; serving with what is known", zap.Strings("endpoints", r.cfg.Client.Endpoints()), zap.Error(err))
	case was != nil:
		r.log.Info("etcd answers again")
	default:
		return
	}
	r.tell()
}

func (r *Rotator) sighted() sighting {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.etcd
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
	p := r.cfg.Policy
	if h, _ := r.view.snapshot(); h.ring != nil {
		p = h.ring.Info().Policy
	}
	return min(30*time.Second, p.Interval/4)
}
