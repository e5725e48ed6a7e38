package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/caddyserver/certmagic"
)

// peerFleet is a fleet of Caddy's to measure.
type peerFleet struct {
	Nodes     int
	Interval  time.Duration
	Rotations int
	Warm      int           // more rotations, before those that count
	Apart     time.Duration // their clocks
	Endpoint  string        // of etcd, or
	Dir       string        // of a file storage
}

// clocksApart is what good clocks of machines differ by. Over etcd, where nobody
// polls, equal clocks are better for the peer.
const clocksApart = 10 * time.Millisecond

// lockPoll is how often certmagic's file storage looks for a lock. Clocks as far
// apart as that are the best there can be, as each instance then looks at an instant
// of its own.
const lockPoll = time.Second

func (f peerFleet) who() string {
	switch {
	case f.Dir == "":
		return onEtcd
	case f.Apart == 0:
		return onFilesEqual
	case f.Apart == lockPoll:
		return onFilesApart
	}
	return onFiles
}

// peerResult is what was measured of one.
type peerResult struct {
	Swaps      swapTimes
	Operations int64   // of the storage
	Requests   float64 // to etcd
	Bytes      float64 // from and to etcd
	Errors     int     // that the module logged
	LastError  string
	Stopped    int // instances that do not rotate any more
}

// peerFleets returns what to measure. Over files the interval must be well above
// what one rotation takes there: N instances poll for one lock, once a second.
func peerFleets(b *bench) (fleets []peerFleet) {
	if b.quick {
		return []peerFleet{
			{Nodes: 3, Interval: 5 * time.Second, Rotations: 2, Dir: "new", Apart: clocksApart},
			{Nodes: 3, Interval: 2 * time.Second, Rotations: 2},
		}
	}
	for _, f := range []struct {
		nodes        int
		close, apart time.Duration // intervals in seconds, by the clocks
	}{{1, 2, 0}, {3, 6, 0}, {10, 8, 8}, {30, 25, 12}, {100, 50, 25}} {
		fleets = append(fleets, peerFleet{Nodes: f.nodes, Interval: f.close * time.Second, Rotations: 5, Dir: "new", Apart: clocksApart})
		if f.apart > 0 {
			fleets = append(fleets, peerFleet{Nodes: f.nodes, Interval: f.apart * time.Second, Rotations: 5, Dir: "new", Apart: lockPoll})
		}
		fleets = append(fleets, peerFleet{Nodes: f.nodes, Interval: 2 * time.Second, Rotations: 20, Warm: 2})
	}
	return append(fleets, peerFleet{Nodes: 10, Interval: 12 * time.Second, Rotations: 5, Dir: "new"})
}

// peer measures rotations of Caddy's distributed session ticket module.
func peer(ctx context.Context, b *bench) error {
	t := b.table("The peer, from commit to swap", "nodes", "who", "rotations", "first p50 ms", "last p50 ms",
		"last p95 ms", "last max ms", "due to last p50 ms", "due to last p95 ms", "due to last p50 / ours")
	cost := b.table("Cost of the peer's rotation", "nodes", "who", "storage operations", "etcd requests", "etcd KiB",
		"errors logged", "stopped instances")
	return peerRotation(ctx, b, t, cost)
}

// peerRotation fills the tables. Each fleet has a process of its own, and so has
// its etcd.
func peerRotation(ctx context.Context, b *bench, t, cost *table) error {
	for _, f := range peerFleets(b) {
		if !b.wants(f.Nodes) {
			continue
		}
		b.say("peer: %s, %d nodes, every %v", f.who(), f.Nodes, f.Interval)
		r, err := peerAlone(ctx, f)
		if err != nil {
			return fmt.Errorf("%s, %d nodes: %w", f.who(), f.Nodes, err)
		}
		if r.Errors > 0 {
			b.say("peer: it logged %d errors, at last: %s", r.Errors, r.LastError)
		}
		s, rotations := r.Swaps, float64(len(r.Swaps.Last))
		ratio := any("-")
		if ours := b.ours[f.Nodes]; ours > 0 {
			ratio = s.FromDue.at(50) / ours
		}
		t.row(f.Nodes, f.who(), len(s.Last), s.First.at(50), s.Last.at(50), s.Last.p95(), s.Last.at(100), s.FromDue.at(50), s.FromDue.p95(), ratio)
		requests, kib := any("-"), any("-")
		if f.Dir == "" {
			requests, kib = r.Requests/rotations, r.Bytes/rotations/1024
		}
		cost.row(f.Nodes, f.who(), float64(r.Operations)/rotations, requests, kib, r.Errors, r.Stopped)
	}
	return nil
}

// peerAlone measures a fleet in a child.
func peerAlone(ctx context.Context, f peerFleet) (r peerResult, err error) {
	end, err := place(ctx, &f.Dir, &f.Endpoint)
	if err != nil {
		return r, err
	}
	defer end()
	return ask[peerResult](ctx, "peer", f)
}

// place makes what a storage needs: a folder if dir is not empty, or else an
// etcd.
func place(ctx context.Context, dir, endpoint *string) (end func(), err error) {
	if *dir != "" {
		*dir, err = os.MkdirTemp("", "bench-caddy-")
		return func() { os.RemoveAll(*dir) }, err
	}
	s, err := startEtcd(ctx)
	if err != nil {
		return nil, err
	}
	*endpoint = s.endpoint
	return s.end, nil
}

// peerRole measures a fleet of instances in this process.
func peerRole(ctx context.Context, f peerFleet) (r peerResult, err error) {
	storages, end, err := f.storages(ctx)
	if err != nil {
		return r, err
	}
	defer end()
	c, err := startCaddies(ctx, storages, &tls.Config{}, caddyOptions{interval: f.Interval, maxKeys: 4, apart: f.Apart})
	if err != nil {
		return r, err
	}
	defer c.end()
	if err := f.rotated(ctx, c, f.Warm); err != nil {
		return r, err
	}
	operations, before, err := f.spent(ctx, c)
	if err != nil {
		return r, err
	}
	if err := f.rotated(ctx, c, f.Warm+f.Rotations); err != nil {
		return r, err
	}
	after := meters{}
	if r.Operations, after, err = f.spent(ctx, c); err != nil {
		return r, err
	}
	r.Operations -= operations
	r.Requests = after.requests - before.requests
	r.Bytes = after.sent + after.received - before.sent - before.received
	r.Swaps, r.Stopped = c.times(1+f.Warm, f.Rotations), c.stoppedCount()
	r.Errors, r.LastError = c.errors.read()
	return r, nil
}

func (f peerFleet) storages(ctx context.Context) (all []certmagic.Storage, end func(), err error) {
	if f.Dir != "" {
		for range f.Nodes {
			all = append(all, &certmagic.FileStorage{Path: f.Dir})
		}
		return all, func() {}, nil
	}
	etcd := &server{endpoint: f.Endpoint}
	end = func() {
		for _, s := range all {
			s.(*etcdStorage).close()
		}
	}
	for range f.Nodes {
		client, err := etcd.client()
		if err != nil {
			end()
			return nil, nil, err
		}
		s, err := newEtcdStorage(ctx, client)
		if err != nil {
			end()
			return nil, nil, err
		}
		all = append(all, s)
	}
	return all, end, nil
}

// rotated waits until all instances that go on have rotated n times.
func (f peerFleet) rotated(ctx context.Context, c *caddies, n int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(2*n+2)*f.Interval, errors.New("the instances do not rotate"))
	defer cancel()
	for !c.complete(n, c.stopped) && c.stoppedCount() < f.Nodes {
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// spent returns what has been used so far, once the last lock is free.
func (f peerFleet) spent(ctx context.Context, c *caddies) (operations int64, m meters, err error) {
	if err := sleep(ctx, min(f.Interval/4, time.Second/2)); err != nil {
		return 0, m, err
	}
	if f.Endpoint != "" {
		m, err = (&server{endpoint: f.Endpoint}).meters(ctx)
	}
	return c.operations(), m, err
}
