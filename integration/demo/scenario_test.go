package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/progress"
)

var (
	compose = flag.Bool("compose", false, "run the scenario, which needs a Docker engine and takes minutes")
	builder = flag.String("builder", "", "build the image in this one")
)

// fleet is the demo, running.
type fleet struct {
	t *testing.T
	d *docker
}

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

func (f *fleet) nodes() []string { return []string{"node-1", "node-2", "node-3"} }

// status is what a node says of itself.
type status struct {
	Leader bool `json:"leader"`
	Info   struct {
		Version uint64 `json:"version"`
	} `json:"info"`
}

// status asks a node; one that does not answer is at version 0.
func (f *fleet) status(node string) (s status) {
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:947"+strings.TrimPrefix(node, "node-")+"/api/v1/status", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return status{}
	}
	defer resp.Body.Close()
	if json.NewDecoder(resp.Body).Decode(&s) != nil {
		return status{}
	}
	return s
}

// leader returns who leads, once somebody does.
func (f *fleet) leader() (found string) {
	f.t.Helper()
	f.eventually("somebody leads", func() bool {
		for _, node := range f.nodes() {
			if f.status(node).Leader {
				found = node
			}
		}
		return found != ""
	})
	return found
}

// newest returns the highest version that a node has.
func (f *fleet) newest() (v uint64) {
	for _, node := range f.nodes() {
		v = max(v, f.status(node).Info.Version)
	}
	return v
}

// rotations waits for so many.
func (f *fleet) rotations(n uint64) {
	f.t.Helper()
	want := f.newest() + n
	f.eventually(fmt.Sprintf("version %d", want), func() bool { return f.newest() >= want })
}

// ask has a node's command ask the leader.
func (f *fleet) ask(verb ...string) {
	f.t.Helper()
	f.docker(append([]string{"exec", f.id("node-1"), "/stekring"}, verb...)...)
}

func (f *fleet) matrix() Matrix {
	f.t.Helper()
	m, err := f.d.matrix(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// docker runs docker and returns what it printed.
func (f *fleet) docker(args ...string) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Minute)
	defer cancel()
	out, err := f.d.run(ctx, nil, append([]string{"docker"}, args...)...)
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func (f *fleet) decode(into any, args ...string) {
	f.t.Helper()
	if err := json.Unmarshal([]byte(f.docker(args...)), into); err != nil {
		f.t.Fatal(err)
	}
}

// id returns a service's container.
func (f *fleet) id(service string) string {
	f.t.Helper()
	id, err := f.d.container(f.t.Context(), service)
	if err != nil || id == "" {
		f.t.Fatalf("container of %s: %q, %v", service, id, err)
	}
	return id
}

func (f *fleet) healthy(service string) {
	f.t.Helper()
	f.eventually(service+" is healthy", func() bool {
		return f.docker("inspect", "-f", "{{.State.Health.Status}}", f.id(service)) == "healthy"
	})
}

// eventually asks ok again and again until it holds.
func (f *fleet) eventually(what string, ok func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("%s: not within two minutes", what)
		}
	}
}

// end takes everything down, and looks for what is left.
func (f *fleet) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if f.t.Failed() {
		logs, _ := f.d.compose(ctx, "logs", "--tail=60")
		f.t.Log(logs)
	}
	if err := f.d.remove(ctx); err != nil {
		f.t.Error(err)
	}
	for _, kind := range [][]string{{"ps", "-aq"}, {"network", "ls", "-q"}, {"volume", "ls", "-q"}} {
		left, err := f.d.run(ctx, nil, append(append([]string{"docker"}, kind...), "--filter", "label=com.docker.compose.project="+project)...)
		if err != nil || strings.TrimSpace(left) != "" {
			f.t.Errorf("after the end, docker %s has %q, %v", kind[0], left, err)
		}
	}
}
