package demo

import (
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	rate    = 100 // connections a second, all clients together
	clients = 600 // they come back after 6 s on average, some after much longer
	flying  = 64  // connections at once
)

// crowd is the clients and what they have seen.
type crowd struct {
	demo    *demo
	tracker *tracker
	each    [clients]client

	mu                                                 sync.Mutex // guards the rest
	handshakes, full, resumed, offered, missed, failed int
	lastFailure                                        string
	doubts                                             []doubt
}

// client is one TLS client with its own ticket.
type client struct {
	mu     sync.Mutex // held during a connection
	ticket *tls.ClientSessionState
	issued time.Time // not before
	began  time.Time // this connection
}

// doubt is a ticket that was not taken, until it is clear whether a revoke
// explains that.
type doubt struct{ issued, seen time.Time }

// Get and Put make a client a tls.ClientSessionCache of one ticket.
func (c *client) Get(string) (*tls.ClientSessionState, bool) { return c.ticket, c.ticket != nil }

// Put takes a ticket to be as old as its connection: the server may have sealed it
// long before it came, and that is what a revoke counts from.
func (c *client) Put(_ string, t *tls.ClientSessionState) { c.ticket, c.issued = t, c.began }

func newClients(d *demo, t *tracker) *crowd { return &crowd{demo: d, tracker: t} }

// run connects at the rate until ctx ends, and waits for the last connection.
func (c *crowd) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, flying)
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		one, p := &c.each[rand.N(clients)], c.demo.anywhere()
		if p == nil || !one.mu.TryLock() {
			continue
		}
		select {
		case slots <- struct{}{}:
			wg.Go(func() {
				c.connect(one, p)
				one.mu.Unlock()
				<-slots
			})
		default:
			one.mu.Unlock()
		}
	}
}

// connect makes one connection and reads an answer, as the ticket comes with it.
func (c *crowd) connect(one *client, p *place) {
	one.began = time.Now()
	there := p.live()
	raw, err := net.DialTimeout("tcp", p.address, 5*time.Second)
	if err != nil {
		c.failure(there, p, err)
		return
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
	held, issued := one.ticket != nil, one.issued
	conn := tls.Client(raw, &tls.Config{
		ServerName: serverName, RootCAs: c.demo.roots, ClientSessionCache: one, MinVersion: tls.VersionTLS13,
	})
	if err := conn.Handshake(); err != nil {
		c.failure(there, p, err)
		return
	}
	now := time.Now()
	offered := held && now.Sub(issued) < c.demo.policy.TicketLifetime
	resumed := conn.ConnectionState().DidResume
	c.mu.Lock()
	c.handshakes++
	switch {
	case resumed:
		c.resumed++
	default:
		c.full++
	}
	if offered {
		c.offered++
		if !resumed {
			c.doubts = append(c.doubts, doubt{issued, now})
		}
	}
	c.mu.Unlock()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+serverName+"\r\nConnection: close\r\n\r\n")
	if err == nil {
		_, err = io.Copy(io.Discard, conn)
	}
	if err != nil {
		c.failure(there, p, err)
	}
}

// failure counts a connection that broke, unless its node was taken away.
func (c *crowd) failure(n *node, p *place, err error) {
	if n == nil || p.live() != n {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed++
	c.lastFailure = err.Error()
}

// judge counts the doubts of at least an age ago as misses, but for tickets
// that a revoke was meant to end.
func (c *crowd) judge(now time.Time, age time.Duration) {
	settled := c.tracker.settled()
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := c.doubts[:0]
	for _, d := range c.doubts {
		switch {
		case now.Sub(d.seen) < age:
			rest = append(rest, d)
		case !settled.IsZero() && d.issued.After(settled):
			c.missed++
		}
	}
	c.doubts = rest
}
