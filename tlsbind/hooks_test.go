package tlsbind

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/stekring/stekring/keyring"
)

// session returns one that crypto/tls made, as its own fields cannot be set.
func session(t testing.TB) *tls.SessionState {
	t.Helper()
	c, p := client(tls.VersionTLS13)
	resumes(t, "first", serve(t, plain(t, [32]byte{1})), c, false)
	opener := new(tls.Config)
	opener.SetSessionTicketKeys([][32]byte{{1}})
	s, err := opener.DecryptTicket(p.ticket(t), tls.ConnectionState{})
	if err != nil || s == nil {
		t.Fatalf("opening a ticket: %v, %v", s, err)
	}
	return s
}

// TestJunkIsNoError is for TLS 1.2 above all, where the hook is called even
// for clients without a ticket and an error would turn all of them away.
func TestJunkIsNoError(t *testing.T) {
	c := Config(nil, keyring.Static(fresh()))
	for _, version := range versions {
		for _, n := range []int{0, 1, 47, 48, 105, maxTicket, maxTicket + 1, 1<<16 - 1} {
			if s, err := c.UnwrapSession(make([]byte, n), tls.ConnectionState{Version: version}); s != nil || err != nil {
				t.Errorf("%s, %d bytes: %v, %v, want nil, nil", tls.VersionName(version), n, s, err)
			}
		}
	}
}

func TestOversizedTicketIsNotTried(t *testing.T) {
	ring := fresh()
	c := Config(nil, keyring.Static(ring))
	sealer := plain(t, ring.TicketKeys("")[0])
	cs := tls.ConnectionState{Version: tls.VersionTLS13}
	s := session(t)
	ticket, _ := sealer.EncryptTicket(cs, s)
	for _, size := range []int{maxTicket, maxTicket + 1} {
		s.Extra = [][]byte{make([]byte, size-len(ticket)-3)} // 3 for its length
		long, err := sealer.EncryptTicket(cs, s)
		if err != nil || len(long) != size {
			t.Fatalf("sealed %d bytes, %v, want %d", len(long), err, size)
		}
		if got, err := c.UnwrapSession(long, cs); err != nil || (got != nil) != (size <= maxTicket) {
			t.Errorf("a ticket of %d bytes: opened = %v, %v", size, got != nil, err)
		}
	}
}

// TestLargeClientCertificate keeps a chain that makes a ticket too large from
// ending the connection, as it would when the ticket exceeds its field.
func TestLargeClientCertificate(t *testing.T) {
	blob, err := asn1.Marshal(make([]byte, 80<<10))
	if err != nil {
		t.Fatal(err)
	}
	large := ca.issue(t, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 9999}, Value: blob})
	base := serverConfig(t)
	base.ClientAuth = tls.RequireAnyClientCert
	addr := serve(t, Config(base, keyring.Static(fresh())))
	for version, size := range map[uint16]int{tls.VersionTLS12: 0, tls.VersionTLS13: 32} {
		c, p := client(version)
		c.Certificates = []tls.Certificate{large}
		for range 2 {
			resumes(t, tls.VersionName(version), addr, c, false)
			if got := len(p.ticket(t)); got != size {
				t.Errorf("%s: a ticket of %d bytes, want %d", tls.VersionName(version), got, size)
			}
		}
	}
}

// TestServesWithoutKeys is a Source that breaks its word.
func TestServesWithoutKeys(t *testing.T) {
	for what, ring := range map[string]*keyring.Ring{"no ring": nil, "no keys": {}} {
		addr := serve(t, Config(serverConfig(t), keyring.Static(ring)))
		for _, version := range versions {
			c, p := client(version)
			resumes(t, what, addr, c, false)
			if got := len(p.ticket(t)); version == tls.VersionTLS13 && got == 0 {
				t.Errorf("%s: an empty ticket in TLS 1.3", what)
			}
			resumes(t, what+", again", addr, c, false)
		}
	}
}

// TestDerivesKeysOncePerRing guards the cost of a handshake.
func TestDerivesKeysOncePerRing(t *testing.T) {
	src := source(fresh())
	d := &newBinding(&Binder{Source: src, Scope: "a"}).domains[0]
	first := d.keys()
	if d.keys() != first {
		t.Error("the same ring was derived twice")
	}
	src.Store(next(t, src.Ring()))
	if d.keys() == first {
		t.Error("after a swap: the keys of before")
	}
}

func TestNoTLS12(t *testing.T) {
	src := keyring.Static(fresh())
	without := serve(t, bound(t, Binder{Source: src, NoTLS12: true}, serverConfig(t)))
	with := serve(t, Config(serverConfig(t), src))

	c, p := client(tls.VersionTLS12)
	resumes(t, "first", without, c, false)
	if got := p.ticket(t); len(got) > 0 {
		t.Errorf("got a ticket of %d bytes", len(got))
	}
	resumes(t, "second", without, c, false)
	resumes(t, "where there are tickets", with, c, false)
	resumes(t, "there again", with, c, true)
	resumes(t, "with a ticket from there", without, c, false)

	c, _ = client(tls.VersionTLS13)
	resumes(t, "first by TLS 1.3", without, c, false)
	resumes(t, "second by TLS 1.3", without, c, true)
}
