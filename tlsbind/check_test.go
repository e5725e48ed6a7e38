package tlsbind

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
)

// dialer returns a dial of Check, after it has set what a server needs.
func dialer(addr string, set ...func(*tls.Config)) func(context.Context, *tls.Config) (io.Closer, error) {
	return func(ctx context.Context, c *tls.Config) (io.Closer, error) {
		c.ServerName = "example.com"
		for _, f := range set {
			f(c)
		}
		return (&tls.Dialer{Config: c}).DialContext(ctx, "tcp", addr)
	}
}

func TestCheck(t *testing.T) {
	src := source(fresh())
	b := &Binder{Source: src}
	plainly := func(s *http.Server, ln net.Listener) error { return s.ServeTLS(ln, "", "") }
	served := func(base *tls.Config) string {
		c, err := b.Config(base)
		if err != nil {
			t.Fatal(err)
		}
		return serveHTTP(t, c, plainly)
	}
	disabled := serverConfig(t)
	disabled.SessionTicketsDisabled = true
	mutual := serverConfig(t)
	mutual.ClientAuth = tls.RequireAndVerifyClientCert
	relying := serverConfig(t)
	relying.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return nil }
	late := serverConfig(t)
	bound(t, *b, late) // what it returns is not used
	inner := serverConfig(t)
	swayed := bound(t, *b, serverConfig(t))
	swayed.GetConfigForClient = always(inner)
	fickle := serverConfig(t)
	fickle.VerifyConnection = func(cs tls.ConnectionState) error {
		if cs.DidResume {
			return errors.New("no")
		}
		return nil
	}
	complete := &tls.Config{Certificates: inner.Certificates, NextProtos: []string{"h2"}}
	strict := &Binder{Source: src, PerName: true, PerChain: true, MaxSessionAge: time.Hour, NoTLS12: true, Observe: func(Event) {}}
	aged := &Binder{Source: src, MaxSessionAge: time.Hour}
	certified := func(c *tls.Config) { c.Certificates = []tls.Certificate{ca.issue(t)} }
	older := func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }

	for name, c := range map[string]struct {
		b    *Binder
		addr string
		set  func(*tls.Config)
		want string
	}{
		"bound":                      {b, served(serverConfig(t)), nil, ""},
		"bound, TLS 1.2":             {b, served(serverConfig(t)), older, ""},
		"bound, client certificates": {b, served(mutual), certified, ""},
		"bound to a scope":           {&Binder{Source: src, Scope: "a"}, serveHTTP(t, bound(t, Binder{Source: src, Scope: "a"}, serverConfig(t)), plainly), nil, ""},
		"expired":                    {b, served(&tls.Config{Certificates: []tls.Certificate{ca.until(t, time.Now().Add(-time.Minute))}}), nil, ""},
		"all bounds":                 {strict, serveHTTP(t, bound(t, *strict, complete), plainly), nil, ""},

		"not the bounds":         {strict, served(serverConfig(t)), nil, "not bound as this Binder says"},
		"not the bounds, by far": {b, serveHTTP(t, bound(t, *strict, complete), plainly), nil, "not bound as this Binder says"},
		"TLS 1.2 nevertheless":   {&Binder{Source: src, NoTLS12: true}, served(serverConfig(t)), older, "not bound as this Binder says"},
		"an inner one bound twice": {aged, serveHTTP(t, bound(t, *aged,
			&tls.Config{Certificates: inner.Certificates, NextProtos: []string{"h2"}, GetConfigForClient: always(bound(t, *aged, complete))}), plainly), nil, "not bound as this Binder says"},

		"not bound":                   {b, serveHTTP(t, serverConfig(t), plainly), nil, "no key of the ring opens"},
		"bound too late":              {b, serveHTTP(t, late, plainly), nil, "no key of the ring opens"},
		"GetConfigForClient set late": {b, serve(t, swayed), nil, "no key of the ring opens"},
		"another scope":               {&Binder{Source: src, Scope: "b"}, served(serverConfig(t)), nil, "no key of the ring opens"},
		"another ring":                {&Binder{Source: source(fresh())}, served(serverConfig(t)), nil, "no key of the ring opens"},
		"tickets disabled":            {b, served(disabled), older, "no ticket came"},
		"VerifyPeerCertificate alone": {b, serveHTTP(t, Config(relying, src), plainly), older, "no ticket came"},
		"wants a client certificate":  {b, served(mutual), nil, "certificate required"},
		"refuses what is resumed":     {b, served(fickle), older, "check: "},
		"no source":                   {&Binder{}, served(serverConfig(t)), nil, "no Source"},
		"nobody listens":              {b, "127.0.0.1:1", nil, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.set == nil {
				c.set = func(*tls.Config) {}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if c.want == "no ticket came" {
				cancel() // soon: there is nothing to wait for
				ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
			}
			defer cancel()
			switch err := c.b.Check(ctx, dialer(c.addr, c.set)); {
			case c.want == "" && err != nil:
				t.Errorf("Check = %v, want nil", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("Check = %v, want %q", err, c.want)
			}
		})
	}
}

// TestCheckSeesStaleKeys is a server whose keys were set by hand and never again.
func TestCheckSeesStaleKeys(t *testing.T) {
	src := source(fresh())
	b := &Binder{Source: src}
	addr := serve(t, plain(t, src.Ring().TicketKeys("")...))
	if err := b.Check(t.Context(), dialer(addr)); err != nil {
		t.Errorf("before a revoke: %v", err)
	}
	src.Store(fresh())
	if err := b.Check(t.Context(), dialer(addr)); err == nil {
		t.Error("after a revoke: nil, want an error")
	}
}

// TestEarlyDataIsRefused asks the hooks, as only QUIC has early data.
func TestEarlyDataIsRefused(t *testing.T) {
	ring := fresh()
	cs := tls.ConnectionState{Version: tls.VersionTLS13}
	for _, allowed := range []bool{false, true} {
		b := &Binder{Source: keyring.Static(ring), EarlyData: allowed}
		c := bound(t, *b, nil)
		s := session(t)
		s.EarlyData = true
		ticket, err := c.WrapSession(cs, s)
		if err != nil {
			t.Fatal(err)
		}
		opened, _ := c.UnwrapSession(ticket, cs)
		if opened == nil || opened.EarlyData != allowed {
			t.Errorf("EarlyData %t: a session of %+v", allowed, opened)
		}
	}
}
