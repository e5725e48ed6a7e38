package main

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/fleet"
)

// members measures an etcd of three.
func (w *ways) members(ctx context.Context) error {
	m, err := startMembers(ctx, 3, false)
	if err != nil {
		return err
	}
	defer m.end()
	r, err := w.rounds(m)
	if err != nil {
		return err
	}
	defer r.admin.Close()
	for _, way := range []struct {
		name string
		to   dial
		then func([]*followers) error
	}{
		{oneOf, m.oneEach(), func([]*followers) error { return nil }},
		{allOf, m.all, func(f []*followers) error { return w.memberDies(ctx, r, m, f) }},
	} {
		routes := []route{{way.name, "bare etcd watch", "limit", true, way.to}, {way.name, "stekring, " + r.size.crew.String(), "ours", false, way.to}}
		if err := w.measure(ctx, r, m, nil, routes, way.then); err != nil {
			return err
		}
	}
	if w.s.shared, err = m.poll(ctx, r, of(w.b, 5000, 200)); err != nil {
		return err
	}
	if w.b.quick {
		return nil // nodes of etcd take seconds to learn it
	}
	return w.leaderless(ctx, m)
}

// poll returns the CPU time that all members together take for one read.
func (m members) poll(ctx context.Context, r *rounds, n int) (float64, error) {
	var clients [asking]*clientv3.Client
	for i := range clients {
		c, err := m.all()
		if err != nil {
			return 0, err
		}
		defer c.Close()
		clients[i] = c
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	each, err := askMany(ctx, m[0], m, n, func(i int) error {
		_, err := clients[i].Get(ctx, fleet.NewLayout("", "limit").Ring())
		return err
	})
	return each.behind, err
}

// memberDies kills a member that does not lead the others, and has it come back.
func (w *ways) memberDies(ctx context.Context, r *rounds, m members, fleets []*followers) error {
	victim := m[0]
	for _, s := range m {
		sctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		status, err := r.admin.Status(sctx, s.endpoint)
		cancel()
		if err != nil {
			return err
		}
		if status.Leader != status.Header.MemberId {
			victim = s
		}
	}
	// A write that is under way at the victim would fail with it.
	others, err := slices.DeleteFunc(slices.Clone(m), func(s *server) bool { return s == victim }).all()
	if err != nil {
		return err
	}
	admin := r.admin
	r.admin = others
	defer func() {
		r.admin = admin
		others.Close()
	}()
	for i, f := range fleets {
		r.next()
		f.expect()
		killed := time.Now()
		victim.child.end()
		if _, err := r.put(ctx, f.layout.Ring()); err != nil {
			return err
		}
		_, last, err := f.wait(ctx, time.Minute)
		if err != nil {
			return err
		}
		if i == 0 {
			w.s.storms[allOf] = last.Sub(killed)
		}
		w.found.row(allOf, f.who+": a member dies; until all have a ring that was put then", last.Sub(killed).Round(time.Millisecond).String())
		if err := victim.again(ctx); err != nil {
			return err
		}
		if err := r.rest(ctx); err != nil {
			return err
		}
	}
	return nil
}

// leaderless finds who learns that two members of three do not answer.
func (w *ways) leaderless(ctx context.Context, m members) error {
	proxy, err := startProxy(ctx, m[:1], false)
	if err != nil {
		return err
	}
	defer members{proxy}.end()
	const patience = 12 * time.Second
	began := make([]chan struct{}, 2)
	ended := make([]chan time.Time, 2)
	wctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for i, s := range []*server{m[0], proxy} {
		c, err := s.client()
		if err != nil {
			return err
		}
		defer c.Close()
		began[i], ended[i] = make(chan struct{}), make(chan time.Time, 1)
		go func() { // ends with its client
			for resp := range c.Watch(wctx, "/nobody/writes", clientv3.WithCreatedNotify()) {
				if resp.Created {
					close(began[i])
				}
				if resp.Err() != nil {
					break
				}
			}
			ended[i] <- time.Now()
		}()
		select {
		case <-began[i]:
		case <-time.After(10 * time.Second):
			return errors.New("no watch on an etcd of three")
		}
	}
	for _, s := range m[1:] {
		if err := s.child.Process.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		defer s.child.Process.Signal(syscall.SIGCONT)
	}
	start, deadline := time.Now(), time.After(patience)
	for i, who := range []string{"direct", "through the proxy"} {
		said := "nothing in " + patience.String()
		select {
		case at := <-ended[i]:
			said = "after " + at.Sub(start).Round(100*time.Millisecond).String()
		case <-deadline:
		}
		w.found.row("3 members", "2 frozen: when a watch that requires a leader hears of it, "+who, said)
	}
	return nil
}
