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
	interval time.Duration // of a leader that rotates by itself
	turns    int           // of that leader
}

func sizes(b *bench) []size {
	if b.quick {
		return []size{{3, crew{candidates: 3}, time.Second, 3}, {10, crew{candidates: few}, time.Second, 2}}
	}
	return []size{
		{1, crew{candidates: 1}, time.Second, 20},
		{3, crew{candidates: 3}, time.Second, 100},
		{10, crew{candidates: 10}, time.Second, 20},
		{30, crew{candidates: 30}, time.Second, 20},
		{100, crew{candidates: 100}, time.Second, 100},
		{100, crew{candidates: 100, quiet: true}, time.Second, 20},
		{100, crew{candidates: few}, time.Second, 20},
		{300, crew{candidates: 300}, 2 * time.Second, 20},
		{1000, crew{candidates: few}, 4 * time.Second, 60},
		// A node looks at etcd four times an interval, so that more of them
		// need a longer one to leave etcd idle in between, as it is with hours.
		{5000, crew{candidates: few}, 20 * time.Second, 5},
	}
}

// rotation measures how soon a ring is used by all nodes once it is written, and
// once it is due.
func rotation(ctx context.Context, b *bench) error {
	written := b.table("From commit to swap", "nodes", "who", "rotations",
		"first p50 ms", "last p50 ms", "last p95 ms", "last max ms", "last p50 / limit", "last p95 / limit")
	due := b.table("From due time to swap", "nodes", "who", "rotations", "interval s",
		"commit p50 ms", "commit p95 ms", "first p50 ms", "last p50 ms", "last p95 ms", "last max ms")
	for _, z := range sizes(b) {
		if !b.wants(z.nodes) {
			continue
		}
		b.say("rotation: %d nodes, %v", z.nodes, z.crew)
		err := withRounds(ctx, z, func(r *rounds) error {
			if err := r.written(ctx, of(b, 100, 5), written); err != nil {
				return err
			}
			p50, err := r.due(ctx, due)
			if b.ours[z.nodes] == 0 { // the first crew is the usual one
				b.ours[z.nodes] = p50
			}
			return err
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
	alone lags // the limit's
}

// withRounds calls f with a fleet and an etcd of its own.
func withRounds(ctx context.Context, z size, f func(*rounds) error) error {
	s, err := startEtcd(ctx)
	if err != nil {
		return err
	}
	defer s.end()
	r, err := newRounds(ctx, s, z)
	if err != nil {
		return err
	}
	defer r.end()
	return f(r)
}

// newRounds starts a fleet.
func newRounds(ctx context.Context, s *server, z size) (r *rounds, err error) {
	r = &rounds{etcd: s, kek: seal.NewKEK(), size: z}
	if r.admin, err = s.client(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.end()
		}
	}()
	r.ring = hourly()
	if r.limit, err = startLimit(ctx, z.nodes, s.client, r.kek); err != nil {
		return nil, err
	}
	alone, err := r.alternate(ctx, warm, 30, r.quiet, r.limit) // before there is a fleet beside it
	if err != nil {
		return nil, err
	}
	r.alone = alone[0]
	if _, err := r.put(ctx, "/stekring/ours/ring"); err != nil {
		return nil, err
	}
	if r.ours, err = startFleet(ctx, z.nodes, z.crew, s.client, r.kek); err != nil {
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

// next makes the next ring.
func (r *rounds) next() { r.ring = later(r.ring) }

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
	f.expect()
	began, err := r.put(ctx, f.layout.Ring())
	if err != nil {
		return 0, 0, err
	}
	one, all, err := f.wait(ctx, time.Minute)
	return one.Sub(began), all.Sub(began), err
}

// quiet returns when nothing of a round is left to burden the next one.
func (r *rounds) quiet(ctx context.Context) error {
	if r.ours != nil {
		v := min(r.ring.Info().Version, r.ours.want)
		if err := r.ours.settled(ctx, r.admin, v, r.size.crew); err != nil {
			return err
		}
	}
	runtime.GC()
	return sleep(ctx, 5*time.Millisecond)
}

// warm is how many rounds do not count.
const warm = 10

// lags is how long after the commit the first and the last node swapped, in ms.
type lags struct{ first, last sample }

// alternate has fleets swap in turn, n times each after some to warm up, with a
// rest after each.
func (r *rounds) alternate(ctx context.Context, warm, n int, rest func(context.Context) error, fleets ...*followers) ([]lags, error) {
	all := make([]lags, len(fleets))
	for i := range warm + n {
		r.next()
		for j := range fleets {
			k := (i + j) % len(fleets)
			first, last, err := r.round(ctx, fleets[k])
			if err == nil {
				err = rest(ctx)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", fleets[k].who, err)
			}
			if i >= warm {
				all[k].first, all[k].last = append(all[k].first, ms(first)), append(all[k].last, ms(last))
			}
		}
	}
	return all, nil
}

// written writes rings of hours, which is when nodes let etcd alone.
func (r *rounds) written(ctx context.Context, n int, t *table) error {
	arms := []*followers{r.limit, r.ours}
	all, err := r.alternate(ctx, warm, n, r.quiet, arms...)
	if err != nil {
		return err
	}
	limit := all[0].last
	row := func(who string, l lags) {
		t.row(r.size.nodes, who, len(l.last), l.first.at(50), l.last.at(50), l.last.p95(), l.last.at(100), l.last.at(50)/limit.at(50), l.last.p95()/limit.p95())
	}
	row("bare etcd watch, alone", r.alone)
	for k, f := range arms {
		row(f.who, all[k])
	}
	return nil
}
