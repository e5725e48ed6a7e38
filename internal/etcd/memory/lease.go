package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

const (
	maxTTL = 9_000_000_000 // seconds; etcd's
	// firstAnswer is how long clientv3 waits for the first answer to a
	// keepalive, when it does not know the lease's TTL yet.
	firstAnswer = 5 * time.Second
)

// lease is a lease that runs while its server is up. Its keys are those that
// name it.
type lease struct {
	ttl     int64 // seconds
	expires time.Time
	timer   *time.Timer
}

// renew starts the lease's TTL anew.
func (e *Etcd) renew(id int64, l *lease) {
	ttl := time.Duration(l.ttl) * time.Second
	l.expires = time.Now().Add(ttl)
	if l.timer != nil {
		l.timer.Reset(ttl)
		return
	}
	l.timer = time.AfterFunc(ttl, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		// It may have been renewed, or be of data that are gone, by now.
		if !e.down && e.leases[id] == l && !time.Now().Before(l.expires) {
			e.revoke(id)
		}
	})
}

// revoke ends a lease, and its keys at one revision.
func (e *Etcd) revoke(id int64) {
	e.leases[id].timer.Stop()
	delete(e.leases, id)
	t := &tx{e: e}
	t.remove(e.attached(id))
	t.commit()
}

func (d *data) attached(id int64) []*mvccpb.KeyValue {
	return d.list(func(kv *mvccpb.KeyValue) bool { return kv.Lease == id })
}

// leases is what clientv3.Lease talks to. Keepalives go past it.
type leases struct {
	pb.LeaseClient
	*conn
}

func (c leases) LeaseGrant(ctx context.Context, r *pb.LeaseGrantRequest, _ ...grpc.CallOption) (resp *pb.LeaseGrantResponse, err error) {
	err = c.call(ctx, func() error {
		if r.TTL > maxTTL {
			return rpctypes.ErrGRPCLeaseTTLTooLarge
		}
		c.e.leaseID++
		l := &lease{ttl: max(r.TTL, 1)}
		c.e.leases[c.e.leaseID] = l
		c.e.renew(c.e.leaseID, l)
		resp = &pb.LeaseGrantResponse{Header: header(c.e.rev), ID: c.e.leaseID, TTL: l.ttl}
		return nil
	})
	return resp, err
}

func (c leases) LeaseRevoke(ctx context.Context, r *pb.LeaseRevokeRequest, _ ...grpc.CallOption) (resp *pb.LeaseRevokeResponse, err error) {
	err = c.call(ctx, func() error {
		if c.e.leases[r.ID] == nil {
			return rpctypes.ErrGRPCLeaseNotFound
		}
		c.e.revoke(r.ID)
		resp = &pb.LeaseRevokeResponse{Header: header(c.e.rev)}
		return nil
	})
	return resp, err
}

func (c leases) LeaseTimeToLive(ctx context.Context, r *pb.LeaseTimeToLiveRequest, _ ...grpc.CallOption) (resp *pb.LeaseTimeToLiveResponse, err error) {
	err = c.call(ctx, func() error {
		resp = &pb.LeaseTimeToLiveResponse{Header: header(c.e.rev), ID: r.ID, TTL: -1}
		l := c.e.leases[r.ID]
		if l == nil {
			return nil
		}
		resp.TTL, resp.GrantedTTL = int64(time.Until(l.expires).Seconds()), l.ttl
		if r.Keys {
			for _, kv := range c.e.attached(r.ID) {
				resp.Keys = append(resp.Keys, copyBytes(kv.Key))
			}
		}
		return nil
	})
	return resp, err
}

func (c leases) LeaseLeases(ctx context.Context, _ *pb.LeaseLeasesRequest, _ ...grpc.CallOption) (resp *pb.LeaseLeasesResponse, err error) {
	err = c.call(ctx, func() error {
		resp = &pb.LeaseLeasesResponse{Header: header(c.e.rev)}
		for id := range c.e.leases {
			resp.Leases = append(resp.Leases, &pb.LeaseStatus{ID: id})
		}
		// Those that expire first come first.
		slices.SortFunc(resp.Leases, func(a, b *pb.LeaseStatus) int {
			return cmp.Or(c.e.leases[a.ID].expires.Compare(c.e.leases[b.ID].expires), cmp.Compare(a.ID, b.ID))
		})
		return nil
	})
	return resp, err
}

// lessor is a client's clientv3.Lease.
type lessor struct {
	clientv3.Lease
	*conn
}

// Close closes the client's end; the clientv3.Lease above it has nothing running.
func (l lessor) Close() error { return l.conn.Close() }

func (l lessor) answer(id clientv3.LeaseID) (*clientv3.LeaseKeepAliveResponse, error) {
	x := l.e.leases[int64(id)]
	if x == nil {
		return nil, rpctypes.ErrLeaseNotFound
	}
	l.e.renew(int64(id), x)
	return &clientv3.LeaseKeepAliveResponse{ResponseHeader: header(l.e.rev), ID: id, TTL: x.ttl}, nil
}

func (l lessor) KeepAliveOnce(ctx context.Context, id clientv3.LeaseID) (resp *clientv3.LeaseKeepAliveResponse, err error) {
	err = l.call(ctx, func() (err error) { resp, err = l.answer(id); return err })
	return resp, err
}

func (l lessor) KeepAlive(ctx context.Context, id clientv3.LeaseID) (<-chan *clientv3.LeaseKeepAliveResponse, error) {
	out := make(chan *clientv3.LeaseKeepAliveResponse, clientv3.LeaseResponseChSize)
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	if l.ctx.Err() != nil {
		close(out)
		return out, clientv3.ErrKeepAliveHalted{Reason: l.ctx.Err()}
	}
	l.wg.Go(func() { defer close(out); l.keep(ctx, id, out) })
	return out, nil
}

// keep renews a lease every third of its TTL until it is gone, or no answer has
// come for a TTL, or ctx or the client ends.
func (l lessor) keep(ctx context.Context, id clientv3.LeaseID, out chan<- *clientv3.LeaseKeepAliveResponse) {
	for deadline := time.Now().Add(firstAnswer); ; {
		var resp *clientv3.LeaseKeepAliveResponse
		later, _ := l.try(func() (err error) { resp, err = l.answer(id); return err })
		wait := time.Until(deadline)
		switch {
		case resp != nil:
			ttl := time.Duration(resp.TTL) * time.Second
			deadline, wait = time.Now().Add(ttl), ttl/3
			select {
			case out <- resp:
			default: // nobody reads them; the lease lives on
			}
		case later == nil:
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			if resp == nil {
				return
			}
		case <-later:
		case <-ctx.Done():
		case <-l.ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil || l.ctx.Err() != nil {
			return
		}
	}
}
