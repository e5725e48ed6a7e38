package rotator_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
)

var errLostAnswer = errors.New("the answer was lost")

// commit makes a write of the ring, fault is what becomes of it.
type (
	commit = etcdtest.Commit
	fault  func(f *fleetOf, c commit) (*clientv3.TxnResponse, error)
)

// faulty is a KV that has every second write of the ring go wrong; n counts
// them, by any node.
func (f *fleetOf) faulty(kv clientv3.KV, wrong fault, n *atomic.Int64) clientv3.KV {
	return etcdtest.Commits(kv, func(then []clientv3.Op, write commit) (*clientv3.TxnResponse, error) {
		if len(then) == 0 || !then[0].IsPut() || string(then[0].KeyBytes()) != ringKey || n.Add(1)%2 == 1 {
			return write()
		}
		return wrong(f, write)
	})
}

// deaf hears nothing of the ring.
type deaf struct{ clientv3.Watcher }

func (d deaf) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	if key == ringKey {
		key = "/nothing"
	}
	return d.Watcher.Watch(ctx, key, opts...)
}

// TestRingWrites has every second write of the ring end in a way that leaves
// the leader in doubt, or that it must notice. Whatever happens, each due time
// makes one rotation, and each version is one ring.
func TestRingWrites(t *testing.T) {
	for name, fault := range map[string]fault{
		"dropped before it arrives": func(_ *fleetOf, write commit) (*clientv3.TxnResponse, error) {
			return nil, errLostAnswer
		},
		"the answer is lost": func(_ *fleetOf, write commit) (*clientv3.TxnResponse, error) {
			_, _ = write()
			return nil, errLostAnswer
		},
		"lost, and no watch tells": func(_ *fleetOf, write commit) (*clientv3.TxnResponse, error) {
			_, _ = write()
			return nil, errLostAnswer
		},
		"time is up, and it arrives": func(_ *fleetOf, write commit) (*clientv3.TxnResponse, error) {
			_, _ = write()
			return nil, context.DeadlineExceeded
		},
		"sent twice by the client": func(_ *fleetOf, write commit) (*clientv3.TxnResponse, error) {
			_, _ = write()
			return write() // it does not succeed, for what the first wrote
		},
		"over a stale revision": func(f *fleetOf, write commit) (*clientv3.TxnResponse, error) {
			if _, rec := f.stored(); rec != nil {
				f.put(string(rec)) // the same ring at another revision
			}
			return f.refused(write)
		},
		"by a leader deposed": func(f *fleetOf, write commit) (*clientv3.TxnResponse, error) {
			f.depose()
			return f.refused(write)
		},
		"deposed, and the answer lost": func(f *fleetOf, write commit) (*clientv3.TxnResponse, error) {
			_, _ = write()
			f.depose()
			return nil, errLostAnswer
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, f *fleetOf) {
				h := f.history()
				var n atomic.Int64
				broken := func(c *rotator.Config) {
					c.Policy = brisk
					c.Client.KV = f.faulty(c.Client.KV, fault, &n)
					if strings.Contains(name, "no watch") {
						c.Client.Watcher = deaf{c.Client.Watcher}
					}
				}
				nodes := []*node{f.start(broken), f.start(broken), f.start(broken)}
				f.agree(nodes, 1)
				stop := f.traffic(brisk, nodes...)
				f.agree(nodes, 4)
				if a := f.ask(fleet.Request{Op: fleet.Rotate, Patience: 10}); a.Refused != "" {
					t.Errorf("rotate: %+v", a)
				}
				i := f.agree(nodes, 6)
				stop()
				if a := f.ask(fleet.Request{Op: fleet.Revoke}); a.Epoch != i.Epoch+1 {
					t.Errorf("revoke: %+v, want epoch %d", a, i.Epoch+1)
				}
				f.agree(nodes, i.Version+3)
				h.check(1, 1)
			})
		})
	}
}

// TestLeaderSaysWhatItCannot is a leader whose every write fails, before there
// is any ring: that, and not that there is none, is what is wrong.
func TestLeaderSaysWhatItCannot(t *testing.T) {
	inMemory(t, func(t *testing.T, f *fleetOf) {
		var n atomic.Int64
		var mended atomic.Bool
		never := func(_ *fleetOf, write commit) (*clientv3.TxnResponse, error) {
			if mended.Load() {
				return write()
			}
			n.Store(1) // so that the next is not spared either
			return nil, errLostAnswer
		}
		n.Store(1)
		x := f.start(func(c *rotator.Config) { c.Client.KV = f.faulty(c.Client.KV, never, &n) })
		f.until(x, "why", func(s rotator.Status) bool {
			return s.Leader && strings.Contains(s.Problem, "leading: ") && strings.Contains(s.Problem, errLostAnswer.Error())
		})
		mended.Store(true)
		f.until(x, "ring, and no problem", func(s rotator.Status) bool { return s.Info.Version > 0 && s.Problem == "" })
	})
}

// refused makes a write that etcd must not take.
func (f *fleetOf) refused(write commit) (*clientv3.TxnResponse, error) {
	resp, err := write()
	if err == nil && resp.Succeeded {
		f.t.Error("a write by one that leads no more, or over what it has not read, was taken")
	}
	return resp, err
}

// depose takes the lead from whoever has it, without a word to it.
func (f *fleetOf) depose() {
	l := fleet.NewLayout("", "test")
	c := f.etcd.Client()
	if s, err := c.Get(f.t.Context(), l.Election()+"/", clientv3.WithFirstCreate()...); err == nil && len(s.Kvs) > 0 {
		_, _ = c.Delete(f.t.Context(), string(s.Kvs[0].Key))
	}
}

// history is every ring that was written, from its start on.
type history struct {
	f     *fleetOf
	mu    sync.Mutex
	rings []*keyring.Ring
}

// history records until the end of the test. It does not see beyond a rollback.
func (f *fleetOf) history() *history {
	h := &history{f: f}
	ctx, cancel := context.WithCancel(context.Background())
	watch := f.etcd.Client().Watch(ctx, ringKey, clientv3.WithRev(1))
	var wg sync.WaitGroup
	wg.Go(func() {
		for resp := range watch {
			for _, ev := range resp.Events {
				r, err := f.kek.Open(ringKey, ev.Kv.Value)
				if err != nil {
					f.t.Errorf("etcd revision %d: %v", ev.Kv.ModRevision, err)
					continue
				}
				h.mu.Lock()
				h.rings = append(h.rings, r)
				h.mu.Unlock()
			}
		}
	})
	f.t.Cleanup(func() { cancel(); wg.Wait() })
	return h
}

// check wants each version once, but for what was put again as it was, each a
// rotation of the one before and none too soon, but for what was asked for.
func (h *history) check(rotates, revokes int) {
	h.f.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	const slack = 200 * time.Millisecond // from a stamp to its commit
	for i := 1; i < len(h.rings); i++ {
		was, now := h.rings[i-1].Info(), h.rings[i].Info()
		switch {
		case now.Version == was.Version && now.Keys[0] == was.Keys[0]:
		case now.Version != was.Version+1:
			h.f.t.Errorf("version %d follows %d", now.Version, was.Version)
		case now.Epoch == was.Epoch+1:
			revokes--
		case now.Epoch != was.Epoch:
			h.f.t.Errorf("epoch %d follows %d", now.Epoch, was.Epoch)
		case now.Keys[0].ID != was.Keys[len(was.Keys)-1].ID:
			h.f.t.Errorf("version %d has %s active, want %s, which was staged", now.Version, now.Keys[0].ID, was.Keys[len(was.Keys)-1].ID)
		case now.Rotated.Sub(was.Rotated) < now.Policy.Interval-slack:
			rotates--
		}
	}
	if rotates < 0 || revokes != 0 {
		h.f.t.Errorf("%d rotations too many, %d revokes too few", -rotates, revokes)
	}
}
