// Package tlsbind makes a tls.Config seal and open session tickets with the
// keys that a keyring.Source holds at that moment, so that one ring can serve
// many servers and be replaced while they run.
//
// [Config] is for most servers; [Binder] adds trust domains, the choice to
// leave out TLS 1.2, and errors. Bind last: when everything else in the
// configuration is set, and before it is given to a server.
//
// Tickets have the format of crypto/tls itself. Without a scope, and without
// client certificates, a server that has the ring's keys by
// SetSessionTicketKeys opens them as well.
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

	"github.com/stekring/stekring/keyring"
)

// Config returns a copy of base whose tickets are sealed and opened with the
// keys of src, as [Binder.Config] does. A base that Binder.Config would refuse
// comes back without session tickets: every handshake works, none resumes. A
// nil base is an empty configuration.
func Config(base *tls.Config, src keyring.Source) *tls.Config {
	c := clone(base)
	if err := newBinding(Binder{Source: src}).bind(c); err != nil {
		c.SessionTicketsDisabled = true
	}
	return c
}

// Binder binds configurations to a Source. What Config returns does not depend
// on the Binder any more.
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
// as it is if it has tickets disabled or its own WrapSession or UnwrapSession,
// and gets no tickets if Config would refuse it for another reason.
//
// Config refuses a Binder without a Source, a Scope with a NUL, and a base
// that has its own WrapSession or UnwrapSession, or VerifyPeerCertificate
// without VerifyConnection. crypto/tls calls only the latter when a session is
// resumed, so it must hold whatever decides whether a peer is let in. All that
// counts when Config is called: set ClientAuth and the callbacks before.
func (b *Binder) Config(base *tls.Config) (*tls.Config, error) {
	c := clone(base)
	if err := newBinding(*b).bind(c); err != nil {
		return nil, err
	}
	return c, nil
}

// binding is what a bound configuration shares with the ones that its
// GetConfigForClient returns: one domain for each ClientAuth.
type binding struct {
	source  keyring.Source
	scope   string
	domains [tls.RequireAndVerifyClientCert + 1]domain
}

func newBinding(b Binder) *binding {
	n := &binding{source: b.Source, scope: b.Scope}
	for auth := range n.domains {
		d := &n.domains[auth]
		d.source, d.scope, d.noTLS12 = b.Source, b.Scope, b.NoTLS12
		if auth != int(tls.NoClientCert) {
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
	if user := c.GetConfigForClient; user != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			inner, err := user(hello)
			if err != nil || inner == nil {
				return inner, err
			}
			return n.inner(inner), nil
		}
	}
	return n.hook(c)
}

func (n *binding) inner(c *tls.Config) *tls.Config {
	if c.SessionTicketsDisabled || c.WrapSession != nil || c.UnwrapSession != nil {
		return c
	}
	c = c.Clone()
	if err := n.hook(c); err != nil {
		c.SessionTicketsDisabled = true
	}
	return c
}

// hook puts the hooks of its domain into c, or says why it must not.
func (n *binding) hook(c *tls.Config) error {
	switch {
	case n.source == nil:
		return errors.New("tlsbind: no Source: it must say which keys to use; set Binder.Source")
	case strings.Contains(n.scope, "\x00"):
		return fmt.Errorf("tlsbind: scope %q: must not contain a NUL, which would make it ambiguous; choose another name", n.scope)
	case c.SessionTicketsDisabled:
		return nil
	case c.WrapSession != nil || c.UnwrapSession != nil:
		return errors.New("tlsbind: WrapSession or UnwrapSession is set: only one may seal tickets; clear both to bind, or do not bind")
	case c.VerifyPeerCertificate != nil && c.VerifyConnection == nil:
		return errors.New("tlsbind: VerifyPeerCertificate without VerifyConnection: a resumed session skips it; move the check to VerifyConnection")
	case c.ClientAuth < 0 || int(c.ClientAuth) >= len(n.domains):
		return fmt.Errorf("tlsbind: ClientAuth %d: must be one of the constants of crypto/tls; set one", int(c.ClientAuth))
	}
	d := &n.domains[c.ClientAuth]
	c.WrapSession, c.UnwrapSession = d.wrap, d.unwrap
	return nil
}

func clone(base *tls.Config) *tls.Config {
	if base == nil {
		return new(tls.Config)
	}
	return base.Clone()
}
