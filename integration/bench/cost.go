package main

import (
	"context"
	"fmt"
	"time"

	"github.com/stekring/stekring/keyring"
)

// cost measures what a rotation by a leader costs etcd, beyond what nodes ask of
// it all the time. Its CPU time is not here: what all nodes look for at short
// intervals takes far more, and varies by more.
func cost(ctx context.Context, b *bench) error {
	t := b.table("Cost of a rotation to etcd", "nodes", "who", "rotations",
		"ring writes", "report writes", "reads of the leader", "KiB to nodes", "KiB from nodes")
	for _, z := range of(b, []size{
		{3, crew{candidates: 3}, time.Second, 30},
		{100, crew{candidates: 100}, time.Second, 30},
		{100, crew{candidates: 100, quiet: true}, time.Second, 30},
		{100, crew{candidates: few}, time.Second, 30},
		{1000, crew{candidates: few}, 4 * time.Second, 20},
	}, []size{{3, crew{candidates: 3}, time.Second, 2}}) {
		if !b.wants(z.nodes) {
			continue
		}
		b.say("cost: %d nodes, %v", z.nodes, z.crew)
		if err := withRounds(ctx, z, func(r *rounds) error { return r.cost(ctx, of(b, 32*time.Second, time.Second), t) }); err != nil {
			return fmt.Errorf("%d nodes: %w", z.nodes, err)
		}
	}
	return nil
}

// cost takes what etcd does in a while of rotations, less what it does in as long
// a while without.
func (r *rounds) cost(ctx context.Context, settle time.Duration, t *table) error {
	z := r.size
	if err := r.short(ctx); err != nil {
		return err
	}
	// A node whose ring was of hours may not look at etcd for half a minute more.
	for start := time.Now(); time.Since(start) < settle; {
		if _, err := r.turn(ctx); err != nil {
			return err
		}
	}
	before, after, rotating, err := r.over(ctx, func() error {
		for range z.turns {
			if _, err := r.turn(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// Nodes look at etcd as often as before when nobody rotates.
	p := z.policy()
	p.Manual = true
	if err := r.keep(p); err != nil {
		return err
	}
	r.ring = p.Again(after.ring, after.ring.Info().Version+1, time.Now(), time.Now())
	if _, _, err := r.round(ctx, r.ours); err != nil {
		return err
	}
	idle, quiet, waited, err := r.over(ctx, func() error { return sleep(ctx, time.Duration(z.turns)*z.interval) })
	if err != nil {
		return err
	}
	share := rotating.Seconds() / waited.Seconds()
	rotations := float64(after.ring.Info().Version - before.ring.Info().Version)
	each := func(of func(counted) float64) float64 {
		return (of(after) - of(before) - share*(of(quiet)-of(idle))) / rotations
	}
	writes := (after.writes - before.writes) / rotations
	t.row(z.nodes, r.ours.who, int(rotations), writes, each(func(c counted) float64 { return c.puts }),
		each(func(c counted) float64 { return c.txns })-writes,
		each(func(c counted) float64 { return c.sent / 1024 }), each(func(c counted) float64 { return c.received / 1024 }))
	return nil
}

// over counts before and after f, each when the reports of the last rotation are
// there.
func (r *rounds) over(ctx context.Context, f func() error) (before, after counted, took time.Duration, err error) {
	if err = sleep(ctx, r.size.interval/2); err != nil {
		return before, after, 0, err
	}
	before, start, err := r.count(ctx)
	if err == nil {
		err = f()
	}
	if err == nil {
		err = sleep(ctx, r.size.interval/2)
	}
	if err != nil {
		return before, after, 0, err
	}
	after, end, err := r.count(ctx)
	return before, after, end.Sub(start), err
}

// counted is what etcd has done so far.
type counted struct {
	meters
	ring   *keyring.Ring
	writes float64 // of it
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
	c.writes = float64(resp.Kvs[0].Version)
	c.ring, err = r.kek.Open(r.ours.layout.Ring(), resp.Kvs[0].Value)
	return c, at, err
}
