package integration

import (
	"fmt"
	"os/exec"
	"regexp"
	"testing"

	"github.com/stekring/stekring/internal/etcd"
)

// TestWarnsOfAnOldEtcd starts a node, and then the etcd that the system's own
// package has, which is old enough to have holes.
func TestWarnsOfAnOldEtcd(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("etcd", "--version").Output()
	if err != nil {
		lack(t, fmt.Sprintf("etcd --version: %v: nothing is known of old ones; apt-get install etcd-server", err))
	}
	version := string(regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+`).Find(out))
	flaw := etcd.Flaw(version)
	if flaw == "" {
		t.Skipf("etcd %s has no known hole", version)
	}
	client, peer := unusedAddress(), unusedAddress()
	s := newSite(t, "http://"+client)
	p := s.run("a")
	p.hear("etcd does not answer; will try again", 1)

	server := exec.Command("etcd", "--data-dir", t.TempDir(), "--log-level", "error",
		"--listen-client-urls", s.endpoint, "--advertise-client-urls", s.endpoint,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer, "--initial-cluster", "default=http://"+peer)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	if l := p.hear("etcd has known holes", 1); l.Version != version || l.What != flaw || l.Endpoint != s.endpoint {
		t.Errorf("the line is %+v, want version %s: %s", l, version, flaw)
	}
	p.share()
	v := p.status().Info.Version
	eventually(t, "two rotations", func() bool { return p.status().Info.Version > v+1 })
	if n := len(p.said("etcd has known holes")); n != 1 {
		t.Errorf("it is said %d times", n)
	}
}
