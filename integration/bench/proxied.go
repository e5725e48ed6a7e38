package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stekring/stekring/internal/fleet"
)

// proxy measures etcd's own gRPC proxy before an etcd of one.
func (w *ways) proxy(ctx context.Context) error {
	m, err := startMembers(ctx, 1, false)
	if err != nil {
		return err
	}
	defer m.end()
	p, err := startProxy(ctx, m, false)
	if err != nil {
		return err
	}
	defer members{p}.end()
	r, err := w.rounds(m)
	if err != nil {
		return err
	}
	defer r.admin.Close()
	routes := []route{
		{direct, "bare etcd watch", "limit", true, m.all},
		{viaProxy, "bare etcd watch", "proxied", true, p.client},
		{viaProxy, "stekring, " + r.size.crew.String(), "ours", false, p.client},
	}
	start := time.Now()
	return w.measure(ctx, r, m, p, routes, func(fleets []*followers) error {
		fleets[0].end() // its watches would be counted with the proxy's
		return w.throughProxy(ctx, r, m, p, fleets[1], fleets[2], start)
	})
}

// throughProxy finds what works through it, and what becomes of the nodes when it
// dies.
func (w *ways) throughProxy(ctx context.Context, r *rounds, m members, p *server, bare, ours *followers, start time.Time) error {
	s, err := fleet.Read(ctx, r.admin, ours.layout)
	if err != nil {
		return err
	}
	w.found.row(viaProxy, "election: candidates, and who leads", fmt.Sprintf("%d, %q", few, s.Leader))
	w.found.row(viaProxy, "leases of 15s: reports that stand "+time.Since(start).Round(time.Second).String()+" after the start", len(s.Nodes))

	// What a leader writes is fenced, unlike what this program does.
	r.next()
	r.next()
	ours.expect()
	dctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := r.admin.Delete(dctx, ours.layout.Ring()); err != nil {
		return err
	}
	if _, _, err := ours.wait(ctx, time.Minute); err != nil {
		return err
	}
	w.found.row(viaProxy, "a leader's own write, after the ring was deleted", "all nodes have it")

	c, err := p.client()
	if err != nil {
		return err
	}
	defer c.Close()
	rctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	n, same := of(w.b, 500, 20), 0
	for i := range n {
		value := fmt.Sprint(i)
		if _, err := r.admin.Put(rctx, "/read/back", value); err != nil {
			return err
		}
		resp, err := c.Get(rctx, "/read/back")
		if err != nil {
			return err
		}
		if len(resp.Kvs) == 1 && string(resp.Kvs[0].Value) == value {
			same++
		}
	}
	w.found.row(viaProxy, "linearizable reads right after a direct write, that see it", fmt.Sprintf("%d of %d", same, n))

	for _, f := range []*followers{bare, ours} {
		before, err := m.watchers(ctx)
		if err != nil {
			return err
		}
		r.next()
		f.expect()
		if err := p.again(ctx); err != nil {
			return err
		}
		served := time.Now()
		if _, err := r.put(ctx, f.layout.Ring()); err != nil {
			return err
		}
		_, last, err := f.wait(ctx, time.Minute)
		if err != nil {
			return err
		}
		w.found.row(viaProxy, f.who+": the proxy was killed; until all have a new ring once it is back", last.Sub(served).Round(time.Millisecond).String())
		_ = sleep(ctx, of(w.b, 4*time.Second, 100*time.Millisecond)) // for those that took the ring by reading it
		after, err := m.watchers(ctx)
		if err != nil {
			return err
		}
		w.found.row(viaProxy, "watches in etcd before it was killed, and after", fmt.Sprintf("%v, %v", before, after))
	}
	said, err := os.ReadFile(filepath.Join(p.dir, "said"))
	if err != nil {
		return err
	}
	w.found.row(viaProxy, "watches that it cut for being slow", strings.Count(string(said), "failed to put a watch response"))
	return nil
}
