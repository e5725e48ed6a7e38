package integration

import (
	"net"
	"strings"
	"testing"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// TestSaysWhyEtcdIsOutOfReach wants a node's log and status to tell what only
// its own connections know.
func TestSaysWhyEtcdIsOutOfReach(t *testing.T) {
	t.Parallel()
	ca, stranger := etcdtest.NewAuthority(t), etcdtest.NewAuthority(t)
	strict := etcdtest.Strict(t, ca)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // and nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := newSite(t, strict)
	as := func(trusted, signer *etcdtest.Authority) func(*config.Config) {
		return func(c *config.Config) {
			c.Etcd.CAFile = trusted.File
			if signer != nil {
				c.Etcd.CertFile, c.Etcd.KeyFile = signer.Issue("node")
			}
		}
	}
	at := func(endpoint string) func(*config.Config) {
		return func(c *config.Config) { c.Etcd.Endpoints = []string{endpoint} }
	}
	nodes := map[string]*process{}
	for _, tt := range []struct {
		id       string
		change   func(*config.Config)
		endpoint string
		line     string // what the log says of the endpoint
		problem  string // what the status says
	}{
		{"refused", at("http://" + unusedAddress()), "", "connection refused", "connection refused"},
		{"silent", at("http://" + silent.Addr().String()), "http://" + silent.Addr().String(), "connected, but no answer in time", "server preface"},
		{"untrusted", as(stranger, ca), strict, "certificate signed by unknown authority", "certificate signed by unknown authority"},
		{"stranger", as(ca, stranger), strict, "unknown certificate authority", "unknown certificate authority"},
		{"nobody", as(ca, nil), strict, "certificate required", "certificate required"},
	} {
		p := s.run(tt.id, tt.change)
		nodes[tt.id] = p
		l := p.hear("cannot connect to etcd; will try again", 1)
		if !strings.Contains(l.Error, tt.line) || tt.endpoint != "" && l.Endpoint != tt.endpoint {
			t.Errorf("%s: the line is %+v, want %q", tt.id, l, tt.line)
		}
		if l := p.hear("etcd does not answer; will try again", 1); l.ServingWith != "an own key, as no ring is known yet" {
			t.Errorf("%s: the line is %+v", tt.id, l)
		}
		eventually(t, tt.id+" has the reason in its status", func() bool { return strings.Contains(p.status().Problem, tt.problem) })
		p.quiet()
	}
	// The first thing that an operator asks says it too.
	check(t, typed{[]string{"status", "--config", s.configure("operator", as(ca, nil))}, 3, "certificate required"})

	fine := s.run("fine", as(ca, ca))
	fine.share()
	if n := len(fine.said("cannot connect to etcd; will try again")); n > 0 {
		t.Errorf("one that can connect says %d times that it cannot", n)
	}
	nodes["silent"].terminate() // which no call to etcd holds up
}
