package probe

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/devcert"
)

const siteName = "site.test"

// site is a certificate, servers that have it, and a probe that trusts it.
type site struct {
	t     *testing.T
	probe *Probe
	cert  tls.Certificate
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, probe: &Probe{
		ServerName: siteName, Roots: x509.NewCertPool(), Timeout: time.Minute, lookup: lookup,
		Versions: []uint16{tls.VersionTLS12, tls.VersionTLS13},
	}}
	s.cert = s.certify(siteName)
	return s
}

// certify makes a certificate and has the probe trust its authority.
func (s *site) certify(name string) tls.Certificate {
	s.t.Helper()
	cert, ca, err := devcert.New(name)
	if err != nil {
		s.t.Fatal(err)
	}
	s.probe.Roots.AppendCertsFromPEM(ca)
	return cert
}

// lookup knows the names of these tests.
func lookup(_ context.Context, _, name string) ([]netip.Addr, error) {
	switch a, err := netip.ParseAddr(name); {
	case err == nil:
		return []netip.Addr{a}, nil
	case strings.HasSuffix(name, ".test"):
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	return nil, errors.New("no such name")
}

// config is a server's, with a ticket key that it shares with those of the same
// secret.
func (s *site) config(secret string) *tls.Config {
	c := &tls.Config{Certificates: []tls.Certificate{s.cert}, NextProtos: []string{"h2"}}
	c.SetSessionTicketKeys([][32]byte{sha256.Sum256([]byte(secret))})
	return c
}

func (s *site) changed(change func(*tls.Config)) *tls.Config {
	c := s.config("k")
	change(c)
	return c
}

func (s *site) tls13() *tls.Config {
	return s.changed(func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 })
}

// rsa has a cipher suite for which the certificate is of no use.
func (s *site) rsa() *tls.Config {
	return s.changed(func(c *tls.Config) { c.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256} })
}

func (s *site) mutual() *tls.Config {
	return s.changed(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert })
}

// mutualBad has another alert for who has no certificate, as some servers do.
func (s *site) mutualBad() *tls.Config {
	return s.changed(func(c *tls.Config) {
		c.ClientAuth = tls.RequestClientCert
		c.VerifyConnection = func(tls.ConnectionState) error { return errors.New("no certificate") }
	})
}

func (s *site) named(name string) *tls.Config {
	return s.changed(func(c *tls.Config) { c.Certificates = []tls.Certificate{s.certify(name)} })
}

// stranger has a certificate of an authority that nobody trusts.
func (s *site) stranger() *tls.Config {
	s.t.Helper()
	cert, _, err := devcert.New(siteName)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.changed(func(c *tls.Config) { c.Certificates = []tls.Certificate{cert} })
}

// ticketless gives none. The probe waits for one in TLS 1.3 until its timeout.
func (s *site) ticketless() *tls.Config {
	s.probe.Timeout = 2 * time.Second
	return s.changed(func(c *tls.Config) { c.SessionTicketsDisabled = true })
}

// leaving hangs up, without a word, on who has shaken hands.
func (s *site) leaving() func(net.Conn) {
	c := s.ticketless()
	s.probe.Timeout = time.Hour
	return func(raw net.Conn) { _ = tls.Server(raw, c).Handshake() }
}

// ticketless12 gives an empty one in TLS 1.2, as tlsbind does.
func (s *site) ticketless12() *tls.Config {
	c := s.config("k")
	c.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		if cs.Version < tls.VersionTLS13 {
			return nil, nil
		}
		return c.EncryptTicket(cs, ss)
	}
	return c
}

// once takes each ticket one time.
func (s *site) once() *tls.Config {
	c := s.config("k")
	var taken sync.Map
	c.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		if _, again := taken.LoadOrStore(string(identity), true); again {
			return nil, nil
		}
		return c.DecryptTicket(identity, cs)
	}
	return c
}

// breaking gives tickets and hangs up on who offers one.
func (s *site) breaking() *tls.Config {
	return s.changed(func(c *tls.Config) {
		c.UnwrapSession = func(identity []byte, _ tls.ConnectionState) (*tls.SessionState, error) {
			if len(identity) > 0 {
				return nil, errors.New("no")
			}
			return nil, nil
		}
	})
}

// drain stays until the client hangs up.
func drain(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// hello reads some of what a client says first.
func hello(c net.Conn) { _, _ = c.Read(make([]byte, 1<<14)) }

// greet is a server without TLS.
func greet(c net.Conn) {
	_, _ = io.WriteString(c, "220 ready when you are\r\n")
	drain(c)
}

// listen answers every connection until the test ends, and returns the address.
func (s *site) listen(answer func(net.Conn)) string {
	s.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for conn, err := ln.Accept(); err == nil; conn, err = ln.Accept() {
			wg.Go(func() {
				defer conn.Close()
				answer(conn)
			})
		}
	})
	s.t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

// serve has a TLS server with each configuration.
func (s *site) serve(configs ...*tls.Config) (hosts []string) {
	s.t.Helper()
	for _, c := range configs {
		hosts = append(hosts, s.listen(func(raw net.Conn) { drain(tls.Server(raw, c)) }))
	}
	return hosts
}

// closed is an address at which nothing listens any more.
func (s *site) closed() string {
	s.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	_ = ln.Close()
	return ln.Addr().String()
}
