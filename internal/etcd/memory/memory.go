// Package memory is an etcd in memory, for tests: [Etcd.Client] is a client of
// it that everything takes that takes a clientv3.Client. It has no network and
// waits on channels and timers only, so that it runs inside testing/synctest,
// where days pass in no time. What etcd can do and this cannot panics.
//
// Whatever clientv3 does between a call and its wire is clientv3's own code
// here too, except for retries and tokens, which there are none of, and for
// watches and keepalives: its watcher waits on a channel of the whole process,
// which synctest takes for work that never ends, and its keepalives wake four
// times a second.
//
// It is more exact than etcd: a lease expires at the very end of its TTL, a
// client notices the server the moment it is back, and no call is in doubt.
package memory

import (
	"context"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errClosed is what gRPC says of a connection that its owner has closed.
var errClosed = status.Error(codes.Canceled, "grpc: the client connection is closing")

// Etcd is an etcd of one member. Its methods are safe for concurrent use.
type Etcd struct {
	mu sync.Mutex // guards all below, and cut and the buffers of watches; nobody waits under it
	data
	watches map[*watch]struct{}
	leaseID int64 // the last granted; none is granted twice, as in etcd, not even after Wipe
	down    bool
	failure error
	news    chan struct{} // closed and replaced when calls may fare better than before
}

// New returns an etcd that is up and empty. In a synctest bubble, call it there.
func New() *Etcd {
	return &Etcd{data: empty(), watches: map[*watch]struct{}{}, news: make(chan struct{})}
}

// Client returns a new client. Its Close ends and waits for its watches and
// keepalives, fails its calls, blocked or new, and always returns
// context.Canceled. Closing its Watcher or its Lease is closing all of it.
func (e *Etcd) Client() *clientv3.Client {
	client := clientv3.NewCtxClient(context.Background(), clientv3.WithZapLogger(zap.NewNop()))
	c := &conn{e: e}
	c.ctx, c.cancel = context.WithCancel(client.Ctx())
	client.KV = clientv3.NewKVFromKVClient(kv{c}, nil)
	client.Watcher = watcher{c}
	client.Lease = lessor{clientv3.NewLeaseFromLeaseClient(leases{conn: c}, nil, 0), c}
	return client
}

// conn is a client's end.
type conn struct {
	e      *Etcd
	cut    bool
	ctx    context.Context // of the client's life
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// reaches reports whether the client reaches the server.
func (c *conn) reaches() bool { return !c.cut && !c.e.down }

// try runs f under the lock if there is a server that would. If not, it returns
// a channel that is closed when that may have changed.
func (c *conn) try(f func() error) (later <-chan struct{}, err error) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	switch {
	case c.ctx.Err() != nil:
		return nil, errClosed
	case !c.reaches():
		return c.e.news, nil
	case c.e.failure != nil:
		return c.e.news, c.e.failure
	}
	return nil, f()
}

// call runs f under the lock as soon as the server can be reached.
func (c *conn) call(ctx context.Context, f func() error) error {
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		later, err := c.try(f)
		if later == nil || err != nil {
			return err
		}
		select {
		case <-later:
		case <-ctx.Done():
		case <-c.ctx.Done():
		}
	}
}

// Close ends what the client has running, and waits for it. Nothing is started
// but under the lock and before the end of ctx, so nothing is after Close.
func (c *conn) Close() error {
	c.e.mu.Lock()
	c.cancel()
	c.e.mu.Unlock()
	c.wg.Wait()
	return nil
}

func header(rev int64) *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: 1, MemberId: 1, RaftTerm: 1, Revision: rev}
}
