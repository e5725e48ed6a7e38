package resume_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/internal/resume"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a TLS server and its client, in one process.
type pair struct {
	server, client *tls.Config
}

func newPair(t *testing.T, version uint16) pair {
	t.Helper()
	cert, ca, err := devcert.New("localhost")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return pair{
		&tls.Config{Certificates: []tls.Certificate{cert}},
		&tls.Config{ServerName: "localhost", RootCAs: roots, MinVersion: version, MaxVersion: version},
	}
}

// dial shakes hands over TCP and returns the client's end. The server goes on
// with serve, and hangs up when that returns, or when the test ends.
func (p pair) dial(t *testing.T, c *resume.Cache, serve func(*tls.Conn)) *tls.Conn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		raw, err := ln.Accept()
		if err != nil {
			return
		}
		defer raw.Close()
		conn := tls.Server(raw, p.server)
		if conn.Handshake() == nil {
			serve(conn)
			_ = conn.Close()
		}
	})
	config := p.client.Clone()
	config.ClientSessionCache = c
	conn, err := tls.Dial("tcp", ln.Addr().String(), config)
	_ = ln.Close()
	if err != nil {
		wg.Wait()
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); wg.Wait() })
	return conn
}

// stay keeps the connection until the client hangs up.
func stay(conn *tls.Conn) { _, _ = io.Copy(io.Discard, conn) }

func leave(*tls.Conn) {}

var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

func TestOffersAndKeeps(t *testing.T) {
	for _, version := range versions {
		p := newPair(t, version)
		var first resume.Cache
		conn := p.dial(t, &first, stay)
		ticket, err := first.Await(t.Context(), conn)
		if err != nil || conn.ConnectionState().DidResume {
			t.Fatalf("%s: Await = %v, resumed %t; want a ticket of a full handshake", tls.VersionName(version), err, conn.ConnectionState().DidResume)
		}
		if again, err := first.Await(t.Context(), conn); again != ticket {
			t.Errorf("%s: a second Await = %p, %v, want %p", tls.VersionName(version), again, err, ticket)
		}
		second := resume.Cache{Offer: ticket}
		if conn := p.dial(t, &second, leave); !conn.ConnectionState().DidResume {
			t.Errorf("%s: offered the ticket and did not resume", tls.VersionName(version))
		}
	}
}

// session has a ticket that no server made.
func session(t *testing.T, ticket string) *tls.ClientSessionState {
	t.Helper()
	s, err := tls.NewResumptionState([]byte(ticket), &tls.SessionState{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeepsTheFirst(t *testing.T) {
	var c resume.Cache
	one, two := session(t, "one"), session(t, "two")
	for _, s := range []*tls.ClientSessionState{nil, one, two, nil} {
		c.Put("", s)
	}
	if got, err := c.Await(t.Context(), io.NopCloser(nil)); got != one {
		t.Errorf("Await = %p, %v, want %p", got, err, one)
	}
}

// TestOthersReadThemselves is what is no net.Conn.
func TestOthersReadThemselves(t *testing.T) {
	var c resume.Cache
	one := session(t, "one")
	var wg sync.WaitGroup
	wg.Go(func() { c.Put("", one) })
	if got, err := c.Await(t.Context(), io.NopCloser(nil)); got != one {
		t.Errorf("Await = %p, %v, want %p", got, err, one)
	}
	wg.Wait()
}

func disable(c *tls.Config) { c.SessionTicketsDisabled = true }

func wrapNothing(tls.ConnectionState, *tls.SessionState) ([]byte, error) { return nil, nil }

// TestNoTicket is servers that give none. Only where the context ends by itself
// may Await wait for that.
func TestNoTicket(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name    string
		ctx     context.Context
		version uint16
		change  func(*tls.Config)
		serve   func(*tls.Conn)
		want    string // in the error
	}{
		{"1.2, and the server stays", t.Context(), tls.VersionTLS12, disable, stay, ""},
		{"1.2, and the ticket is empty", t.Context(), tls.VersionTLS12, func(c *tls.Config) { c.WrapSession = wrapNothing }, stay, ""},
		{"1.3, and the server hangs up", t.Context(), tls.VersionTLS13, disable, leave, ""},
		{"1.3, and the server stays", ended, tls.VersionTLS13, disable, stay, ""},
		{"1.3, and the server wants a certificate", t.Context(), tls.VersionTLS13,
			func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }, stay, "certificate required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t, c.version)
			c.change(p.server)
			var cache resume.Cache
			conn := p.dial(t, &cache, c.serve)
			got, err := cache.Await(c.ctx, conn)
			if got != nil || !errors.Is(err, resume.ErrNoTicket) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Await = %v, %v, want ErrNoTicket and %q", got, err, c.want)
			}
		})
	}
}
