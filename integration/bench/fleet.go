package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
)

// followers are N nodes in this process which follow one ring, each with a client
// of its own.
type followers struct {
	*swaps
	who    string
	layout fleet.Layout
	cancel context.CancelFunc
	done   sync.WaitGroup
	nodes  []*rotator.Rotator // none of a bare watch

	committed atomic.Pointer[time.Time] // when a leader first began to write the ring since this was nil
}

// end stops the nodes and waits for them.
func (f *followers) end() {
	f.cancel()
	f.done.Wait()
}

// dial is how a node gets to etcd.
type dial func() (*clientv3.Client, error)

// startFollowers has n nodes follow with a client each until ended.
func startFollowers(ctx context.Context, who, ring string, n int, to dial, follow func(ctx context.Context, f *followers, i int, c *clientv3.Client)) (*followers, error) {
	f := &followers{swaps: newSwaps(n), who: who, layout: fleet.NewLayout("", ring)}
	ctx, f.cancel = context.WithCancel(ctx)
	for i := range n {
		c, err := to()
		if err != nil {
			f.end()
			return nil, err
		}
		f.done.Go(func() {
			defer c.Close()
			follow(ctx, f, i, c)
		})
	}
	return f, nil
}

// startLimit is the least that a follower of etcd can do: a watch, the same
// decoding, a stored pointer.
func startLimit(ctx context.Context, n int, to dial, kek *seal.KEK) (*followers, error) {
	return startFollowers(ctx, "bare etcd watch", "limit", n, to, func(ctx context.Context, f *followers, i int, c *clientv3.Client) {
		newBare(f, i, c, kek).watch(ctx, 1)
	})
}

// crew is how many nodes of a fleet stand for election, and whether those report.
type crew struct {
	candidates int
	quiet      bool
}

func (c crew) String() string {
	switch {
	case c.quiet:
		return "candidates without reports"
	case c.candidates == few:
		return fmt.Sprintf("%d candidates, observers", few)
	case c.candidates == 0:
		return "observers"
	}
	return "candidates"
}

// few candidates are enough for a fleet that is too large for all to stand.
const few = 5

// startFleet is n nodes of ours, as a server links them.
func startFleet(ctx context.Context, n int, crew crew, to dial, kek *seal.KEK) (*followers, error) {
	made := make([]*rotator.Rotator, n)
	var ready sync.WaitGroup
	ready.Add(n)
	f, err := startFollowers(ctx, "stekring, "+crew.String(), "ours", n, to, func(ctx context.Context, f *followers, i int, c *clientv3.Client) {
		c.KV = etcdtest.Commits(c.KV, func(then []clientv3.Op, commit etcdtest.Commit) (*clientv3.TxnResponse, error) {
			for _, op := range then {
				if op.IsPut() && string(op.KeyBytes()) == f.layout.Ring() {
					now := time.Now()
					f.committed.CompareAndSwap(nil, &now)
				}
			}
			return commit()
		})
		r, err := rotator.New(rotator.Config{
			Client: c, Ring: "ours", ID: fmt.Sprintf("n%d", i), KEK: kek, Observer: i >= crew.candidates, NoReports: crew.quiet,
		})
		if err != nil {
			panic(err) // it reads nothing but this
		}
		made[i] = r
		ready.Done()
		var wg sync.WaitGroup
		ring := r.Ring() // before Run may change it
		wg.Go(func() { _ = r.Run(ctx) })
		for {
			if ring, err = r.Await(ctx, ring); err != nil {
				break
			}
			f.swap(i, ring.Info().Version)
		}
		wg.Wait()
	})
	if err != nil {
		return nil, err
	}
	ready.Wait()
	f.nodes = made
	return f, nil
}

// leader returns the node that leads, or none.
func (f *followers) leader() *rotator.Rotator {
	for _, r := range f.nodes {
		if r.Status().Leader {
			return r
		}
	}
	return nil
}

// settled waits until the nodes have a version, one of them leads if any can, and
// as many as report have reported it.
func (f *followers) settled(ctx context.Context, admin *clientv3.Client, version uint64, crew crew) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, errors.New("the fleet does not settle"))
	defer cancel()
	for ctx.Err() == nil {
		s, err := fleet.Read(ctx, admin, f.layout)
		if err != nil { // etcd has much to do
			continue
		}
		ok := crew.candidates == 0 || s.Leader != "" && f.leader() != nil
		reports := 0
		for _, n := range s.Nodes {
			if n.Version >= version {
				reports++
			}
		}
		ok = ok && (crew.quiet || reports >= crew.candidates)
		f.mu.Lock()
		for _, have := range f.seen {
			ok = ok && have >= version
		}
		f.mu.Unlock()
		if ok {
			return nil
		}
		_ = sleep(ctx, 20*time.Millisecond)
	}
	return context.Cause(ctx)
}
