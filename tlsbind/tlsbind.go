// Package tlsbind makes a tls.Config seal and open session tickets with the
// keys that a keyring.Source holds at that moment, so that one ring can serve
// many servers and be replaced while they run.
//
// [Config] is for most servers; [Binder] adds trust domains, bounds, events, and
// errors where Config goes without tickets. Bind last: when everything else in
// the configuration is set, and before it is given to a server. [Binder.Check]
// finds out whether that worked.
//
// Tickets have the format of crypto/tls itself. Without a scope, and without
// client certificates, a server that has the ring's keys by
// SetSessionTicketKeys opens them as well.
//
// Early data (0-RTT), which only QUIC has, is refused unless
// [Binder.EarlyData] is set: every server that shares a ring would take a replay
// of it (RFC 8446, section 8). Do not let the server offer it then: the client of
// quic-go fails every request that it sends early and is refused, and an
// http3.Server without a QUICConfig offers it. [Binder.Check] sees that.
//
// Not every server can be bound. quic-go's http3.Server.ListenAndServeTLS and
// autocert's NewListener make a configuration that nobody else can reach: give
// one to http3.Server.TLSConfig, and use autocert's Manager.TLSConfig.
package tlsbind

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stekring/stekring/keyring"
)

// Config returns a copy of base whose tickets are sealed and opened with the
// keys of src, as [Binder.Config] does. A base that Binder.Config would refuse
// comes back without session tickets: every handshake works, none resumes. A
// nil base is an empty configuration.
func Config(base *tls.Config, src keyring.Source) *tls.Config {
	c := clone(base)
	if err := newBinding(&Binder{Source: src}).bind(c); err != nil {
		c.SessionTicketsDisabled = true
	}
	return c
}

// Binder binds configurations to a Source. What Config returns does not depend
// on the Binder any more. Servers that share tickets need Binders alike in all
// but Source and Observe: a ticket of another Scope, or bound to a name or a chain
// in another way, is none, and one of a server without MaxSessionAge may be none
// where there is one.
type Binder struct {
	// Source says which keys to use. It is asked for every ticket.
	Source keyring.Source

	// Scope is a trust domain of its own: its tickets open in no other, as its
	// keys are derived from the ring's. Servers that may not take over each
	// other's sessions need different scopes. It must not contain a NUL.
	Scope string

	// NoTLS12 issues and opens tickets in TLS 1.3 only; older versions shake
	// hands in full. A ticket of TLS 1.2 holds the secret of its connection, so
	// that whoever gets the ticket key can read what was recorded.
	NoTLS12 bool

	// PerName takes a ticket only for the server name (SNI) that it was issued
	// for. Without it a client may resume under any name that the server has, as
	// with crypto/tls itself.
	PerName bool

	// PerChain takes a ticket only where Certificates are those of the
	// configuration that issued it. They must be set there, without
	// GetCertificate; for files that is tls.LoadX509KeyPair. A renewed certificate
	// costs each client a full handshake.
	PerChain bool

	// MaxSessionAge, if not 0, bounds how long a client can resume from one full
	// handshake on, by the wall clocks of the servers: clocks that are apart
	// lengthen it by as much. Without it a chain of TLS 1.3 has no end, because
	// each connection renews the ticket; one of TLS 1.2 ends with the ticket's key.
	//
	// It gives every connection its own copy of what Config returns. So nothing
	// that a server or anybody sets later on a copy of that counts, ClientAuth as
	// little as the rest, and it must be complete: certificates in it and no files
	// given to the server, and NextProtos set to what the server speaks, for most
	// of net/http "h2" and "http/1.1", and not nil if there are none. Of
	// configurations within each other bind the outermost alone.
	MaxSessionAge time.Duration

	// EarlyData lets QUIC take early data on resumption, if it offered it.
	EarlyData bool

	// Observe, if not nil, is told what happens to tickets, and of every
	// handshake that comes as far as VerifyConnection. It is called in the
	// handshake, by many at once, and must not block.
	Observe func(Event)
}

// Config returns a copy of base whose tickets are sealed with the first key of
// the ring and opened with all of them, whatever server it or a copy of it is
// given to. It never changes base; a nil base is an empty configuration.
//
// A session of TLS 1.2 is never sealed twice: whoever resumes gets the ticket
// back that it came with, and shakes hands in full when its key is gone.
//
// A configuration that asks for client certificates has a scope of its own for
// each ClientAuth, below Scope. Keys that were set by SetSessionTicketKeys are
// overridden. A base without session tickets stays without them.
//
// What base.GetConfigForClient returns is bound likewise, on a copy. It is left
// as it is if it has its own WrapSession or UnwrapSession, and gets no tickets if
// Config would refuse it for another reason. Where PerChain or MaxSessionAge needs
// certificates, a base with GetConfigForClient can do without: then what that
// returns alone has tickets.
//
// Config refuses a Binder without a Source, a Scope with a NUL, a negative
// MaxSessionAge, what PerChain and MaxSessionAge do not find in base, and a base
// that has its own WrapSession or UnwrapSession, or VerifyPeerCertificate
// without VerifyConnection. crypto/tls calls only the latter when a session is
// resumed, so it must hold whatever decides whether a peer is let in. All that
// counts when Config is called: set ClientAuth and the callbacks before.
func (b *Binder) Config(base *tls.Config) (*tls.Config, error) {
	c := clone(base)
	if err := newBinding(b).bind(c); err != nil {
		return nil, err
	}
	return c, nil
}

// binding is what a bound configuration shares with the ones that its
// GetConfigForClient returns: one domain for each ClientAuth.
type binding struct {
	Binder
	domains [tls.RequireAndVerifyClientCert + 1]domain
}

func newBinding(b *Binder) *binding {
	n := &binding{Binder: *b}
	for auth := range n.domains {
		d := &n.domains[auth]
		d.source, d.scope, d.most = b.Source, b.Scope, maxTicket
		if auth != int(tls.NoClientCert) {
			d.most = maxTicketWithClient
			// No Scope has a NUL, so none can equal this.
			d.scope += fmt.Sprintf("\x00client-auth=%d", auth)
		}
	}
	return n
}

// bind binds c in place. If it refuses c itself, it has bound what c's
// GetConfigForClient returns nevertheless: a configuration that relies on the
// keys of an outer one without tickets could not shake hands.
func (n *binding) bind(c *tls.Config) error {
	user := c.GetConfigForClient
	if bare := len(c.Certificates) == 0 && c.GetCertificate == nil; bare && user != nil && (n.PerChain || n.MaxSessionAge > 0) {
		c.SessionTicketsDisabled = true
	}
	h, err := n.hook(c)
	own := h != nil && n.MaxSessionAge > 0
	if own {
		err = complete(c)
	}
	if user != nil || own {
		still := c.Clone() // what is returned belongs to its server
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (inner *tls.Config, err error) {
			if user != nil {
				if inner, err = user(hello); err != nil {
					return nil, err
				}
			}
			switch {
			case inner != nil:
				return n.inner(inner), nil
			case own:
				one := *h
				one.alone = true
				inner = still.Clone()
				one.into(inner)
			}
			return inner, nil
		}
	}
	return err
}

func (n *binding) inner(c *tls.Config) *tls.Config {
	if c.WrapSession != nil || c.UnwrapSession != nil || c.SessionTicketsDisabled && n.Observe == nil {
		return c
	}
	c = c.Clone()
	if h, err := n.hook(c); err != nil {
		c.SessionTicketsDisabled = true
	} else if h != nil {
		h.alone = true
	}
	return c
}

// hook puts hooks into c and returns them, or says why it must not. It returns
// none for a configuration without tickets.
func (n *binding) hook(c *tls.Config) (*hooks, error) {
	if n.Observe != nil {
		c.VerifyConnection = counted(c.VerifyPeerCertificate, c.VerifyConnection, n.Observe)
	}
	switch {
	case n.Source == nil:
		return nil, errNoSource
	case strings.Contains(n.Scope, "\x00"):
		return nil, fmt.Errorf("tlsbind: scope %q: must not contain a NUL, which would make it ambiguous; choose another name", n.Scope)
	case n.MaxSessionAge < 0:
		return nil, fmt.Errorf("tlsbind: MaxSessionAge %v: must not be negative; 0 is no bound", n.MaxSessionAge)
	case c.SessionTicketsDisabled:
		return nil, nil
	case c.WrapSession != nil || c.UnwrapSession != nil:
		return nil, errors.New("tlsbind: WrapSession or UnwrapSession is set: only one may seal tickets; clear both to bind, or do not bind")
	case c.VerifyPeerCertificate != nil && c.VerifyConnection == nil:
		return nil, errors.New("tlsbind: VerifyPeerCertificate without VerifyConnection: a resumed session skips it; move the check to VerifyConnection")
	case c.ClientAuth < 0 || int(c.ClientAuth) >= len(n.domains):
		return nil, fmt.Errorf("tlsbind: ClientAuth %d: must be one of the constants of crypto/tls; set one", int(c.ClientAuth))
	case n.PerChain && len(c.Certificates) == 0:
		return nil, errors.New("tlsbind: PerChain without Certificates: a ticket is bound to those in the configuration; set them, or use PerName")
	case n.PerChain && c.GetCertificate != nil:
		return nil, errors.New("tlsbind: PerChain with GetCertificate: that chooses other certificates than those a ticket is bound to; set GetConfigForClient, or use PerName")
	}
	h := newHooks(n, c)
	h.into(c)
	return h, nil
}

// complete reports whether a configuration can do without what servers add.
func complete(c *tls.Config) error {
	switch {
	case len(c.Certificates) == 0 && c.GetCertificate == nil:
		return errors.New("tlsbind: MaxSessionAge without a certificate: each connection gets a copy of this configuration alone; set Certificates or GetCertificate")
	case c.NextProtos == nil:
		return errors.New(`tlsbind: MaxSessionAge without NextProtos: each connection gets a copy of this configuration alone; set what the server speaks, such as "h2" and "http/1.1", or []string{} for none`)
	}
	return nil
}

var errNoSource = errors.New("tlsbind: no Source: it must say which keys to use; set Binder.Source")

func clone(base *tls.Config) *tls.Config {
	if base == nil {
		return new(tls.Config)
	}
	return base.Clone()
}
