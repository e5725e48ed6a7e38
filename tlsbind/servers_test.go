package tlsbind

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stekring/stekring/keyring"
)

// A server is a way to serve with a base that is bound to src.
type server func(t *testing.T, base *tls.Config, src keyring.Source) string

var servers = map[string]server{
	"tls.NewListener": func(t *testing.T, base *tls.Config, src keyring.Source) string {
		return serve(t, Config(base, src))
	},
	"http.Server.ServeTLS": func(t *testing.T, base *tls.Config, src keyring.Source) string {
		return serveHTTP(t, Config(base, src), func(s *http.Server, ln net.Listener) error {
			return s.ServeTLS(ln, "", "")
		})
	},
	"http.Server.ServeTLS with files": func(t *testing.T, base *tls.Config, src keyring.Source) string {
		certFile, keyFile := files(t, base.Certificates[0])
		base.Certificates = nil
		return serveHTTP(t, Config(base, src), func(s *http.Server, ln net.Listener) error {
			return s.ServeTLS(ln, certFile, keyFile)
		})
	},
	"httptest": func(t *testing.T, base *tls.Config, src keyring.Source) string {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.TLS = Config(base, src)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	},
	"a clone": func(t *testing.T, base *tls.Config, src keyring.Source) string {
		return serve(t, Config(base, src).Clone())
	},
	"GetConfigForClient, nil": func(t *testing.T, base *tls.Config, src keyring.Source) string {
		base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }
		return serve(t, Config(base, src))
	},
	"GetConfigForClient, one inner": func(t *testing.T, base *tls.Config, src keyring.Source) string {
		inner := base.Clone()
		base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }
		return serve(t, Config(base, src))
	},
	"GetConfigForClient, a clone each": func(t *testing.T, base *tls.Config, src keyring.Source) string {
		inner := base.Clone()
		base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner.Clone(), nil }
		return serve(t, Config(base, src))
	},
	"GetConfigForClient, a clone each, ServeTLS": func(t *testing.T, base *tls.Config, src keyring.Source) string {
		inner := base.Clone()
		base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner.Clone(), nil }
		return serveHTTP(t, Config(base, src), func(s *http.Server, ln net.Listener) error {
			return s.ServeTLS(ln, "", "")
		})
	},
	"GetConfigForClient below disabled tickets": func(t *testing.T, base *tls.Config, src keyring.Source) string {
		inner := base.Clone()
		base.SessionTicketsDisabled = true
		base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }
		return serve(t, Config(base, src))
	},
	"GetConfigForClient below a refused base": func(t *testing.T, base *tls.Config, src keyring.Source) string {
		inner := base.Clone()
		base.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return nil }
		base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }
		return serve(t, Config(base, src))
	},
}

func TestServers(t *testing.T) {
	for name, start := range servers {
		for _, version := range versions {
			t.Run(name+"/"+tls.VersionName(version), func(t *testing.T) { testServer(t, start, version) })
		}
	}
}

func testServer(t *testing.T, start server, version uint16) {
	ring := fresh()
	src := source(ring)
	here := start(t, serverConfig(t), src)
	bound := func(r *keyring.Ring) string { return serve(t, Config(serverConfig(t), keyring.Static(r))) }

	c, p := client(version)
	resumes(t, "without a ticket", here, c, false)
	resumes(t, "its own ticket", here, c, true)
	resumes(t, "its ticket, elsewhere", bound(ring), c, true)
	resumes(t, "a ticket from elsewhere", here, c, true)

	// The ticket offered is sealed with a retired key, its successor with what
	// is now the active one, and a server that was not told must open it.
	rotated := next(t, ring)
	src.Store(rotated)
	behind, plainly := bound(ring), serve(t, plain(t, rotated.TicketKeys("")[0]))
	resumes(t, "a ticket of before the rotation", here, c, true)
	if version == tls.VersionTLS12 {
		p.session = nil // it comes back with the ticket it had
		resumes(t, "without a ticket, after the rotation", here, c, false)
	}
	resumes(t, "its ticket, where only the active key is known", plainly, c, true)
	resumes(t, "a ticket from there", here, c, true)
	resumes(t, "its ticket, where the rotation is not known", behind, c, true)

	old := p.session
	src.Store(fresh())
	resumes(t, "a ticket whose key is gone", here, c, false)
	resumes(t, "its ticket of after that", here, c, true)
	p.session = old
	resumes(t, "a ticket whose key is gone, again", here, c, false)
}

// TestSurvivesHTTPServerClone is why there are hooks: http.Server serves with
// a copy, which keys that are set later never reach.
func TestSurvivesHTTPServerClone(t *testing.T) {
	for _, version := range versions {
		ring := fresh()
		src := source(ring)
		addr := servers["http.Server.ServeTLS"](t, serverConfig(t), src)
		c, _ := client(version)
		resumes(t, "first", addr, c, false)
		resumes(t, "second", addr, c, true)
		src.Store(fresh())
		resumes(t, "after the swap", addr, c, false)
		resumes(t, "elsewhere after the swap", serve(t, plain(t, src.Ring().TicketKeys("")...)), c, true)
	}
}

// TestKeepsHTTP2 guards what a binding by GetConfigForClient would lose.
func TestKeepsHTTP2(t *testing.T) {
	src := keyring.Static(fresh())
	for _, name := range []string{"http.Server.ServeTLS", "http.Server.ServeTLS with files", "httptest"} {
		addr := servers[name](t, serverConfig(t), src)
		c, _ := client(tls.VersionTLS13)
		c.NextProtos = []string{"h2", "http/1.1"}
		conn, err := tls.Dial("tcp", addr, c)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		want := "h2"
		if name == "httptest" {
			want = "http/1.1" // unless EnableHTTP2 is set
		}
		if got := conn.ConnectionState().NegotiatedProtocol; got != want {
			t.Errorf("%s: protocol = %q, want %q", name, got, want)
		}
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool, ServerName: "example.com"}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("https://" + servers["http.Server.ServeTLS"](t, serverConfig(t), src))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.ProtoMajor != 2 {
		t.Errorf("a request went by %s, want HTTP/2", res.Proto)
	}
}

func files(t *testing.T, cert tls.Certificate) (certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", cert.Certificate[0]), write("key.pem", "PRIVATE KEY", key)
}
