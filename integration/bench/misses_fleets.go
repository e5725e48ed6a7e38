package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
	"github.com/stekring/stekring/tlsbind"
)

// streetFleet is what gives servers their keys.
type streetFleet struct {
	configs   []*tls.Config
	rotations func() int
	troubles  func() missResult
	end       func()
}

// slow returns which node's link is slowed, or -1. The first node is the leader,
// if there is one.
func (f missFleet) slow() int {
	switch f.Links {
	case oneSlow:
		return f.Servers - 1
	case leadSlow:
		return 0
	}
	return -1
}

// clients returns a client of etcd for each server.
func (f missFleet) clients() (all []*clientv3.Client, end func(), err error) {
	var slow *link
	end = func() {
		for _, c := range all {
			c.Close()
		}
		if slow != nil {
			slow.end()
		}
	}
	for i := range f.Servers {
		to := &server{endpoint: f.Endpoint}
		if i == f.slow() {
			if slow, err = newLink(strings.TrimPrefix(f.Endpoint, "http://"), oneWay); err != nil {
				end()
				return nil, nil, err
			}
			to.endpoint = "http://" + slow.address()
		}
		c, err := to.client()
		if err != nil {
			end()
			return nil, nil, err
		}
		all = append(all, c)
	}
	return all, end, nil
}

// caddy is a fleet of Caddy's, all of which have the first keys.
func (f missFleet) caddy(ctx context.Context, base *tls.Config) (*streetFleet, error) {
	storages, end := make([]certmagic.Storage, f.Servers), func() {}
	for i := range storages {
		storages[i] = &certmagic.FileStorage{Path: f.Dir}
	}
	if f.Dir == "" {
		clients, endClients, err := f.clients()
		if err != nil {
			return nil, err
		}
		var sessions []*etcdStorage
		end = func() {
			for _, s := range sessions {
				s.close()
			}
			endClients()
		}
		for i, c := range clients {
			s, err := newEtcdStorage(ctx, c)
			if err != nil {
				end()
				return nil, err
			}
			storages[i], sessions = s, append(sessions, s)
		}
	}
	// The newest of 15 keys outlives 14 rotations.
	o := caddyOptions{interval: f.Interval, maxKeys: 15}
	if f.Who == onFiles {
		o.apart = clocksApart
	}
	if f.Dir != "" {
		o.delay = func(i int) time.Duration {
			if i == f.slow() {
				return 2 * oneWay
			}
			return 0
		}
	}
	c, err := startCaddies(ctx, storages, base, o)
	if err != nil {
		end()
		return nil, err
	}
	return &streetFleet{
		configs: c.configs, rotations: c.count,
		troubles: func() (r missResult) {
			r.Stopped = c.stoppedCount()
			r.Errors, r.LastError = c.errors.read()
			return r
		},
		end: func() {
			c.end()
			end()
		},
	}, nil
}

// stekring is a fleet of ours, all of which have the ring.
func (f missFleet) stekring(ctx context.Context, base *tls.Config) (s *streetFleet, err error) {
	clients, endClients, err := f.clients()
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	end := func() {
		cancel()
		done.Wait()
		endClients()
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	var nodes []*rotator.Rotator
	var configs []*tls.Config
	kek := seal.NewKEK()
	for i, c := range clients {
		r, err := rotator.New(rotator.Config{
			Client: c, Ring: "street", ID: fmt.Sprint("n", i), KEK: kek,
			Policy: keyring.Policy{Interval: f.Interval, TicketLifetime: ticketLife},
		})
		if err != nil {
			return nil, err
		}
		nodes, configs = append(nodes, r), append(configs, tlsbind.Config(base, r))
		done.Go(func() { _ = r.Run(running) })
		for i == 0 && !r.Status().Leader { // before others stand
			if err := sleep(ctx, 10*time.Millisecond); err != nil {
				return nil, err
			}
		}
	}
	for _, r := range nodes {
		if err := r.Wait(ctx); err != nil {
			return nil, err
		}
	}
	return &streetFleet{
		configs: configs, end: end, troubles: func() missResult { return missResult{} },
		rotations: func() (n int) {
			for _, r := range nodes {
				n = max(n, int(r.Status().Info.Version))
			}
			return n
		},
	}, nil
}
