package tlsbind

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/stekring/stekring/keyring"
)

func verifyPeer([][]byte, [][]*x509.Certificate) error { return nil }
func verifyConn(tls.ConnectionState) error             { return nil }
func wrapNone(tls.ConnectionState, *tls.SessionState) ([]byte, error) {
	return nil, nil
}
func unwrapNone([]byte, tls.ConnectionState) (*tls.SessionState, error) { return nil, nil }

func TestRefusals(t *testing.T) {
	src := keyring.Static(fresh())
	for _, c := range []struct {
		name   string
		binder Binder
		base   *tls.Config
		want   string // "" is no refusal
	}{
		{"an empty base", Binder{Source: src}, &tls.Config{}, ""},
		{"no Source", Binder{}, &tls.Config{}, "set Binder.Source"},
		{"NUL", Binder{Source: src, Scope: "a\x00client-auth=4"}, &tls.Config{}, "must not contain a NUL"},
		{"WrapSession", Binder{Source: src}, &tls.Config{WrapSession: wrapNone}, "clear both"},
		{"UnwrapSession", Binder{Source: src}, &tls.Config{UnwrapSession: unwrapNone}, "clear both"},
		{"VerifyPeerCertificate", Binder{Source: src}, &tls.Config{VerifyPeerCertificate: verifyPeer}, "move the check to VerifyConnection"},
		{"VerifyPeerCertificate too", Binder{Source: src}, &tls.Config{VerifyPeerCertificate: verifyPeer, VerifyConnection: verifyConn}, ""},
		{"ClientAuth 5", Binder{Source: src}, &tls.Config{ClientAuth: 5}, "ClientAuth 5"},
		{"ClientAuth -1", Binder{Source: src}, &tls.Config{ClientAuth: -1}, "ClientAuth -1"},
		{"disabled", Binder{Source: src}, &tls.Config{SessionTicketsDisabled: true, VerifyPeerCertificate: verifyPeer}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.binder.Config(c.base)
			switch {
			case c.want == "" && err != nil:
				t.Fatalf("Binder.Config refuses: %v", err)
			case c.want != "" && (err == nil || got != nil):
				t.Fatalf("Binder.Config = %v, %v, want an error", got, err)
			case c.want != "" && (!strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tlsbind: ")):
				t.Fatalf("Binder.Config: %q, want %q in it", err, c.want)
			}
			if c.binder.Scope != "" {
				return
			}
			disabled := c.want != "" || c.base.SessionTicketsDisabled
			if got := Config(c.base, c.binder.Source); got.SessionTicketsDisabled != disabled {
				t.Errorf("Config: tickets disabled = %v, want %v", got.SessionTicketsDisabled, disabled)
			}
		})
	}
}

// TestRefusedBaseServes proves that a refusal costs resumption and no more.
func TestRefusedBaseServes(t *testing.T) {
	for _, version := range versions {
		base := serverConfig(t)
		base.VerifyPeerCertificate = verifyPeer
		base.SetSessionTicketKeys([][32]byte{{1}})
		for what, src := range map[string]keyring.Source{"refused": keyring.Static(fresh()), "no Source": nil} {
			addr := serve(t, Config(base, src))
			c, _ := client(version)
			resumes(t, what, addr, c, false)
			resumes(t, what+", again", addr, c, false)
		}
	}
}

func TestNilBase(t *testing.T) {
	src := keyring.Static(fresh())
	if c := Config(nil, src); c.SessionTicketsDisabled || c.WrapSession == nil || c.UnwrapSession == nil {
		t.Error("Config(nil) is not bound")
	}
	if c, err := (&Binder{Source: src}).Config(nil); err != nil || c.WrapSession == nil {
		t.Errorf("Binder.Config(nil) = %v, %v", c, err)
	}
}

func TestBaseIsNotChanged(t *testing.T) {
	base := serverConfig(t)
	calls := 0
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { calls++; return nil, nil }
	bound := Config(base, keyring.Static(fresh()))
	base.VerifyPeerCertificate = verifyPeer
	Config(base, nil)
	if base.WrapSession != nil || base.UnwrapSession != nil || base.SessionTicketsDisabled {
		t.Error("base has hooks, or no tickets")
	}
	if _, err := base.GetConfigForClient(nil); err != nil || calls != 1 {
		t.Errorf("base.GetConfigForClient: called %d times, %v", calls, err)
	}
	if bound == base {
		t.Error("Config returned base")
	}
}

// TestOverridesExplicitKeys holds the package to what it says of keys that a
// base already has: it cannot see them, and they play no part.
func TestOverridesExplicitKeys(t *testing.T) {
	src := keyring.Static(fresh())
	own := [32]byte{1}
	for _, version := range versions {
		base := plain(t, own)
		addr := serve(t, Config(base, src))
		c, _ := client(version)
		resumes(t, "a ticket of the base's own key, got", serve(t, base), c, false)
		resumes(t, "a ticket of the base's own key, offered", addr, c, false)
		resumes(t, "elsewhere", serve(t, Config(serverConfig(t), src)), c, true)
	}
}

func TestBindsConfigForClient(t *testing.T) {
	bind := func(inner *tls.Config, err error) (*tls.Config, error) {
		base := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, err }}
		return Config(base, keyring.Static(fresh())).GetConfigForClient(nil)
	}
	if c, err := bind(nil, nil); c != nil || err != nil {
		t.Errorf("nil: got %v, %v", c, err)
	}
	broken := errors.New("no such name")
	if _, err := bind(nil, broken); err != broken {
		t.Errorf("error: got %v, want it unchanged", err)
	}
	for name, inner := range map[string]*tls.Config{
		"disabled": {SessionTicketsDisabled: true},
		"wraps":    {WrapSession: wrapNone},
		"unwraps":  {UnwrapSession: unwrapNone},
	} {
		if c, _ := bind(inner, nil); c != inner {
			t.Errorf("%s: not left as it is", name)
		}
	}
	inner := new(tls.Config)
	if c, _ := bind(inner, nil); c == inner || c.WrapSession == nil || c.SessionTicketsDisabled {
		t.Error("an inner configuration is not bound on a copy")
	}
	inner = &tls.Config{VerifyPeerCertificate: verifyPeer}
	if c, _ := bind(inner, nil); c == inner || c.WrapSession != nil || !c.SessionTicketsDisabled {
		t.Error("an unsafe inner configuration keeps its tickets")
	}
	if inner.SessionTicketsDisabled || inner.WrapSession != nil {
		t.Error("an inner configuration is changed")
	}
}
