package main

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
	"time"

	"github.com/stekring/stekring/keyring/rotator"
)

// What is simulated is bounded so: by servers of a common size, files as
// etcd's own unit of systemd allows, and leases, which end if etcd has
// nothing but a burst to do for as long as a candidate has to renew.
const (
	simCores   = 4
	simMemory  = 8e9
	simLink    = 125e6 // bytes a second: 1 Gbit/s
	simFiles   = 40000
	simOutage  = 3.0
	simLatency = 250e-6
	simProxied = 1000
	simRuns    = 20
)

var burst = rotator.DefaultTTL.Seconds() * 2 / 3

// simulate has larger fleets than there can be here.
func simulate(ctx context.Context, b *bench) error {
	if b.scale == nil {
		if err := scale(ctx, b); err != nil {
			return err
		}
	}
	s := b.scale
	s.validate(b)
	t := b.table("Simulated fleets", "etcd", "nodes", "last p50 ms", "steady CPU %", "memory MB", "connections",
		"MB of a rotation", "s on 1 Gbit/s", "back after a death s", "first at its bound", "of it %", "at nodes")
	etcd, proxy := s.tls, s.proxied
	if b.quick {
		etcd, proxy = s.plain, s.proxy
	}
	for _, n := range of(b, []int{1000, 5000, 10_000, 100_000}, []int{1000, 10_000}) {
		for _, k := range []topology{
			{name: "1 member", members: 1}, {name: "3 members", members: 3}, {name: "5 members", members: 5},
			{name: "3 members, proxies", members: 3, proxied: simProxied},
		} {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			k.nodes, k.etcd, k.proxy, k.readAll = n, etcd, proxy, s.shared*etcd.poll/s.plain.poll
			k.cores, k.bandwidth, k.latency = simCores, simLink, simLatency
			load := k.load()
			first, share, limit := k.first()
			t.row(k.name, n, k.lasts(simRuns).at(50)*1000, load.steady*100, load.memory/1e6, int(load.connections),
				load.bytes/1e6, load.bytes/simLink, k.storm(rand.New(rand.NewPCG(1, 1)), simOutage),
				first, share*100, limit)
		}
	}
	return nil
}

// lasts are rotations, in seconds, the same in every run.
func (t *topology) lasts(n int) (all sample) {
	rng := rand.New(rand.NewPCG(1, uint64(t.nodes)))
	for range n {
		all = append(all, t.rotation(rng))
	}
	return all
}

// validate simulates what was measured, on a machine that all processes share.
func (s *scaled) validate(b *bench) {
	t := b.table("Simulated beside measured", "way", "nodes", "measured last p50 ms", "simulated",
		"measured ring to all after a death ms", "simulated")
	for _, k := range []struct {
		topology
		outage   time.Duration
		measured time.Duration
	}{
		{topology{name: direct, members: 1}, s.plain.outage, s.plain.storm},
		{topology{name: allOf, members: 3}, 0, s.storms[allOf]},
		{topology{name: viaProxy, members: 1, proxied: s.nodes}, s.proxy.outage, s.proxy.storm},
	} {
		k.nodes, k.etcd, k.proxy, k.readAll = s.nodes, s.plain, s.proxy, s.shared
		k.cores, k.shared = runtime.NumCPU(), true
		last, measured := k.lasts(simRuns), s.lags[k.name].last
		back := k.storm(rand.New(rand.NewPCG(1, 1)), k.outage.Seconds())
		t.row(k.name, s.nodes, measured.at(50), last.at(50)*1000,
			ms(k.measured), (back+last.at(50))*1000)
	}
}

// load is what one server has to bear.
type load struct {
	steady      float64 // cores, of polls and keepalives
	burst       float64 // CPU seconds: of a rotation, or of clients that come back
	memory      float64
	connections float64
	bytes       float64 // of a rotation
}

// load is a member's.
func (t *topology) load() load {
	poll, _ := t.polling()
	n, m := float64(t.nodes), float64(t.members)
	c := t.etcd
	// A client connects to all endpoints that it has, and watches at one.
	connections, watches, bytes := n, n/m, n/m*c.eventBytes
	if p := float64(t.proxies()); p > 0 {
		connections, watches, bytes = p, p*float64(t.watchesBehind())/m, p/m*t.proxy.behind.bytes
	}
	return load{
		// A candidate has two leases and renews each three times in its TTL.
		steady:      n/((pollBegin+pollEnd)/2)*poll + few*2*3/rotator.DefaultTTL.Seconds()*c.keepalive,
		burst:       max(watches*c.event, connections*(c.connect+c.watch/m)),
		memory:      c.rss + connections*c.rssConnected + watches*c.rssWatching,
		connections: connections, bytes: bytes,
	}
}

// proxyLoad is a proxy's.
func (t *topology) proxyLoad() load {
	_, poll := t.polling()
	n, c := float64(min(t.nodes, t.proxied)), t.proxy
	return load{
		steady: n / ((pollBegin + pollEnd) / 2) * poll, burst: n * max(c.event, c.connect+c.watch),
		memory: c.rss + n*(c.rssConnected+c.rssWatching), connections: n, bytes: n * c.eventBytes,
	}
}

// first returns which bound is reached first when there are more nodes, how much
// of it is used, and with how many nodes it is reached.
func (t *topology) first() (what string, share float64, limit int) {
	more := *t
	limit = sort.Search(1<<30, func(n int) bool {
		more.nodes = n
		return slices.Max(more.shares()) >= 1
	})
	more.nodes = limit
	at := more.shares()
	k := slices.Index(at, slices.Max(at))
	return bounds[k], t.shares()[k], limit
}

var bounds = []string{"CPU, steady", "CPU, burst", "memory", "connections", "link",
	"proxy: CPU, steady", "proxy: CPU, burst", "proxy: memory", "proxy: connections", "proxy: link"}

// shares is how much of each bound is used.
func (t *topology) shares() []float64 {
	s := t.load().shares()
	if t.proxied > 0 {
		s = append(s, t.proxyLoad().shares()...)
	}
	return s
}

func (l load) shares() []float64 {
	return []float64{l.steady / simCores, l.burst / simCores / burst, l.memory / simMemory,
		l.connections / simFiles, l.bytes / simLink / burst}
}
