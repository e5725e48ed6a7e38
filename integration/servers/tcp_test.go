package servers_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/stekring/stekring/keyring"
)

var tcpKinds = []kind{
	{name: "`tls.Listen`", want: bound, start: served(func(t *testing.T, c *tls.Config) dial {
		ln, err := tls.Listen("tcp", "127.0.0.1:0", c)
		if err != nil {
			t.Fatal(err)
		}
		return serveTLS(t, ln)
	})},
	{name: "`tls.NewListener`", want: bound, start: served(listener)},
	{name: "`http.Server.Serve(tls.NewListener(…))`", want: bound, start: served(func(t *testing.T, c *tls.Config) dial {
		ln := tls.NewListener(listen(t), c)
		return serveHTTP(t, new(http.Server), ln.Addr(), func(s *http.Server) error { return s.Serve(ln) })
	})},
	{name: "`http.Server.ServeTLS`", want: bound.with("h2"), start: served(serverTLS)},
	{name: "`http.Server.ServeTLS` with certificate files", want: bound.with("h2"), start: fromFiles(func(t *testing.T, c *tls.Config, certFile, keyFile string) dial {
		ln := listen(t)
		return serveHTTP(t, &http.Server{TLSConfig: c}, ln.Addr(), func(s *http.Server) error { return s.ServeTLS(ln, certFile, keyFile) })
	})},
	{name: "`http.Server.ListenAndServeTLS`", want: bound.with("h2"), start: served(func(t *testing.T, c *tls.Config) dial {
		return listenAndServeTLS(t, c, "", "")
	})},
	{name: "`http.Server.ListenAndServeTLS` with certificate files", want: bound.with("h2"), start: fromFiles(listenAndServeTLS)},
	{name: "`http.Server` with HTTP/2 alone", want: bound.with("h2"), start: served(func(t *testing.T, c *tls.Config) dial {
		ln, s := listen(t), &http.Server{TLSConfig: c, Protocols: new(http.Protocols)}
		s.Protocols.SetHTTP2(true)
		return serveHTTP(t, s, ln.Addr(), func(s *http.Server) error { return s.ServeTLS(ln, "", "") })
	})},
	{name: "`httptest.Server`", want: bound.with("h2"), start: served(func(t *testing.T, c *tls.Config) dial {
		s := httptest.NewUnstartedServer(http.HandlerFunc(answer))
		s.TLS, s.EnableHTTP2, s.Config.ErrorLog = c, true, quiet
		s.StartTLS()
		t.Cleanup(s.Close)
		return dialHTTP(s.Listener.Addr().String())
	})},
	{name: "gRPC, `credentials.NewTLS`", want: bound.with("h2"), start: served(func(t *testing.T, c *tls.Config) dial {
		ln, s := listen(t), grpc.NewServer(grpc.Creds(credentials.NewTLS(c)))
		healthpb.RegisterHealthServer(s, health.NewServer())
		owned(t, func() error { return s.Serve(ln) }, func() error { s.Stop(); return nil })
		return dialGRPC(ln.Addr().String())
	})},
}

// quiet swallows what servers say of clients that hang up.
var quiet = log.New(io.Discard, "", 0)

func answer(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// unused returns an address for a server that opens its own socket. The port is
// none that systems give to outgoing connections, which could take it meanwhile.
func unused(t *testing.T) net.Addr {
	t.Helper()
	for {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.N(20_000))
		pc, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		_ = pc.Close()
		if ln, err := net.Listen("tcp", addr); err == nil {
			_ = ln.Close()
			return ln.Addr()
		}
	}
}

// owned runs serve until the test ends, then stops it and waits for it.
func owned(t *testing.T, serve, stop func() error) {
	done := make(chan error)
	go func() { done <- serve() }()
	t.Cleanup(func() {
		_ = stop()
		if err := <-done; err != nil && !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended: %v", err)
		}
	})
}

// serveTLS writes a byte to each client.
func serveTLS(t *testing.T, ln net.Listener) dial {
	owned(t, func() error {
		for {
			c, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return nil
			} else if err != nil {
				return err
			}
			_, _ = c.Write([]byte{1}) // the client says what went wrong
			_ = c.Close()
		}
	}, ln.Close)
	return dialTLS(ln.Addr().String())
}

// listener serves with c itself and no copy of it.
func listener(t *testing.T, c *tls.Config) dial { return serveTLS(t, tls.NewListener(listen(t), c)) }

func serveHTTP(t *testing.T, s *http.Server, addr net.Addr, serve func(*http.Server) error) dial {
	s.Handler, s.ErrorLog = http.HandlerFunc(answer), quiet
	owned(t, func() error { return serve(s) }, s.Close)
	return dialHTTP(addr.String())
}

// serverTLS is what most HTTPS servers are.
func serverTLS(t *testing.T, c *tls.Config) dial {
	ln := listen(t)
	return serveHTTP(t, &http.Server{TLSConfig: c}, ln.Addr(), func(s *http.Server) error { return s.ServeTLS(ln, "", "") })
}

func listenAndServeTLS(t *testing.T, c *tls.Config, certFile, keyFile string) dial {
	addr := unused(t)
	d := serveHTTP(t, &http.Server{TLSConfig: c, Addr: addr.String()}, addr, func(s *http.Server) error {
		return s.ListenAndServeTLS(certFile, keyFile)
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("tcp", addr.String())
		if err == nil {
			_ = c.Close()
			return d
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// fromFiles is the start of a kind that has its certificate from files.
func fromFiles(serve func(t *testing.T, c *tls.Config, certFile, keyFile string) dial) func(*testing.T, *tls.Config, keyring.Source) (dial, error) {
	return func(t *testing.T, base *tls.Config, src keyring.Source) (dial, error) {
		base.Certificates = nil
		c, err := bind(base, src)
		if err != nil {
			return nil, err
		}
		certFile, keyFile := files(t)
		return serve(t, c, certFile, keyFile), nil
	}
}

func files(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM, keyPEM := encoded(t)
	for file, b := range map[string][]byte{certFile: certPEM, keyFile: keyPEM} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func encoded(t *testing.T) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
}
