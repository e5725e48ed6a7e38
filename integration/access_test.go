package integration

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/election"
	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

func observer(c *config.Config) { c.Election.Candidate = false }

// TestLeastPrivilege runs a fleet whose nodes have the roles that the command
// prints, and tries what those roles must not allow.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	for name, byName := range map[string]bool{"password": false, "certificate": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := guard(t, byName)
			leads := g.run("leads", g.as("stekring-www-candidate"))
			leads.share()
			follows := g.run("follows", g.as("stekring-www-observer"), observer)
			follows.share()
			// One that stands for election and may not must not say so for ever.
			stands := g.run("stands", g.as("stekring-www-observer"))
			refused := stands.hear("etcd does not let this node stand for election; will try again", 1)
			if !strings.Contains(refused.Error, "permission denied") {
				t.Errorf("the line has %q", refused.Error)
			}
			stands.hear("etcd does not have this node's report; will try again", 1)

			operator := g.configure("operator", g.as("stekring-www-operator"))
			if out := mustRun(t, "status", "--config", operator); !strings.Contains(out, "LEADER leads") {
				t.Errorf("status says\n%s", out)
			}
			mustRun(t, "status", "--config", g.configure("reader", g.as("stekring-www-observer")))
			mustRun(t, "rotate", "--config", operator)
			mustRun(t, "revoke", "--config", operator, "--reason", "test", "--yes")
			v := leads.status().Info.Version
			eventually(t, "two more rotations, at every node", func() bool {
				for _, p := range []*process{leads, follows, stands} {
					if s := p.status(); s.Info.Version < v+2 || s.Info.Epoch != 2 || s.Local || s.Problem != "" {
						return false
					}
				}
				return true
			})
			for _, p := range []*process{leads, follows, stands} {
				p.quiet()
			}

			for _, deny := range []struct {
				verb string
				args []string
			}{{"rotate", nil}, {"revoke", []string{"--reason", "test", "--yes"}}} {
				args := append([]string{deny.verb, "--config", g.configure("reader", g.as("stekring-www-observer"))}, deny.args...)
				if _, bad, code := stekring(t, args...); code != 1 || !strings.Contains(bad, "permission denied") {
					t.Errorf("%s of an observer: exit %d %s", deny.verb, code, bad)
				}
			}
			g.tryAll()
		})
	}
}

// TestRolesOfAConfiguration has a shell read a prefix that is none of its business.
func TestRolesOfAConfiguration(t *testing.T) {
	t.Parallel()
	needEtcdctl(t)
	const prefix = "/it's $(exit 1) \"x\" `y` \\ *"
	g := &guarded{site: newSite(t, etcdtest.Strict(t, nil))}
	file := g.configure("a", func(c *config.Config) { c.Etcd.Prefix, c.Seal.KEKFile = prefix, "not-here" })
	g.etcdctl(mustRun(t, "etcd-roles", "--config", file) + mustRun(t, "etcd-roles", "--config", file, "--ring", "b,c"))
	c, err := etcd.Dial(etcd.Options{Endpoints: []string{g.endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, ring := range []string{"www", "b", "c"} {
		r, err := c.RoleGet(t.Context(), "stekring-"+ring+"-operator")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range r.Perm {
			got = append(got, fmt.Sprintf("%s %s to %s", p.PermType, p.Key, p.RangeEnd))
		}
		root := prefix + "/" + ring
		if want := fmt.Sprintf("[READ %s/ to %[1]s0 WRITE %[1]s/requests/ to %[1]s/requests0]", root); fmt.Sprint(got) != want {
			t.Errorf("%s has %v, want %s", ring, got, want)
		}
	}
}

// TestDocsEtcdAccessRuns has nodes run while authentication is switched on.
func TestDocsEtcdAccessRuns(t *testing.T) {
	t.Parallel()
	needEtcdctl(t)
	g := &guarded{site: newSite(t, etcdtest.Strict(t, nil))}
	g.write(g.password("edge-1"), []byte("of-edge-1\n"))
	p := g.run("edge-1", g.as("edge-1")) // while etcd asks for no password, and has no users
	p.share()
	script(t, "../docs/how-to/etcd-access.md", func(b string) string {
		b = strings.Replace(b, "openssl rand -base64 24 > edge-1.password", "cp "+g.password("edge-1")+" .", 1)
		return fmt.Sprintf("export PATH=%s:$PATH ETCDCTL_API=3 ETCDCTL_ENDPOINTS=%s\n%s", filepath.Dir(binary), g.endpoint, b)
	})
	v := p.status().Info.Version
	eventually(t, "two rotations", func() bool { return p.status().Info.Version > v+1 })
	p.quiet()
	c, err := etcd.Dial(etcd.Options{Endpoints: []string{g.endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Get(t.Context(), ringPath); err == nil {
		t.Error("anybody can read the ring")
	}
}

// quiet wants no line of a process that is an error, or comes again and again.
func (p *process) quiet() {
	p.t.Helper()
	times := map[string]int{}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if l.Level == "error" {
			p.t.Errorf("%s logs the error %q %s", p.id, l.Msg, l.Error)
		}
		if l.Level == "warn" && l.Msg != "ring written" {
			if times[l.Msg]++; times[l.Msg] > 1 {
				p.t.Errorf("%s logs %q again", p.id, l.Msg)
			}
		}
	}
}

// tryAll tries every kind of access at every kind of key, as every role.
func (g *guarded) tryAll() {
	g.t.Helper()
	keys := []string{"ring", "election/x", "nodes/x", "requests/x"}
	const ring, other = "/stekring/www/", "/stekring/www2/"
	var elsewhere []string
	for _, k := range keys {
		elsewhere = append(elsewhere, other+k)
	}
	elsewhere = append(elsewhere, "/stekring/www", "/stekring/www0", "/stekring/", "/other", "ring")
	for _, role := range []struct {
		user         string
		reads, write map[string]bool // below ring
	}{
		{"stekring-www-candidate", set(keys...), set(keys...)},
		{"stekring-www-observer", set(keys...), nil},
		{"stekring-www-operator", set(keys...), set("requests/x")},
		{"stekring-www2-candidate", nil, nil},
	} {
		c := g.client(role.user)
		for _, k := range keys {
			g.try(c, role.user, ring+k, role.reads[k], role.write[k])
		}
		if role.user != "stekring-www2-candidate" {
			for _, k := range elsewhere {
				g.try(c, role.user, k, false, false)
			}
		}
		for _, p := range []string{"/stekring/", "/stekring/www", ""} { // all that begins so is the ring's, and more
			_, err := c.Get(g.t.Context(), p, clientv3.WithPrefix())
			g.want(role.user+" reads all of "+p, err, false)
		}
		_, err := c.Status(g.t.Context(), g.endpoint)
		g.want(role.user+" asks for the version", err, true)
		_, err = c.Get(g.t.Context(), ring, clientv3.WithPrefix())
		g.want(role.user+" reads all of "+ring, err, role.reads != nil)

		err = election.Hold(g.t.Context(), c, ttl, func(s *concurrency.Session) error {
			// Not in the fleet's own election, as its leader would not go away for it.
			return concurrency.NewElection(s, ring+"election/of-test").Campaign(s.Ctx(), role.user)
		})
		g.want(role.user+" stands for election", err, role.write["election/x"])
	}
}

// try reads, watches, writes and deletes a key.
func (g *guarded) try(c *clientv3.Client, user, key string, reads, writes bool) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	_, err := c.Get(ctx, key)
	g.want(user+" reads "+key, err, reads)
	w := <-c.Watch(ctx, key, clientv3.WithCreatedNotify())
	g.want(user+" watches "+key, w.Err(), reads)
	if writes && key == ringPath { // the fleet's, which has been written
		return
	}
	_, err = c.Put(ctx, key, "x")
	g.want(user+" writes "+key, err, writes)
	_, err = c.Txn(ctx).If(clientv3.Compare(clientv3.Version("/stekring/www/none"), "=", 0)).Then(clientv3.OpPut(key, "x")).Commit()
	g.want(user+" writes in a transaction "+key, err, writes && reads)
	_, err = c.Delete(ctx, key)
	g.want(user+" deletes "+key, err, writes)
}

func (g *guarded) want(what string, err error, allowed bool) {
	g.t.Helper()
	denied := err != nil && strings.Contains(err.Error(), "etcdserver: permission denied") // a watch's has no type
	if allowed && err != nil || !allowed && !denied {
		g.t.Errorf("%s: %v, want allowed: %t", what, err, allowed)
	}
}

func set(keys ...string) map[string]bool {
	m := map[string]bool{}
	for _, k := range keys {
		m[k] = true
	}
	return m
}
