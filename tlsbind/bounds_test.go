package tlsbind

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
)

// TestTicketsKeepToTheirName offers every ticket under every name.
func TestTicketsKeepToTheirName(t *testing.T) {
	src := keyring.Static(fresh())
	inner := serverConfig(t)
	shapes := map[string]func(*tls.Config){
		"itself":                  func(*tls.Config) {},
		"by a GetConfigForClient": func(c *tls.Config) { c.GetConfigForClient = always(inner) },
		"by a GetConfigForClient that returns nil": func(c *tls.Config) { c.GetConfigForClient = always(nil) },
	}
	names := []string{"a.test", "b.test", "sub.a.test", ""}
	for shape, set := range shapes {
		base := serverConfig(t)
		set(base)
		here, there := serve(t, bound(t, Binder{Source: src, PerName: true}, base)), serve(t, bound(t, Binder{Source: src, PerName: true}, base))
		for _, version := range versions {
			for _, from := range names {
				for _, to := range names {
					c, _ := client(version)
					c.InsecureSkipVerify = true // whoever resumes looks at no certificate
					c.ServerName = from
					resumes(t, "first", here, c, false)
					c.ServerName = strings.ToUpper(to)
					resumes(t, fmt.Sprintf("%s, %s: from %q to %q", shape, tls.VersionName(version), from, to), there, c, from == to)
				}
			}
		}
	}
}

func always(c *tls.Config) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return func(*tls.ClientHelloInfo) (*tls.Config, error) { return c, nil }
}

// TestTicketsKeepToTheirChain has two servers for each of two certificates.
func TestTicketsKeepToTheirChain(t *testing.T) {
	src := keyring.Static(fresh())
	var here, there []string
	for range 2 {
		base := serverConfig(t)
		here = append(here, serve(t, bound(t, Binder{Source: src, PerChain: true}, base)))
		outer := &tls.Config{Certificates: base.Certificates, GetConfigForClient: always(base)}
		there = append(there, serve(t, bound(t, Binder{Source: src, PerChain: true}, outer)))
	}
	for _, version := range versions {
		for from := range here {
			for to := range there {
				c, _ := client(version)
				resumes(t, "first", here[from], c, false)
				resumes(t, fmt.Sprintf("%s: from certificate %d to %d", tls.VersionName(version), from, to), there[to], c, from == to)
			}
		}
	}
}

// TestNamesOfOtherLettersDiffer has names that Unicode holds to be the same.
func TestNamesOfOtherLettersDiffer(t *testing.T) {
	addr := serve(t, bound(t, Binder{Source: keyring.Static(fresh()), PerName: true}, serverConfig(t)))
	for from, to := range map[string]string{"\u212aing.test": "king.test", "\u0130d.test": "id.test", "\xff.test": "\xfe.test"} {
		c, _ := client(tls.VersionTLS13)
		c.InsecureSkipVerify = true
		c.ServerName = from
		resumes(t, "first", addr, c, false)
		c.ServerName = to
		resumes(t, fmt.Sprintf("from %q to %q", from, to), addr, c, false)
	}
}

// TestBoundIsElsewhere offers tickets that are bound in one way where they are
// bound in another, or in none.
func TestBoundIsElsewhere(t *testing.T) {
	src := keyring.Static(fresh())
	base := serverConfig(t)
	ways := map[string]Binder{"not": {}, "PerName": {PerName: true}, "PerChain": {PerChain: true}, "both": {PerName: true, PerChain: true}}
	addrs := map[string]string{}
	for way, b := range ways {
		b.Source = src
		addrs[way] = serve(t, bound(t, b, base))
	}
	for _, version := range versions {
		for from := range ways {
			for to := range ways {
				for _, name := range []string{"", "example.com"} {
					c, _ := client(version)
					c.InsecureSkipVerify, c.ServerName = true, "example.com"
					resumes(t, "first", addrs[from], c, false)
					c.ServerName = name
					named := ways[from].PerName && name == ""
					resumes(t, fmt.Sprintf("%s: from %s to %s as %q", tls.VersionName(version), from, to, name), addrs[to], c, from == to && !named)
				}
			}
		}
	}
}

// TestBoundsBelowABareBase has a base that leaves all to its GetConfigForClient,
// and a server that adds a certificate for when that returns nil.
func TestBoundsBelowABareBase(t *testing.T) {
	src := keyring.Static(fresh())
	site := serverConfig(t)
	certFile, keyFile := files(t, site.Certificates[0])
	base := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == "example.com" {
			return site, nil
		}
		return nil, nil
	}}
	for name, b := range map[string]Binder{"PerChain": {PerChain: true}, "MaxSessionAge": {MaxSessionAge: time.Hour}} {
		b.Source = src
		addr := serveHTTP(t, bound(t, b, base), func(s *http.Server, ln net.Listener) error { return s.ServeTLS(ln, certFile, keyFile) })
		for _, version := range versions {
			c, p := client(version)
			resumes(t, name+": first", addr, c, false)
			for range 3 {
				resumes(t, name+": again", addr, c, true)
			}
			c.InsecureSkipVerify, c.ServerName, p.session = true, "another.test", nil
			for range 2 {
				resumes(t, name+": the base itself", addr, c, false)
			}
		}
	}
}

// TestUnmarkedIsElsewhere has servers that agree on the keys and not on what a
// ticket is bound to.
func TestUnmarkedIsElsewhere(t *testing.T) {
	src := keyring.Static(fresh())
	base := serverConfig(t)
	base.NextProtos = []string{}
	free := serve(t, Config(base, src))
	for name, b := range map[string]Binder{
		"PerName":       {Source: src, PerName: true},
		"PerChain":      {Source: src, PerChain: true},
		"MaxSessionAge": {Source: src, MaxSessionAge: time.Hour},
	} {
		strict := serve(t, bound(t, b, base))
		for _, version := range versions {
			c, _ := client(version)
			resumes(t, name+": first", free, c, false)
			resumes(t, name+": with an unbound ticket", strict, c, false)
			resumes(t, name+": with its own", strict, c, true)
		}
	}
}

func TestBoundsRefuse(t *testing.T) {
	src := keyring.Static(fresh())
	complete := serverConfig(t)
	complete.NextProtos = []string{}
	for _, c := range []struct {
		b    Binder
		base *tls.Config
		want string
	}{
		{Binder{MaxSessionAge: -1}, complete, "MaxSessionAge -1ns: must not be negative"},
		{Binder{PerChain: true}, nil, "PerChain without Certificates"},
		{Binder{PerChain: true}, &tls.Config{
			Certificates:   complete.Certificates,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil },
		}, "PerChain with GetCertificate"},
		{Binder{MaxSessionAge: time.Hour}, &tls.Config{NextProtos: []string{}}, "MaxSessionAge without a certificate"},
		{Binder{MaxSessionAge: time.Hour}, serverConfig(t), "MaxSessionAge without NextProtos"},
		{Binder{MaxSessionAge: time.Hour, PerChain: true, PerName: true}, complete, ""},
	} {
		c.b.Source = src
		got, err := c.b.Config(c.base)
		if c.want == "" && err == nil {
			continue
		}
		if c.want == "" || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v.Config = %v, %v, want %q", c.b, got, err, c.want)
		}
	}
}
