package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// spoil writes a certificate that loads and that no handshake of TLS 1.3 can use:
// there is no signature scheme for its curve.
func (s *site) spoil(certFile, keyFile string) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.writePair(certFile, keyFile, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
}

// ready waits for a node to be.
func (p *process) ready() {
	p.t.Helper()
	eventually(p.t, p.id+" is ready", func() bool {
		code, _ := p.get("/readyz")
		return code == http.StatusOK
	})
}

const notResuming = "listener does not resume; will try again"

// TestCheckHoldsReadinessBack has a node whose certificate nobody can use, without
// etcd, until it is replaced.
func TestCheckHoldsReadinessBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, nobody)
	s.spoil(s.certFile, s.keyFile)
	p := s.run("a")
	want := "listener " + p.tlsAddress() + ": server name localhost: tlsbind: check: "
	eventually(t, "/readyz says why", func() bool {
		code, body := p.get("/readyz")
		if code != http.StatusServiceUnavailable {
			t.Fatalf("/readyz with a certificate of no use: %d %s, want 503", code, body)
		}
		return strings.HasPrefix(body, want) && strings.Contains(body, "handshake failure")
	})
	if l := p.hear(notResuming, 1); l.Level != "error" || l.Address != p.tlsAddress() || l.Error == "" {
		t.Errorf("logged %+v, want an error of the listener", l)
	}
	if code, body := p.get("/livez"); code != http.StatusOK {
		t.Errorf("/livez: %d %s, want 200", code, body)
	}

	s.certify()
	p.ready()
	p.hear("listener resumes", 1)
	v := s.visitor()
	v.resumes(p, false)
	v.resumes(p, true)
	if n := len(p.said(notResuming)); n > 2 { // half a pair may have been served for a moment
		t.Errorf("logged %d errors, want each once", n)
	}
}

// TestCheckAfterReload adds a listener of no use to a node that is ready.
func TestCheckAfterReload(t *testing.T) {
	t.Parallel()
	s := newSite(t, nobody)
	p := s.run("a")
	p.ready()
	bad := config.Listener{Address: "127.0.0.2:0", CertFile: filepath.Join(s.dir, "bad.pem"), KeyFile: filepath.Join(s.dir, "bad-key.pem")}
	s.spoil(bad.CertFile, bad.KeyFile)
	s.configure("a", func(c *config.Config) { c.Listeners = append(c.Listeners, bad) })
	p.signal(syscall.SIGHUP)
	p.hear("reloaded", 1)
	if l := p.hear(notResuming, 1); l.Level != "error" || l.Address != p.hear("serving TLS", 2).Address {
		t.Errorf("logged %+v, want an error of the new listener", l)
	}
	if n, _ := p.gauge("listeners_failing"); n != 1 {
		t.Errorf("%v listeners fail, want the new one", n)
	}
	if code, body := p.get("/readyz"); code != http.StatusOK {
		t.Errorf("/readyz after a reload: %d %s, want 200", code, body)
	}
	t.Logf("exited %.2fs after TERM", p.terminate().Seconds())
}

// TestCheckAfterRenewal replaces the certificate of a node that is ready by one of
// no use, which it takes, and that by a good one.
func TestCheckAfterRenewal(t *testing.T) {
	t.Parallel()
	s := newSite(t, nobody)
	p := s.run("a")
	p.ready()
	s.spoil(s.certFile, s.keyFile)
	eventually(t, "the next connections have it checked", func() bool {
		if c, err := tls.Dial("tcp", p.tlsAddress(), &tls.Config{InsecureSkipVerify: true}); err == nil {
			_ = c.Close()
		}
		return len(p.said(notResuming)) > 0
	})
	if n, _ := p.gauge("listeners_failing"); n != 1 {
		t.Errorf("%v listeners fail, want 1", n)
	}
	if code, body := p.get("/readyz"); code != http.StatusOK {
		t.Errorf("/readyz after a renewal: %d %s, want 200", code, body)
	}

	s.certify()
	p.hear("listener resumes", 1)
	eventually(t, "no listener fails", func() bool { n, ok := p.gauge("listeners_failing"); return ok && n == 0 })
}

// TestCheckNeedsTickets has nothing to check where there are none.
func TestCheckNeedsTickets(t *testing.T) {
	t.Parallel()
	s := newSite(t, nobody)
	s.spoil(s.certFile, s.keyFile)
	s.run("a", func(c *config.Config) { c.Tickets.Enabled = false }).ready()
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	s := newSite(t, etcdtest.Start(t).Endpoint())
	p := s.run("a")
	url := "http://" + p.httpAddress()
	eventually(t, "a is ready", func() bool {
		_, _, code := stekring(t, "healthcheck", "--url", url+"/readyz")
		return code == 0
	})
	check(t,
		typed{words("healthcheck --url " + url + "/nothing"), 1, "/nothing: 404"},
		typed{words("healthcheck --url " + nobody), 1, "connection refused"},
		typed{words("healthcheck --url 127.0.0.1"), 2, "want one like http://127.0.0.1:9474/readyz"},
		typed{words("etcd"), 2, "--cluster"},
		typed{words("etcd --name b --cluster a=https://localhost:2380"), 1, "want it to have the member once"},
	)
	p.signal(syscall.SIGTERM)
	<-p.done
	check(t, typed{words("healthcheck --url " + url + "/readyz"), 1, "connection refused"})
}
