package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// asking is how many clients ask at once when requests are measured.
const asking = 8

// requests measures what several clients ask for at once.
func (c *costs) requests(ctx context.Context, front *server, behind members, ring string, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var clients [asking]*clientv3.Client
	var streams [asking]pb.Lease_LeaseKeepAliveClient
	var leases [asking]clientv3.LeaseID
	for i := range asking {
		k, err := front.client()
		if err != nil {
			return err
		}
		defer k.Close()
		l, err := k.Grant(ctx, 600)
		if err != nil {
			return err
		}
		s, err := pb.NewLeaseClient(k.ActiveConnection()).LeaseKeepAlive(ctx)
		if err != nil {
			return err
		}
		clients[i], streams[i], leases[i] = k, s, l.ID
	}
	poll, err := askMany(ctx, front, behind, n, func(i int) error {
		_, err := clients[i].Get(ctx, ring)
		return err
	})
	if err != nil {
		return err
	}
	renewals := n
	if front != behind[0] {
		// A proxy renews a lease at its own pace, and leaves its clients'
		// renewals without an answer until then.
		renewals = 0
	}
	keep, err := askMany(ctx, front, behind, renewals, func(i int) error {
		if err := streams[i].Send(&pb.LeaseKeepAliveRequest{ID: int64(leases[i])}); err != nil {
			return err
		}
		_, err := streams[i].Recv()
		return err
	})
	if err != nil {
		return err
	}
	value := strings.Repeat("x", 400) // about as long as a node's
	report, err := askMany(ctx, front, behind, n/2, func(i int) error {
		_, err := clients[i].Put(ctx, fmt.Sprintf("/nodes/%d", i), value, clientv3.WithLease(leases[i]))
		return err
	})
	c.poll, c.pollBytes, c.behind.poll = poll.front, poll.bytes, poll.behind
	c.keepalive, c.report = keep.front, report.front
	return err
}

// asked is what one request takes.
type asked struct{ front, behind, bytes float64 }

// askMany has all clients make n requests together.
func askMany(ctx context.Context, front *server, behind members, n int, request func(client int) error) (each asked, err error) {
	var etcd meters
	before, after, err := front.during(ctx, func() (err error) {
		etcd, err = behind.spend(ctx, func() error {
			var g errgroup.Group
			for i := range asking {
				g.Go(func() error {
					for range n / asking {
						if err := request(i); err != nil {
							return err
						}
					}
					return nil
				})
			}
			return g.Wait()
		})
		return err
	})
	made := float64(max(1, n/asking*asking))
	return asked{(after.cpu - before.cpu) / made, etcd.cpu / made, etcd.sent / made}, err
}

// during returns what a server has used before and after f.
func (s *server) during(ctx context.Context, f func() error) (before, after meters, err error) {
	if before, err = s.meters(ctx); err != nil {
		return before, after, err
	}
	if err = f(); err != nil {
		return before, after, err
	}
	after, err = s.meters(ctx)
	return before, after, err
}

// spend returns what all members have used for f together.
func (m members) spend(ctx context.Context, f func() error) (sum meters, err error) {
	each, err := m.spends(ctx, f)
	for _, one := range each {
		sum.cpu += one.cpu
		sum.sent += one.sent
	}
	return sum, err
}

// spends returns what each member has used for f, and otherwise what it has.
func (m members) spends(ctx context.Context, f func() error) (each []meters, err error) {
	if len(m) == 0 {
		return nil, f()
	}
	var others []meters
	before, after, err := m[0].during(ctx, func() (err error) {
		others, err = m[1:].spends(ctx, f)
		return err
	})
	after.cpu -= before.cpu
	after.sent -= before.sent
	return append([]meters{after}, others...), err
}

// watchers is how many watches the members serve.
func (m members) watchers(ctx context.Context) (n float64, err error) {
	for _, s := range m {
		have, err := s.meters(ctx)
		if err != nil {
			return 0, err
		}
		n += have.watchers
	}
	return n, nil
}

// each is what the members have used.
func (m members) each(ctx context.Context) ([]meters, error) {
	return m.spends(ctx, func() error { return nil })
}
