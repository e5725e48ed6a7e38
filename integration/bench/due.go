package main

import (
	"context"
	"runtime"
	"time"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
)

// due has a leader rotate by itself, and takes what etcd does meanwhile.
func (r *rounds) due(ctx context.Context, t, cost *table) (p50 float64, err error) {
	z := r.size
	p := keyring.Policy{Interval: z.interval, TicketLifetime: 12 * z.interval}
	if err := r.keep(p); err != nil {
		return 0, err
	}
	r.ring = full(p.First(2, r.ring.Info().Version+1, time.Now())) // of the first epoch it would be too many keys
	if _, _, err := r.round(ctx, r.ours); err != nil {
		return 0, err
	}
	for range 3 {
		if _, err := r.turn(ctx); err != nil {
			return 0, err
		}
	}
	if err := sleep(ctx, z.interval/2); err != nil { // for the reports of the last
		return 0, err
	}
	before, start, err := r.count(ctx)
	if err != nil {
		return 0, err
	}
	var commit, first, last sample
	for range z.turns {
		at, err := r.turn(ctx)
		if err != nil {
			return 0, err
		}
		commit, first, last = append(commit, ms(at[0])), append(first, ms(at[1])), append(last, ms(at[2]))
		runtime.GC()
	}
	if err := sleep(ctx, z.interval/2); err != nil { // likewise
		return 0, err
	}
	after, end, err := r.count(ctx)
	if err != nil {
		return 0, err
	}
	t.row(z.nodes, r.ours.who, len(last), z.interval.Seconds(), commit.at(50), commit.p95(), first.at(50), last.at(50), last.p95(), last.at(100))

	// Nodes look at etcd as often as before when nobody rotates.
	p.Manual = true
	if err := r.keep(p); err != nil {
		return 0, err
	}
	if err := sleep(ctx, z.interval); err != nil {
		return 0, err
	}
	idle, idleStart, err := r.count(ctx)
	if err != nil {
		return 0, err
	}
	if err := sleep(ctx, time.Duration(min(z.turns, 30))*z.interval); err != nil {
		return 0, err
	}
	quiet, idleEnd, err := r.count(ctx)
	if err != nil {
		return 0, err
	}
	share := end.Sub(start).Seconds() / idleEnd.Sub(idleStart).Seconds()
	rotations := after.version - before.version
	each := func(of func(counted) float64) float64 {
		return (of(after) - of(before) - share*(of(quiet)-of(idle))) / rotations
	}
	writes := (after.writes - before.writes) / rotations
	cost.row(z.nodes, r.ours.who, int(rotations), writes, each(func(c counted) float64 { return c.puts }),
		each(func(c counted) float64 { return c.txns })-writes,
		each(func(c counted) float64 { return c.sent / 1024 }), each(func(c counted) float64 { return c.received / 1024 }),
		each(func(c counted) float64 { return c.cpu * 1000 }))
	return last.at(50), nil
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

// counted is what etcd has done so far.
type counted struct {
	meters
	writes  float64 // of the ring
	version float64
}

func (r *rounds) count(ctx context.Context) (c counted, at time.Time, err error) {
	if c.meters, err = r.etcd.meters(ctx); err != nil {
		return c, at, err
	}
	at = time.Now()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	resp, err := r.admin.Get(ctx, r.ours.layout.Ring())
	if err != nil {
		return c, at, err
	}
	ring, err := r.kek.Open(r.ours.layout.Ring(), resp.Kvs[0].Value)
	if err != nil {
		return c, at, err
	}
	c.writes, c.version = float64(resp.Kvs[0].Version), float64(ring.Info().Version)
	return c, at, nil
}
