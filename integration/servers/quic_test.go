package servers_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// quicProto is what our own servers over QUIC speak, which must have a name.
const quicProto = "stekring-test"

// noEarlyData is what a server needs that must not offer what a binding refuses:
// an http3.Server without a quic.Config does.
func noEarlyData() *quic.Config { return &quic.Config{Allow0RTT: false} }

var quicKinds = []kind{
	{name: "`quic.Listen`", quic: true, want: bound, start: served(listenerQUIC)},
	{name: "`quic.ListenEarly`", quic: true, want: bound, start: served(func(t *testing.T, c *tls.Config) dial {
		c.NextProtos = []string{quicProto}
		ln, err := quic.ListenEarly(packets(t), c, noEarlyData())
		if err != nil {
			t.Fatal(err)
		}
		return serveQUIC(t, ln)
	})},
	{name: "`http3.Server.Serve`", quic: true, want: bound.with("h3"), start: served(func(t *testing.T, c *tls.Config) dial {
		pc := packets(t)
		return serveHTTP3(t, &http3.Server{TLSConfig: c}, pc.LocalAddr(), func(s *http3.Server) error { return s.Serve(pc) })
	})},
	{name: "`http3.Server.ListenAndServe`", quic: true, want: bound.with("h3"), start: served(func(t *testing.T, c *tls.Config) dial {
		addr := unused(t)
		return serveHTTP3(t, &http3.Server{TLSConfig: c, Addr: addr.String()}, addr, (*http3.Server).ListenAndServe)
	})},
	{name: "`quic.ListenAddrEarly(…, http3.ConfigureTLSConfig(…))`", quic: true, want: bound.with("h3"), start: served(func(t *testing.T, c *tls.Config) dial {
		ln, err := quic.ListenAddrEarly("127.0.0.1:0", http3.ConfigureTLSConfig(c), noEarlyData())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		return serveHTTP3(t, new(http3.Server), ln.Addr(), func(s *http3.Server) error { return s.ServeListener(ln) })
	})},
	{name: "`http3.Server.ListenAndServeTLS`", quic: true, want: unbound.with("h3"), start: fromFiles(func(t *testing.T, c *tls.Config, certFile, keyFile string) dial {
		addr := unused(t)
		return serveHTTP3(t, &http3.Server{TLSConfig: c, Addr: addr.String()}, addr, func(s *http3.Server) error {
			return s.ListenAndServeTLS(certFile, keyFile)
		})
	})},
}

func packets(t *testing.T) net.PacketConn {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	return pc
}

// listenerQUIC serves with c itself and no copy of it.
func listenerQUIC(t *testing.T, c *tls.Config) dial {
	c.NextProtos = []string{quicProto}
	ln, err := quic.Listen(packets(t), c, noEarlyData())
	if err != nil {
		t.Fatal(err)
	}
	return serveQUIC(t, ln)
}

// serveQUIC opens a stream to each client and closes it.
func serveQUIC(t *testing.T, ln http3.QUICListener) dial {
	owned(t, func() error {
		var conns []*quic.Conn // they outlive the listener
		defer func() {
			for _, c := range conns {
				_ = c.CloseWithError(0, "")
			}
		}()
		for {
			c, err := ln.Accept(context.Background())
			if errors.Is(err, quic.ErrServerClosed) {
				return nil
			} else if err != nil {
				return err
			}
			conns = append(conns, c)
			if s, err := c.OpenUniStream(); err == nil {
				_ = s.Close() // the client says what went wrong
			}
		}
	}, ln.Close)
	return dialQUIC(ln.Addr().String())
}

func serveHTTP3(t *testing.T, s *http3.Server, addr net.Addr, serve func(*http3.Server) error) dial {
	s.Handler = http.HandlerFunc(answer)
	if s.QUICConfig == nil {
		s.QUICConfig = noEarlyData()
	}
	owned(t, func() error { return serve(s) }, s.Close)
	return dialHTTP3(addr.String())
}
