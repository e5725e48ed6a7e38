package integration

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stranger is a TLS client that is not in Go: a program which keeps tickets by
// name, as not every library lets go of them. testdata/clients/openssl.sh says
// how it is talked to.
type stranger struct {
	name    string   // of the executable
	debian  string   // the package it is in
	command []string // the arguments that all have in common follow

	in    io.WriteCloser // nil if the program is not installed
	out   io.ReadCloser
	lines *bufio.Scanner
}

// start starts the program if it is installed. It ends with the test.
func (s *stranger) start(t *testing.T, serverName, caFile string) {
	t.Helper()
	if _, err := exec.LookPath(s.name); err != nil {
		return
	}
	cmd := exec.Command(s.command[0], append(s.command[1:], serverName, caFile, t.TempDir())...)
	cmd.Dir, cmd.Stderr = "testdata/clients", os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if s.out, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.in, s.lines = in, bufio.NewScanner(s.out)
	t.Cleanup(func() {
		_ = in.Close()
		stuck := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		stuck.Stop()
	})
}

// need skips the test without the client, but not where everything must be
// tested.
func (s *stranger) need(t *testing.T) {
	t.Helper()
	if s.in != nil {
		return
	}
	missing := fmt.Sprintf("%s is not installed: nothing is known of it; apt-get install %s", s.name, s.debian)
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

// visit connects, offers a ticket and keeps the one that is issued; "-" is none.
// It returns the client's own word, New or Reused, and the lines of the page.
func (s *stranger) visit(t *testing.T, address, offer, keep string) (word string, page map[string]string) {
	t.Helper()
	stuck := time.AfterFunc(patience, func() { _ = s.out.Close() })
	defer stuck.Stop()
	if _, err := fmt.Fprintln(s.in, address, offer, keep); err != nil {
		t.Fatal(err)
	}
	page = map[string]string{}
	for s.lines.Scan() {
		line := s.lines.Text()
		if line == "" {
			return word, page
		}
		if name, value, ok := strings.Cut(line, "="); ok {
			page[name] = value
		} else {
			word = line
		}
	}
	t.Fatalf("%s ended: %v", s.name, s.lines.Err())
	return "", nil
}

// collect gets a ticket from every node of a demo, to be named by the node's id
// and a suffix. It returns the newest version of the ring that a node had by
// then.
func (s *stranger) collect(t *testing.T, d *demo, suffix string) (newest uint64) {
	t.Helper()
	for _, n := range d.ready.Nodes {
		word, page := s.visit(t, n.Address, "-", n.ID+suffix)
		if word != "New" || page["resumed"] != "false" || page["node"] != n.ID {
			t.Errorf("%s without a ticket at %s: %s, %v", s.name, n.ID, word, page)
		}
		version, err := strconv.ParseUint(page["version"], 10, 64)
		if err != nil {
			t.Errorf("the page of %s: %v", n.ID, err)
		}
		newest = max(newest, version)
	}
	return newest
}

// offer offers the ticket that each node issued at every node.
func (s *stranger) offer(t *testing.T, d *demo, suffix string, reused bool) {
	t.Helper()
	want := map[bool]string{true: "Reused", false: "New"}[reused]
	for _, from := range d.ready.Nodes {
		for _, at := range d.ready.Nodes {
			word, page := s.visit(t, at.Address, from.ID+suffix, "-")
			if word != want || page["resumed"] != strconv.FormatBool(reused) || page["node"] != at.ID || page["tls"] != "TLS 1.3" {
				t.Errorf("%s with a ticket of %s at %s: %s, %v; want %s", s.name, from.ID, at.ID, word, page, want)
			}
		}
	}
}

// TestStrangersResume follows one fleet through its life with three TLS clients
// that know nothing of it. They go through it together, as a revoke is for all.
func TestStrangersResume(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	t.Parallel()
	strangers := []*stranger{
		{name: "openssl", debian: "openssl", command: []string{"sh", "openssl.sh"}},
		{name: "python3", debian: "python3", command: []string{"python3", "python.py"}},
		{name: "node", debian: "nodejs", command: []string{"node", "node.js"}},
	}
	d := startDemo(t, "--interval", "5s")
	for _, s := range strangers {
		s.start(t, d.ready.ServerName, d.ready.CAFile)
	}
	// each ends the test with the phase that fails, as the next ones build on it.
	each := func(phase string, do func(*testing.T, *stranger)) {
		t.Helper()
		if !t.Run(phase, func(t *testing.T) {
			for _, s := range strangers {
				t.Run(s.name, func(t *testing.T) {
					s.need(t)
					do(t, s)
				})
			}
		}) {
			t.FailNow()
		}
	}

	newest := uint64(0)
	each("elsewhere", func(t *testing.T, s *stranger) {
		newest = max(newest, s.collect(t, d, "-early"))
		s.offer(t, d, "-early", true)
	})

	eventually(t, "a rotation", func() bool { return d.version() > newest })
	mustRun(t, "rotate", "--config", d.ready.ConfigFile)
	eventually(t, "a second rotation", func() bool { return d.version() >= newest+2 })
	each("rotated", func(t *testing.T, s *stranger) { s.offer(t, d, "-early", true) })

	mustRun(t, "revoke", "--config", d.ready.ConfigFile, "--reason", "test", "--yes")
	each("revoked", func(t *testing.T, s *stranger) { s.offer(t, d, "-early", false) })
	each("again", func(t *testing.T, s *stranger) {
		s.collect(t, d, "-late")
		s.offer(t, d, "-late", true)
	})
	if out := mustRun(t, "status", "--config", d.ready.ConfigFile); !regexp.MustCompile(`^RING demo +epoch 2 `).MatchString(out) {
		t.Errorf("status after the first revoke:\n%swant epoch 2", out)
	}

	// The demo's own clients went on all the while, and none but what the
	// revoke was for may have been refused.
	if code := d.stop(); code != 0 {
		t.Errorf("the demo exits %d, want 0", code)
	}
}
