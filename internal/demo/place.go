package demo

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/daemon"
	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/tlsbind"
)

// place is an address at which one node after another serves.
type place struct {
	demo    *demo
	id      string
	address string // host:port once it was up

	mu   sync.Mutex
	node *node // nil while down
}

type node struct {
	rot    *rotator.Rotator
	client *clientv3.Client
	srv    *http.Server
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// up starts a node; it takes clients once it has the ring.
func (p *place) up(ctx context.Context) error {
	d := p.demo
	client, err := etcd.Dial(etcd.Options{Endpoints: []string{d.etcd.Endpoint}})
	if err != nil {
		return err
	}
	rot, err := rotator.New(rotator.Config{
		Client: client, Ring: ringName, ID: p.id, KEK: d.kek, Policy: d.policy, TTL: ttl, Listeners: []string{p.address},
	})
	if err != nil {
		_ = client.Close()
		return err
	}
	n := &node{rot: rot, client: client}
	rctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.done.Go(func() { _ = rot.Run(rctx) })
	if err := rot.Wait(ctx); err != nil {
		n.stop()
		return fmt.Errorf("demo: node %s has no ring: %w", p.id, err)
	}
	ln, err := net.Listen("tcp", p.address)
	if err != nil {
		n.stop()
		return fmt.Errorf("demo: node %s: %w", p.id, err)
	}
	binder := tlsbind.Binder{Source: rot, NoTLS12: true} // as the daemon does by default
	bound, err := binder.Config(&tls.Config{Certificates: []tls.Certificate{d.cert}})
	if err != nil {
		n.stop()
		return err
	}
	n.srv = &http.Server{
		Handler: daemon.Page(rot), TLSConfig: bound, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: stdlog.New(io.Discard, "", 0),
	}
	n.done.Go(func() { _ = n.srv.ServeTLS(ln, "", "") })
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := ln.Addr().String(); at != p.address { // clients read it meanwhile
		p.address = at
	}
	p.node = n
	return nil
}

// live returns the node that serves here, or nil.
func (p *place) live() *node {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.node
}

func (p *place) serves() bool { return p.live() != nil }

func (p *place) leave() *node {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.node
	p.node = nil
	return n
}

// stop ends the node as TERM does.
func (p *place) stop() {
	if n := p.leave(); n != nil {
		n.stop()
	}
}

// kill takes the node away with no chance to resign: its link to etcd goes
// first.
func (p *place) kill() {
	if n := p.leave(); n != nil {
		_ = n.client.Close()
		n.stop()
	}
}

func (n *node) stop() {
	if n.srv != nil {
		_ = n.srv.Close()
	}
	n.cancel()
	n.done.Wait()
	_ = n.client.Close()
}
