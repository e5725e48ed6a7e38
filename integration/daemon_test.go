package integration

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// arrival is how long after etcd is there a node may go on without its ring.
const arrival = min(30*time.Second, interval/4) + 3*time.Second

func TestTicketResumesAtEveryNode(t *testing.T) {
	t.Parallel()
	s := newSite(t, etcdtest.Start(t).Endpoint())
	nodes := s.fleet("a", "b", "c")
	v := s.visitor()
	full := v.resumes(nodes[0], false)
	v.keep = true // one ticket, and from a
	for _, p := range nodes {
		if got := v.resumes(p, true); got.tls.Version != tls.VersionTLS13 || got.page["tls"] != "TLS 1.3" ||
			got.page["local"] != "false" || got.page["epoch"] != "1" || got.page["key"] == "" || got.page["protocol"] == "" {
			t.Errorf("page of %s:\n%s", p.id, got.body)
		}
	}
	if full.page["key"] == "" || full.page["version"] == "0" {
		t.Errorf("page of a:\n%s", full.body)
	}
}

func TestOutageOfEtcd(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	s := newSite(t, etcd.Endpoint())
	h := s.record(etcd.Client())
	nodes := s.fleet("a", "b")
	v := s.visitor()
	v.resumes(nodes[0], false)

	etcd.Down()
	before, visits := h.version(), 0
	for down := time.Now(); time.Since(down) < 2*interval; time.Sleep(50 * time.Millisecond) {
		visits++
		if got := v.resumes(nodes[visits%2], true); got.page["local"] != "false" {
			t.Fatalf("within the life of the active key the page says\n%s", got.body)
		}
	}
	for _, p := range nodes {
		if st := p.status(); st.Problem == "" {
			t.Errorf("%s says nothing of the outage: %+v", p.id, st)
		}
		if _, body := p.get("/metrics"); !strings.Contains(body, `stekring_problem{cause="unreachable",ring="www"} 1`) {
			t.Errorf("/metrics of %s says nothing of the outage", p.id)
		}
	}

	etcd.Up()
	start := time.Now()
	h.settle(before+1, nodes)
	t.Logf("%d visits without etcd, all resumed; rotated %.2fs after it was back", visits, time.Since(start).Seconds())
	h.settle(before+2, nodes)
	h.check()
	v.resumes(nodes[0], true)
	v.resumes(nodes[1], true)
}

func TestTicketsAsConfigured(t *testing.T) {
	t.Parallel()
	s := newSite(t, etcdtest.Start(t).Endpoint())
	nodes := []*process{
		s.run("off", func(c *config.Config) { c.Tickets.Enabled = false }),
		s.run("default"),
		s.run("tls12", func(c *config.Config) { c.Tickets.TLS12 = true }),
	}
	for _, tt := range []struct {
		node    *process
		version uint16
		want    bool
	}{
		{nodes[0], tls.VersionTLS12, false},
		{nodes[0], tls.VersionTLS13, false},
		{nodes[1], tls.VersionTLS12, false},
		{nodes[1], tls.VersionTLS13, true},
		{nodes[2], tls.VersionTLS12, true},
		{nodes[2], tls.VersionTLS13, true},
	} {
		v := s.visitor()
		v.max = tt.version
		v.resumes(tt.node, false)
		if got := v.resumes(tt.node, tt.want); got.tls.Version != tt.version {
			t.Errorf("%s: spoke %s", tt.node.id, tls.VersionName(got.tls.Version))
		}
	}
}

func TestDev(t *testing.T) {
	t.Parallel()
	args := []string{"run", "--dev", "--http-address", "127.0.0.1:0", "--log-format", "json"}
	tmp := t.TempDir()
	if ln, err := net.Listen("tcp", "127.0.0.1:8443"); err == nil {
		_ = ln.Close()
	} else { // somebody else has the address that it takes without a file
		file := filepath.Join(tmp, "dev.yaml")
		if err := os.WriteFile(file, []byte("listeners: [{address: '127.0.0.1:0'}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", file)
	}
	p := launch(t, []string{"TMPDIR=" + tmp}, args...)
	p.id = "dev"
	left := func() []string {
		dirs, err := filepath.Glob(filepath.Join(tmp, "stekring-*"))
		if err != nil {
			t.Fatal(err)
		}
		return dirs
	}
	p.share()
	if len(left()) != 1 {
		t.Errorf("temporary folders %v, want one", left())
	}
	fetch := func() string {
		t.Helper()
		// Its certificate is nobody's.
		v := &visitor{t: t, insecure: true}
		return v.visit(p.tlsAddress()).body
	}
	if page := fetch(); !strings.Contains(page, "resumed=false\n") || !strings.Contains(page, "local=false\n") {
		t.Errorf("page:\n%s", page)
	}
	if _, body := p.get("/metrics"); !strings.Contains(body, "\nstekring_is_leader") || strings.Contains(body, "\netcd_") {
		t.Errorf("metrics of etcd among ours, or none of ours:\n%.2000s", body)
	}
	p.signal(syscall.SIGHUP)
	p.hear("reloaded", 1)
	if page := fetch(); !strings.Contains(page, "resumed=false\n") {
		t.Errorf("page after HUP:\n%s", page)
	}
	t.Logf("exited %.2fs after TERM", p.terminate().Seconds())
	if len(left()) != 0 {
		t.Errorf("temporary folders %v are left", left())
	}
}

// Without an etcd a node cannot resign, and ends in time all the same.
func TestTerminatesWithoutEtcd(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	s := newSite(t, etcd.Endpoint())
	p := s.fleet("a")[0]
	leader(t, []*process{p})
	etcd.Down()
	eventually(t, "the outage shows", func() bool { return p.status().Problem != "" })
	t.Logf("exited %.2fs after TERM", p.terminate().Seconds())
}
