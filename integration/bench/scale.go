package main

import (
	"context"
	"fmt"
	"time"

	"github.com/stekring/stekring/keyring/seal"
)

// scaled is what the section has measured, for those who go on from there.
type scaled struct {
	nodes   int
	lags    map[string]lags // of bare watches, by the way they go
	storms  map[string]time.Duration
	plain   costs // one member
	tls     costs
	proxy   costs
	proxied costs   // by a proxy with TLS
	shared  float64 // CPU seconds of all three members together for a poll of one
}

// The ways by which nodes reach etcd.
const (
	direct    = "1 member"
	oneOf     = "3 members, one endpoint a node"
	allOf     = "3 members, all endpoints"
	viaProxy  = "1 member, gRPC proxy"
	swapTable = "From commit to swap, by the way to etcd"
)

// scale measures what there is for fleets that one etcd may be too small for, and
// what a node costs.
func scale(ctx context.Context, b *bench) error {
	s := &scaled{nodes: of(b, 1000, 20), lags: map[string]lags{}, storms: map[string]time.Duration{}}
	b.scale = s
	swapped := b.table(swapTable, "way", "nodes", "who", "rotations",
		"first p50 ms", "first p95 ms", "last p50 ms", "last p95 ms", "last p50 / limit", "last p95 / limit")
	spent := b.table("A rotation, process by process", "way", "who", "process",
		"watches of it", "files", "KB sent", "CPU ms", "RSS MB")
	found := b.table("What was found", "way", "what", "found")
	w := &ways{b: b, s: s, swapped: swapped, spent: spent, found: found}
	for _, part := range []func(context.Context) error{w.members, w.proxy} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return s.constants(ctx, b)
}

// ways measures one way to etcd after the other.
type ways struct {
	b                     *bench
	s                     *scaled
	swapped, spent, found *table
}

// route is a fleet by a way. A bare one is the limit.
type route struct {
	way, who, ring string
	bare           bool
	to             dial
}

// rounds begins with an etcd.
func (w *ways) rounds(m members) (*rounds, error) {
	r := &rounds{kek: seal.NewKEK(), size: size{nodes: w.s.nodes, crew: crew{candidates: few}}}
	var err error
	if r.admin, err = m.all(); err != nil {
		return nil, err
	}
	r.ring = hourly()
	return r, nil
}

// measure starts one fleet after the other, weighs each when it is the newest,
// and has all swap in turn. It calls then before they end.
func (w *ways) measure(ctx context.Context, r *rounds, etcd members, proxy *server, routes []route, then func([]*followers) error) error {
	var fleets []*followers
	for _, a := range routes {
		w.b.say("scale: %s: %s", a.way, a.who)
		before, err := etcd.each(ctx)
		if err != nil {
			return err
		}
		f, err := r.start(ctx, a)
		if err != nil {
			return err
		}
		defer f.end()
		after, err := etcd.each(ctx)
		if err != nil {
			return err
		}
		fleets = append(fleets, f)
		var each []float64
		for i := range etcd {
			each = append(each, after[i].watchers-before[i].watchers)
		}
		if err := w.spend(ctx, a, r, etcd, proxy, f, each); err != nil {
			return err
		}
	}
	n := of(w.b, 40, 2)
	all, err := r.alternate(ctx, warming, n, r.rest, fleets...)
	if err != nil {
		return err
	}
	for i, a := range routes {
		l := all[i]
		w.swapped.row(a.way, w.s.nodes, a.who, n, l.first.at(50), l.first.at(95), l.last.at(50), l.last.at(95),
			l.last.at(50)/all[0].last.at(50), l.last.at(95)/all[0].last.at(95))
		if a.bare {
			w.s.lags[a.way] = l
		}
	}
	return then(fleets)
}

// start starts a fleet and waits until it follows.
func (r *rounds) start(ctx context.Context, a route) (f *followers, err error) {
	r.next()
	if a.bare {
		f, err = startBare(ctx, a.who, a.ring, r.size.nodes, a.to, r.kek)
	} else {
		if _, err := r.put(ctx, "/stekring/ours/ring"); err != nil {
			return nil, err
		}
		if f, err = startFleet(ctx, r.size.nodes, r.size.crew, a.to, r.kek); err == nil {
			err = f.settled(ctx, r.admin, r.ring.Info().Version, r.size.crew)
		}
	}
	if err == nil {
		_, err = r.alternate(ctx, warming, 0, r.rest, f)
	}
	if err != nil && f != nil {
		f.end()
	}
	return f, err
}

// spend takes what each process does in a while of rotations, less what it does in
// as long a while without.
func (w *ways) spend(ctx context.Context, a route, r *rounds, etcd members, proxy *server, f *followers, watches []float64) error {
	all := etcd[:len(etcd):len(etcd)]
	if proxy != nil && a.way == viaProxy {
		all = append(all, proxy)
	}
	start := time.Now()
	n := of(w.b, 17, 2)
	with, err := all.spends(ctx, func() error {
		_, err := r.alternate(ctx, warming, n, r.rest, f)
		return err
	})
	if err != nil {
		return err
	}
	took := time.Since(start)
	without, err := all.spends(ctx, func() error {
		return sleep(ctx, took)
	})
	if err != nil {
		return err
	}
	for i := range all {
		process, watch, rotations := fmt.Sprintf("member %d", i+1), any("-"), float64(warming+n)
		if i < len(watches) {
			watch = int(watches[i])
		}
		sent := any((with[i].sent - without[i].sent) / 1000 / rotations)
		if all[i] == proxy {
			process, sent = "proxy", "-" // it does not count them
		}
		w.spent.row(a.way, a.who, process, watch, int(without[i].connections), sent,
			(with[i].cpu-without[i].cpu)*1000/rotations, without[i].rss/1e6)
	}
	return nil
}
