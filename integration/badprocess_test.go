package integration

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/keyring"
)

// deaf returns a command whose output nobody reads.
func deaf(t *testing.T, args ...string) (cmd *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	t.Cleanup(func() { _ = w.Close() })
	cmd, stderr = exec.CommandContext(t.Context(), binary, args...), &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = w, stderr
	return cmd, stderr
}

func closedPipe(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := newSite(t, etcd.Endpoint())
	p := s.run("a")
	p.share()
	for _, args := range [][]string{{"help"}, {"version"}, {"validate", "--print", "--config", s.configure("a")}, {"status", "--config", s.configure("a")}, {"status", "--watch", "--config", s.configure("a")}} {
		cmd, stderr := deaf(t, args...)
		_ = cmd.Run()
		if st := cmd.ProcessState.Sys().(syscall.WaitStatus); !st.Signaled() || st.Signal() != syscall.SIGPIPE || stderr.Len() > 0 {
			t.Errorf("stekring %s: %v, %s; want it ended by SIGPIPE, in silence", args[0], cmd.ProcessState, stderr)
		}
	}

	// A demo leaves nothing behind.
	tmp := t.TempDir()
	cmd, stderr := deaf(t, "demo", "--interval", "3s", "-o", "json")
	cmd.Env = append(cmd.Environ(), "TMPDIR="+tmp)
	_ = cmd.Run()
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 || strings.Contains(stderr.String(), "goroutine ") {
		t.Errorf("a demo that nobody sees leaves %v, %v\n%s", left, err, stderr)
	}

	// A node serves on, and resigns when asked to.
	cmd, _ = deaf(t, "run", "--config", s.configure("b"))
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	client := etcd.Client()
	eventually(t, "a node that nobody hears reports", func() bool {
		select {
		case <-done:
			t.Fatalf("a node that nobody hears: %v", cmd.ProcessState)
		default:
		}
		got, err := client.Get(t.Context(), "/stekring/www/nodes/b", clientv3.WithCountOnly())
		return err == nil && got.Count == 1
	})
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if <-done; cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("a node that nobody hears: %v after TERM, want exit 0", cmd.ProcessState)
	}
}

// interrupt ends in order what would go on, with one of the exit codes that there
// are.
func interrupt(t *testing.T) {
	etcd := etcdtest.Start(t)
	s, client := newSite(t, etcd.Endpoint()), etcd.Client()
	rec, err := s.kek().Seal(ringPath, keyring.DefaultPolicy.First(1, 1, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Put(t.Context(), ringPath, string(rec)); err != nil {
		t.Fatal(err)
	}
	file := s.configure("operator")
	requests := func() int64 {
		got, err := client.Get(t.Context(), "/stekring/www/requests/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			t.Fatal(err)
		}
		return got.Count
	}
	for _, c := range []struct {
		args   []string
		code   int
		stderr string
		begun  func(stdout io.Reader)
	}{
		{[]string{"status", "--watch", "--config", file}, 0, "", func(out io.Reader) { _, _ = out.Read(make([]byte, 1)) }},
		{[]string{"rotate", "--config", file}, 1, "no answer before the interrupt", func(io.Reader) {
			eventually(t, "a request", func() bool { return requests() == 1 })
		}},
	} {
		cmd, stderr := exec.CommandContext(t.Context(), binary, c.args...), &bytes.Buffer{}
		cmd.Stderr = stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		c.begun(out)
		_ = cmd.Process.Signal(os.Interrupt)
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(stderr.String(), c.stderr) || strings.Contains(stderr.String(), "goroutine ") {
			t.Errorf("stekring %s after an interrupt: %v, want exit %d and %q\n%s", c.args[0], cmd.ProcessState, c.code, c.stderr, stderr)
		}
	}
	if requests() != 0 {
		t.Error("a request outlives who asked")
	}
}

// endlessFiles has a verb that only asks meet files that it would read for ever.
func endlessFiles(t *testing.T) {
	s := newSite(t, "https://127.0.0.1:1")
	fifo := filepath.Join(s.dir, "fifo")
	if err := mkfifo(fifo); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*config.Config){
		"etcd.ca_file":       func(c *config.Config) { c.Etcd.CAFile = "/dev/zero" },
		"etcd.password_file": func(c *config.Config) { c.Etcd.Username, c.Etcd.PasswordFile = "node", fifo },
		"etcd.cert_file":     func(c *config.Config) { c.Etcd.CertFile, c.Etcd.KeyFile = s.certFile, fifo },
		"seal.kek_file":      func(c *config.Config) { c.Seal.KEKFile = fifo },
	} {
		file := s.configure("operator", change)
		for _, verb := range []string{"status", "rotate", "validate", "run"} {
			check(t, typed{[]string{verb, "--config", file}, 2, field + ": "})
		}
	}
}

func busyAddress(t *testing.T) {
	s := newSite(t, nobody)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	busy := ln.Addr().String()
	for field, change := range map[string]func(*config.Config){
		"http.address: ": func(c *config.Config) { c.HTTP.Address = busy },
		"listeners: ":    func(c *config.Config) { c.Listeners[0].Address = busy },
	} {
		check(t, typed{[]string{"run", "--config", s.configure("a", change)}, 1, field + "listen tcp " + busy + ": bind: address already in use"})
	}
}

// expiredServer is an etcd whose certificate is of yesterday.
func expiredServer(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: yesterday.Add(-time.Hour), NotAfter: yesterday,
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			_ = c.(*tls.Conn).SetDeadline(time.Now().Add(time.Second))
			_ = c.(*tls.Conn).Handshake()
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	s := newSite(t, "https://localhost:"+port)
	ca := filepath.Join(s.dir, "ca.pem")
	s.write(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	file := s.configure("operator", func(c *config.Config) { c.Etcd.CAFile = ca })
	check(t, typed{[]string{"status", "--config", file}, 3, "certificate has expired"})
}
