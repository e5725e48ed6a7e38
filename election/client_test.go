package election_test

import (
	"context"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// client returns a client of its own for a candidate.
func (w world) client() *clientv3.Client {
	c := w.etcd.Client()
	c.Lease = &lease{Lease: c.Lease}
	c.Watcher = &watcher{Watcher: c.Watcher}
	return c
}

// lease starts every lease with an answered keepalive, so that the next is a
// third of the TTL away and tells a session nothing before.
type lease struct {
	clientv3.Lease
	refused atomic.Int32 // revocations that etcd did not confirm
}

func (l *lease) KeepAlive(ctx context.Context, id clientv3.LeaseID) (<-chan *clientv3.LeaseKeepAliveResponse, error) {
	c, err := l.Lease.KeepAlive(ctx, id)
	if err == nil {
		<-c
	}
	return c, err
}

func (l *lease) Revoke(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseRevokeResponse, error) {
	r, err := l.Lease.Revoke(ctx, id)
	if err != nil {
		l.refused.Add(1)
	}
	return r, err
}

func refused(c *clientv3.Client) int32 { return c.Lease.(*lease).refused.Load() }

// watcher knows whether etcd has confirmed a watch.
type watcher struct {
	clientv3.Watcher
	confirmed atomic.Bool
}

func (w *watcher) Watch(ctx context.Context, key string, o ...clientv3.OpOption) clientv3.WatchChan {
	c := w.Watcher.Watch(ctx, key, o...)
	w.confirmed.Store(true)
	return c
}

// watching waits for a candidate to watch a key. One that has a key of its own
// may yet be asking for its predecessor's.
func watching(t testing.TB, c *clientv3.Client) {
	t.Helper()
	poll(t, "a watch", c.Watcher.(*watcher).confirmed.Load)
}
