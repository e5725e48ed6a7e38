package etcdtest

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"

	"github.com/stekring/stekring/internal/devcert"
)

// Authority signs certificates for a test.
type Authority struct {
	File string // its own, in PEM

	t   testing.TB
	dir string
	ca  *devcert.Authority
}

// NewAuthority returns one that nothing trusts yet.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	ca, err := devcert.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	a := &Authority{t: t, dir: t.TempDir(), ca: ca}
	a.File = a.write("ca.pem", ca.PEM)
	return a
}

// Issue returns the files of a certificate and its key, for a client of that
// name, and for a server on this host.
func (a *Authority) Issue(name string) (certFile, keyFile string) {
	a.t.Helper()
	cert, err := a.ca.Issue(name, "localhost", "127.0.0.1")
	if err != nil {
		a.t.Fatal(err)
	}
	certPEM, keyPEM, err := devcert.Files(cert)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".pem", certPEM), a.write(name+"-key.pem", keyPEM)
}

func (a *Authority) write(name string, content []byte) (file string) {
	a.t.Helper()
	file = filepath.Join(a.dir, name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
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
