package main

import (
	"context"
	"sync/atomic"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/internal/jitter"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

// startBare is the limit where servers die and watches of different revisions
// meet: a bare watch that begins where a read ended, and again after an error.
func startBare(ctx context.Context, who, ring string, n int, to dial, kek *seal.KEK) (*followers, error) {
	return startFollowers(ctx, who, ring, n, to, func(ctx context.Context, f *followers, i int, c *clientv3.Client) {
		newBare(f, i, c, kek).follow(ctx)
	})
}

// bare is one such watch.
type bare struct {
	f    *followers
	i    int
	c    *clientv3.Client
	kek  *seal.KEK
	ring *atomic.Pointer[keyring.Ring]
	up   func() // called when a watch has begun
}

func newBare(f *followers, i int, c *clientv3.Client, kek *seal.KEK) bare {
	return bare{f, i, c, kek, new(atomic.Pointer[keyring.Ring]), func() {}}
}

// follow reads and watches until ctx ends.
func (w bare) follow(ctx context.Context) {
	for wait := (jitter.Backoff{}); ctx.Err() == nil; _ = wait.Sleep(ctx, 3*time.Second) {
		if rev, err := w.read(ctx); err == nil {
			w.watch(ctx, rev+1)
		}
	}
}

// read takes what there is, linearizably, and returns the revision.
func (w bare) read(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), fleet.Timeout)
	defer cancel()
	resp, err := w.c.Get(ctx, w.f.layout.Ring())
	if err != nil {
		return 0, err
	}
	for _, kv := range resp.Kvs {
		w.take(kv.Value)
	}
	return resp.Header.Revision, nil
}

// watch takes what comes until the watch ends.
func (w bare) watch(ctx context.Context, rev int64) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for resp := range w.c.Watch(ctx, w.f.layout.Ring(), clientv3.WithRev(rev), clientv3.WithCreatedNotify()) {
		if resp.Created {
			w.up()
		}
		for _, ev := range resp.Events {
			if ev.Type == clientv3.EventTypePut {
				w.take(ev.Kv.Value)
			}
		}
	}
}

func (w bare) take(record []byte) {
	r, err := w.kek.Open(w.f.layout.Ring(), record)
	if err != nil {
		panic(err) // only this program writes it
	}
	w.ring.Store(r)
	w.f.swap(w.i, r.Info().Version)
}

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // there is no other reason than a wrong argument
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// warming is how many rotations go before those that are measured.
const warming = 3

// rest leaves what is left of a rotation time to pass.
func (r *rounds) rest(ctx context.Context) error {
	return sleep(ctx, 50*time.Millisecond+time.Duration(r.size.nodes)*100*time.Microsecond)
}
