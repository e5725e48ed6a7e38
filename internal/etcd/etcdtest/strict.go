package etcdtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
)

// Authority signs certificates for a test.
type Authority struct {
	File string // its own, in PEM

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority returns one that nothing trusts yet.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir(), key: newKey(t)}
	a.File = filepath.Join(a.dir, "ca.pem")
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.sign(a.cert, a.key, a.File)
	return a
}

// Issue returns the files of a certificate and its key, for a client of that
// name, and for a server on this host.
func (a *Authority) Issue(name string) (certFile, keyFile string) {
	a.t.Helper()
	key := newKey(a.t)
	certFile, keyFile = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+"-key.pem")
	a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, key, certFile)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(keyFile, "PRIVATE KEY", der)
	return certFile, keyFile
}

func (a *Authority) sign(cert *x509.Certificate, key *ecdsa.PrivateKey, file string) {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(file, "CERTIFICATE", der)
}

func (a *Authority) write(file, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Strict starts an etcd that takes TLS clients only which have a certificate of
// ca, or in clear if ca is nil, until the test ends. Passwords cost it little,
// where the race detector would make seconds of one. It returns the endpoint.
func Strict(t testing.TB, ca *Authority) string {
	t.Helper()
	c := embed.NewConfig()
	local := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	clients := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	if ca != nil {
		clients.Scheme = "https"
		c.ClientTLSInfo.CertFile, c.ClientTLSInfo.KeyFile = ca.Issue("etcd")
		c.ClientTLSInfo.TrustedCAFile, c.ClientTLSInfo.ClientCertAuth = ca.File, true
	}
	c.Dir, c.LogLevel, c.BcryptCost = t.TempDir(), "fatal", 4 // the least
	c.TickMs, c.ElectionMs, c.UnsafeNoFsync = 20, 200, true
	c.EnableGRPCGateway = false // which asks the server for a certificate too, and has none that says who it is
	c.ListenPeerUrls, c.AdvertisePeerUrls = nil, local
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{clients}, []url.URL{clients}
	c.InitialCluster = c.Name + "=" + local[0].String()
	var servers []*grpc.Server
	c.ServiceRegister = func(s *grpc.Server) { servers = append(servers, s) }
	s, err := embed.StartEtcd(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, s := range servers {
			s.Stop()
		}
		s.Close()
	})
	<-s.Server.ReadyNotify()
	return clients.Scheme + "://" + s.Clients[0].Addr().String()
}
