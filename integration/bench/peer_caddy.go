package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/caddy/v2/modules/caddytls/distributedstek"
	"github.com/caddyserver/certmagic"
)

// caddies are instances of Caddy's module, unpatched, each with a storage of its
// own as if it were another machine's. They do not share anything in this process:
// certmagic's file storage has no state but its files, so that its locks work,
// and poll, as they do between machines. But a process has one clock, with which
// all would poll at the same instant, second after second: no two machines do,
// and it makes the queue for the lock several times as slow.
//
// A module that is to stop may block for ever, on a timer that has fired or on a
// send that nobody receives. Whoever starts one ends with its process.
type caddies struct {
	*turns
	storage []*watched
	configs []*tls.Config // as running servers have them
	errors  loadErrors

	cancel context.CancelFunc
	done   sync.WaitGroup
}

// caddyOptions are how instances run.
type caddyOptions struct {
	interval time.Duration
	maxKeys  int
	apart    time.Duration             // the slowest clock from the fastest, the others evenly between
	delay    func(i int) time.Duration // of an instance's storage; nil is none
}

// startCaddies starts an instance for each storage.
func startCaddies(ctx context.Context, storages []certmagic.Storage, base *tls.Config, o caddyOptions) (*caddies, error) {
	c := &caddies{turns: newTurns(len(storages))}
	log.SetOutput(&c.errors)
	ctx, c.cancel = context.WithCancel(ctx)
	var begin []func() <-chan [][32]byte
	for i, s := range storages {
		w := &watched{Storage: s, id: fmt.Sprint("watched", i), turns: c.turns}
		w.behind = o.apart * time.Duration(i) / time.Duration(max(1, len(storages)-1))
		if o.delay != nil {
			w.delay = o.delay(i)
		}
		c.storage, c.configs = append(c.storage, w), append(c.configs, base.Clone())
		next, err := c.provide(ctx, i, o)
		if err != nil {
			c.end()
			return nil, fmt.Errorf("instance %d of Caddy's module: %w", i, err)
		}
		begin = append(begin, next)
	}
	for i, next := range begin {
		keys := next()
		c.done.Go(func() { c.receive(ctx, i, keys) })
	}
	return c, nil
}

// provide does what Caddy does to have the first keys of a provider.
func (c *caddies) provide(ctx context.Context, i int, o caddyOptions) (next func() <-chan [][32]byte, err error) {
	caddy.RegisterModule(c.storage[i])
	module, err := json.Marshal(map[string]string{"module": c.storage[i].id})
	if err != nil {
		return nil, err
	}
	in, cancel := caddy.NewContext(caddy.Context{Context: ctx})
	context.AfterFunc(ctx, cancel)
	p := &distributedstek.Provider{Storage: module}
	if err := p.Provision(in); err != nil {
		return nil, err
	}
	first, err := p.Initialize(&caddytls.SessionTicketService{RotationInterval: caddy.Duration(o.interval), MaxKeys: o.maxKeys})
	if err != nil {
		return nil, err
	}
	c.use(i, first)
	return func() <-chan [][32]byte { return p.Next(ctx.Done()) }, nil
}

// receive has a server use what comes, as Caddy's session ticket service does.
func (c *caddies) receive(ctx context.Context, i int, keys <-chan [][32]byte) {
	for {
		select {
		case k := <-keys:
			c.use(i, k)
		case <-ctx.Done():
			return
		}
	}
}

func (c *caddies) use(i int, keys [][32]byte) {
	c.configs[i].SetSessionTicketKeys(keys)
	c.swap(i, keys[0])
	c.storage[i].failed.Store(false)
}

// stopped reports whether an instance has had an error and no keys since.
func (c *caddies) stopped(i int) bool { return c.storage[i].failed.Load() }

func (c *caddies) stoppedCount() (n int) {
	for i := range c.storage {
		if c.stopped(i) {
			n++
		}
	}
	return n
}

func (c *caddies) operations() (n int64) {
	for _, w := range c.storage {
		n += w.operations.Load()
	}
	return n
}

// end stops the servers' part, and tells the modules to stop.
func (c *caddies) end() {
	c.cancel()
	c.done.Wait()
}

// loadErrors counts the lines that Caddy's module logs when it cannot load keys,
// and drops all others.
type loadErrors struct {
	mu    sync.Mutex // guards the rest
	count int
	last  string
}

func (l *loadErrors) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(line, []byte("[ERROR] Loading STEK")) {
		l.count++
		l.last = string(bytes.TrimSpace(line))
	}
	return len(line), nil
}

func (l *loadErrors) read() (count int, last string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count, l.last
}
