package daemon

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/tlsbind"
)

// eventually asks ok again and again until it holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// TestCheckPasses is for certificates and addresses of every kind, without etcd.
func TestCheckPasses(t *testing.T) {
	var listeners []config.Listener
	for address, names := range map[string][]string{
		"127.0.0.1:0": {"a.test", "b.test"}, "127.0.0.2:0": {"*.c.test"}, "127.0.0.3:0": {"127.0.0.3"}, "0.0.0.0:0": {"a.test"}, ":0": {"a.test"},
	} {
		cert, key := pair(t, names...)
		listeners = append(listeners, config.Listener{Address: address, CertFile: cert, KeyFile: key})
	}
	for _, tickets := range []config.Tickets{{Enabled: true}, {Enabled: true, TLS12: true, MaxSessionAge: time.Hour}} {
		f := serve(t, tickets, listeners...)
		if len(f.first) != len(listeners) {
			t.Fatalf("%d listeners decide whether the node is ready, want %d", len(f.first), len(listeners))
		}
		eventually(t, "the node is ready", func() bool { return len(f.unready()) == 0 })
	}
	if why := serve(t, config.Tickets{}, listeners...).unready(); why != nil {
		t.Errorf("without tickets the node waits for %q, want nothing to check", why)
	}
}

// TestCheckFails has a listener use the ring of another node, then its own, then
// that of another again.
func TestCheckFails(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cert, key := pair(t, "a.test")
	l := config.Listener{Address: "127.0.0.1:0", CertFile: cert, KeyFile: key}
	core, logs := observer.New(zap.InfoLevel)
	f := newFront(alone(t), config.Tickets{Enabled: true}, func(tlsbind.Event) {}, zap.New(core))
	defer f.close() // in the middle of a check
	foreign := func() *content {
		t.Helper()
		ours, err := f.prepare(l)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := newFront(alone(t), f.tickets, f.observe, f.log).prepare(l)
		if err != nil {
			t.Fatal(err)
		}
		b := theirs.bound.Load()
		b.cert = ours.cert.get()
		ours.bound.Store(b)
		return ours
	}
	errors := func() []observer.LoggedEntry {
		return logs.FilterMessage("listener does not resume; will try again").All()
	}

	ln, err := net.Listen("tcp", l.Address)
	if err != nil {
		t.Fatal(err)
	}
	f.serve(l.Address, ln, foreign())
	served := f.listeners[l.Address]
	f.first = []*listener{served}
	if why, want := f.unready(), "listener "+served.address+": "; len(why) != 1 || !strings.HasPrefix(why[0], want) {
		t.Errorf("at the start the node waits for %q, want %s", why, want)
	}
	eventually(t, "the node says what it waits for", func() bool {
		why := f.unready()
		return len(why) == 1 && strings.HasPrefix(why[0], "listener "+served.address+": server name a.test: ") && strings.Contains(why[0], "no key of the ring")
	})
	if got := f.failing.Load(); got != 1 {
		t.Errorf("%d listeners fail, want 1", got)
	}
	first := served.trouble.Load()
	eventually(t, "it tries again", func() bool { return served.trouble.Load() != first })
	served.content.Load().bound.Store(nil) // so that it is bound anew, and to its own
	eventually(t, "the node is ready", func() bool { return len(f.unready()) == 0 })
	eventually(t, "it says so", func() bool { return logs.FilterMessage("listener resumes").Len() == 1 })
	eventually(t, "no listener fails", func() bool { return f.failing.Load() == 0 })
	if got := errors(); len(got) != 1 || got[0].Level != zap.ErrorLevel || got[0].ContextMap()["address"] != served.address {
		t.Errorf("logged %v, want one error of %s", got, served.address)
	}

	served.replace(foreign())
	eventually(t, "it is logged once more", func() bool { return len(errors()) == 2 })
	if why := f.unready(); why != nil {
		t.Errorf("a node that was ready waits for %q", why)
	}
	if got := f.failing.Load(); got != 1 {
		t.Errorf("%d listeners fail, want 1", got)
	}
	if err := f.apply(nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one that is gone does not count", func() bool { return f.failing.Load() == 0 })
}

// TestRemovedListenerIsWaitedForNoMore takes away one that cannot pass.
func TestRemovedListenerIsWaitedForNoMore(t *testing.T) {
	cert, key := pair(t, "a.test")
	keep := config.Listener{Address: "127.0.0.1:0", CertFile: cert, KeyFile: key}
	gone := config.Listener{Address: "127.0.0.2:0", CertFile: cert, KeyFile: key}
	f := serve(t, config.Tickets{}, keep, gone)
	f.listeners[gone.Address].trouble.Store(&unchecked)
	if why := f.unready(); len(why) != 1 {
		t.Errorf("the node waits for %q, want one listener", why)
	}
	if err := f.apply([]config.Listener{keep}); err != nil {
		t.Fatal(err)
	}
	if why := f.unready(); why != nil {
		t.Errorf("the node waits for %q, which is gone", why)
	}
}

// TestUnreachableListenerIsNotWaitedFor has an address that is not this host's
// yet, for which a closed port stands.
func TestUnreachableListenerIsNotWaitedFor(t *testing.T) {
	cert, key := pair(t, "a.test")
	f := serve(t, config.Tickets{Enabled: true}, config.Listener{Address: "127.0.0.1:0", CertFile: cert, KeyFile: key})
	l := &listener{address: "127.0.0.1:1"}
	l.content.Store(f.listeners["127.0.0.1:0"].content.Load())
	l.trouble.Store(&unchecked)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		f.pass(ctx, l)
	}()
	eventually(t, "nobody waits for it", func() bool { return l.trouble.Load() == nil })
	if got := f.failing.Load(); got != 1 {
		t.Errorf("%d listeners fail, want 1", got)
	}
	cancel()
	<-over
}

func TestReachable(t *testing.T) {
	for bound, want := range map[string][]string{
		"10.0.0.7:443":      {"10.0.0.7:443"},
		"[2001:db8::7]:443": {"[2001:db8::7]:443"},
		"[fe80::7%eth0]:1":  {"[fe80::7%eth0]:1"},
		"0.0.0.0:443":       {"127.0.0.1:443"},
		"[::]:443":          {"[::1]:443", "127.0.0.1:443"},
	} {
		if got := reachable(bound); !slices.Equal(got, want) {
			t.Errorf("reachable(%s) = %v, want %v", bound, got, want)
		}
	}
}

func TestCalled(t *testing.T) {
	addresses := []net.IP{net.IPv4(127, 0, 0, 1)} // which clients send as no name
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"a.test", "b.test"}, "a.test"},
		{[]string{"*.c.test"}, "any.c.test"},
		{[]string{"127.0.0.1", "b.test"}, "b.test"},
		{[]string{"[::1]", "fe80::1%eth0", "b.test"}, "b.test"},
		{nil, ""},
		{[]string{"a.test.", "*.*.test", "b.test"}, "b.test"},
	} {
		if got := called(&x509.Certificate{DNSNames: c.names, IPAddresses: addresses}); got != c.want {
			t.Errorf("called(%q) = %q, want %q", c.names, got, c.want)
		}
	}
}

// TestBriefHasNoPorts keeps one cause from being many errors.
func TestBriefHasNoPorts(t *testing.T) {
	err := fmt.Errorf("check: %w", &net.OpError{
		Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 54321}, Addr: &net.TCPAddr{Port: 443}, Err: syscall.ECONNRESET,
	})
	if got, want := brief(err), "check: read: connection reset by peer"; got != want {
		t.Errorf("brief(%v) = %q, want %q", err, got, want)
	}
	if got := brief(io.EOF); got != "EOF" {
		t.Errorf("brief(io.EOF) = %q", got)
	}
}
