package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// fleet is the demo, running.
type fleet struct {
	t *testing.T
	d *docker
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
