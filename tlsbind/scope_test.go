package tlsbind

import (
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/stekring/stekring/keyring"
)

func bound(t testing.TB, b Binder, base *tls.Config) *tls.Config {
	t.Helper()
	c, err := b.Config(base)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTicketsDoNotCrossScopes(t *testing.T) {
	src := keyring.Static(fresh())
	scopes := []string{"", "a", "b", "a.b", "client-auth=4"}
	for _, version := range versions {
		var addrs, twins []string
		for _, scope := range scopes {
			addrs = append(addrs, serve(t, bound(t, Binder{Source: src, Scope: scope}, serverConfig(t))))
			twins = append(twins, serve(t, bound(t, Binder{Source: src, Scope: scope}, serverConfig(t))))
		}
		for i, from := range scopes {
			for j, to := range scopes {
				c, _ := client(version)
				resumes(t, "first", addrs[i], c, false)
				resumes(t, fmt.Sprintf("from scope %q to %q", from, to), twins[j], c, i == j)
			}
		}
	}
}

// TestClientAuthIsAScope asks the hooks, as crypto/tls itself refuses some of
// the tickets that must not be opened.
func TestClientAuthIsAScope(t *testing.T) {
	ring := fresh()
	type domain struct {
		scope string
		auth  tls.ClientAuthType
	}
	hooks := map[domain]*tls.Config{}
	for _, scope := range []string{"", "a"} {
		for auth := tls.NoClientCert; auth <= tls.RequireAndVerifyClientCert; auth++ {
			hooks[domain{scope, auth}] = bound(t, Binder{Source: keyring.Static(ring), Scope: scope}, &tls.Config{ClientAuth: auth})
		}
	}
	for _, version := range versions {
		cs := tls.ConnectionState{Version: version}
		for from, sealer := range hooks {
			ticket, err := sealer.WrapSession(cs, session(t))
			if err != nil {
				t.Fatal(err)
			}
			for to, opener := range hooks {
				if got, err := opener.UnwrapSession(ticket, cs); err != nil || (got != nil) != (from == to) {
					t.Errorf("a ticket of %v at %v: opened = %v, %v", from, to, got != nil, err)
				}
			}
		}
	}
}

// TestScopeNamesAreStable opens tickets with keys derived from names written
// out here: servers of different versions of this package share them.
func TestScopeNamesAreStable(t *testing.T) {
	ring := fresh()
	cs := tls.ConnectionState{Version: tls.VersionTLS13}
	for _, c := range []struct {
		scope string
		auth  tls.ClientAuthType
		want  string
	}{
		{"", tls.NoClientCert, ""},
		{"a", tls.NoClientCert, "a"},
		{"", tls.RequestClientCert, "\x00client-auth=1"},
		{"a", tls.RequireAnyClientCert, "a\x00client-auth=2"},
		{"a", tls.VerifyClientCertIfGiven, "a\x00client-auth=3"},
		{"a", tls.RequireAndVerifyClientCert, "a\x00client-auth=4"},
	} {
		sealer := bound(t, Binder{Source: keyring.Static(ring), Scope: c.scope}, &tls.Config{ClientAuth: c.auth})
		ticket, _ := sealer.WrapSession(cs, session(t))
		if got, _ := plain(t, ring.TicketKeys(c.want)[0]).DecryptTicket(ticket, cs); got == nil {
			t.Errorf("scope %q, %v: not sealed with the key of scope %q", c.scope, c.auth, c.want)
		}
	}
}

func TestResumesWithClientCertificate(t *testing.T) {
	src := source(fresh())
	server := func(auth tls.ClientAuthType, verified *int) string {
		base := serverConfig(t)
		base.ClientAuth = auth
		base.VerifyPeerCertificate = verifyPeer
		base.VerifyConnection = func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) > 0 && len(cs.VerifiedChains) > 0 {
				*verified++
			}
			return nil
		}
		return serve(t, Config(base, src))
	}
	for _, version := range versions {
		a, b, other := 0, 0, 0
		here, there := server(tls.RequireAndVerifyClientCert, &a), server(tls.RequireAndVerifyClientCert, &b)
		c, _ := client(version)
		c.Certificates = []tls.Certificate{ca.issue(t)}
		resumes(t, "first", here, c, false)
		resumes(t, "at another server", there, c, true)
		src.Store(next(t, src.Ring()))
		resumes(t, "after a rotation", here, c, true)
		if a != 2 || b != 1 {
			t.Errorf("chains seen by VerifyConnection = %d and %d, want 2 and 1", a, b)
		}
		resumes(t, "where certificates are optional", server(tls.VerifyClientCertIfGiven, &other), c, false)
	}
}

// TestTicketsDoNotCrossClientAuthorities offers every ticket that a client of one
// authority, of another or of none gets, wherever it could be taken for more.
func TestTicketsDoNotCrossClientAuthorities(t *testing.T) {
	src := keyring.Static(fresh())
	other := newAuthority()
	type site struct {
		auth tls.ClientAuthType
		ca   *authority
	}
	var sites []site
	for auth := tls.NoClientCert; auth <= tls.RequireAndVerifyClientCert; auth++ {
		sites = append(sites, site{auth, ca}, site{auth, other})
	}
	addrs := map[site]string{}
	for _, at := range sites {
		base := serverConfig(t)
		base.ClientAuth, base.ClientCAs = at.auth, at.ca.pool
		addrs[at] = serve(t, Config(base, src))
	}
	issued, resumed := 0, 0
	for _, version := range versions {
		for who, certs := range map[string][]tls.Certificate{"none": nil, "the first": {ca.issue(t)}, "the second": {other.issue(t)}} {
			for _, from := range sites {
				for _, to := range sites {
					c, p := client(version)
					// Whatever the server asks for, this is what it gets.
					c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
						if certs == nil {
							return new(tls.Certificate), nil
						}
						return &certs[0], nil
					}
					if _, err := get(addrs[from], c); err != nil || p.session == nil {
						continue // not let in
					}
					issued++
					cs, err := get(addrs[to], c)
					// Where authorities do not count, they do not part anybody.
					want := from.auth == to.auth && (from.ca == to.ca || certs == nil || from.auth < tls.VerifyClientCertIfGiven)
					if got := err == nil && cs.DidResume; got != want {
						t.Errorf("%s, client of %s: from %v to %v, same authority %t: resumed %t, want %t",
							tls.VersionName(version), who, from.auth, to.auth, from.ca == to.ca, got, want)
					} else if got {
						resumed++
					}
				}
			}
		}
	}
	t.Logf("%d tickets offered, %d resumed", issued, resumed)
	if resumed == 0 || resumed == issued {
		t.Errorf("%d of %d resumed, want some", resumed, issued)
	}
}
