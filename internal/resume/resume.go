// Package resume is a TLS client's side of resumption, for whoever wants to know
// what a server does with session tickets.
package resume

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Cache is a tls.ClientSessionCache for one connection: it offers one session, or
// none, and keeps the first that the server gives. The zero Cache is ready.
type Cache struct {
	Offer *tls.ClientSessionState // nil is a full handshake

	mu   sync.Mutex // guards the rest
	got  *tls.ClientSessionState
	came chan struct{} // closed once got is there
}

// Get returns the session to offer, whatever the server.
func (c *Cache) Get(string) (*tls.ClientSessionState, bool) { return c.Offer, c.Offer != nil }

// Put keeps the first session that came. crypto/tls puts nil to forget one, and
// an empty ticket if a server of TLS 1.2 has second thoughts about giving one.
func (c *Cache) Put(_ string, s *tls.ClientSessionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ticket, _, _ := s.ResumptionState(); len(ticket) == 0 || c.got != nil {
		return
	}
	c.got = s
	close(c.arrival())
}

// arrival returns came. The caller holds mu.
func (c *Cache) arrival() chan struct{} {
	if c.came == nil {
		c.came = make(chan struct{})
	}
	return c.came
}

// ErrNoTicket means that the server gave no session in time.
var ErrNoTicket = errors.New("no ticket came")

// Await blocks until the server has given a session on conn, whose handshake is
// over, and returns it. If ctx ends before that, or the connection does, it
// returns an error that wraps ErrNoTicket, and what the connection died of; so
// give ctx a deadline. A ticket of TLS 1.2 is part of the handshake, and Await
// waits for none. One of TLS 1.3 comes later and arrives when somebody reads: if
// conn is a net.Conn, Await does, drops what it reads, and leaves conn good for
// closing only. Others, as connections of QUIC, must read by themselves.
func (c *Cache) Await(ctx context.Context, conn io.Closer) (*tls.ClientSessionState, error) {
	c.mu.Lock()
	came := c.arrival()
	c.mu.Unlock()
	over := make(chan struct{})
	var died error // what ended the connection, once over is closed
	if c, ok := conn.(*tls.Conn); ok && c.ConnectionState().Version < tls.VersionTLS13 {
		close(over)
	} else if nc, ok := conn.(net.Conn); ok {
		go func() {
			defer close(over)
			_, died = io.Copy(io.Discard, nc)
		}()
		defer func() {
			_ = nc.SetDeadline(time.Unix(1, 0)) // to read is to write, if the server asks for new keys
			<-over
		}()
	}
	var why error
	select {
	case <-came:
	case <-over:
		why = died
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.got != nil:
		return c.got, nil
	case why != nil:
		return nil, fmt.Errorf("%w: %w", ErrNoTicket, why)
	}
	return nil, ErrNoTicket
}
