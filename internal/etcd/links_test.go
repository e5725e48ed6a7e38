package etcd_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	broken = "cannot connect to etcd; will try again"
	mended = "connected to etcd again"
)

// dialed is a client and what it logs.
type dialed struct {
	t   *testing.T
	c   *clientv3.Client
	log *observer.ObservedLogs
}

func dial(t *testing.T, conf *tls.Config, endpoints ...string) *dialed {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	c, err := etcd.Dial(etcd.Options{Endpoints: endpoints, TLS: conf, Log: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &dialed{t, c, logs}
}

// try makes one call, and has gRPC connect for it without a pause, as a node does
// whose etcd is away.
func (d *dialed) try() error {
	ctx, cancel := context.WithTimeout(d.t.Context(), 300*time.Millisecond)
	defer cancel()
	d.c.ActiveConnection().ResetConnectBackoff()
	_, err := d.c.Get(ctx, "k")
	return err
}

// until tries until the log is as asked.
func (d *dialed) until(what string, ok func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			d.t.Fatalf("%s: not within a minute; the log is %v", what, d.log.All())
		}
		_ = d.try()
	}
}

func (d *dialed) said(msg string) []observer.LoggedEntry { return d.log.FilterMessage(msg).All() }

func trusting(t *testing.T, ca *etcdtest.Authority) *tls.Config {
	t.Helper()
	b, err := os.ReadFile(ca.File)
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AppendCertsFromPEM(b)
	return c
}

func showing(t *testing.T, c *tls.Config, ca *etcdtest.Authority, name string) *tls.Config {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(ca.Issue(name))
	if err != nil {
		t.Fatal(err)
	}
	c.Certificates = []tls.Certificate{cert}
	return c
}

// accept takes connections until the test ends, or until what it returns is
// called, and has f deal with them.
func accept(t *testing.T, f func(net.Conn)) (address string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				f(c)
				_ = c.Close()
			})
		}
	})
	stop = sync.OnceFunc(func() { _ = ln.Close(); cancel(); wg.Wait() })
	t.Cleanup(stop)
	return ln.Addr().String(), stop
}

func swallow(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// TestSaysWhyItCannotConnect wants one line for each way in which etcd can be
// out of reach, however often it is tried.
func TestSaysWhyItCannotConnect(t *testing.T) {
	t.Parallel()
	ca, stranger := etcdtest.NewAuthority(t), etcdtest.NewAuthority(t)
	strict, open := etcdtest.Strict(t, ca), etcdtest.Start(t)
	nobody, stop := accept(t, swallow)
	stop()
	silence, _ := accept(t, swallow)
	hangsUp, _ := accept(t, func(net.Conn) {})
	old := func(c *tls.Config) *tls.Config { c.MaxVersion = tls.VersionTLS12; return c }
	for _, tt := range []struct {
		name     string
		endpoint string
		tls      *tls.Config
		want     string
	}{
		{"refused", "http://" + nobody, nil, "connection refused"},
		{"refused, TLS", "https://" + nobody, trusting(t, ca), "connection refused"},
		{"no such host", "http://nowhere.invalid:2379", nil, "nowhere.invalid"},
		{"silent", "http://" + silence, nil, "connected, but no answer in time"},
		{"silent, TLS", "https://" + silence, trusting(t, ca), "connected, but no answer in time"},
		{"hangs up", "http://" + hangsUp, nil, "connected, but closed without an answer"},
		{"clear text", open.Endpoint(), nil, ""},
		{"TLS to clear text", "https" + strings.TrimPrefix(open.Endpoint(), "http"), trusting(t, ca), "connected, but closed without an answer"},
		{"clear text to TLS", "http" + strings.TrimPrefix(strict, "https"), nil, "connected, but closed without an answer"},
		{"authority not trusted", strict, trusting(t, stranger), "certificate signed by unknown authority"},
		{"no client certificate", strict, trusting(t, ca), "tls: certificate required"},
		{"no client certificate, TLS 1.2", strict, old(trusting(t, ca)), "remote error: tls: "},
		{"client certificate of another authority", strict, showing(t, trusting(t, ca), stranger, "node"), "tls: "},
		{"client certificate of another authority, TLS 1.2", strict, old(showing(t, trusting(t, ca), stranger, "node")), "remote error: tls: "},
		{"client certificate", strict, showing(t, trusting(t, ca), ca, "node"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := dial(t, tt.tls, tt.endpoint)
			if tt.want == "" {
				if err := d.try(); err != nil || d.log.Len() > 0 {
					t.Errorf("err %v, log %v, want none", err, d.log.All())
				}
				return
			}
			d.until("a line", func() bool { return len(d.said(broken)) > 0 })
			for range 5 { // each connects anew
				_ = d.try()
			}
			if d.log.Len() != 1 {
				t.Errorf("the log is %v, want one line", d.log.All())
			}
			f := d.said(broken)[0].ContextMap()
			if f["endpoint"] != tt.endpoint || !strings.Contains(f["error"].(string), tt.want) {
				t.Errorf("the line has %v, want %s and %q", f, tt.endpoint, tt.want)
			}
			t.Log(f["error"])
		})
	}
}

// TestSaysThatItConnectsAgain has an endpoint fail in one way, then in another,
// then work, beside one that always does.
func TestSaysThatItConnectsAgain(t *testing.T) {
	t.Parallel()
	address, stop := accept(t, swallow)
	d := dial(t, nil, "http://"+address, etcdtest.Start(t).Endpoint())
	d.until("a word of the silence", func() bool { return len(d.said(broken)) == 1 })
	stop()
	d.until("a word of the refusal", func() bool { return len(d.said(broken)) == 2 })
	s, err := etcd.Start(t.Context(), t.TempDir(), address, 20*time.Millisecond, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	defer d.c.Close()
	d.until("a word of the recovery", func() bool { return len(d.said(mended)) == 1 })
	if err := d.try(); err != nil || d.log.Len() != 3 {
		t.Errorf("err %v, log %v, want the three lines", err, d.log.All())
	}
	for _, e := range d.log.All() {
		if got := e.ContextMap()["endpoint"]; got != "http://"+address {
			t.Errorf("%v is of %v", e, got)
		}
	}
}
