package servers_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/tlsbind"
)

// configKinds are what users do with configurations, whatever the server.
var configKinds = []kind{
	{name: "`GetConfigForClient` that returns nil", want: bound.with("h2"), start: forClient(func(*tls.Config) (*tls.Config, error) {
		return nil, nil
	})},
	{name: "`GetConfigForClient` that returns one configuration", want: bound.with("h2"), start: forClient(func(inner *tls.Config) (*tls.Config, error) {
		return inner, nil
	})},
	{name: "`GetConfigForClient` that returns a clone each time", want: bound.with("h2"), start: forClient(func(inner *tls.Config) (*tls.Config, error) {
		return inner.Clone(), nil
	})},
	{name: "one configuration for two servers", want: bound, start: served(func(t *testing.T, c *tls.Config) dial {
		one, other := listener(t, c), listener(t, c)
		return func(ctx context.Context, c *tls.Config) (conn, error) {
			one, other = other, one
			return one(ctx, c)
		}
	})},
	{name: "a clone of the bound configuration", want: bound, start: served(func(t *testing.T, c *tls.Config) dial {
		return listener(t, c.Clone())
	})},
	{name: "`SessionTicketsDisabled`", want: ticketless, start: changed(func(c *tls.Config) { c.SessionTicketsDisabled = true })},
	{name: "`WrapSession` and `UnwrapSession` of its own", want: refused("WrapSession or UnwrapSession is set"), start: changed(func(c *tls.Config) {
		own := new(tls.Config)
		own.SetSessionTicketKeys([][keyring.KeySize]byte{{1}})
		c.WrapSession, c.UnwrapSession = own.EncryptTicket, own.DecryptTicket
	})},
	{name: "`VerifyPeerCertificate` alone", want: refused("VerifyPeerCertificate without VerifyConnection"), start: changed(peerOnly)},
	{name: "`VerifyPeerCertificate` alone, by `tlsbind.Config`", want: ticketless, start: func(t *testing.T, base *tls.Config, src keyring.Source) (dial, error) {
		peerOnly(base)
		return listener(t, tlsbind.Config(base, src)), nil
	}},
}

func peerOnly(c *tls.Config) {
	c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return nil }
}

// forClient is the start of an HTTPS server whose GetConfigForClient picks from
// a configuration that is complete.
func forClient(pick func(inner *tls.Config) (*tls.Config, error)) func(*testing.T, *tls.Config, keyring.Source) (dial, error) {
	return func(t *testing.T, base *tls.Config, src keyring.Source) (dial, error) {
		base.NextProtos = []string{"h2", "http/1.1"}
		inner := base.Clone()
		base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return pick(inner) }
		return served(serverTLS)(t, base, src)
	}
}

// changed is the start of a server whose base is changed before it is bound.
func changed(change func(*tls.Config)) func(*testing.T, *tls.Config, keyring.Source) (dial, error) {
	return func(t *testing.T, base *tls.Config, src keyring.Source) (dial, error) {
		change(base)
		return served(listener)(t, base, src)
	}
}
