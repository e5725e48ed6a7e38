package integration

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// guarded is an etcd with roles for the rings www and www2, made as printed, and
// a user of the name of each of them. Authentication is on.
type guarded struct {
	*site
	ca *etcdtest.Authority // nil if users have passwords
}

// guard starts one. Users show certificates of their names, or have passwords.
func guard(t *testing.T, byName bool) *guarded {
	t.Helper()
	needEtcdctl(t)
	g := &guarded{}
	if byName {
		g.ca = etcdtest.NewAuthority(t)
	}
	g.site = newSite(t, etcdtest.Strict(t, g.ca))
	script := mustRun(t, "etcd-roles", "--ring", "www", "--ring", "www2")
	for line := range strings.Lines(script) {
		if !strings.HasPrefix(line, "etcdctl ") && !strings.HasPrefix(line, "# ") {
			t.Errorf("etcd-roles printed %q", line)
		}
	}
	for _, user := range []string{"root", "stekring-www-candidate", "stekring-www-observer", "stekring-www-operator", "stekring-www2-candidate"} {
		if byName {
			script += fmt.Sprintf("etcdctl user add %s --no-password\n", user)
		} else {
			script += fmt.Sprintf("etcdctl user add %s --interactive=false <<. \nof-%[1]s\n.\n", user)
			g.write(g.password(user), []byte("of-"+user+"\n"))
		}
		if user != "root" {
			script += fmt.Sprintf("etcdctl user grant-role %s %[1]s\n", user)
		}
	}
	g.etcdctl(script + "etcdctl auth enable\n")
	return g
}

func needEtcdctl(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("etcdctl", "version").CombinedOutput(); err != nil {
		lack(t, fmt.Sprintf("etcdctl version: %v %s; apt-get install etcd-client", err, out))
	}
}

// password is the file of a user's.
func (g *guarded) password(user string) string { return filepath.Join(g.dir, user+".password") }

// etcdctl runs commands as whoever has not logged in, or as root by certificate.
func (g *guarded) etcdctl(script string) {
	g.t.Helper()
	cmd := exec.Command("sh", "-e")
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3", "ETCDCTL_ENDPOINTS="+g.endpoint)
	if g.ca != nil {
		cert, key := g.ca.Issue("root")
		cmd.Env = append(cmd.Env, "ETCDCTL_CACERT="+g.ca.File, "ETCDCTL_CERT="+cert, "ETCDCTL_KEY="+key)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		g.t.Fatalf("%v\n%s\n%s", err, script, out)
	}
}

// as configures a process to be a user.
func (g *guarded) as(user string) func(*config.Config) {
	return func(c *config.Config) {
		if g.ca == nil {
			c.Etcd.Username, c.Etcd.PasswordFile = user, g.password(user)
			return
		}
		c.Etcd.CAFile = g.ca.File
		c.Etcd.CertFile, c.Etcd.KeyFile = g.ca.Issue(user)
	}
}

// client returns a client of a user, as the daemon would.
func (g *guarded) client(user string) *clientv3.Client {
	g.t.Helper()
	o := etcd.Options{Endpoints: []string{g.endpoint}}
	if g.ca == nil {
		o.Username, o.Password = user, "of-"+user
	} else {
		b, err := os.ReadFile(g.ca.File)
		if err != nil {
			g.t.Fatal(err)
		}
		cert, err := tls.LoadX509KeyPair(g.ca.Issue(user))
		if err != nil {
			g.t.Fatal(err)
		}
		o.TLS = &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{cert}}
		o.TLS.RootCAs.AppendCertsFromPEM(b)
	}
	c, err := etcd.Dial(o)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close() })
	return c
}
