// Package status is the page on which a node shows people its fleet. It is read
// only, works without JavaScript, and shows no key.
//
// What a node knows by itself costs nothing to show. The reports of the others
// are read from etcd at most once a second, for all who look together, and only
// while somebody does.
package status

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring/rotator"
)

// Config is what a Page shows. All of it is required.
type Config struct {
	Node      *rotator.Rotator
	Etcd      clientv3.KV
	Layout    fleet.Layout
	Listeners []string // of this node
	Build     string
	Tickets   prometheus.Collector // a tlsbind/metrics.Metrics
}

// Page is the status page of a node. Its methods are safe for concurrent use.
type Page struct {
	cfg     Config
	started time.Time
	tickets *prometheus.Registry
	wanted  chan struct{} // has one when somebody waits for a look at the fleet
	woken   chan struct{} // has one when what this node knows may be another

	mu      sync.Mutex
	fleet   look
	looked  chan struct{} // closed and replaced after every look
	was     rotator.Status
	journal journal
	shown   view
	frame   []byte        // of shown, for streams
	turned  chan struct{} // closed and replaced when frame is
	streams int
	ended   chan struct{} // closed when Run ends
	over    bool          // it has
	serving sync.WaitGroup
}

// New returns a Page that shows what it can; Run brings it up to date.
func New(c Config) *Page {
	p := &Page{
		cfg: c, started: stamp(time.Now()), tickets: prometheus.NewRegistry(), was: c.Node.Status(),
		wanted: make(chan struct{}, 1), woken: make(chan struct{}, 1),
		looked: make(chan struct{}), turned: make(chan struct{}), ended: make(chan struct{}),
	}
	p.tickets.MustRegister(c.Tickets)
	p.journal.add(p.started, "start", "this node started")
	return p
}

// Run notes what happens and feeds the streams, until ctx ends. Then it ends the
// streams and waits for them.
func (p *Page) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { p.follow(ctx) })
	wg.Go(func() { p.watch(ctx) })
	// Of a ring, Await tells at once. All else that a node knows is looked at.
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		p.note(p.cfg.Node.Status())
		p.refresh()
		select {
		case <-tick.C:
		case <-p.woken:
		case <-ctx.Done():
		}
	}
	wg.Wait()
	p.mu.Lock()
	p.over = true
	close(p.ended)
	p.mu.Unlock()
	p.serving.Wait()
}

// follow wakes Run at every change of the ring.
func (p *Page) follow(ctx context.Context) {
	for ring := p.cfg.Node.Ring(); ; signal(p.woken) {
		var err error
		if ring, err = p.cfg.Node.Await(ctx, ring); err != nil {
			return
		}
	}
}

// note takes down in what a node differs from what it was.
func (p *Page) note(s rotator.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.journal.node(p.was, s, time.Now())
	p.was = s
}

// now returns what there is to show.
func (p *Page) now() view {
	s, t := p.cfg.Node.Status(), p.counted()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.view(s, t)
}

// view puts it together under mu.
func (p *Page) view(s rotator.Status, t tickets) view {
	v := build(s, p.fleet, fleet.NodeStatus{Build: p.cfg.Build, Listeners: p.cfg.Listeners}, time.Now())
	v.Started, v.Tickets, v.Events = p.started, t, p.journal.newest()
	return v
}

// refresh gives the streams another frame if there is something else to show.
func (p *Page) refresh() {
	p.mu.Lock()
	watched := p.streams > 0
	p.mu.Unlock()
	if !watched {
		return
	}
	s, t := p.cfg.Node.Status(), p.counted()
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.view(s, t)
	if p.frame != nil && reflect.DeepEqual(v, p.shown) {
		return
	}
	p.shown, p.frame = v, frame(v, time.Now())
	close(p.turned)
	p.turned = make(chan struct{})
}

// signal leaves one in a channel with room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
