package rotator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/stekring/stekring/election"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/internal/jitter"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

// errLost means that a write's comparisons did not hold, or that nobody knows
// whether they did. Reading etcd again tells.
var errLost = errors.New("rotator: the write was not taken")

// stand campaigns for as long as this node could lead: it has looked at etcd,
// and what is there is for it to write.
func (r *Rotator) stand(ctx context.Context) {
	able := func() bool { s := r.sighted(); return s.looked && !s.foreign() }
	c := election.Candidate{Client: r.cfg.Client, Prefix: r.path.Election(), ID: r.cfg.ID, TTL: r.cfg.TTL, Log: r.log}
	for ctx.Err() == nil && r.await(ctx, able) == nil {
		cctx, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if r.await(cctx, func() bool { return !able() }) == nil {
				r.log.Warn("not standing for election until this node can open the ring in etcd",
					zap.String("key", r.path.Ring()), zap.Error(r.sighted().refuse))
				cancel()
			}
		}()
		_ = c.Run(cctx, r.lead)
		cancel()
		<-done
	}
}

// lead is one term. Every turn reads etcd anew, decides, and writes at most
// once. So an outcome unknown needs no care of its own: if the write was taken,
// the next turn finds it there.
func (r *Rotator) lead(ctx context.Context, term election.Term) error {
	r.enthrone(&term)
	defer r.enthrone(nil)
	asked := make(chan struct{}, 1)
	wctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.hear(wctx, asked)
	}()
	defer func() { cancel(); <-done }()

	for wait := (jitter.Backoff{}); ; {
		news := r.changes()
		until, err := r.turn(ctx, term)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errLeave):
			return err // the election says it
		case err != nil:
			r.stalled(err)
			if err := wait.Sleep(ctx, r.retry()); err != nil {
				return err
			}
			continue
		}
		wait.Reset()
		r.stalled(nil)
		until = sooner(until, time.Now().Add(r.pollAfter()))
		if err := pause(ctx, until, news, asked); err != nil {
			return err
		}
	}
}

// errLeave marks what ends a term from inside.
var errLeave = errors.New("leaving the lead")

// turn reads, decides and writes. It returns when to come back at the latest.
func (r *Rotator) turn(ctx context.Context, term election.Term) (time.Time, error) {
	defer r.read()()
	snap, err := fleet.Read(ctx, r.cfg.Client, r.path, term.Fence())
	if err != nil {
		return time.Time{}, err
	}
	if !snap.Fenced {
		return time.Time{}, fmt.Errorf("%w: deposed", errLeave)
	}
	r.observe(snap.Ring, snap.RingRev, snap.Revision)
	r.asked()
	_, policy := r.configured()
	s := situation{policy: policy, keep: r.cfg.Outage == Keep, etcd: r.sighted(), requests: snap.Requests, now: time.Now()}
	s.held, _ = r.view.snapshot()
	for _, n := range snap.Nodes {
		if n.ID == r.cfg.ID {
			continue
		}
		if n.Info().Compare(s.peers) > 0 {
			s.peers, s.newest = n.Info(), n.ID
		}
		if s.held.ring != nil && !n.Local && n.Info().Compare(s.held.ring.Info()) == 0 {
			s.vouched = true
		}
	}
	d := plan(s)
	switch {
	case d.leave != nil:
		return time.Time{}, fmt.Errorf("%w: %w", errLeave, d.leave)
	case d.ring != nil || d.request != nil:
		return time.Now(), r.commit(ctx, term, s.etcd.kek, d, snap.RingRev) // which has opened what is there
	}
	return d.at, nil
}

// commit writes a decision in one transaction, under the fence and over nothing
// but what it was made from.
func (r *Rotator) commit(ctx context.Context, term election.Term, kek *seal.KEK, d decision, ringRev int64) error {
	conds := []clientv3.Cmp{term.Fence(), clientv3.Compare(clientv3.ModRevision(r.path.Ring()), "=", ringRev)}
	var puts []clientv3.Op
	var rec []byte
	answer := fleet.Answer{Refused: d.refused}
	var info keyring.Info
	if d.ring != nil {
		var err error
		if rec, err = kek.Seal(r.path.Ring(), d.ring); err != nil {
			return err
		}
		info = d.ring.Info()
		answer.Epoch, answer.Version = info.Epoch, info.Version
		puts = append(puts, clientv3.OpPut(r.path.Ring(), string(rec)))
	}
	var fields []zap.Field
	if q := d.request; q != nil {
		conds = append(conds, clientv3.Compare(clientv3.ModRevision(q.Key), "=", q.Rev))
		answered := *q
		answered.Answer = &answer
		b, err := json.Marshal(answered)
		if err != nil {
			return err
		}
		puts = append(puts, clientv3.OpPut(q.Key, string(b), clientv3.WithIgnoreLease()))
		fields = append(fields, zap.String("op", q.Op), zap.String("by", q.By), zap.String("reason", q.Reason))
	}
	tctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), fleet.Timeout)
	defer cancel()
	resp, err := r.cfg.Client.Txn(tctx).If(conds...).Then(puts...).Commit()
	switch {
	case err != nil:
		return fmt.Errorf("rotator: writing the ring: %w", err)
	case !resp.Succeeded:
		return errLost
	}
	if d.ring == nil {
		r.log.Warn("request refused", append(fields, zap.String("why", d.refused))...)
		return nil
	}
	if d.turned {
		r.mu.Lock()
		r.rotated++
		r.mu.Unlock()
	}
	level := zap.InfoLevel
	if d.why != "rotated" {
		level = zap.WarnLevel
	}
	r.log.Log(level, "ring written", append(fields, zap.String("what", d.why),
		zap.Uint64("epoch", info.Epoch), zap.Uint64("version", info.Version), zap.Stringer("kek", kek))...)
	r.observe(rec, resp.Header.Revision, resp.Header.Revision)
	return nil
}

// hear signals asked when somebody puts a request, and once for whatever came
// before the watch.
func (r *Rotator) hear(ctx context.Context, asked chan<- struct{}) {
	for wait := (jitter.Backoff{}); ctx.Err() == nil; {
		wctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
		for resp := range r.cfg.Client.Watch(wctx, r.path.Requests(),
			clientv3.WithPrefix(), clientv3.WithFilterDelete(), clientv3.WithCreatedNotify()) {
			if resp.Err() == nil {
				wait.Reset()
			}
			select {
			case asked <- struct{}{}:
			default:
			}
		}
		cancel()
		_ = wait.Sleep(ctx, r.retry())
	}
}

// stalled notes why this leader cannot do what it should, or that it can. It
// wakes nobody, because the leader itself would come back for it at once.
func (r *Rotator) stalled(err error) {
	if errors.Is(err, errLost) {
		return
	}
	r.mu.Lock()
	was := r.stall
	r.stall = err
	r.mu.Unlock()
	switch {
	case err != nil && fmt.Sprint(err) != fmt.Sprint(was):
		r.log.Warn("this node leads and cannot keep the ring; will try again", zap.String("key", r.path.Ring()), zap.Error(err))
	case err == nil && was != nil:
		r.log.Info("this node keeps the ring again")
	}
}

// enthrone notes the term that this node leads, or that it leads no more.
func (r *Rotator) enthrone(t *election.Term) {
	r.mu.Lock()
	r.term, r.since, r.stall = t, time.Now(), nil
	r.led = true
	r.mu.Unlock()
	r.tell()
}
