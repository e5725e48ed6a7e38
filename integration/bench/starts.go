package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/stekring/stekring/keyring/rotator"
)

// starts is how long a process takes from before it is started to when it has
// the fleet's ring, beside one that makes a Get of it and no more.
func starts(ctx context.Context, b *bench) error {
	l, err := newLab(ctx)
	if err != nil {
		return err
	}
	defer l.end()
	if err := l.putRing(ctx, "www", hourly()); err != nil {
		return err
	}
	kinds := []struct {
		name string
		o    nodeOptions
		took sample
	}{
		{name: "etcd client, one Get", o: nodeOptions{bare: true}},
		{name: "node, until Wait returns"},
	}
	for i := range of(b, 21, 3) {
		for j := range kinds {
			k := &kinds[(i+j)%len(kinds)]
			k.o.endpoint, k.o.kekFile, k.o.ring, k.o.id, k.o.ttl = l.endpoint, l.kekFile, "www", fmt.Sprint("n", i), rotator.DefaultTTL
			took, err := startOf(ctx, k.o)
			if err != nil {
				return err
			}
			k.took = append(k.took, ms(took))
		}
	}
	t := b.table("Start to first ring", "process", "starts", "p50 ms", "p95 ms", "p50 over the limit ms")
	for _, k := range kinds {
		t.row(k.name, len(k.took), k.took.at(50), k.took.at(95), k.took.at(50)-kinds[0].took.at(50))
	}
	return nil
}

// startOf is the time until a child says that it is ready. It is stopped then.
func startOf(ctx context.Context, o nodeOptions) (time.Duration, error) {
	heard := make(chan said, 10)
	start := time.Now()
	n, err := startNode(ctx, o, heard)
	if err != nil {
		return 0, err
	}
	defer n.end()
	ready, err := await(ctx, heard, "ready", 30*time.Second)
	if err != nil {
		return 0, err
	}
	_ = n.Process.Signal(os.Interrupt) // at worst it is killed
	return ready.at.Sub(start), nil
}
