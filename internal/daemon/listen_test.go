package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
	"github.com/stekring/stekring/tlsbind"
)

// pair writes a certificate for names and its key to files.
func pair(t *testing.T, names ...string) (certFile, keyFile string) {
	t.Helper()
	cert, _, err := devcert.New(names...)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// alone returns a node without etcd.
func alone(t *testing.T) *rotator.Rotator {
	t.Helper()
	rot, err := rotator.New(rotator.Config{Client: clientv3.NewCtxClient(context.Background()), Ring: "test", KEK: seal.NewKEK()})
	if err != nil {
		t.Fatal(err)
	}
	return rot
}

// serve starts listeners of a node without etcd, until the test ends.
func serve(t *testing.T, tickets config.Tickets, listeners ...config.Listener) *front {
	t.Helper()
	f := newFront(alone(t), tickets, func(tlsbind.Event) {}, zap.NewNop())
	if err := f.start(listeners); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return f
}

// one is a client's cache of one ticket.
type one struct{ state *tls.ClientSessionState }

func (o *one) Get(string) (*tls.ClientSessionState, bool)  { return o.state, o.state != nil }
func (o *one) Put(_ string, state *tls.ClientSessionState) { o.state = state }

// visit makes one connection to a listener, and reports whether it resumed. The
// name is sent and not looked at, as by whoever resumes.
func (f *front) visit(t *testing.T, listener, name string, version uint16, ticket *one) bool {
	t.Helper()
	c, err := tls.Dial("tcp", f.listeners[listener].address, &tls.Config{
		ServerName: name, InsecureSkipVerify: true, ClientSessionCache: ticket, MaxVersion: version,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().DidResume
}

// TestSitesAreHeldApart leads a client from one site to another, by a ticket and
// without a look at a certificate.
func TestSitesAreHeldApart(t *testing.T) {
	var listeners []config.Listener
	for address, names := range map[string][]string{
		"127.0.0.1:0": {"a.test", "www.test"},
		"127.0.0.2:0": {"b.test", "www.test", "*.c.test"},
		"127.0.0.3:0": {"a.test", "www.test"},
	} {
		cert, key := pair(t, names...)
		listeners = append(listeners, config.Listener{Address: address, CertFile: cert, KeyFile: key})
	}
	f := serve(t, config.Tickets{Enabled: true}, listeners...)
	for _, c := range []struct {
		from, to, name string
		want           bool
	}{
		{"127.0.0.1:0", "127.0.0.1:0", "a.test", true},
		{"127.0.0.1:0", "127.0.0.2:0", "www.test", true}, // both are that site
		{"127.0.0.1:0", "127.0.0.2:0", "a.test", false},
		{"127.0.0.2:0", "127.0.0.1:0", "x.c.test", false},
		{"127.0.0.2:0", "127.0.0.2:0", "x.c.test", true},
		{"127.0.0.1:0", "127.0.0.3:0", "nobody.test", true}, // neither is, but they are alike
		{"127.0.0.1:0", "127.0.0.2:0", "nobody.test", false},
		{"127.0.0.1:0", "127.0.0.3:0", "127.0.0.1", true}, // no name is sent for an address
		{"127.0.0.1:0", "127.0.0.2:0", "127.0.0.1", false},
	} {
		ticket := &one{}
		if f.visit(t, c.from, c.name, 0, ticket) {
			t.Fatal("resumed without a ticket")
		}
		if got := f.visit(t, c.to, c.name, 0, ticket); got != c.want {
			t.Errorf("a ticket of %s for %s at %s: resumed %t, want %t", c.from, c.name, c.to, got, c.want)
		}
	}
}

// TestSessionsEnd follows clients whose every connection renews their ticket.
func TestSessionsEnd(t *testing.T) {
	cert, key := pair(t, "a.test")
	l := config.Listener{Address: "127.0.0.1:0", CertFile: cert, KeyFile: key}
	node := func(bound time.Duration) *front {
		return serve(t, config.Tickets{Enabled: true, TLS12: true, MaxSessionAge: bound}, l)
	}
	long, short := node(time.Hour), node(time.Second)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, name := range []string{"a.test", "nobody.test"} {
			what := tls.VersionName(version) + " for " + name
			ticket := &one{}
			for i := range 5 {
				if got := long.visit(t, l.Address, name, version, ticket); got != (i > 0) {
					t.Errorf("%s: connection %d within the hour resumed %t", what, i, got)
				}
			}
			ticket = &one{}
			short.visit(t, l.Address, name, version, ticket)
			eventually(t, what+": a session ends", func() bool { return !short.visit(t, l.Address, name, version, ticket) })
		}
	}
}

func TestListenersSpeakHTTP2(t *testing.T) {
	cert, key := pair(t, "a.test")
	f := serve(t, config.Tickets{Enabled: true}, config.Listener{Address: "127.0.0.1:0", CertFile: cert, KeyFile: key})
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{ServerName: "a.test", InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + f.listeners["127.0.0.1:0"].address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Proto != "HTTP/2.0" {
		t.Errorf("protocol %s, want HTTP/2.0", resp.Proto)
	}
}
