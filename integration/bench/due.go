package main

import (
	"context"
	"runtime"
	"time"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
)

// due has a leader rotate by itself.
func (r *rounds) due(ctx context.Context, t *table) (p50 float64, err error) {
	if err := r.short(ctx); err != nil {
		return 0, err
	}
	var commit, first, last sample
	for i := range 3 + r.size.turns {
		at, err := r.turn(ctx)
		if err != nil {
			return 0, err
		}
		if i >= 3 {
			commit, first, last = append(commit, ms(at[0])), append(first, ms(at[1])), append(last, ms(at[2]))
		}
		runtime.GC()
	}
	t.row(r.size.nodes, r.ours.who, len(last), r.size.interval.Seconds(),
		commit.at(50), commit.p95(), first.at(50), last.at(50), last.p95(), last.at(100))
	return last.at(50), nil
}

// policy is that of a leader that rotates by itself.
func (z size) policy() keyring.Policy {
	return keyring.Policy{Interval: z.interval, TicketLifetime: 12 * z.interval}
}

// short goes over to a ring of that policy, which is not of hours.
func (r *rounds) short(ctx context.Context) error {
	p := r.size.policy()
	if err := r.keep(p); err != nil {
		return err
	}
	r.ring = full(p.First(2, r.ring.Info().Version+1, time.Now())) // of the first epoch it would be too many keys
	_, _, err := r.round(ctx, r.ours)
	return err
}

// keep has every node keep the ring by a policy, should it lead.
func (r *rounds) keep(p keyring.Policy) error {
	for _, n := range r.ours.nodes {
		if err := n.Reconfigure(r.kek, p); err != nil {
			return err
		}
	}
	return nil
}

// turn is one rotation by the leader: from when it was due to its commit, the
// first swap and the last.
func (r *rounds) turn(ctx context.Context) (at [3]time.Duration, err error) {
	var s rotator.Status
	for next := uint64(0); !s.Leader || s.Info.Version != next-1; {
		next = r.ours.expect()
		r.ours.committed.Store(nil)
		if leader := r.ours.leader(); leader != nil {
			s = leader.Status()
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return at, err
		}
	}
	first, last, err := r.ours.wait(ctx, 4*r.size.interval+time.Minute)
	if err != nil {
		return at, err
	}
	commit := r.ours.committed.Load()
	if commit == nil { // it was at it just then
		return r.turn(ctx)
	}
	for i, t := range []time.Time{*commit, first, last} {
		at[i] = t.Sub(s.Due)
	}
	return at, nil
}
