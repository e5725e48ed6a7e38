package main

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/internal/jitter"
	"github.com/stekring/stekring/keyring/seal"
)

// costs is what one thing costs the server that nodes are connected to: CPU in
// seconds, memory and traffic in bytes.
type costs struct {
	connect, watch  float64 // a new client with its first read; a watch on top
	event           float64 // a ring to one node, and what is sent for it
	eventBytes      float64
	node            float64 // that ring, at the node
	nodeWatch       float64 // what a node itself spends to watch
	nodeReturn      float64 // and on an outage of its server
	poll, pollBytes float64 // a linearizable read of the ring
	keepalive       float64 // of a lease
	report          float64 // a write
	reconnect       float64 // a node of a server that was killed and is back

	rss, rssConnected, rssWatching float64 // without nodes; and for each
	files, goroutines              float64 // for each node

	behind struct{ event, poll, bytes, watchers float64 } // of a proxy: in etcd; watchers and bytes of a ring are of all nodes

	commit sample        // seconds that a write takes when nobody watches
	outage time.Duration // from the kill until it served again
	storm  time.Duration // from then until all nodes had a new ring
}

// measure finds the costs of a server by n nodes. The servers behind are etcd
// itself, of which front is one unless it is a proxy.
func measure(ctx context.Context, front *server, behind members, n, requests int) (c costs, err error) {
	r := &rounds{kek: seal.NewKEK(), size: size{nodes: n}}
	if r.admin, err = behind.all(); err != nil {
		return c, err
	}
	defer r.admin.Close()
	r.ring = hourly()
	ring := fleet.NewLayout("", "limit").Ring()
	if _, err := r.put(ctx, ring); err != nil {
		return c, err
	}
	for range 100 {
		start := time.Now()
		if _, err := r.put(ctx, "/nobody/watches"); err != nil {
			return c, err
		}
		c.commit = append(c.commit, time.Since(start).Seconds())
	}
	started, err := front.meters(ctx)
	if err != nil {
		return c, err
	}
	if err := c.requests(ctx, front, behind, ring, requests); err != nil {
		return c, err
	}
	return c, c.nodes(ctx, r, front, behind, n, started)
}

// nodes measures what n nodes cost that connect, watch, get rings, and lose
// their server.
func (c *costs) nodes(ctx context.Context, r *rounds, front *server, behind members, n int, started meters) error {
	var bare, connected meters
	read, watched := make(chan struct{}, n), make(chan struct{}, n)
	begin := make(chan struct{})
	var f *followers
	bare, connected, err := front.during(ctx, func() (err error) {
		f, err = startFollowers(ctx, "bare etcd watch", "limit", n, front.client, func(ctx context.Context, f *followers, i int, k *clientv3.Client) {
			w := newBare(f, i, k, r.kek)
			w.up = func() {
				select {
				case watched <- struct{}{}:
				default: // it is not the first
				}
			}
			rev, err := w.read(ctx)
			for wait := (jitter.Backoff{}); err != nil && wait.Sleep(ctx, time.Second) == nil; rev, err = w.read(ctx) {
			}
			read <- struct{}{}
			select {
			case <-begin:
			case <-ctx.Done():
				return
			}
			w.watch(ctx, rev+1)
			w.follow(ctx)
		})
		if err != nil {
			return err
		}
		return all(ctx, n, read)
	})
	if f != nil {
		defer f.end()
	}
	if err != nil {
		return err
	}
	had, err := behind.watchers(ctx)
	own := ownCPU()
	_, watching, after := front.during(ctx, func() error {
		close(begin)
		return all(ctx, n, watched)
	})
	if err = errors.Join(err, after); err != nil {
		return err
	}
	c.nodeWatch = (ownCPU() - own).Seconds() / float64(n)
	have, err := behind.watchers(ctx)
	if err != nil {
		return err
	}
	c.behind.watchers = have - had

	const rotations = 20
	if _, err := r.alternate(ctx, warming, 0, r.rest, f); err != nil { // only warms up
		return err
	}
	own = ownCPU()
	var etcd meters
	before, rotated, err := front.during(ctx, func() (err error) {
		etcd, err = behind.spend(ctx, func() error {
			_, err := r.alternate(ctx, warming, rotations-warming, r.rest, f)
			return err
		})
		return err
	})
	if err != nil {
		return err
	}
	events := float64(n * rotations)
	c.node = (ownCPU() - own).Seconds() / events
	c.behind.event, c.behind.bytes = etcd.cpu/rotations, etcd.sent/rotations
	c.eventBytes = etcd.sent / events
	c.event = (rotated.cpu - before.cpu) / events

	per := func(a, b float64) float64 { return (a - b) / float64(n) }
	c.connect, c.watch = per(connected.cpu, bare.cpu), per(watching.cpu, connected.cpu)
	c.files, c.goroutines = per(watching.connections, bare.connections), per(watching.goroutines, bare.goroutines)
	c.rss, c.rssConnected, c.rssWatching = bare.rss, per(connected.rss, bare.rss), per(rotated.rss, connected.rss)
	return c.outages(ctx, r, f, front, float64(n), started)
}

// outages has the nodes lose their server.
func (c *costs) outages(ctx context.Context, r *rounds, f *followers, front *server, n float64, started meters) error {
	r.next()
	f.expect()
	killed, own := time.Now(), ownCPU()
	if err := front.again(ctx); err != nil {
		return err
	}
	served := time.Now()
	c.outage = served.Sub(killed)
	if _, err := r.put(ctx, f.layout.Ring()); err != nil {
		return err
	}
	_, last, err := f.wait(ctx, time.Minute)
	if err != nil {
		return err
	}
	c.storm, c.nodeReturn = last.Sub(served), (ownCPU()-own).Seconds()/n
	m, err := front.meters(ctx)
	c.reconnect = max(0, m.cpu-started.cpu) / n
	return err
}

// all waits until n have come.
func all(ctx context.Context, n int, come <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for range n {
		select {
		case <-come:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
