package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestRotationIsTheClosedForm(t *testing.T) {
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: last at %v, want %v", what, got, want)
		}
	}
	event := costs{event: 1e-3}
	near("one core", (&topology{nodes: 600, members: 1, cores: 1, etcd: event}).rotation(seeded()), 0.6)
	near("two cores", (&topology{nodes: 600, members: 1, cores: 2, etcd: event}).rotation(seeded()), 0.3)
	near("three members", (&topology{nodes: 600, members: 3, cores: 2, etcd: event}).rotation(seeded()), 0.1)
	near("three members on one machine", (&topology{nodes: 600, members: 3, cores: 2, shared: true, etcd: event}).rotation(seeded()), 0.3)
	near("latency and the node's own", (&topology{nodes: 1, members: 1, cores: 1, latency: 0.5,
		etcd: costs{event: 1e-3, node: 0.25, commit: sample{2}}}).rotation(seeded()), 2.751)
	near("a link slower than the cores", (&topology{nodes: 600, members: 1, cores: 2, bandwidth: 1000,
		etcd: costs{event: 1e-3, eventBytes: 10}}).rotation(seeded()), 1e-3+6)
	near("proxies", (&topology{nodes: 600, members: 1, cores: 1, proxied: 200, etcd: event,
		proxy: costs{event: 2e-3}}).rotation(seeded()), 3e-3+0.4)
}

func TestStormIsTheClosedForm(t *testing.T) {
	connect := costs{connect: 1, watch: 1}
	got := (&topology{nodes: 50, members: 1, cores: 2, etcd: connect}).storm(seeded(), 3)
	if got < 50 || got > 50+2*giveUp {
		t.Errorf("50 nodes of 2 s each on 2 cores: %v, want 50 and a pause at most", got)
	}
	got = (&topology{nodes: 90, members: 3, cores: 1, etcd: connect}).storm(seeded(), 3)
	if want := 15.0; math.Abs(got-want) > 1e-9 {
		t.Errorf("30 nodes that watch at two other members: %v, want %v", got, want)
	}
}

// More nodes never have the last one sooner, nor more polls.
func TestMoreNodesAreNeverSooner(t *testing.T) {
	c := costs{event: 50e-6, eventBytes: 2000, poll: 100e-6, node: 40e-6, connect: 1e-3, watch: 1e-4}
	c.behind.poll, c.behind.watchers = 50e-6, 2
	for _, base := range []topology{
		{members: 1, cores: 2, etcd: c},
		{members: 3, cores: 2, etcd: c, bandwidth: 125e6, latency: 5e-4, readAll: 2e-4},
		{members: 3, cores: 2, shared: true, etcd: c},
		{members: 3, cores: 2, etcd: c, proxy: c, proxied: 100},
	} {
		was, storm := 0.0, 0.0
		for _, n := range []int{1, 10, 100, 250, 1000, 5000, 20000} {
			base.nodes = n
			last := base.rotation(seeded())
			if last < was {
				t.Errorf("%+v: %d nodes take %v, fewer take %v", base, n, last, was)
			}
			was = last
			base.etcd.poll, base.proxy.poll, base.proxy.behind.poll = 0, 0, 0
			if without := base.rotation(seeded()); without > last {
				t.Errorf("%+v: %d nodes take %v without polls, %v with", base, n, without, last)
			}
			base.etcd.poll, base.proxy.poll, base.proxy.behind.poll = c.poll, c.poll, c.behind.poll
			if s := base.storm(seeded(), 3); n >= 1000 && s < storm {
				t.Errorf("%+v: %d nodes are back in %v, fewer in %v", base, n, s, storm)
			} else {
				storm = s
			}
		}
	}
}
