package rotator_test

import (
	"net/url"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"

	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/keyring/rotator"
)

// guarded is an etcd that asks for a password. It has users root, and node, who
// may do all below /stekring/. It is not internal/etcd's, which takes seconds to
// compare a password where the race detector watches.
type guarded struct {
	*etcdtest.Etcd // for what is not used here
	t              *testing.T
	cfg            *embed.Config
	server         *embed.Etcd
	grpc           []*grpc.Server
}

const below, end = "/stekring/", "/stekring0"

func guard(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{t: t, cfg: embed.NewConfig()}
	local := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	g.cfg.Dir, g.cfg.LogLevel, g.cfg.BcryptCost = t.TempDir(), "fatal", 4 // the least
	g.cfg.TickMs, g.cfg.ElectionMs, g.cfg.UnsafeNoFsync = 20, 200, true
	g.cfg.ListenPeerUrls, g.cfg.ListenClientUrls = nil, local
	g.cfg.AdvertisePeerUrls, g.cfg.AdvertiseClientUrls = local, local
	g.cfg.InitialCluster = g.cfg.Name + "=" + local[0].String()
	g.cfg.ServiceRegister = func(s *grpc.Server) { g.grpc = append(g.grpc, s) }
	g.Up()
	g.cfg.ListenClientUrls = []url.URL{{Scheme: "http", Host: g.server.Clients[0].Addr().String()}}
	t.Cleanup(g.Down)
	c := g.login("")
	for _, name := range []string{"root", "node"} {
		_, err1 := c.UserAdd(t.Context(), name, "hunter2")
		_, err2 := c.RoleAdd(t.Context(), name)
		_, err3 := c.UserGrantRole(t.Context(), name, name)
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatal(err1, err2, err3)
		}
	}
	g.allow(c)
	if _, err := c.AuthEnable(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *guarded) Up() {
	g.t.Helper()
	var err error
	if g.server, err = embed.StartEtcd(g.cfg); err != nil {
		g.t.Fatal(err)
	}
	<-g.server.Server.ReadyNotify()
}

func (g *guarded) Down() {
	for _, s := range g.grpc {
		s.Stop()
	}
	if g.grpc = nil; g.server != nil {
		g.server.Close()
		g.server = nil
	}
}

// Client is one of the user node.
func (g *guarded) Client() *clientv3.Client { return g.login("node") }

// login returns a client of a user; "" is nobody.
func (g *guarded) login(name string) *clientv3.Client {
	g.t.Helper()
	o := etcd.Options{Endpoints: []string{g.cfg.ListenClientUrls[0].String()}, Username: name}
	if name != "" {
		o.Password = "hunter2"
	}
	c, err := etcd.Dial(o)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (g *guarded) allow(root *clientv3.Client) {
	g.t.Helper()
	if _, err := root.RoleGrantPermission(g.t.Context(), "node", below, end, clientv3.PermissionType(clientv3.PermReadWrite)); err != nil {
		g.t.Fatal(err)
	}
}

func healthy(s rotator.Status) bool { return s.Problem == "" && !s.Local }

func denied(t *testing.T) {
	g := guard(t)
	f := newFleet(t, g)
	n := f.start()
	before := f.until(n, "ring", version(1))
	root := g.login("root")
	if _, err := root.RoleRevokePermission(t.Context(), "node", below, end); err != nil {
		t.Fatal(err)
	}
	s := f.until(n, "a word of it", func(s rotator.Status) bool { return strings.Contains(s.Problem, "permission denied") })
	if s.Info.Version < before.Info.Version || len(n.Ring().TicketKeys("")) == 0 {
		t.Errorf("status %+v, want the last good ring in use", s)
	}
	g.allow(root)
	f.until(n, "rotation again", version(s.Info.Version+1))
	f.until(n, "no problem", healthy)
}

// tokenLost is a restart of etcd, which forgets the tokens that it gave.
func tokenLost(t *testing.T) {
	g := guard(t)
	f := newFleet(t, g)
	n := f.start()
	s := f.until(n, "ring", version(1))
	g.Down()
	g.Up()
	f.until(n, "rotation again", version(s.Info.Version+2))
	f.until(n, "no problem", healthy)
}

// passwordWithoutEtcd is a node that starts before etcd is there.
func passwordWithoutEtcd(t *testing.T) {
	g := guard(t)
	f := newFleet(t, g)
	g.Down()
	n := f.start()
	f.until(n, "a word of it", func(s rotator.Status) bool { return s.Problem != "" })
	g.Up()
	f.until(n, "ring once etcd is there", version(1))
	f.until(n, "no problem", healthy)
}
