package main

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/stekring/stekring/internal/progress"
)

var (
	compose = flag.Bool("compose", false, "run the scenario, which needs a Docker engine and takes minutes")
	builder = flag.String("builder", "", "build the image in this one")
)

// TestScenario takes the demo through all that happens to a fleet in its life.
// Its clients may miss only what a node could not know.
func TestScenario(t *testing.T) {
	if !*compose {
		t.Skip("needs a Docker engine and minutes: go test ./integration/demo -compose")
	}
	d, err := find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t, d}
	t.Cleanup(f.end)
	if err := up(t.Context(), *builder); err != nil {
		t.Fatal(err)
	}
	f.image()
	f.bounds()

	f.phase("rotate", "", func() { f.ask("rotate") })
	leader := f.leader()
	f.phase("kill the leader", leader, func() {
		f.docker("kill", "-s", "KILL", f.id(leader))
		f.eventually("another node leads", func() bool { return f.leader() != leader })
		f.rotations(2)
		f.docker("start", f.id(leader))
		f.healthy(leader)
	})
	if due := f.matrix().Total().Due; due > 0 {
		t.Errorf("%d tickets ended with a leader", due)
	}
	const cut = "node-2"
	before := f.matrix()
	f.phase("cut a node off from etcd for two intervals", cut, func() {
		f.docker("network", "disconnect", project+"_back", f.id(cut))
		f.rotations(2)
		f.docker("network", "connect", project+"_back", f.id(cut))
		f.eventually(cut+" has the newest ring", func() bool { return f.status(cut).Info.Version >= f.newest() })
	})
	for i, row := range f.matrix().Since(before).Cells {
		for j, c := range row {
			if c.Due > 0 && f.matrix().Nodes[j] != cut {
				t.Errorf("%d tickets of %s ended at %s, which was not cut off", c.Due, f.matrix().Nodes[i], f.matrix().Nodes[j])
			}
		}
	}
	before = f.matrix()
	f.phase("stop an etcd member", "", func() {
		f.docker("stop", f.id("etcd-1"))
		f.rotations(2)
		f.docker("start", f.id("etcd-1"))
		f.healthy("etcd-1")
	})
	for _, node := range f.nodes() {
		f.phase("restart "+node, node, func() {
			f.docker("restart", f.id(node))
			f.healthy(node)
		})
	}
	if due := f.matrix().Since(before).Total().Due; due > 0 {
		t.Errorf("%d tickets ended with nobody cut off and nothing revoked", due)
	}
	before = f.matrix()
	f.phase("revoke", "", func() { f.ask("revoke", "--reason", "a test", "--yes") })
	if due := f.matrix().Since(before).Total().Due; due == 0 {
		t.Error("no ticket ended with a revoke")
	}
	t.Logf("the oldest ticket that resumed was %.0f s old", f.matrix().Oldest)
}

// phase does something to the fleet, and waits until every pair resumes tickets
// again. Nothing may be missed meanwhile, and no connection break, but at the
// node it is done to.
func (f *fleet) phase(what, at string, do func()) {
	f.t.Helper()
	before := f.matrix()
	var m Matrix
	err := progress.New(f.t.Output()).Step(what, func() (err error) {
		do()
		m, err = f.d.green(f.t.Context(), f.matrix())
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	m = m.Since(before)
	for i, l := range m.Links {
		if m.Nodes[i] != at && (l.Broken > 0 || l.Refused > 0) {
			f.t.Errorf("%s: connections to %s: %+v", what, m.Nodes[i], l)
		}
	}
	var b strings.Builder
	m.Print(&b)
	f.t.Logf("%s:\n%s", what, b.String())
}

// image holds the image to what its users expect.
func (f *fleet) image() {
	f.t.Helper()
	var images []struct {
		Size   int64
		Config struct {
			User        string
			Healthcheck struct{ Test []string }
		}
	}
	f.decode(&images, "image", "inspect", image)
	i := images[0]
	f.t.Logf("the image has %.1f MB", float64(i.Size)/1e6)
	if i.Size >= 40e6 || i.Config.User != "65532:65532" || !slices.Equal(i.Config.Healthcheck.Test, []string{"CMD", "/stekring", "healthcheck"}) {
		f.t.Errorf("the image is %+v", i)
	}
}

// bounds holds every container to what it may do.
func (f *fleet) bounds() {
	f.t.Helper()
	for _, service := range append(f.nodes(), "etcd-1", "etcd-2", "etcd-3", "load") {
		var containers []struct {
			Config     struct{ User string }
			HostConfig struct {
				ReadonlyRootfs       bool
				CapDrop, SecurityOpt []string
			}
		}
		f.decode(&containers, "inspect", f.id(service))
		c := containers[0]
		if user, _, _ := strings.Cut(c.Config.User, ":"); user == "" || user == "0" || !c.HostConfig.ReadonlyRootfs ||
			!slices.Equal(c.HostConfig.CapDrop, []string{"ALL"}) || !slices.Contains(c.HostConfig.SecurityOpt, "no-new-privileges:true") {
			f.t.Errorf("%s runs with %+v", service, c)
		}
	}
}
