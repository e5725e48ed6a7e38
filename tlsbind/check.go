package tlsbind

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stekring/stekring/internal/resume"
)

// Check finds out whether a server uses a configuration of b: it connects to it
// twice, and requires that a key of the ring opens the tickets that it gets, that
// they are bound as b says, and that the server resumes with the first. A server
// that was bound too late, or not at all, gives tickets under keys of its own,
// which shows nowhere else as long as there is one server.
//
// dial connects and shakes hands with the configuration that it is given, in
// which it may set what the server needs, such as NextProtos, Certificates or
// MaxVersion, and ServerName if that decides which configuration is used. Check
// does not look at the server's certificate: it is for one's own server, over a
// network that one trusts. It closes what dial returns, and if that is a net.Conn
// reads from it, as tickets of TLS 1.3 come after the handshake. For TCP:
//
//	err := b.Check(ctx, func(ctx context.Context, c *tls.Config) (io.Closer, error) {
//		c.ServerName = "www.example.com"
//		return (&tls.Dialer{Config: c}).DialContext(ctx, "tcp", "127.0.0.1:443")
//	})
//
// Check blocks for fifteen seconds at most. A ring that is replaced by a revoke
// meanwhile is an error; try again.
func (b *Binder) Check(ctx context.Context, dial func(context.Context, *tls.Config) (io.Closer, error)) error {
	if b.Source == nil {
		return errNoSource
	}
	n := newBinding(b)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var offer *tls.ClientSessionState
	for _, want := range []bool{false, true} {
		cache := &resume.Cache{Offer: offer}
		var state tls.ConnectionState
		conn, err := dial(ctx, &tls.Config{
			ClientSessionCache: cache, InsecureSkipVerify: true,
			// A client of Go does not resume where the certificate has expired.
			Time:             func() time.Time { return time.Unix(1, 0) },
			VerifyConnection: func(cs tls.ConnectionState) error { state = cs; return nil },
		})
		if err != nil {
			return fmt.Errorf("tlsbind: check: %w", err)
		}
		offer, err = cache.Await(ctx, conn)
		_ = conn.Close()
		switch {
		case err != nil:
			return fmt.Errorf("tlsbind: check: %w: the server has broken off, or its configuration has session tickets disabled, or was refused; see the error of Binder.Config", err)
		case state.DidResume != want:
			return errors.New("tlsbind: check: the server did not resume with its own ticket, whose key is in the ring: something else decides; see GetConfigForClient and VerifyConnection")
		}
		if err := n.sealed(offer, state); err != nil {
			return err
		}
	}
	return nil
}

// sealed reports whether the ring has sealed what a client got.
func (n *binding) sealed(s *tls.ClientSessionState, cs tls.ConnectionState) error {
	ticket, _, err := s.ResumptionState()
	if err != nil {
		return fmt.Errorf("tlsbind: check: %w", err)
	}
	for auth := range n.domains {
		opened, _ := n.domains[auth].keys().config.DecryptTicket(ticket, cs)
		if opened == nil {
			continue
		}
		m := unmark(opened)
		switch {
		case opened.EarlyData && !n.EarlyData:
			return errors.New("tlsbind: check: the server offers early data, which this Binder refuses: set Allow0RTT of its quic.Config to false, or Binder.EarlyData")
		case n.NoTLS12 && beforeTLS13(cs),
			(n.PerName || n.PerChain) != (m.place != [sha256.Size]byte{}),
			n.MaxSessionAge > 0 && m.began.IsZero():
			return errors.New("tlsbind: check: the server's ticket is not bound as this Binder says: it uses what another Binder's Config returned, or GetConfigForClient returns what is bound already")
		}
		return nil
	}
	return errors.New("tlsbind: check: no key of the ring opens the server's ticket: it does not use what Config returned, or not with this Scope; " +
		"give it that before it starts, and do not set GetConfigForClient afterwards")
}
