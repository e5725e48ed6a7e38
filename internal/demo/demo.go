// Package demo is a whole fleet on one machine: an etcd, nodes with real TLS
// listeners, and clients that come back to random nodes and count how often
// their ticket was not taken.
package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

const (
	ringName   = "demo"
	serverName = "stekring.demo"
	ttl        = 2 * time.Second // of leases: how soon a death is noticed
	lifetimes  = 12              // intervals that a ticket lives
	look       = 10 * time.Millisecond
	killEvery  = 3 // rotations
)

// MinInterval is the shortest interval that leaves room for a failover.
const MinInterval = 3 * time.Second

// Options says what to show.
type Options struct {
	Nodes      int
	Interval   time.Duration
	Duration   time.Duration // 0 is until ctx ends
	KillLeader bool
	JSON       bool
	Out        io.Writer
}

// ErrMissed means that a client noticed something.
var ErrMissed = errors.New("demo: tickets were missed, or handshakes failed")

type demo struct {
	Options
	policy keyring.Policy
	dir    string
	kek    *seal.KEK
	cert   tls.Certificate
	roots  *x509.CertPool
	etcd   *etcd.Server
	places []*place
	show   printer
	start  time.Time
}

// Run runs the demo until its duration is over or ctx ends. It returns
// [ErrMissed] if a ticket was missed.
func Run(ctx context.Context, o Options) (err error) {
	d := &demo{Options: o, policy: keyring.Policy{Interval: o.Interval, TicketLifetime: lifetimes * o.Interval}, kek: seal.NewKEK()}
	d.show = newPrinter(o)
	d.show.say("starting etcd and %d nodes", o.Nodes)
	if d.dir, err = os.MkdirTemp("", "stekring-demo-"); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(d.dir)
	if d.etcd, err = etcd.Start(ctx, d.dir, "127.0.0.1:0", 50*time.Millisecond, zap.NewNop()); err != nil {
		return err
	}
	defer d.etcd.Close()
	if err := d.files(); err != nil {
		return err
	}
	defer func() {
		for _, p := range d.places {
			p.stop()
		}
	}()
	if err := d.startAll(ctx); err != nil {
		return err
	}
	d.start = time.Now()
	d.show.event(d.ready())

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := newTracker(d)
	c := newClients(d, t)
	client, err := etcd.Dial(etcd.Options{Endpoints: []string{d.etcd.Endpoint}})
	if err != nil {
		return err
	}
	defer client.Close()
	var wg sync.WaitGroup
	wg.Go(func() { t.follow(ctx, client) })
	wg.Go(func() { c.run(ctx) })
	var over <-chan time.Time
	if o.Duration > 0 {
		over = time.After(o.Duration)
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for alive := true; alive; {
		select {
		case <-tick.C:
			t.look(ctx, time.Now())
			c.judge(time.Now(), time.Second)
			d.show.frame(d, t, c)
		case <-over:
			alive = false
		case <-ctx.Done():
			alive = false
		}
	}
	cancel()
	wg.Wait()
	t.wait()
	t.look(ctx, time.Now())
	c.judge(time.Now(), 0)
	s := d.summary(t, c)
	d.show.event(s)
	if s.Missed > 0 || s.Failed > 0 {
		return ErrMissed
	}
	return nil
}

// files writes what other clients and the other verbs need to join in.
func (d *demo) files() error {
	cert, ca, err := devcert.New(serverName, "localhost", "127.0.0.1")
	if err != nil {
		return err
	}
	d.cert, d.roots = cert, x509.NewCertPool()
	d.roots.AppendCertsFromPEM(ca)
	cfg := config.Config{
		Ring:     ringName,
		Etcd:     config.Etcd{Endpoints: []string{d.etcd.Endpoint}, Prefix: "/stekring"},
		Rotation: config.Rotation{Interval: d.policy.Interval, TicketLifetime: d.policy.TicketLifetime, Enabled: true},
		Election: config.Election{TTL: ttl, Candidate: true},
		Reports:  config.Reports{Enabled: true},
		Seal:     config.Seal{KEKFile: d.file("kek")},
		Outage:   "local",
		Tickets:  config.Tickets{Enabled: true},
		Log:      config.Log{Level: "info", Format: "console"},
	}
	yaml, err := cfg.YAML()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"ca.pem": ca, "kek": d.kek.File(), "stekring.yaml": yaml} {
		if err := os.WriteFile(d.file(name), content, 0o600); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	return nil
}

func (d *demo) file(name string) string { return filepath.Join(d.dir, name) }

func (d *demo) startAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	errs := make([]error, d.Nodes)
	var wg sync.WaitGroup
	for i := range d.Nodes {
		p := &place{demo: d, id: fmt.Sprintf("n%d", i+1), address: "127.0.0.1:0"}
		d.places = append(d.places, p)
		wg.Go(func() { errs[i] = p.up(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// anywhere returns a node that serves, chosen by chance, or nil.
func (d *demo) anywhere() *place {
	n := len(d.places)
	for i, first := 0, rand.N(n); i < n; i++ {
		if p := d.places[(first+i)%n]; p.serves() {
			return p
		}
	}
	return nil
}
