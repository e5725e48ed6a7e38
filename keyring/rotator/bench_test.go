package rotator_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
)

const (
	benchWarmUp = 20
	benchPairs  = 300
	benchKeys   = 15 // of an hourly ring with tickets of twelve hours
)

// BenchmarkSwap is the time from a commit in etcd until the last of N nodes
// uses the ring, against the least that any follower of etcd could do: a watch,
// the same decode, a stored pointer. Both are there at once, rounds of the one
// alternate with rounds of the other, and what counts is their ratio. All nodes,
// each with a client of its own, share this process and the etcd in it.
func BenchmarkSwap(b *testing.B) {
	for _, role := range []string{"observers", "candidates"} {
		for _, n := range []int{3, 100} {
			b.Run(fmt.Sprintf("%s/N=%d", role, n), func(b *testing.B) { benchSwap(b, n, role == "observers") })
		}
	}
}

// benchArm is N nodes that follow one etcd key.
type benchArm struct {
	name    string
	layout  fleet.Layout
	reports int // how many nodes report themselves
	// wait returns once every node has a version.
	wait  func(ctx context.Context, version uint64) error
	times []time.Duration
}

func benchSwap(b *testing.B, n int, observer bool) {
	e := &benchEtcd{b: b, Etcd: etcdtest.Start(b), kek: seal.NewKEK(), ring: keyring.DefaultPolicy.First(1, 1, time.Now())}
	e.admin = e.Client()
	for len(e.ring.Info().Keys) < benchKeys {
		e.rotate()
	}
	arms := []*benchArm{e.bare(n), e.rotators(n, observer)}
	for b.Loop() {
		for i := range benchWarmUp + benchPairs {
			e.rotate()
			for j := range arms {
				a := arms[(i+j)%2]
				d := e.round(a)
				e.quiet(a)
				if i >= benchWarmUp {
					a.times = append(a.times, d)
				}
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, q := range []int{50, 95} {
		var at [2]float64
		for i, a := range arms {
			slices.Sort(a.times)
			at[i] = a.times[len(a.times)*q/100].Seconds() * 1000
			b.ReportMetric(at[i], fmt.Sprintf("%s-p%d-ms", a.name, q))
		}
		b.ReportMetric(at[1]/at[0], fmt.Sprintf("p%d-ratio", q))
	}
}

type benchEtcd struct {
	*etcdtest.Etcd
	b     *testing.B
	kek   *seal.KEK
	admin *clientv3.Client
	ring  *keyring.Ring
}

// rotate makes the next ring, as if an interval had passed.
func (e *benchEtcd) rotate() {
	now := time.Now()
	next, err := keyring.DefaultPolicy.Next(e.ring, now.Add(-keyring.DefaultPolicy.Interval), now)
	if err != nil {
		e.b.Fatal(err)
	}
	e.ring = next
}

func (e *benchEtcd) put(path string) (before time.Time) {
	e.b.Helper()
	rec, err := e.kek.Seal(path, e.ring)
	if err != nil {
		e.b.Fatal(err)
	}
	before = time.Now()
	if _, err := e.admin.Put(e.b.Context(), path, string(rec)); err != nil {
		e.b.Fatal(err)
	}
	return before
}

// round is the time from before a put to the last node's swap.
func (e *benchEtcd) round(a *benchArm) time.Duration {
	e.b.Helper()
	ctx, cancel := context.WithTimeout(e.b.Context(), time.Minute)
	defer cancel()
	var swapped time.Time
	var err error
	done := make(chan struct{})
	go func() { // the put may return after the last swap
		defer close(done)
		err = a.wait(ctx, e.ring.Info().Version)
		swapped = time.Now()
	}()
	before := e.put(a.layout.Ring())
	<-done
	if err != nil {
		e.b.Fatalf("%s: not every node has version %d: %v", a.name, e.ring.Info().Version, err)
	}
	return swapped.Sub(before)
}

// quiet returns a few milliseconds after every candidate has reported the ring
// and the heap is clean, so that a round does not burden the next one.
func (e *benchEtcd) quiet(a *benchArm) {
	e.b.Helper()
	ctx, cancel := context.WithTimeout(e.b.Context(), time.Minute)
	defer cancel()
	for behind := true; behind; time.Sleep(5 * time.Millisecond) {
		s, err := fleet.Read(ctx, e.admin, a.layout)
		if err != nil {
			e.b.Fatal(err)
		}
		behind = len(s.Nodes) < a.reports || a.reports > 0 && s.Leader == ""
		for _, n := range s.Nodes {
			behind = behind || n.Version < e.ring.Info().Version
		}
	}
	runtime.GC()
	time.Sleep(5 * time.Millisecond)
}

// run starts f with n clients, and ends all with the benchmark.
func (e *benchEtcd) run(n int, f func(ctx context.Context, i int, c *clientv3.Client)) {
	clients := make([]*clientv3.Client, n)
	for i := range clients {
		clients[i] = e.Client()
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() { f(ctx, i, c) })
	}
	e.b.Cleanup(func() { cancel(); wg.Wait() }) // before the clients close
}

// bare is the yardstick.
func (e *benchEtcd) bare(n int) *benchArm {
	type node struct {
		ring    atomic.Pointer[keyring.Ring]
		swapped chan struct{}
	}
	a := &benchArm{name: "bare", layout: fleet.NewLayout("", "bare")}
	nodes := make([]node, n)
	for i := range nodes {
		nodes[i].swapped = make(chan struct{}, 1)
	}
	e.run(n, func(ctx context.Context, i int, c *clientv3.Client) {
		for resp := range c.Watch(clientv3.WithRequireLeader(ctx), a.layout.Ring(), clientv3.WithRev(1)) {
			for _, ev := range resp.Events {
				ring, err := e.kek.Open(a.layout.Ring(), ev.Kv.Value)
				if err != nil {
					e.b.Error(err)
					return
				}
				nodes[i].ring.Store(ring)
				select {
				case nodes[i].swapped <- struct{}{}:
				default:
				}
			}
		}
	})
	a.wait = func(ctx context.Context, version uint64) error {
		for i := range nodes {
			for r := nodes[i].ring.Load(); r == nil || r.Info().Version < version; r = nodes[i].ring.Load() {
				select {
				case <-nodes[i].swapped:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		}
		return nil
	}
	return a
}

// rotators is what is measured.
func (e *benchEtcd) rotators(n int, observer bool) *benchArm {
	a := &benchArm{name: "rotator", layout: fleet.NewLayout("", "rotators")}
	if !observer {
		a.reports = n
	}
	e.put(a.layout.Ring()) // so that no leader writes one
	made := make(chan *rotator.Rotator)
	e.run(n, func(ctx context.Context, i int, c *clientv3.Client) {
		r, err := rotator.New(rotator.Config{
			Client: c, Ring: "rotators", ID: fmt.Sprintf("n%d", i), KEK: e.kek, Observer: observer,
		})
		if err != nil {
			panic(err)
		}
		made <- r
		_ = r.Run(ctx)
	})
	var nodes []*rotator.Rotator
	for range n {
		nodes = append(nodes, <-made)
	}
	a.wait = func(ctx context.Context, version uint64) error {
		for _, r := range nodes {
			for ring := r.Ring(); ring.Info().Version < version; {
				var err error
				if ring, err = r.Await(ctx, ring); err != nil {
					return err
				}
			}
		}
		return nil
	}
	e.quiet(a)
	return a
}
