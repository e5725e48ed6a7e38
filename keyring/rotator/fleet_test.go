package rotator_test

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/etcd/memory"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
)

func TestMain(m *testing.M) {
	if os.Getenv(loneEnv) != "" {
		if err := loneMain(os.Args[1], os.Args[2], os.Args[3]); err != nil {
			log.Fatal(err)
		}
		return
	}
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // they wait far more than they work
	goleak.VerifyTestMain(m)
}

// node is a running Rotator with its own etcd client.
type node struct {
	*rotator.Rotator
	client *clientv3.Client
	cancel context.CancelFunc
	done   chan struct{}
}

// stop ends the node as TERM does.
func (n *node) stop() { n.cancel(); <-n.done; _ = n.client.Close() }

// kill ends the node without a chance to resign.
func (n *node) kill() { _ = n.client.Close(); n.cancel(); <-n.done }

var fast = keyring.Policy{Interval: time.Second, TicketLifetime: 12 * time.Second}

// store is an etcd, real or in memory.
type store interface {
	Client() *clientv3.Client
	Down()
	Up()
	Wipe()
	Save() (restore func())
}

type fleetOf struct {
	t    *testing.T
	etcd store
	kek  *seal.KEK
	log  *zap.Logger
	n    int
}

func newFleet(t *testing.T, etcd store) *fleetOf {
	return &fleetOf{t: t, etcd: etcd, kek: seal.NewKEK(), log: zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel))}
}

// onBoth runs a test on a real etcd, and on one in memory where time is free.
func onBoth(t *testing.T, test func(t *testing.T, f *fleetOf)) {
	t.Parallel()
	t.Run("etcd", func(t *testing.T) {
		t.Parallel()
		test(t, newFleet(t, etcdtest.Start(t)))
	})
	t.Run("memory", func(t *testing.T) { inMemory(t, test) })
}

// inMemory runs a test in a bubble of fake time.
func inMemory(t *testing.T, test func(t *testing.T, f *fleetOf)) {
	synctest.Test(t, func(t *testing.T) { test(t, newFleet(t, memory.New())) })
}

// start adds a node; change may adapt its configuration.
func (f *fleetOf) start(change ...func(*rotator.Config)) *node {
	f.t.Helper()
	f.n++
	cfg := rotator.Config{
		Client: f.etcd.Client(), Ring: "test", ID: fmt.Sprintf("n%d", f.n), KEK: f.kek,
		Policy: fast, TTL: 2 * time.Second, Log: f.log.Named(fmt.Sprintf("n%d", f.n)),
	}
	for _, c := range change {
		c(&cfg)
	}
	r, err := rotator.New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{Rotator: r, client: cfg.Client, cancel: cancel, done: make(chan struct{})}
	go func() { defer close(n.done); _ = r.Run(ctx) }()
	f.t.Cleanup(n.stop)
	return n
}

// patience is what a machine in trouble gets; fake time costs nothing.
func patience() time.Duration {
	if inBubble() {
		return 24 * time.Hour
	}
	return time.Minute
}

// inBubble reports whether time is fake, so that it can be judged.
func inBubble() bool { return time.Now().Year() < 2020 }

// until waits for a node to be as asked.
func (f *fleetOf) until(n *node, what string, ok func(rotator.Status) bool) rotator.Status {
	f.t.Helper()
	for start := time.Now(); ; time.Sleep(5*time.Millisecond + time.Since(start)/1000) {
		if s := n.Status(); ok(s) {
			return s
		}
		if time.Since(start) > patience() {
			f.t.Fatalf("%s: not within %v: %+v", what, patience(), n.Status())
		}
	}
}

func version(v uint64) func(rotator.Status) bool {
	return func(s rotator.Status) bool { return s.Info.Version >= v }
}

func leads(s rotator.Status) bool { return s.Leader }
