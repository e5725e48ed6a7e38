package rotator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/etcd/memory"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
)

var errStorage = errors.New("the storage has a bad day")

// trouble makes some calls of every client of a fleet fail.
type trouble struct {
	gets, txns, puts, grants, watches atomic.Bool
}

type (
	troubledKV struct {
		clientv3.KV
		*trouble
	}
	troubledLease struct {
		clientv3.Lease
		*trouble
	}
	troubledWatcher struct {
		clientv3.Watcher
		*trouble
	}
)

func (t *trouble) with(c *rotator.Config) {
	c.Client.KV = etcdtest.Commits(troubledKV{c.Client.KV, t}, func(_ []clientv3.Op, commit etcdtest.Commit) (*clientv3.TxnResponse, error) {
		if t.txns.Load() {
			return nil, errStorage
		}
		return commit()
	})
	c.Client.Lease = troubledLease{c.Client.Lease, t}
	c.Client.Watcher = troubledWatcher{c.Client.Watcher, t}
}

func (k troubledKV) Get(ctx context.Context, key string, o ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	if k.gets.Load() {
		return nil, errStorage
	}
	return k.KV.Get(ctx, key, o...)
}

func (k troubledKV) Put(ctx context.Context, key, value string, o ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	if k.puts.Load() {
		return nil, errStorage
	}
	return k.KV.Put(ctx, key, value, o...)
}

func (l troubledLease) Grant(ctx context.Context, ttl int64) (*clientv3.LeaseGrantResponse, error) {
	if l.grants.Load() {
		return nil, errStorage
	}
	return l.Lease.Grant(ctx, ttl)
}

func (w troubledWatcher) Watch(ctx context.Context, key string, o ...clientv3.OpOption) clientv3.WatchChan {
	if w.watches.Load() {
		c := make(chan clientv3.WatchResponse, 1)
		c <- clientv3.WatchResponse{Canceled: true}
		close(c)
		return c
	}
	return w.Watcher.Watch(ctx, key, o...)
}

// failing is a store that can fail every call.
type failing interface{ Fail(error) }

// TestRotationOutlivesErrors is what other systems do not survive: after any
// errors for three intervals the next rotation comes within one back-off, and
// those after it in time.
func TestRotationOutlivesErrors(t *testing.T) {
	for name, c := range map[string]struct{ begin, end func(*fleetOf, *trouble) }{
		"etcd is out of reach": {
			func(f *fleetOf, _ *trouble) { f.etcd.Down() },
			func(f *fleetOf, _ *trouble) { f.etcd.Up() },
		},
		"every call fails": {
			func(f *fleetOf, t *trouble) {
				if s, ok := f.etcd.(failing); ok {
					s.Fail(errStorage)
				}
				t.all(true)
			},
			func(f *fleetOf, t *trouble) {
				if s, ok := f.etcd.(failing); ok {
					s.Fail(nil)
				}
				t.all(false)
			},
		},
		"reads fail":        {func(_ *fleetOf, t *trouble) { t.gets.Store(true) }, (*fleetOf).healed},
		"transactions fail": {func(_ *fleetOf, t *trouble) { t.txns.Store(true) }, (*fleetOf).healed},
		"reports fail":      {func(_ *fleetOf, t *trouble) { t.puts.Store(true) }, (*fleetOf).healed},
		"watches fail":      {func(f *fleetOf, t *trouble) { t.watches.Store(true); f.depose() }, (*fleetOf).healed},
		"leases fail": {func(f *fleetOf, t *trouble) {
			t.grants.Store(true)
			f.endLeases()
		}, (*fleetOf).healed},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, f *fleetOf) {
				p := brisk
				if inBubble() {
					p = keyring.DefaultPolicy
				}
				tr := &trouble{}
				nodes := []*node{f.start(withPolicy(p), tr.with), f.start(withPolicy(p), tr.with), f.start(withPolicy(p), tr.with)}
				f.agree(nodes, 1)
				c.begin(f, tr)
				time.Sleep(3*p.Interval + p.Interval/2)
				c.end(f, tr)
				start, before := time.Now(), f.newest(nodes)
				f.agree(nodes, before+1)
				took := time.Since(start)
				t.Logf("version %d %v after the end of it", f.newest(nodes), took.Round(time.Millisecond))
				f.agree(nodes, before+3)
				if !inBubble() {
					return
				}
				const backOff = 3 * time.Second
				bound := backOff
				if before > 1 { // it was no trouble, and the next is not due yet
					bound += p.Interval / 2
				}
				if took > bound {
					t.Errorf("rotated after %v, want within one back-off, %v", took, bound)
				}
				if took := time.Since(start); took > bound+2*p.Interval+backOff {
					t.Errorf("rotated twice more after %v, want it in time", took)
				}
			})
		})
	}
}

func (t *trouble) all(on bool) {
	for _, b := range []*atomic.Bool{&t.gets, &t.txns, &t.puts, &t.grants, &t.watches} {
		b.Store(on)
	}
}

func (*fleetOf) healed(t *trouble) { t.all(false) }

// newest is the highest version that any node has.
func (f *fleetOf) newest(nodes []*node) (v uint64) {
	for _, n := range nodes {
		v = max(v, n.Status().Info.Version)
	}
	return v
}

// endLeases revokes every lease, as an administrator can.
func (f *fleetOf) endLeases() {
	f.t.Helper()
	c := f.etcd.Client()
	resp, err := c.Leases(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, l := range resp.Leases {
		_, _ = c.Revoke(f.t.Context(), l.ID)
	}
}

// TestSaysOnceWhatComesByTurns has an etcd answer in two ways by turns, as one
// does that has lost its quorum.
func TestSaysOnceWhatComesByTurns(t *testing.T) {
	inMemory(t, func(t *testing.T, f *fleetOf) {
		core, logs := observer.New(zap.WarnLevel)
		n := f.start(func(c *rotator.Config) { c.Log = zap.New(core) })
		f.until(n, "ring", version(1))
		etcd := f.etcd.(*memory.Etcd)
		for i := range 600 {
			etcd.Fail(fmt.Errorf("way %c to say it, by port %d", 'a'+i%2, i))
			time.Sleep(time.Second)
		}
		etcd.Fail(errors.New("something else"))
		time.Sleep(time.Minute)
		etcd.Fail(nil)
		if lines := logs.FilterMessageSnippet("does not have this node's report").All(); len(lines) == 0 ||
			!strings.Contains(fmt.Sprint(lines[len(lines)-1].ContextMap()["error"]), "something else") {
			t.Errorf("the last reason is not told, in %d lines", len(lines))
		}
		if lines := logs.FilterMessageSnippet("does not have this node's report").All(); len(lines) > 6 {
			t.Errorf("in ten minutes %d lines say that etcd lacks the report, want one for each way", len(lines))
		}
	})
}
