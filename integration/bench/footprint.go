package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/keyring/rotator"
)

// footprint weighs nodes that have nothing to do, each in a process of its own,
// beside a process that has an etcd client and nothing else.
func footprint(ctx context.Context, b *bench) error {
	l, err := newLab(ctx)
	if err != nil {
		return err
	}
	defer l.end()
	rings := of(b, 5, 2)
	for i := range rings {
		if err := l.putRing(ctx, fmt.Sprint("ring", i), hourly()); err != nil {
			return err
		}
	}

	t := b.table("Footprint of a node",
		"process", "heap MB", "heap of ours MB", "RSS MB", "RSS of ours MB",
		"goroutines", "goroutines of ours", "running our code", "connections to etcd", "leases")
	var base weights
	for k, kind := range []struct {
		name                  string
		bare, holds, observer bool
	}{
		{name: "etcd client, one Get", bare: true},
		{name: "etcd client, one watch, one lease", bare: true, holds: true},
		{name: "leader"},
		{name: "candidate, idle"},
		{name: "observer", observer: true},
	} {
		o := nodeOptions{
			endpoint: l.endpoint, kekFile: l.kekFile, bare: kind.bare, holds: kind.holds, observer: kind.observer,
			weigh: of(b, 20*time.Second, time.Second),
		}
		before, err := leases(ctx, l.admin)
		if err != nil {
			return err
		}
		heard := make(chan said, 2*rings)
		for i := range rings { // what leads goes on to while the next kinds are weighed
			o.ring, o.id, o.ttl = fmt.Sprint("ring", i), fmt.Sprintf("%c%d", kind.name[0], i), rotator.DefaultTTL
			n, err := startNode(ctx, o, heard)
			if err != nil {
				return err
			}
			defer n.end()
		}
		w, err := weightsOf(ctx, heard, rings)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		after, err := leases(ctx, l.admin)
		if err != nil {
			return err
		}
		if k == 0 {
			base = w
		}
		mb := func(bytes float64) float64 { return bytes / 1e6 }
		t.row(kind.name, mb(w.heap.at(50)), mb(w.heap.at(50)-base.heap.at(50)), mb(w.rss.at(50)), mb(w.rss.at(50)-base.rss.at(50)),
			w.goroutines.at(50), w.goroutines.at(50)-base.goroutines.at(50), w.named.at(50),
			w.connections.at(50), float64(after-before)/float64(rings))
	}
	return nil
}

// weights are those of processes of one kind.
type weights struct{ heap, rss, goroutines, named, connections sample }

// weightsOf waits for n children to say theirs.
func weightsOf(ctx context.Context, heard <-chan said, n int) (all weights, err error) {
	for range n {
		s, err := await(ctx, heard, "{", time.Minute)
		if err != nil {
			return all, err
		}
		var w weight
		if err := json.Unmarshal([]byte(s.text), &w); err != nil {
			return all, err
		}
		all.heap = append(all.heap, float64(w.Heap))
		all.rss = append(all.rss, float64(w.RSS))
		all.goroutines = append(all.goroutines, float64(w.Goroutines))
		all.named = append(all.named, float64(w.Named))
		all.connections = append(all.connections, float64(w.Connections))
	}
	return all, nil
}

// leases is how many an etcd has.
func leases(ctx context.Context, c *clientv3.Client) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := c.Leases(ctx)
	if err != nil {
		return 0, err
	}
	return len(r.Leases), nil
}
