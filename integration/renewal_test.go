package integration

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/keyring/seal"
)

// gate is TLS before an etcd. It asks for a certificate and notes each.
type gate struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
	came  [][]byte // the certificates, in the order of the connections
}

func newGate(t *testing.T, cert tls.Certificate, etcd string) *gate {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"h2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{Listener: ln}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { g.forward(in.(*tls.Conn), etcd) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); g.cut(); wg.Wait() })
	return g
}

func (g *gate) forward(in *tls.Conn, etcd string) {
	defer in.Close()
	_ = in.SetDeadline(time.Now().Add(patience))
	if in.Handshake() != nil {
		return
	}
	_ = in.SetDeadline(time.Time{})
	out, err := net.Dial("tcp", etcd)
	if err != nil {
		return
	}
	defer out.Close()
	g.mu.Lock()
	g.conns = append(g.conns, in)
	g.came = append(g.came, in.ConnectionState().PeerCertificates[0].Raw)
	g.mu.Unlock()
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(out, in); _ = out.Close() }()
	_, _ = io.Copy(in, out)
	_ = in.Close()
	<-done
}

// cut ends every connection.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
}

// last is the newest connection's certificate.
func (g *gate) last() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.came) == 0 {
		return nil
	}
	return g.came[len(g.came)-1]
}

// TestEtcdCertificateRenewed replaces the certificate that a node shows to etcd,
// in place, and then by garbage: it goes on with the last good one.
func TestEtcdCertificateRenewed(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	s := newSite(t, "")
	cert := s.certify() // the gate's; its authority is the certificate itself
	g := newGate(t, cert, etcd.Endpoint()[len("http://"):])
	_, port, _ := net.SplitHostPort(g.Addr().String())
	s.endpoint = "https://localhost:" + port

	ca := filepath.Join(s.dir, "etcd-ca.pem")
	s.write(ca, s.authority)
	certFile, keyFile := filepath.Join(s.dir, "etcd.pem"), filepath.Join(s.dir, "etcd-key.pem")
	first, _ := s.pair(certFile, keyFile)
	p := s.run("a", func(c *config.Config) { c.Etcd.CAFile, c.Etcd.CertFile, c.Etcd.KeyFile = ca, certFile, keyFile })
	p.share()
	if !bytes.Equal(g.last(), first.Certificate[0]) {
		t.Error("the node showed another certificate than its own")
	}
	again := func(what string, want []byte) {
		t.Helper()
		v := p.status().Info.Version
		var cut time.Time
		eventually(t, what, func() bool {
			if time.Since(cut) > 2*time.Second { // files are looked at once a second
				cut = time.Now()
				g.cut()
				return false
			}
			return bytes.Equal(g.last(), want)
		})
		eventually(t, "rotation goes on", func() bool { s := p.status(); return s.Info.Version > v && s.Problem == "" })
	}
	second, _ := s.pair(certFile, keyFile)
	again("the new certificate", second.Certificate[0])
	s.write(certFile, []byte("garbage"))
	p.signal(syscall.SIGHUP)
	p.hear("not reloaded; keeping the old configuration", 1)
	again("the last good certificate", second.Certificate[0])
	third, _ := s.pair(certFile, keyFile)
	again("the newest certificate", third.Certificate[0])
	p.terminate()
}

// TestReloadKEKAndPolicy changes both under a running fleet.
func TestReloadKEKAndPolicy(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	s := newSite(t, etcd.Endpoint())
	nodes := s.fleet("a", "b")
	v := s.visitor()
	v.resumes(nodes[0], false)
	reloads := 0
	reload := func() {
		t.Helper()
		reloads++
		for _, p := range nodes {
			p.signal(syscall.SIGHUP)
			p.hear("reloaded", reloads)
		}
		before := nodes[0].status().Info.Version
		for _, p := range nodes {
			eventually(t, p.id+" has the next ring", func() bool { s := p.status(); return s.Info.Version > before && s.Problem == "" })
			v.resumes(p, true)
		}
	}
	old, err := os.ReadFile(s.kekFile)
	if err != nil {
		t.Fatal(err)
	}
	next := seal.NewKEK().File()
	for _, file := range [][]byte{slices.Concat(old, next), slices.Concat(next, old), next} {
		s.write(s.kekFile, file)
		reload()
	}
	resp, err := etcd.Client().Get(t.Context(), ringPath)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.kek().Open(ringPath, resp.Kvs[0].Value); err != nil {
		t.Errorf("under the new KEK: %v", err)
	}

	s.write(s.kekFile, []byte("garbage"))
	nodes[0].signal(syscall.SIGHUP)
	if l := nodes[0].hear("not reloaded; keeping the old configuration", 1); !bytes.Contains([]byte(l.Error), []byte("seal.kek_file")) {
		t.Errorf("refused for %q", l.Error)
	}
	s.write(s.kekFile, next)
	faster := func(c *config.Config) { c.Rotation.Interval, c.Rotation.TicketLifetime = 3*time.Second, lifetime }
	for _, p := range nodes {
		s.configure(p.id, faster, func(c *config.Config) { c.Election.TTL = ttl })
	}
	reload()
	out := mustRun(t, "status", "-o", "json", "--config", s.configure("operator"))
	if want := fmt.Sprintf(`"interval": %q`, "3s"); !bytes.Contains([]byte(out), []byte(want)) {
		t.Errorf("status has no %s after a reload:\n%s", want, out)
	}
	s.configure("a", func(c *config.Config) { c.Rotation.Enabled = false })
	nodes[0].signal(syscall.SIGHUP)
	eventually(t, "a warning", func() bool { return strings.Contains(nodes[0].text(), "keys change on request only") })
}
