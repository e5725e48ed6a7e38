package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/stekring/stekring/internal/fleet"
)

// failover is how long a ring has no leader, from the signal that ends the
// leader's process until another one says that it leads. Only this process's
// clock counts. A lease is at least 1.5 of etcd's own election timeouts: 2 s by
// default.
func failover(ctx context.Context, b *bench) error {
	l, err := newLab(ctx)
	if err != nil {
		return err
	}
	defer l.end()

	ttls := of(b, []time.Duration{2 * time.Second, 5 * time.Second, 15 * time.Second}, []time.Duration{2 * time.Second})
	const rings = 2 // for each TTL, as most of the time is waiting
	all := make([]*vacancies, len(ttls))
	g, gctx := errgroup.WithContext(ctx)
	for i, ttl := range ttls {
		all[i] = &vacancies{}
		for j := range rings {
			o := nodeOptions{endpoint: l.endpoint, kekFile: l.kekFile, ring: fmt.Sprintf("ttl-%v-%d", ttl, j), ttl: ttl}
			g.Go(func() error {
				if err := fail(gctx, l.admin, o, of(b, 10, 1), all[i]); err != nil {
					return fmt.Errorf("ring %s: %w", o.ring, err)
				}
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	t := b.table("Fail-over", "TTL", "end of the leader", "times", "without a leader: p50 s", "p95 s", "max s")
	for i, ttl := range ttls {
		for _, how := range []struct {
			name string
			took sample
		}{{"killed", all[i].killed}, {"stopped", all[i].stopped}} {
			t.row(ttl.String(), how.name, len(how.took), how.took.at(50), how.took.at(95), how.took.at(100))
		}
	}
	return nil
}

// vacancies are the times without a leader of one TTL, in seconds.
type vacancies struct {
	mu              sync.Mutex
	killed, stopped sample
}

// add notes a time, unless the lead had changed by itself just before.
func (v *vacancies) add(to *sample, took time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if took > 0 {
		*to = append(*to, took.Seconds())
	}
}

// contest is three nodes of one ring.
type contest struct {
	ctx   context.Context
	o     nodeOptions
	heard chan said
	nodes map[string]*node
	leads string // who said so last
}

// fail has the leader of a ring end each way so many times.
func fail(ctx context.Context, admin *clientv3.Client, o nodeOptions, times int, v *vacancies) error {
	c := &contest{ctx: ctx, o: o, heard: make(chan said, 100), nodes: map[string]*node{}}
	defer func() {
		for _, n := range c.nodes {
			n.end()
		}
	}()
	for _, id := range []string{"a", "b", "c"} {
		if err := c.start(id); err != nil {
			return err
		}
	}
	s, err := await(ctx, c.heard, "leads", time.Minute)
	if err != nil {
		return err
	}
	c.leads = s.by
	for i := range 2 * times {
		if err := c.stand(admin); err != nil {
			return err
		}
		if i%2 == 0 {
			took, err := c.replace(syscall.SIGKILL)
			if err != nil {
				return fmt.Errorf("kill %d: %w", i/2, err)
			}
			v.add(&v.killed, took)
			continue
		}
		took, err := c.replace(syscall.SIGTERM)
		if err != nil {
			return fmt.Errorf("stop %d: %w", i/2, err)
		}
		v.add(&v.stopped, took)
	}
	return nil
}

func (c *contest) start(id string) error {
	o := c.o
	o.id = id
	n, err := startNode(c.ctx, o, c.heard)
	if err == nil {
		c.nodes[id] = n
	}
	return err
}

// stand waits until all nodes are candidates of etcd, with the leases asked
// for, and then for some part of the time between keepalives.
func (c *contest) stand(admin *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
	defer cancel()
	for {
		r, err := admin.Get(ctx, fleet.NewLayout("", c.o.ring).Election()+"/", clientv3.WithPrefix())
		if err != nil {
			return err
		}
		if len(r.Kvs) == len(c.nodes) {
			lease, err := admin.TimeToLive(ctx, clientv3.LeaseID(r.Kvs[0].Lease))
			if err != nil {
				return err
			}
			if granted := time.Duration(lease.GrantedTTL) * time.Second; granted != c.o.ttl {
				return fmt.Errorf("etcd granted %v, want %v", granted, c.o.ttl)
			}
			break
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d nodes stand: %w", len(r.Kvs), len(c.nodes), err)
		}
	}
	return sleep(ctx, 200*time.Millisecond+rand.N(c.o.ttl/3))
}

// replace ends the leader by a signal, and starts it again once another leads.
func (c *contest) replace(by syscall.Signal) (took time.Duration, err error) {
	for len(c.heard) > 0 { // it may have changed for no reason, as it does on a busy machine
		if s := <-c.heard; s.text == "leads" {
			c.leads = s.by
		}
	}
	was := c.nodes[c.leads]
	sent := time.Now()
	if err := was.Process.Signal(by); err != nil {
		return 0, err
	}
	for c.leads == was.id {
		s, err := await(c.ctx, c.heard, "leads", 3*c.o.ttl+30*time.Second)
		if err != nil {
			return 0, err
		}
		c.leads, took = s.by, s.at.Sub(sent)
	}
	select {
	case <-was.done:
	case <-time.After(30 * time.Second):
		was.end()
		return 0, fmt.Errorf("%s does not end on %v", was.id, by)
	case <-c.ctx.Done():
		return 0, context.Cause(c.ctx)
	}
	if by == syscall.SIGTERM && was.err != nil {
		return 0, fmt.Errorf("%s ended with %w", was.id, was.err)
	}
	return took, c.start(was.id)
}
