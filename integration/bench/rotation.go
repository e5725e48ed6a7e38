package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

// size is a fleet to measure.
type size struct {
	nodes    int
	crew     crew
	interval time.Duration // of a leader that rotates by itself; 0 is not measured
	turns    int           // of that leader
}

func sizes(b *bench) []size {
	if b.quick {
		return []size{{3, crew{candidates: 3}, time.Second, 3}, {10, crew{candidates: few}, 0, 0}}
	}
	return []size{
		{1, crew{candidates: 1}, time.Second, 30},
		{3, crew{candidates: 3}, time.Second, 100},
		{10, crew{candidates: 10}, time.Second, 30},
		{30, crew{candidates: 30}, time.Second, 30},
		{100, crew{candidates: 100}, time.Second, 100},
		{100, crew{candidates: 100, quiet: true}, 0, 0},
		{100, crew{candidates: few}, 0, 0},
		{300, crew{candidates: 300}, 2 * time.Second, 30},
		{1000, crew{candidates: few}, 4 * time.Second, 100},
		// A node looks at etcd four times an interval, so that more of them
		// need a longer one to leave etcd idle in between, as it is with hours.
		{5000, crew{candidates: few}, 20 * time.Second, 10},
	}
}

// rotation measures how soon a ring is used by all nodes once it is written, and
// once it is due.
func rotation(ctx context.Context, b *bench) error {
	written := b.table("From commit to swap", "nodes", "who", "rotations",
		"first p50 ms", "last p50 ms", "last p95 ms", "last max ms", "last p50 / limit", "last p95 / limit")
	due := b.table("From due time to swap", "nodes", "who", "rotations", "interval s",
		"commit p50 ms", "commit p95 ms", "first p50 ms", "last p50 ms", "last p95 ms", "last max ms")
	cost := b.table("Cost of a rotation to etcd", "nodes", "who", "rotations",
		"ring writes", "report writes", "reads", "KiB to nodes", "KiB from nodes", "etcd CPU ms")
	for _, z := range sizes(b) {
		if !b.wants(z.nodes) {
			continue
		}
		b.say("rotation: %d nodes, %v", z.nodes, z.crew)
		err := withRounds(ctx, z, func(r *rounds) error {
			ours, err := r.written(ctx, of(b, 100, 5), written)
			if err != nil {
				return err
			}
			if b.ours[z.nodes] == 0 { // the first crew is the usual one
				b.ours[z.nodes] = ours
			}
			if err := r.cost(ctx, of(b, 20, 2), cost); err != nil || z.turns == 0 {
				return err
			}
			return r.due(ctx, due)
		})
		if err != nil {
			return fmt.Errorf("%d nodes: %w", z.nodes, err)
		}
	}
	return nil
}

// rounds is a fleet of ours and as many bare watches, in which somebody writes
// one ring after the other.
type rounds struct {
	etcd  *server
	admin *clientv3.Client
	kek   *seal.KEK
	ring  *keyring.Ring
	size  size
	ours  *followers
	limit *followers
}

// withRounds calls f with a fleet and an etcd of its own.
func withRounds(ctx context.Context, z size, f func(*rounds) error) error {
	s, err := startEtcd(ctx)
	if err != nil {
		return err
	}
	defer s.end()
	r, err := newRounds(ctx, s.client, s.client, z)
	if err != nil {
		return err
	}
	defer r.end()
	r.etcd = s
	return f(r)
}

// newRounds starts a fleet by one way to etcd, and writes by another.
func newRounds(ctx context.Context, nodes, admin dial, z size) (r *rounds, err error) {
	r = &rounds{kek: seal.NewKEK(), size: z}
	if r.admin, err = admin(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.end()
		}
	}()
	r.fill(keyring.DefaultPolicy.First(1, 1, time.Now()))
	if r.limit, err = startLimit(ctx, z.nodes, nodes, r.kek); err != nil {
		return nil, err
	}
	for _, path := range []string{"/stekring/ours/ring", r.limit.layout.Ring()} {
		if _, err := r.put(ctx, path); err != nil {
			return nil, err
		}
	}
	if r.ours, err = startFleet(ctx, z.nodes, z.crew, nodes, r.kek); err != nil {
		return nil, err
	}
	if err := r.ours.settled(ctx, r.admin, r.ring.Info().Version, z.crew); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *rounds) end() {
	for _, f := range []*followers{r.ours, r.limit} {
		if f != nil {
			f.end()
		}
	}
	r.admin.Close()
}

// fill rotates a ring until it has as many keys as it ever will.
func (r *rounds) fill(ring *keyring.Ring) {
	r.ring = ring
	for had := 0; len(r.ring.Info().Keys) > had; {
		had = len(r.ring.Info().Keys)
		r.next()
	}
}

// next makes the next ring, as if an interval had passed.
func (r *rounds) next() {
	now := time.Now()
	p := r.ring.Info().Policy
	ring, err := p.Next(r.ring, now.Add(-p.Interval), now)
	if err != nil {
		panic(err) // the policy is sound
	}
	r.ring = ring
}

// put writes the ring and returns when it began to.
func (r *rounds) put(ctx context.Context, path string) (began time.Time, err error) {
	rec, err := r.kek.Seal(path, r.ring)
	if err != nil {
		return began, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	began = time.Now()
	_, err = r.admin.Put(ctx, path, string(rec))
	return began, err
}

// round is one rotation: from before the write to the first and the last swap.
func (r *rounds) round(ctx context.Context, f *followers) (first, last time.Duration, err error) {
	f.expect(r.ring.Info().Version)
	began, err := r.put(ctx, f.layout.Ring())
	if err != nil {
		return 0, 0, err
	}
	one, all, err := f.wait(ctx, time.Minute)
	return one.Sub(began), all.Sub(began), err
}

// quiet returns when nothing of a round is left to burden the next one.
func (r *rounds) quiet(ctx context.Context) error {
	v := r.ring.Info().Version
	if r.ours.want < v {
		v = r.ours.want
	}
	if err := r.ours.settled(ctx, r.admin, v, r.size.crew); err != nil {
		return err
	}
	runtime.GC()
	return sleep(ctx, 5*time.Millisecond)
}

// written writes rings of hours, which is when nodes let etcd alone. Rounds of
// ours and of the limit alternate.
func (r *rounds) written(ctx context.Context, n int, t *table) (p50 float64, err error) {
	arms := []*followers{r.limit, r.ours}
	var first, last [2]sample
	const warm = 10
	for i := range warm + n {
		r.next()
		for j := range arms {
			k := (i + j) % 2
			one, all, err := r.round(ctx, arms[k])
			if err != nil {
				return 0, fmt.Errorf("%s: %w", arms[k].who, err)
			}
			if err := r.quiet(ctx); err != nil {
				return 0, err
			}
			if i >= warm {
				first[k], last[k] = append(first[k], ms(one)), append(last[k], ms(all))
			}
		}
	}
	for k, f := range arms {
		t.row(r.size.nodes, f.who, n, first[k].at(50), last[k].at(50), last[k].at(95), last[k].at(100),
			last[k].at(50)/last[0].at(50), last[k].at(95)/last[0].at(95))
	}
	return last[1].at(50), nil
}

// cost takes what etcd does in a while of rotations, less what it does in as long
// a while without.
func (r *rounds) cost(ctx context.Context, n int, t *table) error {
	spread := 300*time.Millisecond + 2*time.Duration(r.size.crew.candidates)*time.Millisecond // until all have reported
	for _, f := range []*followers{r.limit, r.ours} {
		if err := sleep(ctx, spread+time.Second); err != nil {
			return err
		}
		wrote, err := r.writes(ctx, f)
		if err != nil {
			return err
		}
		start := time.Now()
		before, err := r.etcd.meters(ctx)
		if err != nil {
			return err
		}
		for range n {
			r.next()
			if _, _, err := r.round(ctx, f); err != nil {
				return err
			}
			if err := sleep(ctx, spread); err != nil {
				return err
			}
		}
		took := time.Since(start)
		with, err := r.etcd.meters(ctx)
		if err != nil {
			return err
		}
		if err := sleep(ctx, took); err != nil {
			return err
		}
		without, err := r.etcd.meters(ctx)
		if err != nil {
			return err
		}
		puts, err := r.writes(ctx, f)
		if err != nil {
			return err
		}
		puts = (puts - wrote) / float64(n)
		each := func(of func(meters) float64) float64 {
			return (of(with) - of(before) - (of(without) - of(with))) / float64(n)
		}
		t.row(r.size.nodes, f.who, n, puts, each(func(m meters) float64 { return m.puts })-puts,
			each(func(m meters) float64 { return m.ranges + m.txns }),
			each(func(m meters) float64 { return m.sent / 1024 }), each(func(m meters) float64 { return m.received / 1024 }),
			each(func(m meters) float64 { return m.cpu * 1000 }))
	}
	return nil
}

// writes is how often the ring has been written.
func (r *rounds) writes(ctx context.Context, f *followers) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	resp, err := r.admin.Get(ctx, f.layout.Ring())
	if err != nil {
		return 0, err
	}
	return float64(resp.Kvs[0].Version), nil
}

// due has a leader rotate by itself.
func (r *rounds) due(ctx context.Context, t *table) error {
	z := r.size
	p := keyring.Policy{Interval: z.interval, TicketLifetime: 12 * z.interval}
	for _, n := range r.ours.nodes {
		if err := n.Reconfigure(r.kek, p); err != nil {
			return err
		}
	}
	r.fill(p.First(2, r.ring.Info().Version+1, time.Now())) // of the first epoch it would be too many keys
	if _, _, err := r.round(ctx, r.ours); err != nil {
		return err
	}
	var commit, first, last sample
	const warm = 3
	for i := range warm + z.turns {
		leader := r.ours.leader()
		for ; leader == nil && ctx.Err() == nil; leader = r.ours.leader() {
			if err := sleep(ctx, 5*time.Millisecond); err != nil {
				return err
			}
		}
		s := leader.Status()
		r.ours.expect(s.Info.Version + 1)
		one, all, err := r.ours.wait(ctx, 4*z.interval+time.Minute)
		if err != nil {
			return err
		}
		if i < warm {
			continue
		}
		commit = append(commit, ms(r.ours.committed.Load().Sub(s.Due)))
		first, last = append(first, ms(one.Sub(s.Due))), append(last, ms(all.Sub(s.Due)))
		runtime.GC()
	}
	t.row(z.nodes, r.ours.who, z.turns, z.interval.Seconds(), commit.at(50), commit.at(95), first.at(50), last.at(50), last.at(95), last.at(100))
	return nil
}
