package tlsbind

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
)

// swap is a Source whose ring can be replaced.
type swap struct{ atomic.Pointer[keyring.Ring] }

func (s *swap) Ring() *keyring.Ring { return s.Load() }

func source(r *keyring.Ring) *swap {
	s := new(swap)
	s.Store(r)
	return s
}

func fresh() *keyring.Ring { return keyring.DefaultPolicy.First(1, 1, time.Now()) }

// next rotates as if an interval had passed; after 13 of them a key is gone.
func next(t testing.TB, r *keyring.Ring) *keyring.Ring {
	now := time.Now()
	n, err := keyring.DefaultPolicy.Next(r, now.Add(-keyring.DefaultPolicy.Interval), now)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// plain returns a server that has keys as crypto/tls takes them, independently
// of this package.
func plain(t testing.TB, keys ...[keyring.KeySize]byte) *tls.Config {
	c := serverConfig(t)
	c.SetSessionTicketKeys(keys)
	return c
}

// authority is a CA for servers and clients of one test process.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

var ca = newAuthority()

func newAuthority() *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

// issue returns a certificate that is good for a server and for a client.
func (a *authority) issue(t testing.TB, extra ...pkix.Extension) tls.Certificate {
	t.Helper()
	return a.until(t, time.Now().Add(time.Hour), extra...)
}

// until returns one that expires at an instant.
func (a *authority) until(t testing.TB, end time.Time, extra ...pkix.Extension) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, DNSNames: []string{"example.com"},
		NotBefore: end.Add(-2 * time.Hour), NotAfter: end,
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		ExtraExtensions: extra,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}
}

func serverConfig(t testing.TB) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{ca.issue(t)}, ClientCAs: ca.pool}
}

// pocket is a client's session cache with room for one.
type pocket struct{ session *tls.ClientSessionState }

func (p *pocket) Get(string) (*tls.ClientSessionState, bool)    { return p.session, p.session != nil }
func (p *pocket) Put(_ string, session *tls.ClientSessionState) { p.session = session }

func (p *pocket) ticket(t testing.TB) []byte {
	t.Helper()
	ticket, _, err := p.session.ResumptionState()
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// client returns a client of one TLS version with a pocket of its own.
func client(version uint16) (*tls.Config, *pocket) {
	p := new(pocket)
	return &tls.Config{
		RootCAs: ca.pool, ServerName: "example.com", ClientSessionCache: p,
		MinVersion: version, MaxVersion: version,
	}, p
}

var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// serveHTTP serves with start until the test ends.
func serveHTTP(t testing.TB, c *tls.Config, start func(*http.Server, net.Listener) error) string {
	t.Helper()
	ln := listen(t)
	s := &http.Server{
		TLSConfig: c, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = start(s, ln)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return ln.Addr().String()
}

// serve is a server that uses c itself and no copy of it.
func serve(t testing.TB, c *tls.Config) string {
	t.Helper()
	return serveHTTP(t, c, func(s *http.Server, ln net.Listener) error {
		return s.Serve(tls.NewListener(ln, c))
	})
}

// get makes one request and reads the answer, behind which a ticket of TLS 1.3
// comes at the latest.
func get(addr string, c *tls.Config) (tls.ConnectionState, error) {
	conn, err := tls.Dial("tcp", addr, c)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"); err != nil {
		return tls.ConnectionState{}, err
	}
	_, err = io.ReadAll(conn)
	return conn.ConnectionState(), err
}

// resumes makes one request and requires that it resumed a session, or did not.
func resumes(t testing.TB, what, addr string, c *tls.Config, want bool) tls.ConnectionState {
	t.Helper()
	cs, err := get(addr, c)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if cs.DidResume != want {
		t.Fatalf("%s: resumed = %v, want %v", what, cs.DidResume, want)
	}
	return cs
}
